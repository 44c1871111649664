# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the errors of ``errors.py`` are described to callers."""

from __future__ import annotations

import typing as t

from pydantic import BaseModel


class Problem(BaseModel, extra="allow"):
    code: str
    message: str
    request_id: str


class ErrorBody(BaseModel):
    error: Problem


#: For every route that asks a database.
RESPONSES: dict[int | str, dict[str, t.Any]] = {
    404: {"model": ErrorBody, "description": "There is no such row."},
    422: {"model": ErrorBody, "description": "The request can never be right."},
    503: {"model": ErrorBody, "description": "The shard is unavailable, or was lost during the write."},
}
