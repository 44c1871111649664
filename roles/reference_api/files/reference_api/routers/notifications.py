# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user was told of. The worker writes it, a second or so after it happened."""

from __future__ import annotations

import typing as t
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, StrictBool

from .. import pagination
from ..errors import NotFound
from ..shards import Session
from .session import open_session

router = APIRouter(prefix="/users/{user_id}/notifications", tags=["notifications"])

_SESSION = Depends(open_session)

_COLUMNS = "id, user_id, event_id, kind, message, created_at, read_at"
_USER = "SELECT id FROM users WHERE id = %(user_id)s"
_PAGE = f"""
    SELECT {_COLUMNS} FROM notifications WHERE user_id = %(user_id)s {{before}} ORDER BY id DESC LIMIT %(limit)s
"""
_FIRST_PAGE = _PAGE.format(before="")
_NEXT_PAGE = _PAGE.format(before="AND id < %(before)s")
_MARK = f"""
    UPDATE notifications SET read_at = CASE WHEN %(read)s THEN coalesce(read_at, now()) END
    WHERE user_id = %(user_id)s AND id = %(id)s RETURNING {_COLUMNS}
"""


class Notification(BaseModel):
    id: UUID
    user_id: UUID
    event_id: UUID
    kind: str
    message: str
    created_at: datetime
    read_at: datetime | None = None


class NotificationPage(BaseModel):
    items: list[Notification]
    next_cursor: str | None = None


class NotificationChanges(BaseModel, extra="forbid"):
    read: StrictBool


@router.get("", response_model=NotificationPage)
async def list_notifications(
    user_id: UUID,
    session: Session = _SESSION,
    limit: int = Query(pagination.DEFAULT_LIMIT, ge=1, le=pagination.LARGEST_LIMIT),
    cursor: str | None = Query(None, max_length=pagination.LONGEST_CURSOR),
) -> t.Any:
    """The user's notifications, the newest first."""
    # One more than asked for tells whether there is a next page.
    parameters: dict[str, t.Any] = {"user_id": user_id, "limit": limit + 1}
    if cursor:
        parameters["before"] = pagination.decode_tasks(cursor)
    statements = [_USER, _NEXT_PAGE if cursor else _FIRST_PAGE]
    user, items = await session.read_primary(user_id, statements, parameters)
    if not user:
        raise NotFound("user", user_id)
    more = len(items) > limit
    items = items[:limit]
    return {"items": items, "next_cursor": pagination.encode_tasks(items[-1]["id"]) if more else None}


@router.patch("/{notification_id}", response_model=Notification)
async def mark_notification(
    user_id: UUID, notification_id: UUID, body: NotificationChanges, session: Session = _SESSION
) -> t.Any:
    """Mark it as read, or as unread again. Marking it twice keeps the time of the first."""
    parameters = {"user_id": user_id, "id": notification_id, "read": body.read}
    rows = await session.write(user_id, _MARK, parameters, row_id=notification_id)
    if not rows:
        raise NotFound("notification", notification_id)
    return rows[0]
