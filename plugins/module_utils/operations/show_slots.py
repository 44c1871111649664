# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Show the replication slots of a PostgreSQL server."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.operations.alter_slots import read_registry
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import result, server
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.pattern import Pattern


class ShowSlots(Task):
    """Reads the slots of a server in one round of queries."""

    def __init__(self, endpoint: connection.Endpoint, pattern: Pattern, patroni: Patroni | None = None) -> None:
        self.pattern = pattern
        self.patroni = patroni
        self.session = connection.Session(endpoint)

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> ShowSlots:
        """The task that the options of the module ``replication_slot_info`` describe, with its connection.

        :raises InvalidInput: an option that can never work.
        """
        pattern = Pattern.of(params["pattern"])
        return cls(connection.Endpoint.of(params), pattern, Patroni.from_options(params))

    def plan(self) -> Plan:
        state = server.read(self.session)
        known = read_registry(self.patroni, self.session) if self.patroni else None
        slots = [
            {
                "name": name,
                **(result.fields_of(slot) or {}),
                "temporary": slot.temporary,
                "synced": slot.synced,
                "user": slot.user,
                **({"patroni": known.kind(slot)} if known else {}),
            }
            for name, slot in sorted(state.slots.items())
            if self.pattern.has(name)
        ]
        facts = {
            "slots": slots,
            "used": len(state.slots),
            "in_recovery": state.in_recovery,
            "wal_level": state.wal_level,
            "max_replication_slots": state.max_replication_slots,
            "max_slot_wal_keep_size": state.max_slot_wal_keep_size,
        }
        return Plan(before={}, after={}, result=facts)

    def apply(self, plan: Plan) -> None:
        """Never called, as there is nothing to carry out."""

    def close(self) -> None:
        self.session.close()
        if self.patroni:
            self.patroni.close()
