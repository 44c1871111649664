# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import re
import typing as t
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field, StrictStr

from .common import Strict, check_not_blank, check_text, field_validator

#: The shape of an address, no more: whether it exists only a message to it can tell.
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class NewUser(Strict):
    name: StrictStr = Field(..., min_length=1, max_length=200)
    email: StrictStr = Field(..., min_length=3, max_length=254)

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
    name: StrictStr = Field(None, min_length=1, max_length=200)
    email: StrictStr = Field(None, min_length=3, max_length=254)


class User(BaseModel):
    id: UUID
    name: str
    email: str
    created_at: datetime
    updated_at: datetime


class UserPage(BaseModel):
    items: list[User]
    next_cursor: str | None = None
