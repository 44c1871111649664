# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user has. It is read from the primary, as the tasks are.

Where maintenance keeps the view ``user_stats``, it is one line of that, always exact; elsewhere it is counted.
"""

from __future__ import annotations

import typing as t
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from ..analytics.client import AnalyticsClient, AnalyticsUnavailable
from ..errors import NotFound
from ..schemas.stats import UserStats
from ..shards import Session
from .session import open_session

router = APIRouter(tags=["stats"])

_SESSION = Depends(open_session)

_SUMMED = """
    SELECT id AS user_id, total_tasks, completed_tasks, total_habits, coalesce(best_streak, 0) AS best_streak
    FROM user_stats WHERE id = %(user_id)s
"""
_COUNTED = """
    SELECT users.id AS user_id, own_tasks.*, own_habits.*
    FROM users,
         (SELECT count(*) AS total_tasks, count(*) FILTER (WHERE status = 'completed') AS completed_tasks
          FROM tasks WHERE user_id = %(user_id)s) AS own_tasks,
         (SELECT count(*) AS total_habits, coalesce(max(best_streak), 0) AS best_streak
          FROM habits WHERE user_id = %(user_id)s) AS own_habits
    WHERE users.id = %(user_id)s
"""
_EVENTS = "SELECT events, last_event_at FROM user_stats WHERE user_id = %(user_id)s"


@router.get("/users/{user_id}/stats", response_model=UserStats)
async def user_stats(user_id: UUID, request: Request, session: Session = _SESSION) -> t.Any:
    """What the user has now, and how many events there ever were; null where there are no analytics to tell."""
    parameters = {"user_id": user_id}
    statement = _SUMMED if session.is_summed(user_id) else _COUNTED
    (rows,) = await session.read_primary(user_id, [statement], parameters)
    if not rows:
        raise NotFound("user", user_id)
    return {**rows[0], **await _events(request.app.state.analytics, user_id)}


async def _events(client: AnalyticsClient | None, user_id: UUID) -> dict[str, t.Any]:
    if client is None:
        return {}
    try:
        rows = await client.read(_EVENTS, {"user_id": user_id})
    except AnalyticsUnavailable:
        return {}
    return rows[0] if rows else {"events": 0}
