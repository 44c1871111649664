# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from .common import null


class UserStats(BaseModel):
    user_id: UUID
    events: int = 0
    total_tasks: int = 0
    completed_tasks: int = 0
    total_habits: int = 0
    best_streak: int = 0
    last_event_at: datetime | None = null()


class DailyCount(BaseModel):
    day: date
    kind: str
    events: int


class DailyCounts(BaseModel):
    items: list[DailyCount]
