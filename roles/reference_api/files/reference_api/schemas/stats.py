# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from .common import null


class UserStats(BaseModel):
    user_id: UUID
    total_tasks: int
    completed_tasks: int
    total_habits: int
    best_streak: int
    events: int | None = null()
    last_event_at: datetime | None = null()
