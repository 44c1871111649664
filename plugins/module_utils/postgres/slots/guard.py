# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides which abandoned slots are to go before the WAL that they keep fills the disk; pure.

A slot is abandoned when no client uses it at this moment. WAL is kept from the
oldest position that any slot holds, so what the removal of one slot frees
depends on all the others: nothing, as long as another one holds older WAL.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import units
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.pattern import Pattern
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Disk, Slot
from ansible_collections.scaleout.platform.plugins.module_utils.units import human

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%\Z")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the guard is told.

    :param max_retained: bytes of WAL that one abandoned slot may keep.
    :param min_free: bytes that are to be free on the volume of the WAL.
    :param min_free_share: the same as a share of the volume, between 0 and 1.
    :param drop: drop what is too much, and do not only report it.
    :param pattern: names of the slots that the guard looks after.
    """

    max_retained: int | None = None
    min_free: int | None = None
    min_free_share: float | None = None
    drop: bool = False
    pattern: Pattern = dataclasses.field(default_factory=Pattern)

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any], pattern: Pattern) -> Limits | None:
        """The limits of a module's options; ``None`` when none is set.

        :raises InvalidInput: no size, or no share of a disk.
        """
        retained, free = options["max_retained_bytes"], options["min_free_disk"]
        if retained is None and free is None:
            return None
        share = _PERCENT.match(free.strip()) if free else None
        if share and not 0 < float(share.group(1)) < 100:
            raise InvalidInput("min_free_disk", free, "is not a share of a disk: more than 0% and less than 100%")
        return cls(
            max_retained=None if retained is None else _size("max_retained_bytes", retained),
            min_free=None if free is None or share else _size("min_free_disk", free),
            min_free_share=float(share.group(1)) / 100 if share else None,
            drop=options["guard_action"] == "drop",
            pattern=pattern,
        )

    @property
    def needs_disk(self) -> bool:
        return self.min_free is not None or self.min_free_share is not None

    def floor(self, disk: Disk) -> int:
        """Bytes that are to be free."""
        return int(disk.total * self.min_free_share) if self.min_free_share is not None else self.min_free or 0


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the guard says of one slot.

    :param choice: ``kept``, ``reported`` or ``dropped``.
    :param reason: a sentence without its subject, the slot.
    :param alarming: whether a person should read it.
    """

    name: str
    choice: str
    reason: str
    retained_bytes: int | None = None
    alarming: bool = False


def judge(slots: t.Mapping[str, Slot], limits: Limits, disk: Disk | None = None, oldest: int = 0) -> tuple[t.Any, ...]:
    """A finding for each slot, in the order of their names.

    :param slots: all slots of the server that are there once the task has dropped what it drops anyway.
    :param disk: needed when a limit is about it.
    :param oldest: WAL that those keep which the task drops anyway.
    """
    abandoned = {name: slot for name, slot in slots.items() if _abandoned(slot, limits)}
    reasons = {
        name: f"{_unused(slot)} and it keeps {human(kept(slot))} of WAL, more than max_retained_bytes "
        f"{human(limits.max_retained)}"
        for name, slot in abandoned.items()
        if limits.max_retained is not None and kept(slot) > limits.max_retained
    }
    if limits.needs_disk and disk is not None:
        for name in _for_disk(slots, abandoned, set(reasons), limits, disk, oldest):
            slot = abandoned[name]
            reasons[name] = (
                f"{_unused(slot)}, it keeps {human(kept(slot))} of WAL, the oldest that is left, and "
                f"{human(disk.free)} of the disk are free, less than min_free_disk {human(limits.floor(disk))}"
            )
    findings = []
    for name, slot in sorted(slots.items()):
        if name in reasons:
            choice, reason, alarming = "dropped" if limits.drop else "reported", reasons[name], True
        else:
            choice = "kept"
            reason, alarming = _why_kept(slot, slots, limits, disk)
        findings.append(Finding(name, choice, reason, slot.retained_bytes, alarming))
    return tuple(findings)


def sentences(findings: t.Sequence[Finding], limits: Limits, keep_size: int | None, disk: Disk | None) -> list[t.Any]:
    """What the user has to be told.

    :param keep_size: the server's ``max_slot_wal_keep_size`` in bytes; ``None`` for no bound.
    """
    begins = {
        "dropped": "The guard drops the slot",
        "reported": "The guard would drop, with guard_action: drop, the slot",
        "kept": "The guard leaves the slot",
    }
    said = [f"{begins[finding.choice]} {finding.name}: {finding.reason}." for finding in findings if finding.alarming]
    if disk is not None and limits.needs_disk and disk.free < limits.floor(disk):
        going = {finding.name for finding in findings if finding.choice != "kept"}
        held = {finding.name: finding.retained_bytes or 0 for finding in findings}
        freed = max(held.values(), default=0) - max((n for name, n in held.items() if name not in going), default=0)
        if disk.free + freed < limits.floor(disk):
            said.append(
                f"{human(disk.free)} of the disk are free, less than min_free_disk {human(limits.floor(disk))}, and "
                f"abandoned slots account for {human(freed)} only; something else fills it."
            )
    return said + _disagreements(limits, keep_size, disk)


