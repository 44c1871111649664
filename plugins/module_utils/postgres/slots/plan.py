# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans the way from the slots of a server to those that were decided on; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.decide import Choice, Decision
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.registry import Entry
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.result import result
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.spec import Desired
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Slot


@dataclasses.dataclass(frozen=True)
class Register:
    """Tell Patroni of slots, all in one request."""

    entries: tuple[Entry, ...]


@dataclasses.dataclass(frozen=True)
class Create:
    """Create a slot; a logical one in its database."""

    name: str
    plugin: str | None = None
    database: str | None = None
    reserve_wal: bool = False
    two_phase: bool = False
    failover: bool = False

    @classmethod
    def of(cls, desired: Desired) -> Create:
        return cls(
            desired.name,
            desired.plugin,
            desired.database,
            desired.reserve_wal,
            bool(desired.two_phase),
            bool(desired.failover),
        )

    @classmethod
    def like(cls, slot: Slot) -> Create:
        """What creates a slot that exists; whether it was to reserve WAL at once cannot be seen any more."""
        return cls(slot.name, slot.plugin, slot.database, two_phase=slot.two_phase, failover=slot.failover)


@dataclasses.dataclass(frozen=True)
class Drop:
    """Drop a slot.

    :param force: end the process that uses it, should there be one.
    :param spare: leave it, if a client uses it by now.
    """

    name: str
    force: bool = False
    spare: bool = False


@dataclasses.dataclass(frozen=True)
class Alter:
    """Have a logical slot synchronized to the standbys, or no longer."""

    name: str
    failover: bool


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Let the server remove the WAL that no slot keeps any more."""


def plan(decision: Decision) -> Plan:
    """Plan the way from the server's slots to those chosen.

    Patroni comes first: it drops what it does not know, and makes what it knows.
    Slots are dropped before others are created, so that they make room. One
    that is recreated is created right after it was dropped, so that never
    more than one is missing, should something go wrong.
    """
    choices = decision.choices
    chosen = {
        action: [choice for choice in choices if choice.action == action]
        for action in ("dropped", "recreated", "altered", "created")
    }
    actions: list[t.Any] = [Register(decision.entries)] if decision.entries else []
    actions += [Drop(choice.name, choice.force, choice.guarded) for choice in chosen["dropped"]]
    # Slots of one database are neighbours, so that one connection to it is enough.
    for choice in sorted(chosen["recreated"], key=_database):
        actions += [Drop(choice.name, choice.force, choice.guarded), Create.of(choice.wanted)]
    if any(choice.guarded for choice in choices):
        actions.append(Checkpoint())
    actions += [Alter(choice.name, choice.after.failover) for choice in chosen["altered"] if choice.after]
    actions += [Create.of(choice.wanted) for choice in sorted(chosen["created"], key=_database)]
    return Plan(
        before={choice.name: _described(choice.before, choice.kinds[0]) for choice in choices},
        after={choice.name: _described(choice.after, choice.kinds[1]) for choice in choices},
        actions=tuple(actions),
        result=result(decision),
        warnings=decision.warnings
        + tuple(
            f"The slot {choice.name} is in use by {choice.present.user}; that process is ended to drop the slot."
            for choice in chosen["dropped"] + chosen["recreated"]
            if choice.present.active
        ),
    )


def _database(choice: Choice) -> str:
    return (choice.desired and choice.desired.database) or ""


def _described(slot: Slot | None, kind: str | None) -> dict[str, t.Any] | None:
    """A slot as the diff shows it: what does not move by itself."""
    described: dict[str, t.Any] = {"patroni": kind} if kind else {}
    if slot is None:
        return described or None
    described["slot_type"] = slot.slot_type
    if slot.slot_type == "logical":
        described.update(plugin=slot.plugin, database=slot.database)
        # Only where they are on, as few slots have them.
        described.update({option: True for option in ("two_phase", "failover") if getattr(slot, option)})
    if slot.wal_status == "lost":
        described.update(wal_status="lost")
    return described
