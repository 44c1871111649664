# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The replication slots that a user wants; pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.pattern import Pattern

_NAME = re.compile(r"[a-z0-9_]{1,63}\Z")


@dataclasses.dataclass(frozen=True)
class Desired:
    """A slot as the user wants it.

    :param slot_type: ``physical`` or ``logical``.
    :param reserve_wal: keep WAL from now on, not only from the first connection on.
    :param state: ``present`` or ``absent``.
    :param two_phase: decode prepared transactions; ``None`` for whatever a slot that exists has.
    :param failover: have the slot synchronized to standbys; ``None`` as above.
    :param force: drop the slot even while it is in use.
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
    def of(cls, options: t.Mapping[str, t.Any]) -> Desired:
        """A desired slot, from options, where what is not given has the default.

        :raises InvalidInput: the options can never describe a slot.
        """
        desired = cls(**{key: value for key, value in options.items() if value is not None})
        desired._check()
        return desired

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
class Exclusive:
    """Drop what is not listed.

    :param pattern: names of the slots that have to be listed.
    :param force: drop even those in use.
    """

    pattern: Pattern
    force: bool = False


def parse_slots(options: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Desired, ...]:
    """The desired slots, from the options of one or more slots.

    :raises InvalidInput: a slot that can never exist, or one that is named twice.
    """
    desired_slots = tuple(Desired.of(slot) for slot in options)
    seen = set()
    for desired in desired_slots:
        if desired.name in seen:
            raise InvalidInput("slots", desired.name, "is named twice")
        seen.add(desired.name)
    return desired_slots
