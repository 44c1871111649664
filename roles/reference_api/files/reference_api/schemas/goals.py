# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field, StrictStr, conint

from .common import NOT_BLANK, Strict, check_due_at, check_not_blank, check_text, field_validator, null

_LARGEST = 2**31 - 1


class NewGoal(Strict):
    title: StrictStr = Field(..., min_length=1, max_length=500, **NOT_BLANK)
    description: StrictStr | None = null(max_length=10_000)
    target: conint(strict=True, ge=1, le=_LARGEST)  # type: ignore[valid-type]
    progress: conint(strict=True, ge=0, le=_LARGEST) = 0  # type: ignore[valid-type]
    due_at: datetime | None = null()

    @field_validator("title")
    @classmethod
    def _title(cls, value: t.Any) -> t.Any:
        return check_not_blank(value)

    @field_validator("description")
    @classmethod
    def _description(cls, value: t.Any) -> t.Any:
        return check_text(value)

    @field_validator("due_at")
    @classmethod
    def _due_at(cls, value: t.Any) -> t.Any:
        return check_due_at(value)


class GoalChanges(NewGoal):
    title: StrictStr = Field(None, min_length=1, max_length=500, **NOT_BLANK)
    target: conint(strict=True, ge=1, le=_LARGEST) = Field(None)  # type: ignore[valid-type]
    progress: conint(strict=True, ge=0, le=_LARGEST) = Field(None)  # type: ignore[valid-type]


class Goal(BaseModel):
    """
    :param completed_at: when ``progress`` last came to ``target``; null while it is below.
    """

    id: UUID
    user_id: UUID
    title: str
    description: str | None = null()
    target: int
    progress: int
    due_at: datetime | None = null()
    completed_at: datetime | None = null()
    created_at: datetime
    updated_at: datetime


class GoalPage(BaseModel):
    items: list[Goal]
    next_cursor: str | None = null()
