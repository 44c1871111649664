# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides what becomes of each replication slot, and refuses what the server cannot do; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import guard
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.registry import Entry
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.spec import Desired, Exclusive
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Disk, Slot, State


@dataclasses.dataclass(frozen=True)
class Choice:
    """What becomes of one slot.

    :param action: ``created``, ``altered``, ``dropped``, ``recreated`` or ``none``; and, where only Patroni is told of
        it, ``registered`` or ``unregistered``.
    :param before: the slot as the server has it.
    :param after: the slot as it will be, as far as that can be known.
    :param guarded: whether it is the guard that drops it.
    :param kinds: how Patroni knows the slot before and after.
    """

    name: str
    action: str
    before: Slot | None
    after: Slot | None
    desired: Desired | None = None
    force: bool = False
    guarded: bool = False
    kinds: tuple[str | None, str | None] = (None, None)

    @property
    def present(self) -> Slot:
        """The slot before, of a choice that alters or drops one."""
        return t.cast("Slot", self.before)

    @property
    def wanted(self) -> Desired:
        """The desired slot, of a choice that creates a slot."""
        return t.cast("Desired", self.desired)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of all slots that the task is about.

    :param choices: the listed slots as listed, then those that go though they are not listed.
    :param findings: what the guard says, if there is one.
    :param entries: what Patroni is told; ``None`` without Patroni.
    """

    choices: tuple[Choice, ...]
    findings: tuple[guard.Finding, ...] = ()
    limits: guard.Limits | None = None
    disk: Disk | None = None
    warnings: tuple[str, ...] = ()
    entries: tuple[Entry, ...] | None = None


def decide(
    desired_slots: t.Sequence[Desired],
    state: State,
    exclusive: Exclusive | None = None,
    limits: guard.Limits | None = None,
    report_lost: bool = False,
) -> Decision:
    """What becomes of each slot.

    :param report_lost: leave a slot that is lost as it is, with a warning.
    :raises Refused: a desired slot that the server cannot have, or that would break something that is in use.
    """
    choices = [_choice(desired, state, report_lost) for desired in desired_slots]
    if exclusive:
        choices += _unlisted({desired.name for desired in desired_slots}, exclusive, state)
    findings: tuple[guard.Finding, ...] = ()
    warnings = [
        f"The slot {choice.name} {_lost(choice.present)}. It stays as it is until its consumer is set up again."
        for choice in choices
        if choice.action == "none" and choice.before and _lost(choice.before)
    ]
    if limits:
        changing = {choice.name for choice in choices if choice.action in ("dropped", "recreated")}
        findings = guard.judge(
            {name: slot for name, slot in state.slots.items() if name not in changing},
            limits,
            state.disk,
            oldest=max((guard.kept(state.slots[name]) for name in changing), default=0),
        )
        going = {finding.name for finding in findings if finding.choice == "dropped"}
        choices = [_guarded(choice) if choice.name in going else choice for choice in choices]
        listed = {choice.name for choice in choices}
        choices += [Choice(name, "dropped", state.slots[name], None, guarded=True) for name in sorted(going - listed)]
        warnings += guard.sentences(findings, limits, state.max_slot_wal_keep_size, state.disk)
    _check(choices, state)
    return Decision(tuple(choices), findings, limits, state.disk, tuple(warnings))


def _guarded(choice: Choice) -> Choice:
    """A listed slot that the guard drops is recreated: it keeps nothing of the past, and a second run agrees."""
    return dataclasses.replace(_recreate(choice.wanted, choice.present), force=False, guarded=True)


def _recreate(desired: Desired, slot: Slot) -> Choice:
    """Drop and create a slot; what the options leave open stays as it is."""
    if desired.slot_type == slot.slot_type == "logical":
        desired = dataclasses.replace(
            desired,
            two_phase=slot.two_phase if desired.two_phase is None else desired.two_phase,
            failover=slot.failover if desired.failover is None else desired.failover,
        )
    return Choice(desired.name, "recreated", slot, _new(desired), desired, desired.force)


def _new(desired: Desired) -> Slot:
    return Slot(
        desired.name,
        desired.slot_type,
        desired.plugin,
        desired.database,
        two_phase=bool(desired.two_phase),
        failover=bool(desired.failover),
    )


def _unlisted(listed: set[str], exclusive: Exclusive, state: State) -> list[Choice]:
    return [
        Choice(name, "dropped", slot, None, force=exclusive.force)
        for name, slot in sorted(state.slots.items())
        if name not in listed and exclusive.pattern.has(name) and not (slot.temporary or slot.synced or slot.spared)
    ]


def _choice(desired: Desired, state: State, report_lost: bool) -> Choice:
    slot = state.slots.get(desired.name)
    if desired.state == "absent":
        return Choice(desired.name, "dropped" if slot else "none", slot, None, desired, desired.force)
    if desired.failover and state.version < versions.FAILOVER_SLOTS:
        raise Refused(
            f"The slot {desired.name} cannot have failover: true before PostgreSQL {versions.FAILOVER_SLOTS // 10000}; "
            f"this one runs {versions.text(state.version)}.",
            code="unsupported",
        )
    if slot is None:
        return Choice(desired.name, "created", None, _new(desired), desired)
    if slot.temporary:
        raise Refused(
            f"The slot {desired.name} exists as a temporary one of {slot.user}; it goes with that session.",
            code="in_use",
        )
    drift = _drift(desired, slot)
    if not drift and report_lost and not desired.recreate and _lost(slot):
        return Choice(desired.name, "none", slot, slot, desired)
    drift = drift or _lost(slot)
    if not drift:
        if desired.failover in (None, slot.failover):
            return Choice(desired.name, "none", slot, slot, desired)
        return Choice(desired.name, "altered", slot, dataclasses.replace(slot, failover=desired.failover), desired)
    if not desired.recreate:
        raise Refused(
            f"The slot {desired.name} {drift}. With recreate: true it is dropped and recreated; its consumer has to "
            "be set up again then.",
            code="differs",
            slot=desired.name,
        )
    return _recreate(desired, slot)


def _drift(desired: Desired, slot: Slot) -> str:
    """What about a slot is not as desired and cannot be altered, in words."""
    for option in ("slot_type", "plugin", "database", "two_phase"):
        wanted, present = getattr(desired, option), getattr(slot, option)
        if option == "two_phase" and wanted is None:
            continue
        if wanted != present:
            return f"exists with {option} {present!r} and not {wanted!r}, and that cannot be altered"
    return ""


def _lost(slot: Slot) -> str:
    """Why no client can go on with a slot, in words; empty where one can."""
    if slot.wal_status == "lost":
        why = f" ({slot.invalidation_reason})" if slot.invalidation_reason else ""
        return f"is lost{why}: what it needs was removed, so its consumer cannot go on"
    return ""


def _check(choices: t.Sequence[Choice], state: State) -> None:
    gone = [choice for choice in choices if choice.action in ("dropped", "recreated")]
    new = [choice for choice in choices if choice.action in ("created", "recreated")]
    altered = [choice for choice in choices if choice.action == "altered"]
    for choice in gone:
        _check_drop(choice)
    for choice in altered:
        _check_alter(choice, state)
    if (gone or new or altered) and not state.may_replicate:
        raise Refused(
            "This user may not create, alter or drop slots; it needs the REPLICATION attribute.", code="denied"
        )
    for choice in new:
        _check_create(choice.wanted, state)
    _check_room(len(gone), len(new), state)


def _check_drop(choice: Choice) -> None:
    slot = choice.present
    if slot.synced:
        raise _synced(slot)
    if slot.active and not choice.force:
        again = " and recreated" if choice.action == "recreated" else ""
        raise Refused(
            f"The slot {slot.name} is in use by {slot.user}; with force: true that process is ended and the slot "
            f"dropped{again}.",
            code="in_use",
            slot=slot.name,
        )


def _check_alter(choice: Choice, state: State) -> None:
    slot = choice.present
    if slot.synced:
        raise _synced(slot)
    if state.in_recovery:
        raise Refused(
            f"The slot {slot.name} cannot have its failover altered on a standby; the primary's slots are the ones "
            "that are synchronized.",
            code="standby",
            slot=slot.name,
        )
    if slot.active:
        raise Refused(
            f"The slot {slot.name} is in use by {slot.user}, and failover can be altered only while no client uses it. "
            "Stop its consumer first; of a subscription, ALTER SUBSCRIPTION … SET (failover = …) does both.",
            code="in_use",
            slot=slot.name,
        )


def _synced(slot: Slot) -> Refused:
    return Refused(
        f"The slot {slot.name} is this standby's copy of its primary's; drop or alter it there.",
        code="standby",
        slot=slot.name,
    )


def _check_create(desired: Desired, state: State) -> None:
    if state.wal_level == "minimal":
        raise Refused(
            f"The slot {desired.name} needs wal_level replica or logical; this server has minimal.",
            code="setting_needed",
        )
    if desired.slot_type == "physical":
        return
    if desired.failover and state.in_recovery:
        raise Refused(
            f"The slot {desired.name} cannot have failover: true on a standby; create it on the primary, and the "
            "standby takes it over with sync_replication_slots.",
            code="standby",
        )
    if state.in_recovery and state.version < versions.LOGICAL_SLOTS_ON_STANDBY:
        raise Refused(
            f"The logical slot {desired.name} cannot be created on a standby before PostgreSQL "
            f"{versions.LOGICAL_SLOTS_ON_STANDBY // 10000}; this one runs {versions.text(state.version)}. "
            "Create it on the primary.",
            code="unsupported",
        )
    if state.wal_level != "logical":
        raise Refused(
            f"The logical slot {desired.name} needs wal_level logical; this server has {state.wal_level}. "
            "Set it and restart the server.",
            code="setting_needed",
        )
    if desired.database not in state.databases:
        raise Refused(
            f"The logical slot {desired.name} is for the database {desired.database!r}, which does not exist.",
            code="missing",
        )
    if desired.plugin in state.missing_plugins:
        raise Refused(
            f"The logical slot {desired.name} needs the plugin {desired.plugin!r}, which is not installed.",
            code="missing",
        )
    if state.allowed_plugins is not None and desired.plugin not in state.allowed_plugins:
        raise Refused(
            f"The logical slot {desired.name} needs the plugin {desired.plugin!r}, which this server does not allow; "
            "add it to the setting output_plugin_libraries and reload the server.",
            code="setting_needed",
        )


def _check_room(gone: int, new: int, state: State) -> None:
    needed = len(state.slots) - gone + new
    if new and needed > state.max_replication_slots:
        raise Refused(
            f"max_replication_slots is {state.max_replication_slots} and {needed} are needed: {len(state.slots)} slots "
            f"exist, {gone} to be dropped, {new} to be created. Set it to at least {needed} and restart the "
            "server.",
            code="no_room",
            needed=needed,
            max_replication_slots=state.max_replication_slots,
        )
