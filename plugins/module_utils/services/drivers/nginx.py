# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nginx, and the watch that keeps its upstreams to what Consul says."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import (
    ACTIVATE_TIMEOUT,
    Driver,
    in_place,
)
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import RELOAD, RESTART

CONFIGURATION = "/etc/nginx/nginx.conf"
UPSTREAMS = "/etc/nginx/upstreams"
#: Where each watch says what is wrong with it.
WATCHES = "/run/nginx-upstream"


class Nginx(Driver):
    """The web server. Its configuration is one file, so nginx itself can check the whole of it before it counts.

    It answers ``options.probe`` with the digest of what it runs: a reload that fails late, such as on a port that is
    taken, leaves the old configuration in force without a word.

    ``options.watched`` are the services that are followed. Each watch tests every change of its upstream together with
    this configuration, so what keeps it from that shows here.
    """

    def validate(self, staged: t.Mapping[str, str]) -> str:
        """Have nginx test the new file together with what it includes, and with certificates that are new too."""
        try:
            with open(staged.get(CONFIGURATION, CONFIGURATION), encoding="utf-8") as stream:
                text = stream.read()
        except FileNotFoundError:
            return ""
        named = {path: name for path, name in staged.items() if path in text}
        if CONFIGURATION not in staged and not named:
            return ""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=os.path.dirname(CONFIGURATION)) as trial:
            trial.write(in_place(text, {name: path for path, name in named.items()}))
            trial.flush()
            done = run(["nginx", "-t", "-q", "-c", trial.name], timeout=ACTIVATE_TIMEOUT)
            return in_place(done.said, {CONFIGURATION: trial.name, **named}) if done.status else ""

    def ailments(self) -> list[str]:
        """Ask nginx first; then what its watches have to say."""
        return super().ailments() or [each for each in map(_fault_of_watch, self.options.get("watched") or []) if each]

    def drift(self) -> str:
        """Say that a reload is due where nginx runs with another configuration."""
        return RELOAD if self.ailments() else "none"


def _fault_of_watch(service: str) -> str:
    """Say why the watch of a service does not work, as a clause; empty when it does."""
    try:
        with open(os.path.join(WATCHES, service, "state"), encoding="utf-8") as stream:
            problem = stream.read().strip()
    except OSError:
        problem = "it has not had an answer of Consul yet"
    return f"nginx-upstream@{service}.service does not follow Consul: {problem}" if problem else ""


class Watch(Driver):
    """The units that follow Consul, one a service.

    ``options``: ``command``, the watch with its settings by service, to write the first upstream; ``seeds``, the first
    servers by service.
    """

    def _upstream(self, service: str) -> str:
        return os.path.join(UPSTREAMS, f"{service}.conf")

    def _surplus(self) -> list[str]:
        """Services that have an upstream and no site any more."""
        try:
            names = os.listdir(UPSTREAMS)
        except FileNotFoundError:
            return []
        known = {name[: -len(".conf")] for name in names if name.endswith(".conf") and not name.startswith(".")}
        return sorted(known - set(self.options["seeds"]))

    def drift(self) -> str:
        """Say that upstreams are missing or left over."""
        missing = [service for service in self.options["seeds"] if not os.path.exists(self._upstream(service))]
        return RELOAD if missing or self._surplus() else "none"

    def activate(self, level: str) -> str:
        """Write first upstreams, start or restart the watches, and retire those of services that have no site."""
        for service, servers in self.options["seeds"].items():
            if not os.path.exists(self._upstream(service)):
                done = run([*self.options["command"], service, "--seed", *servers])
                if done.status:
                    return done.said
        for service in self._surplus():
            run(["systemctl", "disable", "--now", f"nginx-upstream@{service}.service"], timeout=ACTIVATE_TIMEOUT)
            os.unlink(self._upstream(service))
        stopped = not self.units or any(not state.active for state in self.look())
        return super().activate(level) if self.units and (level == RESTART or stopped) else ""
