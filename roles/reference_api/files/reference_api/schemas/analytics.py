# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import date

from pydantic import BaseModel


class DailyCount(BaseModel):
    day: date
    kind: str
    events: int


class DailyCounts(BaseModel):
    items: list[DailyCount]
