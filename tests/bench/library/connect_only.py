# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The least that a module of this collection can do: connect, plan nothing, say so."""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection


class ConnectOnly(Task):
    def __init__(self, endpoint: connection.Endpoint) -> None:
        self.session = connection.Session(endpoint)

    def plan(self) -> Plan:
        return Plan(before={}, after={})

    def apply(self, plan: Plan) -> None:
        """Never called, as there is nothing to carry out."""

    def close(self) -> None:
        self.session.close()


if __name__ == "__main__":
    run(lambda module: ConnectOnly(connection.Endpoint.of(module.params)), dict(connection.ARGUMENT_SPEC))
