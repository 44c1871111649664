# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user was told of. The worker writes it, a second or so after it happened."""

from __future__ import annotations

import typing as t
from uuid import UUID

from fastapi import APIRouter, Depends

from ..schemas.notifications import Notification, NotificationChanges, NotificationPage
from ..shards import Session
from ..tables import OwnedTable
from . import owned
from .session import open_session

router = APIRouter(prefix="/users/{user_id}/notifications", tags=["notifications"])

_SESSION = Depends(open_session)

TABLE = OwnedTable(
    name="notifications",
    noun="notification",
    columns=("id", "user_id", "event_id", "kind", "message", "created_at", "read_at"),
    payload=(),
)
_MARK = f"""
    UPDATE notifications SET read_at = CASE WHEN %(read)s THEN coalesce(read_at, now()) END
    WHERE user_id = %(user_id)s AND id = %(id)s RETURNING {", ".join(TABLE.columns)}
"""


@router.get("", response_model=NotificationPage)
async def list_notifications(
    user_id: UUID, session: Session = _SESSION, limit: int = owned.LIMIT, cursor: str | None = owned.CURSOR
) -> t.Any:
    """The user's notifications, the newest first. No cache has them: the worker, which writes them, knows none."""
    return await owned.read_page(session, TABLE, user_id, limit, cursor, cached=False)


@router.patch("/{notification_id}", response_model=Notification)
async def mark_notification(
    user_id: UUID, notification_id: UUID, body: NotificationChanges, session: Session = _SESSION
) -> t.Any:
    """Mark it as read, or as unread again. Marking it twice keeps the time of the first."""
    parameters = {"user_id": user_id, "id": notification_id, "read": body.read}
    rows = await session.write(user_id, _MARK, parameters, row_id=notification_id)
    return owned.one(TABLE, rows, notification_id)
