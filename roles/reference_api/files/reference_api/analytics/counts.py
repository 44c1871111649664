# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What events count for. Pure.

Each event adds to its user's counts and to those of its day, whatever came before it. So the order in which events
arrive does not matter, and counting needs no look at what is there.
"""

from __future__ import annotations

import typing as t
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ..events.event import Event

#: The longest streak that is believed: what the column holds.
_LONGEST = 2**31 - 1


@dataclass(frozen=True)
class UserCounts:
    """What to add for a user; of ``best_streak`` and ``last_event_at`` the greater counts."""

    events: int
    total_tasks: int
    completed_tasks: int
    total_habits: int
    best_streak: int
    last_event_at: datetime


def by_user(events: t.Iterable[Event]) -> dict[uuid.UUID, UserCounts]:
    of_user: dict[uuid.UUID, list[Event]] = {}
    for event in events:
        of_user.setdefault(event.user_id, []).append(event)
    return {user_id: _counts(own) for user_id, own in sorted(of_user.items())}


def by_day(events: t.Iterable[Event]) -> dict[tuple[date, str], int]:
    """How many events of each kind there were on each day of UTC."""
    return dict(sorted(Counter((event.occurred_at.astimezone(UTC).date(), event.kind) for event in events).items()))


def _counts(events: t.Sequence[Event]) -> UserCounts:
    kinds = Counter(event.kind for event in events)
    return UserCounts(
        events=len(events),
        total_tasks=kinds["task.created"],
        completed_tasks=kinds["task.completed"],
        total_habits=kinds["habit.created"],
        best_streak=max(map(_streak, events)),
        last_event_at=max(event.occurred_at for event in events),
    )


def _streak(event: Event) -> int:
    days = event.payload.get("streak") if event.kind == "habit.checked_in" else 0
    return days if isinstance(days, int) and 0 < days <= _LONGEST else 0
