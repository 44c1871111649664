# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A document of a group in Consul that only the run with the lease may write (A5)."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.operations import lease
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task


def fault_of_prefix(prefix: str) -> str | None:
    """Say why a value is no folder for such documents; None when it is one."""
    if not prefix.isprintable() or not prefix or prefix != prefix.strip("/ "):
        return "is not a folder of Consul's KV"
    return None


class FencedDocument(Task):
    """Reads, plans, and writes what the plan's action is, unless another client has written since.

    :param run: which run this is, which has to hold the lease then; none for a dry run and for one that only looks.
    """

    def __init__(self, consul: Consul, prefix: str, group: str, run: str | None) -> None:
        self._consul = consul
        self._prefix = prefix
        self._group = group
        self._key = f"{prefix}/{group}"
        self._run = run
        #: What a write expects to be there; each plan reads it again.
        self._seen: documents.Document | None = None

    def apply(self, plan: Plan) -> Plan:
        return documents.applied(self._key, plan, self.plan, self._write)

    def close(self) -> None:
        self._consul.close()

    def _write(self, after: t.Any) -> None:
        documents.write(self._consul, self._key, after.document(), self._seen, fence=self._fence())

    def _fence(self) -> documents.Fence | None:
        """Return what a write depends on; none for a run that needs no lease.

        :raises lock.LeaseLost: the run does not hold it.
        """
        return lease.fence(self._consul, self._run, time.time()) if self._run else None
