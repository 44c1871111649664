# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides what becomes of each replication slot, and refuses what the server cannot do; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import guard
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.spec import Sweep, Wish
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Disk, Slot, State


@dataclasses.dataclass(frozen=True)
class Choice:
    """What becomes of one slot.

    :param action: ``created``, ``altered``, ``dropped``, ``recreated`` or ``none``.
    :param before: the slot as the server has it.
    :param after: the slot as it will be, as far as that can be known.
    :param guarded: whether it is the guard that drops it.
    """

    name: str
    action: str
    before: Slot | None
    after: Slot | None
    wish: Wish | None = None
    force: bool = False
    guarded: bool = False

    @property
    def present(self) -> Slot:
        """The slot before, of a choice that alters or drops one."""
        return t.cast("Slot", self.before)

    @property
    def wanted(self) -> Wish:
        """The wish, of a choice that creates a slot."""
        return t.cast("Wish", self.wish)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of all slots that the task is about.

    :param choices: the listed slots as listed, then those that go though nobody listed them.
    :param verdicts: what the guard says, if there is one.
    """

    choices: tuple[Choice, ...]
    verdicts: tuple[guard.Verdict, ...] = ()
    limits: guard.Limits | None = None
    disk: Disk | None = None
    warnings: tuple[str, ...] = ()


def decide(
    wishes: t.Sequence[Wish],
    state: State,
    sweep: Sweep | None = None,
    limits: guard.Limits | None = None,
    report_lost: bool = False,
) -> Decision:
    """What becomes of each slot.

    :param report_lost: leave a slot that is lost as it is, with a warning.
    :raises Refused: a wish that the server cannot grant, or that would break something that is in use.
    """
    choices = [_choice(wish, state, report_lost) for wish in wishes]
    if sweep:
        choices += _swept({wish.name for wish in wishes}, sweep, state)
    verdicts: tuple[guard.Verdict, ...] = ()
    warnings = [
        f"The slot {choice.name} {_lost(choice.present)}. It stays as it is until its consumer is set up again."
        for choice in choices
        if choice.action == "none" and choice.before and _lost(choice.before)
    ]
    if limits:
        changing = {choice.name for choice in choices if choice.action in ("dropped", "recreated")}
        verdicts = guard.judge(
            {name: slot for name, slot in state.slots.items() if name not in changing},
            limits,
            state.disk,
            oldest=max((guard.kept(state.slots[name]) for name in changing), default=0),
        )
        going = {verdict.name for verdict in verdicts if verdict.choice == "dropped"}
        choices = [_guarded(choice) if choice.name in going else choice for choice in choices]
        listed = {choice.name for choice in choices}
        choices += [Choice(name, "dropped", state.slots[name], None, guarded=True) for name in sorted(going - listed)]
        warnings += guard.sentences(verdicts, limits, state.max_slot_wal_keep_size, state.disk)
    _check(choices, state)
    return Decision(tuple(choices), verdicts, limits, state.disk, tuple(warnings))


def _guarded(choice: Choice) -> Choice:
    """A listed slot that the guard drops is created anew: it keeps nothing of the past, and a second run agrees."""
    return dataclasses.replace(_anew(choice.wanted, choice.present), force=False, guarded=True)


def _anew(wish: Wish, slot: Slot) -> Choice:
    """Drop and create a slot; what the wish leaves open stays as it is."""
    if wish.slot_type == slot.slot_type == "logical":
        wish = dataclasses.replace(
            wish,
            two_phase=slot.two_phase if wish.two_phase is None else wish.two_phase,
            failover=slot.failover if wish.failover is None else wish.failover,
        )
    return Choice(wish.name, "recreated", slot, _new(wish), wish, wish.force)


def _new(wish: Wish) -> Slot:
    return Slot(
        wish.name,
        wish.slot_type,
        wish.plugin,
        wish.database,
        two_phase=bool(wish.two_phase),
        failover=bool(wish.failover),
    )


def _swept(listed: set[str], sweep: Sweep, state: State) -> list[Choice]:
    return [
        Choice(name, "dropped", slot, None, force=sweep.force)
        for name, slot in sorted(state.slots.items())
        if name not in listed and sweep.pattern.has(name) and not slot.temporary and not slot.synced
    ]


def _choice(wish: Wish, state: State, report_lost: bool) -> Choice:
    slot = state.slots.get(wish.name)
    if wish.state == "absent":
        return Choice(wish.name, "dropped" if slot else "none", slot, None, wish, wish.force)
    if wish.failover and state.version < versions.FAILOVER_SLOTS:
        raise Refused(
            f"The slot {wish.name} cannot have failover: true before PostgreSQL {versions.FAILOVER_SLOTS // 10000}; "
            f"this one runs {versions.text(state.version)}.",
            code="unsupported",
        )
    if slot is None:
        return Choice(wish.name, "created", None, _new(wish), wish)
    if slot.temporary:
        raise Refused(
            f"The slot {wish.name} exists as a temporary one of {slot.user}; it goes with that session.", code="in_use"
        )
    drift = _drift(wish, slot)
    if not drift and report_lost and not wish.recreate and _lost(slot):
        return Choice(wish.name, "none", slot, slot, wish)
    drift = drift or _lost(slot)
    if not drift:
        if wish.failover in (None, slot.failover):
            return Choice(wish.name, "none", slot, slot, wish)
        return Choice(wish.name, "altered", slot, dataclasses.replace(slot, failover=wish.failover), wish)
    if not wish.recreate:
        raise Refused(
            f"The slot {wish.name} {drift}. With recreate: true it is dropped and created anew; its consumer has to be "
            "set up anew then.",
            code="differs",
            slot=wish.name,
        )
    return _anew(wish, slot)


def _drift(wish: Wish, slot: Slot) -> str:
    """What about a slot is not as wished and cannot be altered, in words."""
    for option in ("slot_type", "plugin", "database", "two_phase"):
        wanted, present = getattr(wish, option), getattr(slot, option)
        if option == "two_phase" and wanted is None:
            continue
        if wanted != present:
            return f"exists with {option} {present!r} and not {wanted!r}, and that cannot be altered"
    return ""


def _lost(slot: Slot) -> str:
    """Why nobody can go on with a slot, in words; empty where somebody can."""
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
        anew = " and created anew" if choice.action == "recreated" else ""
        raise Refused(
            f"The slot {slot.name} is in use by {slot.user}; with force: true that process is ended and the slot "
            f"dropped{anew}.",
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
            f"The slot {slot.name} is in use by {slot.user}, and failover can be altered only while nobody uses it. "
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


def _check_create(wish: Wish, state: State) -> None:
    if state.wal_level == "minimal":
        raise Refused(
            f"The slot {wish.name} needs wal_level replica or logical; this server has minimal.", code="setting_needed"
        )
    if wish.slot_type == "physical":
        return
    if wish.failover and state.in_recovery:
        raise Refused(
            f"The slot {wish.name} cannot have failover: true on a standby; create it on the primary, and the standby "
            "takes it over with sync_replication_slots.",
            code="standby",
        )
    if state.in_recovery and state.version < versions.LOGICAL_SLOTS_ON_STANDBY:
        raise Refused(
            f"The logical slot {wish.name} cannot be created on a standby before PostgreSQL "
            f"{versions.LOGICAL_SLOTS_ON_STANDBY // 10000}; this one runs {versions.text(state.version)}. "
            "Create it on the primary.",
            code="unsupported",
        )
    if state.wal_level != "logical":
        raise Refused(
            f"The logical slot {wish.name} needs wal_level logical; this server has {state.wal_level}. "
            "Set it and restart the server.",
            code="setting_needed",
        )
    if wish.database not in state.databases:
        raise Refused(
            f"The logical slot {wish.name} is for the database {wish.database!r}, which does not exist.", code="missing"
        )
    if wish.plugin in state.missing_plugins:
        raise Refused(
            f"The logical slot {wish.name} needs the plugin {wish.plugin!r}, which is not installed.", code="missing"
        )
    if state.allowed_plugins is not None and wish.plugin not in state.allowed_plugins:
        raise Refused(
            f"The logical slot {wish.name} needs the plugin {wish.plugin!r}, which this server does not allow; add it "
            "to the setting output_plugin_libraries and reload the server.",
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
