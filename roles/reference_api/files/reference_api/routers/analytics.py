# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is counted of the events. It follows what happened by a second or two.

Where the server has no analytics these are 404s, like everything that is not there.
"""

from __future__ import annotations

import typing as t
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from ..analytics.client import AnalyticsClient
from ..errors import ApiError, NotFound
from ..schemas.analytics import DailyCounts, UserStats
from ..shards import Session
from .session import open_session

router = APIRouter(tags=["analytics"])

_SESSION = Depends(open_session)

_USER = "SELECT id FROM users WHERE id = %(user_id)s"
_STATS = """
    SELECT user_id, events, total_tasks, completed_tasks, total_habits, best_streak, last_event_at
    FROM user_stats WHERE user_id = %(user_id)s
"""
_DAILY = """
    SELECT day, kind, events FROM daily_events
    WHERE day > (now() AT TIME ZONE 'UTC')::date - %(days)s ORDER BY day DESC, kind
"""


class NoAnalytics(ApiError):
    status = 404
    code = "no_analytics"

    def __init__(self) -> None:
        super().__init__("This server has no analytics.")


async def _client(request: Request) -> AnalyticsClient:
    client = request.app.state.analytics
    if client is None:
        raise NoAnalytics
    return t.cast(AnalyticsClient, client)


_CLIENT = Depends(_client)


@router.get("/users/{user_id}/stats", response_model=UserStats)
async def user_stats(user_id: UUID, client: AnalyticsClient = _CLIENT, session: Session = _SESSION) -> t.Any:
    """What the user ever did; zeros for a user of whom no event has arrived yet."""
    if not await session.read_user(user_id, _USER, {"user_id": user_id}):
        raise NotFound("user", user_id)
    rows = await client.read(_STATS, {"user_id": user_id})
    return rows[0] if rows else {"user_id": user_id}


@router.get("/analytics/events/daily", response_model=DailyCounts)
async def daily_events(client: AnalyticsClient = _CLIENT, days: int = Query(30, ge=1, le=366)) -> t.Any:
    """How many events of each kind there were on each of the last days (in UTC), the newest day first."""
    return {"items": await client.read(_DAILY, {"days": days})}
