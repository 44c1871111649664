# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cursors: opaque to the caller, they say after which row the next page starts. Pure.

A cursor is URL-safe base64 of a short JSON list whose first item says which listing it belongs to, so that a cursor of
one listing is refused by another.
"""

from __future__ import annotations

import base64
import binascii
import json
import typing as t
import uuid
from dataclasses import dataclass

from .errors import InvalidRequest

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200
LONGEST_CURSOR = 200


@dataclass(frozen=True)
class UsersCursor:
    """Where the listing of users stands: in this shard, after this id (None: at the shard's beginning)."""

    shard: int
    after: uuid.UUID | None


def encode_users(cursor: UsersCursor) -> str:
    return _encode(["users", cursor.shard, cursor.after.hex if cursor.after else None])


def decode_users(text: str) -> UsersCursor:
    """
    :raises InvalidRequest: the text is no cursor of this listing.
    """
    shard, after = _decode(text, "users", 2)
    if isinstance(shard, bool) or not isinstance(shard, int) or shard < 0:
        raise _not_a_cursor()
    return UsersCursor(shard, None if after is None else _uuid(after))


def encode_row(listing: str, last: uuid.UUID) -> str:
    """
    :param listing: such as ``tasks``.
    :param last: the id of the last row on the page.
    """
    return _encode([listing, last.hex])


def decode_row(listing: str, text: str) -> uuid.UUID:
    """Return the id of the last row on the page before.

    :raises InvalidRequest: the text is no cursor of this listing.
    """
    (last,) = _decode(text, listing, 1)
    return _uuid(last)


def _encode(value: list[t.Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(text: str, listing: str, parts: int) -> list[t.Any]:
    try:
        padded = text + "=" * (-len(text) % 4)
        value = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _not_a_cursor() from None
    if not isinstance(value, list) or len(value) != parts + 1 or value[0] != listing:
        raise _not_a_cursor()
    return value[1:]


def _uuid(text: t.Any) -> uuid.UUID:
    try:
        return uuid.UUID(hex=text)
    except (ValueError, TypeError, AttributeError):
        raise _not_a_cursor() from None


def _not_a_cursor() -> InvalidRequest:
    return InvalidRequest("query.cursor", "is not a cursor that this listing gave out")
