# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, StrictStr

from .common import NOT_BLANK, field, null
from .titled import Titled


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class NewTask(Titled):
    status: TaskStatus = TaskStatus.PENDING


class TaskChanges(NewTask):
    title: StrictStr = field(None, min_length=1, max_length=500, **NOT_BLANK)
    status: TaskStatus = field(None)


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
