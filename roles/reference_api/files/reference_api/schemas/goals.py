# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, StrictStr, conint

from .common import NOT_BLANK, field, null
from .titled import Titled

_LARGEST = 2**31 - 1
if t.TYPE_CHECKING:
    _Target = int
    _Progress = int
else:
    _Target = conint(strict=True, ge=1, le=_LARGEST)
    _Progress = conint(strict=True, ge=0, le=_LARGEST)


class NewGoal(Titled):
    target: _Target
    progress: _Progress = 0


class GoalChanges(NewGoal):
    title: StrictStr = field(None, min_length=1, max_length=500, **NOT_BLANK)
    target: _Target = field(None)
    progress: _Progress = field(None)


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
