# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an application, its releases and what is noted of them lie on a host; names alone, nothing is looked at."""

from __future__ import annotations

import dataclasses
import posixpath

from ansible_collections.scaleout.platform.plugins.module_utils.releases import plan


@dataclasses.dataclass(frozen=True)
class Places:
    """Where an application lives.

    :param root: its releases and links, such as ``/srv/shop``.
    :param config: its environment and secrets, such as ``/etc/shop``.
    :param unit: its systemd unit, such as ``/etc/systemd/system/shop.service``.
    :param state: what it writes itself, such as ``/var/lib/shop``, the home of its account.
    :param account: the name of the account that is its own, or empty when it uses another's.
    :param transactions: where the host keeps its transactions.
    """

    root: str
    config: str
    unit: str
    state: str
    account: str
    transactions: str

    @property
    def releases(self) -> str:
        return posixpath.join(self.root, "releases")

    @property
    def current(self) -> str:
        return posixpath.join(self.root, "current")

    @property
    def previous(self) -> str:
        return posixpath.join(self.root, "previous")

    @property
    def staged(self) -> str:
        return posixpath.join(self.config, "staged")

    @property
    def old_journal(self) -> str:
        """Where version 0.1.0 kept what was in force; a run of it may have been cut short."""
        return posixpath.join(self.config, "journal")

    def release(self, version: str) -> str:
        return posixpath.join(self.releases, version)

    def repaired(self, version: str) -> str:
        """Where a release waits that is to replace one that was edited."""
        return posixpath.join(self.releases, f".repaired-{version}")

    def note(self, version: str) -> str:
        """Where a release's digest is noted."""
        return posixpath.join(self.releases, f".digest-{version}")

    def facts(self, version: str) -> str:
        """Where it is noted what is to be known of a release when it is gone back to."""
        return posixpath.join(self.releases, f".facts-{version}")

    def prepared(self, version: str) -> str:
        """The mark that the prepare command has succeeded for a release on this host."""
        return posixpath.join(self.releases, f".prepared-{version}")

    def in_force(self, name: str) -> str:
        return self._unit(name) or posixpath.join(self.config, name)

    def waiting(self, name: str) -> str:
        # systemd-analyze goes by a unit's name.
        return posixpath.join(self.staged, posixpath.basename(self._unit(name) or name))

    def _unit(self, name: str) -> str:
        """The unit of that name in force, or nothing when it is another file's name."""
        worker, _dot, kind = name.rpartition(".")
        return (self.worker_unit(worker) if worker else self.unit) if kind == plan.UNIT else ""

    def worker_unit(self, worker: str) -> str:
        stem, suffix = posixpath.splitext(self.unit)
        return f"{stem}-{worker}{suffix}"
