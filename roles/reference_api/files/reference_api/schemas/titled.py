# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tasks and goals have in common."""

from __future__ import annotations

import typing as t
from datetime import datetime

from pydantic import StrictStr

from .common import NOT_BLANK, Strict, check_due_at, check_not_blank, check_text, field, field_validator, null


class Titled(Strict):
    title: StrictStr = field(..., min_length=1, max_length=500, **NOT_BLANK)
    description: StrictStr | None = null(max_length=10_000)
    due_at: datetime | None = null()

    @field_validator("title")
    @classmethod
    def _title(cls, value: t.Any) -> t.Any:
        return check_not_blank(value)

    @field_validator("description")
    @classmethod
    def _description(cls, value: t.Any) -> t.Any:
        return check_text(value)

    @field_validator("due_at")
    @classmethod
    def _due_at(cls, value: t.Any) -> t.Any:
        return check_due_at(value)
