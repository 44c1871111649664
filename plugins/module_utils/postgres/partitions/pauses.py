# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a long move of rows has to wait for the rest of the platform: for replicas, the archive, slots and the disk.

Rows that move are written to WAL once more. Whoever has to take that WAL, or to keep it, says here how much is too
much. ``gate.py`` asks the server and waits; this file decides.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import units
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.units import human

DEFAULTS = {"replica_lag": "256MB", "archive_lag": "1GB", "slot_retained": "16GB"}
"""The limits of those who do not set their own. The disk is only looked at when ``free_disk`` is set, since it can only
be seen on the server's own host."""

PATIENCE = 3600
"""Seconds that a pause may take before the task gives up."""

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "pauses": {
        "type": "dict",
        "options": {
            "replica_lag": {"type": "str", "default": DEFAULTS["replica_lag"]},
            "archive_lag": {"type": "str", "default": DEFAULTS["archive_lag"]},
            "slot_retained": {"type": "str", "default": DEFAULTS["slot_retained"]},
            "free_disk": {"type": "str", "default": ""},
            "patience": {"type": "int", "default": PATIENCE},
        },
    },
}

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%\Z")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a move has to wait for.

    :param replica_lag: bytes of WAL that a replica may still have to replay; None to look at none.
    :param archive_lag: bytes of WAL that may wait to be archived.
    :param slot_retained: bytes of WAL that a replication slot may keep.
    :param free_disk: bytes that are to be free on the volume of the data.
    :param free_share: the same as a share of the volume, between 0 and 1.
    :param patience: seconds that one pause may take.
    """

    replica_lag: int | None = None
    archive_lag: int | None = None
    slot_retained: int | None = None
    free_disk: int | None = None
    free_share: float | None = None
    patience: int = PATIENCE

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any] | None) -> Limits:
        """The limits of a module's option ``pauses``; those that are not given are the defaults.

        :raises InvalidInput: no size, no share of a disk, or no number of seconds.
        """
        given = {**DEFAULTS, "free_disk": "", "patience": PATIENCE, **(options or {})}
        share = _PERCENT.match((given["free_disk"] or "").strip())
        if share and not 0 < float(share.group(1)) < 100:
            raise InvalidInput(
                "pauses.free_disk", given["free_disk"], "is not a share of a disk: more than 0% and less than 100%"
            )
        if given["patience"] < 0:
            raise InvalidInput("pauses.patience", given["patience"], "is not a number of seconds from 0")
        return cls(
            **{option: _size(option, given[option]) for option in DEFAULTS},
            free_disk=None if share else _size("free_disk", given["free_disk"]),
            free_share=float(share.group(1)) / 100 if share else None,
            patience=given["patience"],
        )

    @property
    def needs_disk(self) -> bool:
        """Whether the disk of the server is to be looked at."""
        return self.free_disk is not None or self.free_share is not None

    @property
    def needs_server(self) -> bool:
        """Whether there is anything to ask the server."""
        return any(one is not None for one in (self.replica_lag, self.archive_lag, self.slot_retained))


@dataclasses.dataclass(frozen=True)
class Reading:
    """How far the others are at one moment; None for what cannot be seen.

    :param replicas: bytes that each replica has still to replay, by its name.
    :param archive: bytes that wait to be archived; None where nothing is archived.
    :param slots: bytes that each slot keeps, by its name.
    :param free: bytes that are free on the volume.
    :param total: bytes that it has.
    """

    replicas: t.Mapping[str, int | None] = dataclasses.field(default_factory=dict)
    archive: int | None = None
    slots: t.Mapping[str, int | None] = dataclasses.field(default_factory=dict)
    free: int | None = None
    total: int | None = None


def reasons(limits: Limits, reading: Reading) -> tuple[str, ...]:
    """Why to wait, a sentence without its end each; none to go on."""
    said = []
    for name, lag in sorted(reading.replicas.items()):
        if _over(lag, limits.replica_lag):
            said.append(f"the replica {name} is {human(lag)} behind, more than replica_lag {human(limits.replica_lag)}")
    if _over(reading.archive, limits.archive_lag):
        said.append(
            f"{human(reading.archive)} of WAL wait to be archived, more than archive_lag {human(limits.archive_lag)}"
        )
    for name, kept in sorted(reading.slots.items()):
        if _over(kept, limits.slot_retained):
            said.append(
                f"the slot {name} keeps {human(kept)} of WAL, more than slot_retained {human(limits.slot_retained)}"
            )
    floor = int((reading.total or 0) * limits.free_share) if limits.free_share is not None else limits.free_disk
    if floor is not None and reading.free is not None and reading.free < floor:
        said.append(f"{human(reading.free)} of the disk are free, less than free_disk {human(floor)}")
    return tuple(said)


def _over(value: int | None, limit: int | None) -> bool:
    return value is not None and limit is not None and value > limit


def _size(option: str, text: str | None) -> int | None:
    """A size in bytes; None for an empty text or zero, which look at nothing."""
    if not text:
        return None
    try:
        size = int(units.parse_real(text, "B"))
    except (units.BadNumber, OverflowError, ValueError) as error:
        raise InvalidInput(f"pauses.{option}", text, f"is not a size, such as 10GB: {error}") from None
    if size < 0:
        raise InvalidInput(f"pauses.{option}", text, "is not a size from zero")
    return size or None
