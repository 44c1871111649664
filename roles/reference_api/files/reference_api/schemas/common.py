# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the bodies of all routes have in common: no unknown fields, no text or time that PostgreSQL cannot hold."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime
from enum import Enum

from pydantic import BaseModel, Field

if t.TYPE_CHECKING:
    from pydantic import field_validator
else:
    try:
        from pydantic import field_validator
    except ImportError:  # pydantic 1
        from pydantic import validator as field_validator

from ..errors import InvalidRequest

__all__ = [
    "BEFORE",
    "NOT_BLANK",
    "Strict",
    "changes_of",
    "check_due_at",
    "check_not_blank",
    "check_text",
    "described",
    "field",
    "field_validator",
    "null",
    "values_of",
]

_EARLIEST_DUE = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_DUE = datetime(9998, 1, 1, tzinfo=UTC)


_IS_PYDANTIC_2 = hasattr(BaseModel, "model_dump")
#: Argument of ``field_validator`` for one that sees what the caller sent.
BEFORE: dict[str, t.Any] = {"mode": "before"} if _IS_PYDANTIC_2 else {"pre": True}


class Strict(BaseModel, extra="forbid"):
    """A body with fields that we do not know is refused: a misspelt field must not be lost in silence."""


def described(**keywords: t.Any) -> dict[str, t.Any]:
    """Arguments of ``Field`` that only say more in the API's description; who checks it is a validator."""
    return {"json_schema_extra": keywords} if _IS_PYDANTIC_2 else keywords


def field(default: t.Any, **constraints: t.Any) -> t.Any:
    """A field as ``Field`` makes it. The changes of a PATCH have fields of any type that are null when not given."""
    return Field(default, **constraints)


def null(**constraints: t.Any) -> t.Any:
    """A field that is null by default. That it may be null pydantic 1 does not describe by itself."""
    return field(None, **constraints, **({} if _IS_PYDANTIC_2 else {"nullable": True}))


#: For text that must not be blank.
NOT_BLANK = described(pattern=r"\S")


def check_text(value: t.Any) -> t.Any:
    """Refuse text that PostgreSQL cannot hold."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("must not hold the character U+0000")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("must not hold a lone surrogate") from None
    return value


def check_not_blank(value: t.Any) -> t.Any:
    if isinstance(check_text(value), str) and not value.strip():
        raise ValueError("must not be blank")
    return value


def check_due_at(value: t.Any) -> t.Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("must say its time zone, as in 2026-11-24T16:00:00Z")
        if not _EARLIEST_DUE <= value < _LATEST_DUE:
            raise ValueError("must lie between the years 1970 and 9997")
        # PostgreSQL takes no offset of sixteen hours or more.
        return value.astimezone(UTC)
    return value


def values_of(model: BaseModel) -> dict[str, t.Any]:
    """The fields that the caller gave, as values for PostgreSQL."""
    given = model.model_dump(exclude_unset=True) if _IS_PYDANTIC_2 else model.dict(exclude_unset=True)
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
