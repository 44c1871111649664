# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks that are waited for: what is in the way of which, how long to wait, and what waiting came to; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused

#: Bounds of the option ``lock_timeout``, in milliseconds.
SHORTEST, LONGEST = 10, 10_000
_WEAK = ("AccessShareLock", "RowShareLock", "RowExclusiveLock")
_STRONG = ("ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")

#: What each lock that we take has to wait for, from the manual's table "Conflicting Lock Modes" (13.3).
CONFLICTS: dict[str, tuple[str, ...]] = {
    "ShareUpdateExclusiveLock": _STRONG,
    "ShareRowExclusiveLock": ("RowExclusiveLock", *_STRONG),
    "AccessExclusiveLock": (*_WEAK, *_STRONG),
}


@dataclasses.dataclass(frozen=True)
class Holder:
    """A session that holds a lock that we wait for.

    :param state: as in ``pg_stat_activity``; None where our user may not see it.
    :param seconds: how long its transaction has been open; None as above.
    """

    pid: int
    user: str | None
    application: str | None
    state: str | None
    seconds: float | None
    mode: str
    relation: str

    def __str__(self) -> str:
        who = f"pid {self.pid}" + (f" of {self.user}" if self.user else "")
        who += f", {self.application}" if self.application else ""
        who += f", {self.state}" if self.state else ""
        who += f", for {self.seconds:.0f} s" if self.seconds is not None else ""
        return f"{who}, has {self.mode} on {self.relation}"


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to wait.

    :param lock_timeout: milliseconds of one attempt.
    :param seconds: for all attempts of one step; 0 for a single one.
    """

    lock_timeout: int = 500
    seconds: float = 60.0


@dataclasses.dataclass
class Waited:
    """What waiting for locks has come to so far; one for whatever is reported together.

    :param attempts: those that failed.
    :param seconds: spent in them and in the pauses between.
    """

    attempts: int = 0
    seconds: float = 0.0
    holders: list[Holder] = dataclasses.field(default_factory=list)

    def note(self, holders: t.Iterable[Holder]) -> None:
        """Remember who held a lock; of one session what was seen last."""
        for holder in holders:
            others = [one for one in self.holders if (one.pid, one.relation) != (holder.pid, holder.relation)]
            self.holders = [*others, holder]

    def result(self) -> dict[str, t.Any]:
        """What a module returns of it."""
        return {
            "attempts": self.attempts,
            "waited": round(self.seconds, 3),
            "holders": [dataclasses.asdict(holder) for holder in self.holders],
        }


class Locked(Refused):
    """A lock that was not had in time; ``holders`` says who held it. Nothing of the step was done."""

    CODE = "locked"

    def __init__(self, what: str, attempts: int, seconds: float, holders: t.Sequence[Holder]) -> None:
        who = "; ".join(str(holder) for holder in holders) or "who held it let go before it could be seen"
        super().__init__(
            f"The locks to {what} were not had in {attempts} attempts over {seconds:.0f} s: {who}.",
            holders=[dataclasses.asdict(holder) for holder in holders],
        )


def is_busy(error: Refused) -> bool:
    """Whether a statement failed for lack of a lock: it was not had in time, or we gave way in a deadlock."""
    return error.facts.get("sqlstate") in ("55P03", "40P01")
