# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every router asks FastAPI for."""

from __future__ import annotations

from fastapi import Request

from ..shards import Session


async def open_session(request: Request) -> Session:
    return Session(request.app.state.shared, request.state.exchange)
