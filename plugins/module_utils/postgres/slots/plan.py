# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides which replication slots to drop and to create; pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import guard
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.pattern import Pattern

_NAME = re.compile(r"[a-z0-9_]{1,63}\Z")


@dataclasses.dataclass(frozen=True)
class Wish:
    """A slot as the user wants it.

    :param slot_type: ``physical`` or ``logical``.
    :param reserve_wal: keep WAL from now on, not only from the first connection on.
    :param state: ``present`` or ``absent``.
    :param two_phase: decode prepared transactions; ``None`` for whatever a slot that exists has.
    :param failover: have the slot synchronized to standbys; ``None`` as above.
    :param force: drop the slot even while somebody uses it.
    :param recreate: drop and create a slot that exists otherwise or is lost.
    """

    name: str
    slot_type: str = "physical"
    plugin: str | None = None
    database: str | None = None
    reserve_wal: bool = False
    two_phase: bool | None = None
    failover: bool | None = None
    state: str = "present"
    force: bool = False
    recreate: bool = False

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any]) -> Wish:
        """A wish from options, where what is not given has the default.

        :raises InvalidInput: the options can never describe a slot.
        """
        wish = cls(**{key: value for key, value in options.items() if value is not None})
        wish._check()
        return wish

    def _check(self) -> None:
        if not _NAME.match(self.name):
            raise InvalidInput("name", self.name, "is not a slot name: 1 to 63 of lower-case letters, digits and _")
        if self.state == "absent":
            return
        logical = self.slot_type == "logical"
        for option in ("plugin", "database"):
            value = getattr(self, option)
            if logical and not value:
                raise InvalidInput(option, value, f"does not do for the logical slot {self.name}, which needs one")
            if not logical and value:
                raise InvalidInput(option, value, f"does not go with the physical slot {self.name}")
        if logical and self.reserve_wal:
            raise InvalidInput(
                "reserve_wal", True, f"does not go with the logical slot {self.name}, which always reserves WAL"
            )
        for option in ("two_phase", "failover"):
            if getattr(self, option) and not logical:
                raise InvalidInput(option, True, f"does not go with the physical slot {self.name}")


@dataclasses.dataclass(frozen=True)
class Slot:
    """A slot as the server has it: a row of ``pg_replication_slots``.

    :param retained_bytes: WAL that the slot keeps, from its ``restart_lsn`` to the server's present position.
    :param inactive_since: since when nobody uses it, from PostgreSQL 17 on.
    :param synced: whether a standby keeps it as the copy of its primary's.
    :param invalidation_reason: why it is lost, as far as the server says.
    :param user: who uses an active slot, in words for people.
    """

    name: str
    slot_type: str
    plugin: str | None = None
    database: str | None = None
    active: bool = False
    active_pid: int | None = None
    temporary: bool = False
    two_phase: bool = False
    failover: bool = False
    synced: bool = False
    restart_lsn: str | None = None
    confirmed_flush_lsn: str | None = None
    wal_status: str | None = None
    safe_wal_size: int | None = None
    retained_bytes: int | None = None
    inactive_since: str | None = None
    invalidation_reason: str | None = None
    user: str | None = None


@dataclasses.dataclass(frozen=True)
class State:
    """What the server says, read once.

    :param version: as PostgreSQL counts, 150004 for 15.4.
    :param in_recovery: whether the server is a standby.
    :param slots: every slot by name; they all count towards ``max_replication_slots``.
    :param databases: names of those among the wished databases that exist.
    :param allowed_plugins: what ``output_plugin_libraries`` lists; ``None`` where the server has no such setting.
    :param missing_plugins: those among the wished plugins that are not installed, as far as our user can find out.
    :param may_replicate: whether our user may create and drop slots.
    :param max_slot_wal_keep_size: in bytes; ``None`` for no bound.
    :param disk: the volume of the WAL, when the guard asked for it.
    """

    version: int
    in_recovery: bool
    wal_level: str
    max_replication_slots: int
    slots: t.Mapping[str, Slot]
    databases: frozenset = frozenset()
    allowed_plugins: frozenset | None = None
    missing_plugins: frozenset = frozenset()
    may_replicate: bool = True
    max_slot_wal_keep_size: int | None = None
    disk: guard.Disk | None = None


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
    def of(cls, wish: Wish) -> Create:
        return cls(wish.name, wish.plugin, wish.database, wish.reserve_wal, bool(wish.two_phase), bool(wish.failover))


