# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One event, and its form on the wire. Pure.

The body of a message is JSON in UTF-8::

    {"id": "0192…", "kind": "task.created", "user_id": "0192…", "occurred_at": "2026-11-24T16:00:00.123456+00:00",
     "payload": {"id": "0192…", "title": "…"}}

The id is what makes a consumer idempotent: every event can arrive twice, and none has the id of another.
"""

from __future__ import annotations

import json
import re
import typing as t
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

#: ``<noun>.<past verb>``; it is the routing key too, so that a consumer can bind to ``task.*`` or ``*.deleted``.
_KIND = re.compile(r"[a-z][a-z_]{0,62}\.[a-z][a-z_]{0,62}")

Payload = t.Mapping[str, t.Any]


class NotAnEvent(Exception):
    """A message that never will be an event, however often it is read; the text is a clause."""


@dataclass(frozen=True)
class Event:
    """
    :param id: a UUID of version 7, made with the row that the event tells of.
    :param occurred_at: the time of the transaction, with its zone.
    :param payload: ``id`` is the row's, the rest depends on the kind.
    """

    id: uuid.UUID
    kind: str
    user_id: uuid.UUID
    occurred_at: datetime
    payload: Payload

    def encode(self) -> bytes:
        content = {
            "id": str(self.id),
            "kind": self.kind,
            "user_id": str(self.user_id),
            "occurred_at": self.occurred_at.isoformat(),
            "payload": self.payload,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> Event:
        """
        :raises NotAnEvent: it is something else.
        """
        try:
            content = json.loads(body)
            kind, payload = content["kind"], content["payload"]
            occurred_at = datetime.fromisoformat(content["occurred_at"])
            if occurred_at.tzinfo is None:
                raise NotAnEvent("its time has no zone")
            occurred_at = occurred_at.astimezone(UTC)
            event = cls(uuid.UUID(content["id"]), kind, uuid.UUID(content["user_id"]), occurred_at, payload)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            raise NotAnEvent(f"it cannot be read ({type(error).__name__})") from error
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise NotAnEvent("its kind is not <noun>.<past verb>")
        if not isinstance(payload, dict):
            raise NotAnEvent("its payload is not an object")
        return event
