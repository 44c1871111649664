# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What callers may send and what they get. Written for pydantic 1.10 (Debian 12) and 2 (Debian 13) alike."""

from __future__ import annotations

import re
import typing as t
from datetime import UTC, datetime
from enum import Enum, StrEnum
from uuid import UUID

from pydantic import BaseModel, Field, StrictStr

try:
    from pydantic import field_validator
except ImportError:  # pydantic 1
    from pydantic import validator as field_validator

from .errors import InvalidRequest

#: The shape of an address, no more: whether it exists only a message to it can tell.
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_EARLIEST_DUE = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_DUE = datetime(9998, 1, 1, tzinfo=UTC)


def _clean(value: t.Any) -> t.Any:
    """Refuse text that PostgreSQL cannot hold."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("must not hold the character U+0000")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("must not hold a lone surrogate") from None
    return value


def _not_blank(value: t.Any) -> t.Any:
    if isinstance(_clean(value), str) and not value.strip():
        raise ValueError("must not be blank")
    return value


class _Strict(BaseModel, extra="forbid"):
    """A body with fields that we do not know is refused: a misspelt field must not be lost in silence."""


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class NewUser(_Strict):
    name: StrictStr = Field(..., min_length=1, max_length=200)
    email: StrictStr = Field(..., min_length=3, max_length=254)

    @field_validator("name")
    @classmethod
    def _name(cls, value: t.Any) -> t.Any:
        return _not_blank(value)

    @field_validator("email")
    @classmethod
    def _email(cls, value: t.Any) -> t.Any:
        if isinstance(_clean(value), str) and not _EMAIL.fullmatch(value):
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


class NewTask(_Strict):
    title: StrictStr = Field(..., min_length=1, max_length=500)
    description: StrictStr | None = Field(None, max_length=10_000)
    status: TaskStatus = TaskStatus.PENDING
    due_at: datetime | None = None

    @field_validator("title")
    @classmethod
    def _title(cls, value: t.Any) -> t.Any:
        return _not_blank(value)

    @field_validator("description")
    @classmethod
    def _description(cls, value: t.Any) -> t.Any:
        return _clean(value)

    @field_validator("due_at")
    @classmethod
    def _due_at(cls, value: t.Any) -> t.Any:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError("must say its time zone, as in 2026-11-24T16:00:00Z")
            if not _EARLIEST_DUE <= value < _LATEST_DUE:
                raise ValueError("must lie between the years 1970 and 9997")
        return value


class TaskChanges(NewTask):
    title: StrictStr = Field(None, min_length=1, max_length=500)
    status: TaskStatus = Field(None)


class Task(BaseModel):
    id: UUID
    user_id: UUID
    title: str
    description: str | None = None
    status: TaskStatus
    due_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class TaskPage(BaseModel):
    items: list[Task]
    next_cursor: str | None = None


def values_of(model: BaseModel) -> dict[str, t.Any]:
    """The fields that the caller gave, as values for PostgreSQL."""
    given = model.model_dump(exclude_unset=True) if hasattr(model, "model_dump") else model.dict(exclude_unset=True)
    return {name: value.value if isinstance(value, Enum) else value for name, value in given.items()}


def changes_of(model: BaseModel, nullable: t.Container[str] = ()) -> dict[str, t.Any]:
    """The changes of a PATCH.

    :param nullable: the fields that may be set to null.
    :raises InvalidRequest: there is none, or a field that must have a value is null.
    """
    changes = values_of(model)
    if not changes:
        raise InvalidRequest("body", "changes nothing: give at least one field")
    for name, value in changes.items():
        if value is None and name not in nullable:
            raise InvalidRequest(f"body.{name}", "must not be null")
    return changes
