# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is counted of the events. It follows what happened by a second or two.

Where the server has no analytics this is a 404, like everything that is not there.
"""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Depends, Query, Request

from ..analytics.client import AnalyticsClient
from ..errors import ApiError
from ..schemas.analytics import DailyCounts

router = APIRouter(tags=["analytics"])

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


@router.get("/analytics/events/daily", response_model=DailyCounts)
async def daily_events(client: AnalyticsClient = _CLIENT, days: int = Query(30, ge=1, le=366)) -> t.Any:
    """How many events of each kind there were on each of the last days (in UTC), the newest day first."""
    return {"items": await client.read(_DAILY, {"days": days})}
