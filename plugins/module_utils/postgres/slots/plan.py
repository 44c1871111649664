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

_NAME = re.compile(r"[a-z0-9_]{1,63}\Z")


@dataclasses.dataclass(frozen=True)
class Wish:
    """A slot as the user wants it.

    :param slot_type: ``physical`` or ``logical``.
    :param reserve_wal: keep WAL from now on, not only from the first connection on.
    :param state: ``present`` or ``absent``.
    :param force: drop the slot even while somebody uses it.
    """

    name: str
    slot_type: str = "physical"
    plugin: str | None = None
    database: str | None = None
    reserve_wal: bool = False
    state: str = "present"
    force: bool = False

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


@dataclasses.dataclass(frozen=True)
class Slot:
    """A slot as the server has it: a row of ``pg_replication_slots``.

    :param user: who uses an active slot, in words for people.
    """

    name: str
    slot_type: str
    plugin: str | None = None
    database: str | None = None
    active: bool = False
    active_pid: int | None = None
    temporary: bool = False
    restart_lsn: str | None = None
    wal_status: str | None = None
    safe_wal_size: int | None = None
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


@dataclasses.dataclass(frozen=True)
class Create:
    """Create a slot; a logical one in its database."""

    name: str
    plugin: str | None = None
    database: str | None = None
    reserve_wal: bool = False


@dataclasses.dataclass(frozen=True)
class Drop:
    """Drop a slot.

    :param force: end the process that uses it, should there be one.
    """

    name: str
    force: bool = False


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


def plan(wishes: t.Sequence[Wish], state: State) -> Plan:
    """Plan the way from the server's slots to the wishes.

    Slots are dropped before others are created, so that they make room.

    :raises Refused: a wish that the server cannot grant, or that would break something that is in use.
    """
    drops = [wish for wish in wishes if wish.state == "absent" and wish.name in state.slots]
    creates = [wish for wish in wishes if wish.state == "present" and wish.name not in state.slots]
    for wish in wishes:
        if wish.state == "present" and wish.name in state.slots:
            _check_same(wish, state.slots[wish.name])
    for wish in drops:
        _check_drop(wish, state.slots[wish.name])
    if (drops or creates) and not state.may_replicate:
        raise Refused("This user may not create or drop slots; it needs the REPLICATION attribute.")
    for wish in creates:
        _check_create(wish, state)
    _check_room(len(drops), len(creates), state)

    actions = [Drop(wish.name, wish.force) for wish in drops]
    # Slots of one database are neighbours, so that one connection to it is enough.
    for wish in sorted(creates, key=lambda wish: wish.database or ""):
        actions.append(Create(wish.name, wish.plugin, wish.database, wish.reserve_wal))
    return Plan(
        before={wish.name: _described(state.slots.get(wish.name)) for wish in wishes},
        after={wish.name: _described(_after(wish, state.slots.get(wish.name))) for wish in wishes},
        actions=tuple(actions),
        result={"slots": result(wishes, state.slots, state.slots)},
        warnings=tuple(
            f"The slot {wish.name} is in use by {state.slots[wish.name].user}; that process is ended to drop the slot."
            for wish in drops
            if state.slots[wish.name].active
        ),
    )


def result(wishes: t.Sequence[Wish], before: t.Mapping[str, Slot], now: t.Mapping[str, Slot]) -> list:
    """What the module returns for each wish.

    :param before: the slots when the plan was made.
    :param now: the slots as far as known; what is to be created and not there yet is predicted.
    """
    rows = []
    for wish in wishes:
        action = "none"
        if wish.state == "absent" and wish.name in before:
            action = "dropped"
        elif wish.state == "present" and wish.name not in before:
            action = "created"
        known = before if action == "dropped" else now
        slot = known.get(wish.name) or _after(wish, None)
        row = {field: getattr(slot, field, None) for field in RESULT_FIELDS}
        active = slot is not None and slot.active and action != "dropped"
        rows.append(dict(row, name=wish.name, active=active, action=action))
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


def _after(wish: Wish, slot: Slot | None) -> Slot | None:
    if wish.state == "absent":
        return None
    return slot or Slot(wish.name, wish.slot_type, wish.plugin, wish.database)


def _described(slot: Slot | None) -> dict | None:
    """A slot as the diff shows it: what does not move by itself."""
    if slot is None:
        return None
    described = {"slot_type": slot.slot_type}
    if slot.slot_type == "logical":
        described.update(plugin=slot.plugin, database=slot.database)
    return described


def _check_same(wish: Wish, slot: Slot) -> None:
    if slot.temporary:
        raise Refused(f"The slot {wish.name} exists as a temporary one of {slot.user}; it goes with that session.")
    for option in ("slot_type", "plugin", "database"):
        wanted, present = getattr(wish, option), getattr(slot, option)
        if wanted != present:
            raise Refused(
                f"The slot {wish.name} exists with {option} {present!r} and not {wanted!r}; a slot cannot be altered, "
                "so drop it first with state: absent if nothing needs it.",
                slot=wish.name,
            )
    if slot.wal_status == "lost":
        raise Refused(
            f"The slot {wish.name} is lost: WAL that it needs was removed, so its consumer cannot go on. Drop it with "
            "state: absent, create it again and set its consumer up anew.",
            slot=wish.name,
        )


def _check_drop(wish: Wish, slot: Slot) -> None:
    if slot.active and not wish.force:
        raise Refused(
            f"The slot {wish.name} is in use by {slot.user}; with force: true that process is ended and the slot "
            "dropped.",
            slot=wish.name,
        )


def _check_create(wish: Wish, state: State) -> None:
    if state.wal_level == "minimal":
        raise Refused(f"The slot {wish.name} needs wal_level replica or logical; this server has minimal.")
    if wish.slot_type == "physical":
        return
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


def _check_room(drops: int, creates: int, state: State) -> None:
    needed = len(state.slots) - drops + creates
    if creates and needed > state.max_replication_slots:
        raise Refused(
            f"max_replication_slots is {state.max_replication_slots} and {needed} are needed: {len(state.slots)} slots "
            f"exist, {drops} to be dropped, {creates} to be created. Set it to at least {needed} and restart the "
            "server.",
            needed=needed,
            max_replication_slots=state.max_replication_slots,
        )
