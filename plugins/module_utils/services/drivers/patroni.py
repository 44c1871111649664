# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A member of a cluster under Patroni, as a configuration transaction needs it."""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_agent import API
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import postgres
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import Driver, ask

#: States of a member whose server is on its way: a copy may take hours, and is waited for elsewhere.
_UNDER_WAY = ("creating replica", "starting", "initializing new cluster", "running custom bootstrap script", "stopped")
_SERVES = ("running", "streaming", "in archive recovery")


class Member(Driver):
    """Patroni and the server that it runs.

    Its ``options`` are ``host``, the address at which it answers, ``name``, the member's, and ``port``, PostgreSQL's.
    """

    def prepare(self, level: str) -> str:
        """Say why Patroni would have no place for its state; a member that starts without one only waits."""
        status, leader = ask(f"{API}/v1/status/leader")
        if not status:
            return f"the Consul agent of this host does not answer on {API} ({leader}), and Patroni needs it"
        if status != 200 or not leader.strip().strip('"'):
            return "Consul has no leader, so Patroni can keep nothing there; bring back a majority of its servers"
        return ""

    def ailments(self) -> list[str]:
        """Say why the member is not what its files tell it to be."""
        found = super().ailments()
        if found:
            return found
        try:
            cluster = Patroni(str(self.options["host"]), timeout=5).cluster()
        except ScaleoutError as error:
            return [error.message.rstrip(".")]
        own = cluster.member(str(self.options["name"]))
        if own is None:
            return ["Patroni has not joined its cluster"]
        if own.state not in (*_SERVES, *_UNDER_WAY):
            return [f"its server's state is {own.state}"]
        server = postgres.ask(int(self.options["port"])) if own.state in _SERVES else None
        # What PostgreSQL cannot read it does not use: the earlier file stays in force until a restart.
        return [f"pg_hba.conf is wrong, {', '.join(server['hba_errors'])}"] if server and server["hba_errors"] else []
