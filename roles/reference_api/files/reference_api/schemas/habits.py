# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, StrictStr

from .common import BEFORE, NOT_BLANK, Strict, check_not_blank, check_text, field, field_validator, null

_EARLIEST_DAY = date(1970, 1, 1)


class NewHabit(Strict):
    name: StrictStr = field(..., min_length=1, max_length=200, **NOT_BLANK)
    description: StrictStr | None = null(max_length=10_000)

    @field_validator("name")
    @classmethod
    def _name(cls, value: t.Any) -> t.Any:
        return check_not_blank(value)

    @field_validator("description")
    @classmethod
    def _description(cls, value: t.Any) -> t.Any:
        return check_text(value)


class HabitChanges(NewHabit):
    name: StrictStr = field(None, min_length=1, max_length=200, **NOT_BLANK)


class Habit(BaseModel):
    """
    :param current_streak: days in a row up to yesterday or later.
    """

    id: UUID
    user_id: UUID
    name: str
    description: str | None = null()
    current_streak: int
    best_streak: int
    last_check_in: date | None = null()
    created_at: datetime
    updated_at: datetime


class HabitPage(BaseModel):
    items: list[Habit]
    next_cursor: str | None = null()


class NewCheckIn(Strict):
    day: date | None = null()

    @field_validator("day", **BEFORE)
    @classmethod
    def _day_as_text(cls, value: t.Any) -> t.Any:
        # A number would be taken for seconds since 1970.
        if value is not None and not isinstance(value, str):
            raise ValueError("must be a date, such as 2026-11-24")
        return value

    @field_validator("day")
    @classmethod
    def _day(cls, value: t.Any) -> t.Any:
        # Somewhere it is tomorrow already.
        if isinstance(value, date) and not _EARLIEST_DAY <= value <= datetime.now(UTC).date() + timedelta(days=1):
            raise ValueError("must lie between 1970 and tomorrow")
        return value


class CheckIn(BaseModel):
    """A day on which a habit was kept, and what that makes of the habit."""

    user_id: UUID
    habit_id: UUID
    day: date
    created_at: datetime
    current_streak: int
    best_streak: int