def _disagreements(limits: Limits, keep_size: int | None, disk: Disk | None) -> list[t.Any]:
    if keep_size is None:
        return [
            "max_slot_wal_keep_size is -1: between two runs of this guard nothing bounds the WAL that a slot keeps. "
            "Set it above max_retained_bytes and below what the disk has."
        ]
    said = []
    if limits.max_retained is not None and keep_size <= limits.max_retained:
        said.append(
            f"max_slot_wal_keep_size is {human(keep_size)} and max_retained_bytes {human(limits.max_retained)}: the "
            "server invalidates a slot before the guard finds it too large. Set max_retained_bytes below it."
        )
    if disk is not None and keep_size >= disk.total:
        said.append(
            f"max_slot_wal_keep_size is {human(keep_size)} and the disk has {human(disk.total)}: between two runs of "
            "this guard nothing bounds the WAL that a slot keeps. Set it below what the disk has."
        )
    return said


def _abandoned(slot: Slot, limits: Limits) -> bool:
    mine = limits.pattern.has(slot.name) and not (slot.temporary or slot.synced or slot.spared)
    return mine and not slot.active and kept(slot) > 0


def _for_disk(
    slots: t.Mapping[str, Slot],
    abandoned: t.Mapping[str, Slot],
    gone: set[str],
    limits: Limits,
    disk: Disk,
    oldest: int,
) -> list[t.Any]:
    """The abandoned slots that have to go until the disk has what is missing, or until more would free nothing.

    :param gone: those that go already.
    """
    missing = limits.floor(disk) - disk.free
    oldest = max([oldest, *map(kept, slots.values())])
    staying = max((kept(slot) for name, slot in slots.items() if name not in abandoned), default=0)
    chosen: list[t.Any] = []
    candidates = [name for name, slot in abandoned.items() if name not in gone and kept(slot) - staying >= disk.segment]
    # The oldest first; of equals the first name, so that check mode says the same.
    for name in sorted(candidates, key=lambda name: (-kept(abandoned[name]), name)):
        left = max((kept(slot) for name, slot in slots.items() if name not in gone and name not in chosen), default=0)
        if oldest - left >= missing:
            break
        chosen.append(name)
    return chosen


def _why_kept(slot: Slot, slots: t.Mapping[str, Slot], limits: Limits, disk: Disk | None) -> tuple[t.Any, ...]:
    much = limits.max_retained is not None and kept(slot) > limits.max_retained
    if slot.active:
        extra = f" although it keeps {human(kept(slot))} of WAL, more than max_retained_bytes" if much else ""
        return f"{slot.user or 'a client'} uses it{extra}", much
    if slot.temporary or slot.synced:
        return ("it goes with its session" if slot.temporary else "it is the copy of the primary's"), False
    if not limits.pattern.has(slot.name):
        return f"its name is not in the pattern {limits.pattern.text}", False
    if not kept(slot):
        return "it keeps no WAL", False
    if slot.spared:
        full = disk is not None and limits.needs_disk and disk.free < limits.floor(disk)
        return _spared(slot), much or full
    if disk is not None and limits.needs_disk and disk.free < limits.floor(disk):
        stays = [other for other in slots.values() if not _abandoned(other, limits)]
        oldest = max(stays, key=kept, default=None)
        if kept(slot) < disk.segment:
            return "it keeps less than one file of WAL", False
        if oldest and kept(slot) - kept(oldest) < disk.segment:
            return f"to drop it would free nothing, as the slot {oldest.name} stays and keeps as much WAL", False
        return "the others free enough of the disk", False
    return f"it keeps {human(kept(slot))} of WAL, which is within the limits", False


def _spared(slot: Slot) -> str:
    does = f"{_unused(slot)}, it keeps {human(kept(slot))} of WAL"
    if slot.member:
        return f"{does}, and it is that of Patroni's member {slot.member}; start that member, or remove it for good"
    return (
        f"{does}, and Patroni drops it unless it is that of a member that is away, which it keeps for "
        "member_slots_ttl; name it with state: absent to drop it now"
    )


def kept(slot: Slot) -> int:
    return slot.retained_bytes or 0


def _unused(slot: Slot) -> str:
    return f"no client has used it since {slot.inactive_since}" if slot.inactive_since else "no client uses it"


def _size(option: str, text: str) -> int:
    try:
        size = int(units.parse_real(text, "B"))
    except (units.BadNumber, OverflowError, ValueError) as error:
        raise InvalidInput(option, text, f"is not a size, such as 10GB: {error}") from None
    if size <= 0:
        raise InvalidInput(option, text, "is not a size above zero")
    return size
