# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, StrictBool

from .common import Strict, null


class Notification(BaseModel):
    id: UUID
    user_id: UUID
    event_id: UUID
    kind: str
    message: str
    created_at: datetime
    read_at: datetime | None = null()


class NotificationPage(BaseModel):
    items: list[Notification]
    next_cursor: str | None = null()


class NotificationChanges(Strict):
    read: StrictBool
