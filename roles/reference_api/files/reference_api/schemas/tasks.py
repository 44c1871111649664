# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, Field, StrictStr

from .common import NOT_BLANK, Strict, check_due_at, check_not_blank, check_text, field_validator, null


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class NewTask(Strict):
    title: StrictStr = Field(..., min_length=1, max_length=500, **NOT_BLANK)
    description: StrictStr | None = null(max_length=10_000)
    status: TaskStatus = TaskStatus.PENDING
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


class TaskChanges(NewTask):
    title: StrictStr = Field(None, min_length=1, max_length=500, **NOT_BLANK)
    status: TaskStatus = Field(None)


class Task(BaseModel):
    id: UUID
    user_id: UUID
    title: str
    description: str | None = null()
    status: TaskStatus
    due_at: datetime | None = null()
    created_at: datetime
    updated_at: datetime


class TaskPage(BaseModel):
    items: list[Task]
    next_cursor: str | None = null()
