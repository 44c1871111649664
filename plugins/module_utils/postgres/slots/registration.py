# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides on slots where Patroni has a say, and refuses what it would drop or cannot keep; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import decide as slots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import guard
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.decide import Choice, Decision
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.registry import (
    PERMANENT,
    Entry,
    Registry,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.spec import Desired, Exclusive
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Slot, State


def decide(
    desired_slots: t.Sequence[Desired],
    state: State,
    exclusive: Exclusive | None = None,
    limits: guard.Limits | None = None,
    report_lost: bool = False,
    registry: Registry | None = None,
    kind: str = PERMANENT,
) -> Decision:
    """What becomes of each slot, and what Patroni is told; see ``decide.py`` for the rest.

    :param registry: what Patroni knows; ``None`` when it was not asked.
    :param kind: how a slot that is to exist is registered, ``permanent`` or ``ignored``.
    :raises Refused: a desired slot that Patroni would drop, or that is not ours.
    """
    if registry is None:
        decision = slots.decide(desired_slots, state, exclusive, limits, report_lost)
        if state.by_patroni:
            _check_alone(decision.choices)
        return decision
    for desired in desired_slots:
        _check_name(desired, registry)
    state = dataclasses.replace(state, slots=registry.marked(state.slots, state.in_recovery))
    decision = slots.decide(desired_slots, state, exclusive, limits, report_lost)
    choices = [_registered(choice, registry, kind, state.in_recovery) for choice in decision.choices]
    if exclusive and not state.in_recovery:
        settled = {choice.name for choice in choices} | set(state.slots) | set(registry.members)
        choices += [
            Choice(name, "unregistered", None, None, kinds=(registry.named(name), None))
            for name in sorted(registry.names - settled)
            if exclusive.pattern.has(name)
        ]
    for choice in choices:
        _check(choice, registry, state.in_recovery)
    changing = [choice for choice in choices if choice.kinds[0] != choice.kinds[1]]
    return dataclasses.replace(
        decision,
        choices=tuple(choices),
        entries=tuple(Entry.of(choice.after or Slot(choice.name, ""), choice.kinds[1]) for choice in changing),
        warnings=decision.warnings
        + tuple(
            f"Patroni restarts PostgreSQL on each replica once, to copy the slot {choice.name} there."
            for choice in changing
            if choice.kinds[1] == PERMANENT and choice.after and choice.after.slot_type == "logical"
        ),
    )


def _registered(choice: Choice, registry: Registry, kind: str, in_recovery: bool) -> Choice:
    """A choice with what Patroni is told of it."""
    if choice.after is None:
        known = registry.named(choice.name)
        if in_recovery:
            # What is left of it on a former primary goes; the leader may have one of the same name, which stays.
            return dataclasses.replace(choice, kinds=(known, known))
        action = "unregistered" if choice.action == "none" and known else choice.action
        return dataclasses.replace(choice, action=action, kinds=(known, None))
    known = registry.kind(choice.after)
    action = "registered" if choice.action == "none" and known != kind else choice.action
    return dataclasses.replace(choice, action=action, kinds=(known, kind))


def _check_alone(choices: t.Sequence[Choice]) -> None:
    for choice in choices:
        if choice.action in ("created", "recreated", "dropped"):
            raise Refused(
                f"The slot {choice.name} cannot be {choice.action} without patroni_host: Patroni runs this server, "
                "drops slots that it does not know and makes those that it knows again.",
                code="patroni_unasked",
                slot=choice.name,
            )


def _check_name(desired: Desired, registry: Registry) -> None:
    member = registry.members.get(desired.name)
    if member is not None:
        raise Refused(
            f"The slot {desired.name} is that of Patroni's member {member}, and Patroni alone makes and drops it; "
            "choose another name, or take it off the task.",
            code="patroni_member",
            slot=desired.name,
            member=member,
        )


def _check(choice: Choice, registry: Registry, in_recovery: bool) -> None:
    slot, desired = choice.after, choice.desired
    if slot is None or desired is None or choice.action == "none":
        return
    if in_recovery:
        leader = f"which is {registry.leader}" if registry.leader else "and Patroni names none at this moment"
        raise Refused(
            f"The slot {slot.name} cannot be {choice.action} on a replica: Patroni wants slots to be made on the "
            f"leader, {leader}.",
            code="standby",
            slot=slot.name,
            leader=registry.leader,
        )
    if choice.kinds[1] != PERMANENT:
        return
    why = ""
    if not registry.uses_slots:
        why = "keeps no slots while postgresql.use_slots is false"
    elif slot.slot_type == "physical" and choice.action in ("created", "recreated"):
        # The guard's own recreation keeps nothing of the past; Patroni makes that slot again, with WAL from then on.
        if not (desired.reserve_wal or choice.guarded):
            why = "drops a permanent slot that reserves no WAL; use reserve_wal: true"
    else:
        lost = [option for option in ("two_phase", "failover") if getattr(slot, option)]
        why = f"would make a permanent slot again without its {' and '.join(lost)}" if lost else ""
    if why:
        ignored = "" if "use reserve_wal" in why else "; use patroni_slot: ignored"
        raise Refused(
            f"The slot {slot.name} cannot be permanent: Patroni {why}{ignored}.", code="patroni_drops", slot=slot.name
        )
