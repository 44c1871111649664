# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which events a user is told of, and in which words. Pure."""

from __future__ import annotations

import typing as t

from ..events.event import Event, Payload

#: Days in a row that are worth a word.
MILESTONES = frozenset({7, 30, 100, 365})


def notice_of(event: Event) -> str | None:
    """Return the message; None for an event that the user is not told of."""
    word = _WORDS.get(event.kind)
    return word(event.payload) if word else None


def _with(text: str, field: str) -> t.Callable[[Payload], str]:
    def word(payload: Payload) -> str:
        value = payload.get(field)
        return f"{text}: {value}" if isinstance(value, str) and value else text

    return word


def _streak(payload: Payload) -> str | None:
    days = payload.get("streak")
    if not isinstance(days, int) or days not in MILESTONES:
        return None
    return f"{_with('Habit', 'name')(payload)}, {days} days in a row"


_WORDS: t.Mapping[str, t.Callable[[Payload], str | None]] = {
    "user.created": _with("Welcome", "name"),
    "task.created": _with("New task", "title"),
    "task.completed": _with("Task completed", "title"),
    "habit.checked_in": _streak,
    "goal.completed": _with("Goal reached", "title"),
}
