# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import re
import typing as t
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, StrictStr

from .common import NOT_BLANK, Strict, check_not_blank, check_text, described, field, field_validator, null

#: The shape of an address, no more: whether it exists only a message to it can tell.
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_EMAIL_DESCRIBED = described(pattern=f"^{_EMAIL.pattern}$")


class NewUser(Strict):
    name: StrictStr = field(..., min_length=1, max_length=200, **NOT_BLANK)
    email: StrictStr = field(..., min_length=3, max_length=254, **_EMAIL_DESCRIBED)

    @field_validator("name")
    @classmethod
    def _name(cls, value: t.Any) -> t.Any:
        return check_not_blank(value)

    @field_validator("email")
    @classmethod
    def _email(cls, value: t.Any) -> t.Any:
        if isinstance(check_text(value), str) and not _EMAIL.fullmatch(value):
            raise ValueError("must be an e-mail address")
        return value


class UserChanges(NewUser):
    name: StrictStr = field(None, min_length=1, max_length=200, **NOT_BLANK)
    email: StrictStr = field(None, min_length=3, max_length=254, **_EMAIL_DESCRIBED)


class User(BaseModel):
    id: UUID
    name: str
    email: str
    created_at: datetime
    updated_at: datetime


class UserPage(BaseModel):
    items: list[User]
    next_cursor: str | None = null()
