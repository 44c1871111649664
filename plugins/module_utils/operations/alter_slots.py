# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Create, alter and drop the replication slots of a PostgreSQL server."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, InvalidInput, Stranger
from ansible_collections.scaleout.platform.plugins.module_utils.operations import same_database
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import (
    decide,
    guard,
    registration,
    registry,
    result,
    server,
    spec,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.pattern import Pattern

#: What a slot has, as the module's options name it.
OPTIONS = tuple(field.name for field in dataclasses.fields(spec.Desired))

#: The server counts a time limit in milliseconds, as an integer of 32 bits.
LONGEST_TIMEOUT = (2**31 - 1) // 1000

#: How Patroni may know a slot.
KINDS = (registry.PERMANENT, registry.IGNORED)

#: How often Patroni is told, when others change its configuration at the same moment.
ATTEMPTS = 5

SETTLE = 1.0
"""Seconds that Patroni has to end a loop that began before it was told of a slot, and could drop it yet.

Its loops take some ten milliseconds, and each begins with reading what was told.
"""

#: These count for all of the slots that do not say otherwise.
FOR_ALL = ("force", "recreate")


class AlterSlots(Task):
    """Reads the slots of a server, decides what becomes of them, and creates, alters and drops."""

    def __init__(
        self,
        endpoint: connection.Endpoint,
        wanted: tuple[t.Any, ...],
        timeout: int,
        exclusive: spec.Exclusive | None,
        limits: guard.Limits | None,
        report_lost: bool = False,
        patroni: Patroni | None = None,
        kind: str = registry.PERMANENT,
    ) -> None:
        self.wanted = wanted
        self.timeout = timeout
        self.exclusive = exclusive
        self.limits = limits
        self.report_lost = report_lost
        self.patroni = patroni
        self.kind = kind
        self.session = connection.Session(endpoint)
        self.decision = decide.Decision(())

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> AlterSlots:
        """The task that the options of the module ``replication_slot`` describe, with its connection.

        :raises InvalidInput: an option that can never work.
        """
        pattern = Pattern.of(params["pattern"])
        limits = guard.Limits.of(params, pattern)
        if params["pattern"] is not None and not params["exclusive"] and not limits:
            raise InvalidInput("pattern", params["pattern"], "does nothing without exclusive or a limit of the guard")
        if params["guard_action"] == "drop" and not limits:
            raise InvalidInput("guard_action", "drop", "does nothing without max_retained_bytes or min_free_disk")
        if not 0 <= params["timeout"] <= LONGEST_TIMEOUT:
            raise InvalidInput(
                "timeout", params["timeout"], f"is not a number of seconds from 0, for no limit, to {LONGEST_TIMEOUT}"
            )
        if params["patroni_slot"] != registry.PERMANENT and not params["patroni_host"]:
            raise InvalidInput("patroni_slot", params["patroni_slot"], "does nothing without patroni_host")
        slots = params["slots"] or []
        if params["name"] is not None:
            slots = [{option: params[option] for option in OPTIONS}]
        for_all = {option: params[option] for option in FOR_ALL}
        slots = [{**slot, **{key: value for key, value in for_all.items() if slot[key] is None}} for slot in slots]
        return cls(
            connection.Endpoint.of(params),
            spec.parse_slots(slots),
            params["timeout"],
            spec.Exclusive(pattern, bool(params["force"])) if params["exclusive"] else None,
            limits,
            params["lost_action"] == "report",
            Patroni.from_options(params),
            params["patroni_slot"],
        )

    def plan(self) -> Plan:
        disk = bool(self.limits and self.limits.needs_disk)
        state = server.read(self.session, self.wanted, disk)
        known = read_registry(self.patroni, self.session) if self.patroni else None
        self.decision = registration.decide(
            self.wanted, state, self.exclusive, self.limits, self.report_lost, known, self.kind
        )
        return planner.plan(self.decision)

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        spared = server.apply(self.session, plan.actions, self.timeout, self._register)
        # A client began to use them when Patroni was already told to forget them.
        back = [
            registry.Entry.of(choice.present, choice.kinds[0])
            for choice in self.decision.choices
            if choice.name in spared and choice.kinds[0] != choice.kinds[1]
        ]
        if back:
            self._register(planner.Register(tuple(back)))
        return result.result(self.decision, server.read_slots(self.session))

    def close(self) -> None:
        self.session.close()
        if self.patroni:
            self.patroni.close()

    def _register(self, action: planner.Register) -> None:
        """Tell Patroni of slots, beside what others told it since we asked."""
        patroni = t.cast("Patroni", self.patroni)
        for attempt in range(ATTEMPTS):
            known = registry.Registry.of(patroni.settings())
            changes = known.changes(known.told(action.entries))
            try:
                if changes:
                    patroni.change_settings(changes)
                break
            except Conflict:
                if attempt == ATTEMPTS - 1:
                    raise
        time.sleep(SETTLE)


def read_registry(patroni: Patroni, session: connection.Session) -> registry.Registry:
    """What Patroni knows of the slots of a server.

    :raises Stranger: it is the Patroni of another cluster.
    """
    if not same_database.is_run_by(patroni, session):
        raise Stranger("the server's Patroni", *patroni.place, "the Patroni there runs another cluster")
    cluster = patroni.cluster()
    leader = cluster.leader
    return registry.Registry.of(
        patroni.settings(), [member.name for member in cluster.members], leader.name if leader else None
    )