@dataclasses.dataclass(frozen=True)
class Drop:
    """Drop a slot.

    :param force: end the process that uses it, should there be one.
    :param spare: leave it, should somebody use it by now.
    """

    name: str
    force: bool = False
    spare: bool = False


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Let the server remove the WAL that no slot keeps any more."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Drop what is not listed.

    :param pattern: names of the slots that have to be listed.
    :param force: drop even those that somebody uses.
    """

    pattern: Pattern
    force: bool = False


@dataclasses.dataclass(frozen=True)
class Choice:
    """What becomes of one slot.

    :param action: ``created``, ``dropped``, ``recreated`` or ``none``.
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


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of all slots that the task is about.

    :param choices: the listed slots as listed, then those that go though nobody listed them.
    :param verdicts: what the guard says, if there is one.
    """

    choices: tuple
    verdicts: tuple = ()
    limits: guard.Limits | None = None
    disk: guard.Disk | None = None
    warnings: tuple = ()


def wishes_of(options: t.Sequence[t.Mapping[str, t.Any]]) -> tuple:
    """Wishes from the options of one or more slots.

    :raises InvalidInput: a slot that can never exist, or one that is named twice.
    """
    wishes = tuple(Wish.of(slot) for slot in options)
    seen = set()
    for wish in wishes:
        if wish.name in seen:
            raise InvalidInput("slots", wish.name, "is named twice")
        seen.add(wish.name)
    return wishes


def decide(
    wishes: t.Sequence[Wish], state: State, sweep: Sweep | None = None, limits: guard.Limits | None = None
) -> Decision:
    """What becomes of each slot.

    :raises Refused: a wish that the server cannot grant, or that would break something that is in use.
    """
    choices = [_choice(wish, state) for wish in wishes]
    if sweep:
        choices += _swept({wish.name for wish in wishes}, sweep, state)
    verdicts: tuple = ()
    warnings: list = []
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
        warnings = guard.sentences(verdicts, limits, state.max_slot_wal_keep_size, state.disk)
    _check(choices, state)
    return Decision(tuple(choices), verdicts, limits, state.disk, tuple(warnings))


def _guarded(choice: Choice) -> Choice:
    """A listed slot that the guard drops is created anew: it keeps nothing of the past, and a second run agrees."""
    return dataclasses.replace(_anew(choice.wish, choice.before), force=False, guarded=True)


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


def _swept(listed: set, sweep: Sweep, state: State) -> list:
    return [
        Choice(name, "dropped", slot, None, force=sweep.force)
        for name, slot in sorted(state.slots.items())
        if name not in listed and sweep.pattern.has(name) and not slot.temporary and not slot.synced
    ]


def plan(decision: Decision) -> Plan:
    """Plan the way from the server's slots to those chosen.

    Slots are dropped before others are created, so that they make room. One
    that is recreated is created right after it was dropped, so that never
    more than one is missing, should something go wrong.
    """
    choices = decision.choices
    chosen = {
        action: [choice for choice in choices if choice.action == action]
        for action in ("dropped", "recreated", "created")
    }
    actions: list = [Drop(choice.name, choice.force, choice.guarded) for choice in chosen["dropped"]]
    # Slots of one database are neighbours, so that one connection to it is enough.
    for choice in sorted(chosen["recreated"], key=_database):
        actions += [Drop(choice.name, choice.force, choice.guarded), Create.of(choice.wish)]
    if any(choice.guarded for choice in choices):
        actions.append(Checkpoint())
    actions += [Create.of(choice.wish) for choice in sorted(chosen["created"], key=_database)]
    return Plan(
        before={choice.name: _described(choice.before) for choice in choices},
        after={choice.name: _described(choice.after) for choice in choices},
        actions=tuple(actions),
        result=result(decision),
        warnings=decision.warnings
        + tuple(
            f"The slot {choice.name} is in use by {choice.before.user}; that process is ended to drop the slot."
            for choice in chosen["dropped"] + chosen["recreated"]
            if choice.before.active
        ),
    )


def result(decision: Decision, now: t.Mapping[str, Slot] | None = None) -> dict:
    """What the module returns.

    :param now: the slots once the plan was carried out; ``None`` to predict them.
    """
    returned: dict = {"slots": _rows(decision.choices, now)}
    if decision.limits:
        returned["guard"] = {
            "action": "drop" if decision.limits.drop else "report",
            "free_bytes": decision.disk.free if decision.disk else None,
            "total_bytes": decision.disk.total if decision.disk else None,
            "slots": [_spared(verdict, now) for verdict in decision.verdicts],
        }
    return returned


def _spared(verdict: guard.Verdict, now: t.Mapping[str, Slot] | None) -> dict:
    row = {
        "name": verdict.name,
        "choice": verdict.choice,
        "reason": verdict.reason,
        "retained_bytes": verdict.retained_bytes,
    }
    if verdict.choice == "dropped" and now and verdict.name in now and now[verdict.name].active:
        row.update(choice="kept", reason="somebody began to use it meanwhile")
    return row


def _rows(choices: t.Sequence[Choice], now: t.Mapping[str, Slot] | None) -> list:
    rows = []
    for choice in choices:
        after = choice.after if now is None else now.get(choice.name)
        row = {field: getattr(after or choice.before, field, None) for field in RESULT_FIELDS}
        # The guard leaves a slot that somebody began to use between the plan and its turn.
        spared = now is not None and choice.guarded and after and after.active
        action = "none" if spared else choice.action
        row.update(name=choice.name, active=bool(after and after.active), action=action)
        rows.append(dict(row, before=fields_of(choice.before), after=fields_of(after)))
    return rows


RESULT_FIELDS = (
    "name",
    "slot_type",
    "plugin",
    "database",
    "active",
    "restart_lsn",
    "wal_status",
    "safe_wal_size",
)

DETAILS = (
    "slot_type",
    "plugin",
    "database",
    "two_phase",
    "failover",
    "active",
    "active_pid",
    "inactive_since",
    "restart_lsn",
    "confirmed_flush_lsn",
    "wal_status",
    "safe_wal_size",
    "retained_bytes",
    "invalidation_reason",
)


def fields_of(slot: Slot | None) -> dict | None:
    """A slot as it is returned, with what moves by itself."""
    return None if slot is None else {field: getattr(slot, field) for field in DETAILS}


def _database(choice: Choice) -> str:
    return (choice.wish and choice.wish.database) or ""


def _choice(wish: Wish, state: State) -> Choice:
    slot = state.slots.get(wish.name)
    if wish.state == "absent":
        return Choice(wish.name, "dropped" if slot else "none", slot, None, wish, wish.force)
    if wish.failover and state.version < versions.FAILOVER_SLOTS:
        raise Refused(
            f"The slot {wish.name} cannot have failover: true before PostgreSQL {versions.FAILOVER_SLOTS // 10000}; "
            f"this one runs {versions.text(state.version)}."
        )
    if slot is None:
        return Choice(wish.name, "created", None, _new(wish), wish)
    if slot.temporary:
        raise Refused(f"The slot {wish.name} exists as a temporary one of {slot.user}; it goes with that session.")
    drift = _drift(wish, slot)
    if not drift:
        return Choice(wish.name, "none", slot, slot, wish)
    if not wish.recreate:
        raise Refused(
            f"The slot {wish.name} {drift}. With recreate: true it is dropped and created anew; its consumer has to be "
            "set up anew then.",
            slot=wish.name,
        )
    return _anew(wish, slot)


def _drift(wish: Wish, slot: Slot) -> str:
    """What about a slot is not as wished and cannot be altered, in words."""
    for option in ("slot_type", "plugin", "database", "two_phase", "failover"):
        wanted, present = getattr(wish, option), getattr(slot, option)
        if option in ("two_phase", "failover") and wanted is None:
            continue
        if wanted != present:
            return f"exists with {option} {present!r} and not {wanted!r}, and a slot cannot be altered"
    if slot.wal_status == "lost":
        why = f" ({slot.invalidation_reason})" if slot.invalidation_reason else ""
        return f"is lost{why}: what it needs was removed, so its consumer cannot go on"
    return ""


def _described(slot: Slot | None) -> dict | None:
    """A slot as the diff shows it: what does not move by itself."""
    if slot is None:
        return None
    described: dict = {"slot_type": slot.slot_type}
    if slot.slot_type == "logical":
        described.update(plugin=slot.plugin, database=slot.database)
        # Only where they are on, as few slots have them.
        described.update({option: True for option in ("two_phase", "failover") if getattr(slot, option)})
    if slot.wal_status == "lost":
        described.update(wal_status="lost")
    return described


def _check(choices: t.Sequence[Choice], state: State) -> None:
    gone = [choice for choice in choices if choice.action in ("dropped", "recreated")]
    new = [choice for choice in choices if choice.action in ("created", "recreated")]
    for choice in gone:
        _check_drop(choice)
    if (gone or new) and not state.may_replicate:
        raise Refused("This user may not create or drop slots; it needs the REPLICATION attribute.")
    for choice in new:
        _check_create(choice.wish, state)
    _check_room(len(gone), len(new), state)


def _check_drop(choice: Choice) -> None:
    slot = choice.before
    if slot.synced:
        raise Refused(
            f"The slot {slot.name} is this standby's copy of its primary's; drop or alter it there.", slot=slot.name
        )
    if slot.active and not choice.force:
        anew = " and created anew" if choice.action == "recreated" else ""
        raise Refused(
            f"The slot {slot.name} is in use by {slot.user}; with force: true that process is ended and the slot "
            f"dropped{anew}.",
            slot=slot.name,
        )


def _check_create(wish: Wish, state: State) -> None:
    if state.wal_level == "minimal":
        raise Refused(f"The slot {wish.name} needs wal_level replica or logical; this server has minimal.")
    if wish.slot_type == "physical":
        return
    if wish.failover and state.in_recovery:
        raise Refused(
            f"The slot {wish.name} cannot have failover: true on a standby; create it on the primary, and the standby "
            "takes it over with sync_replication_slots."
        )
    if state.in_recovery and state.version < versions.LOGICAL_SLOTS_ON_STANDBY:
        raise Refused(
            f"The logical slot {wish.name} cannot be created on a standby before PostgreSQL "
            f"{versions.LOGICAL_SLOTS_ON_STANDBY // 10000}; this one runs {versions.text(state.version)}. "
            "Create it on the primary."
        )
    if state.wal_level != "logical":
        raise Refused(
            f"The logical slot {wish.name} needs wal_level logical; this server has {state.wal_level}. "
            "Set it and restart the server."
        )
    if wish.database not in state.databases:
        raise Refused(f"The logical slot {wish.name} is for the database {wish.database!r}, which does not exist.")
    if wish.plugin in state.missing_plugins:
        raise Refused(f"The logical slot {wish.name} needs the plugin {wish.plugin!r}, which is not installed.")
    if state.allowed_plugins is not None and wish.plugin not in state.allowed_plugins:
        raise Refused(
            f"The logical slot {wish.name} needs the plugin {wish.plugin!r}, which this server does not allow; add it "
            "to the setting output_plugin_libraries and reload the server."
        )


def _check_room(gone: int, new: int, state: State) -> None:
    needed = len(state.slots) - gone + new
    if new and needed > state.max_replication_slots:
        raise Refused(
            f"max_replication_slots is {state.max_replication_slots} and {needed} are needed: {len(state.slots)} slots "
            f"exist, {gone} to be dropped, {new} to be created. Set it to at least {needed} and restart the "
            "server.",
            needed=needed,
            max_replication_slots=state.max_replication_slots,
        )
