# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stores notifications, each in the shard of its user."""

from __future__ import annotations

import typing as t

from ..events import topology
from ..events.event import Event
from ..servers import Connection
from ..uuid7 import Uuid7
from .broker import LONGEST_PAUSE, wait
from .database import Database, Unavailable
from .notices import notice_of
from .shards import Shards

# A user who is gone gets none; one who is just going is waited for.
_INSERT = """
    INSERT INTO notifications (user_id, id, event_id, kind, message)
    SELECT users.id, new.id, new.event_id, new.kind, new.message
    FROM unnest(%(user_ids)s::uuid[], %(ids)s::uuid[], %(event_ids)s::uuid[], %(kinds)s::text[], %(messages)s::text[])
         AS new (user_id, id, event_id, kind, message)
    JOIN users ON users.id = new.user_id
    FOR KEY SHARE OF users
    ON CONFLICT (user_id, event_id) DO NOTHING
"""


class Notifications:
    queue = topology.NOTIFICATIONS
    retry = topology.RETRY

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._new_id = Uuid7()

    async def ready(self) -> None:
        await wait(self._shards.known, LONGEST_PAUSE)
        if not self._shards.known.is_set():
            raise Unavailable("there is no shard map yet")

    def place(self, event: Event) -> Database | None:
        return self._shards.database_of(event.user_id) if notice_of(event) is not None else None

    async def store(self, database: Database, events: t.Sequence[Event]) -> int:
        # In one order everywhere, or two workers with the same events could wait for each other.
        events = sorted(events, key=lambda event: event.id)
        parameters = {
            "user_ids": [event.user_id for event in events],
            "ids": [self._new_id() for _event in events],
            "event_ids": [event.id for event in events],
            "kinds": [event.kind for event in events],
            "messages": [notice_of(event) for event in events],
        }

        async def work(connection: Connection) -> int:
            return t.cast(int, (await connection.execute(_INSERT, parameters)).rowcount)

        return await database.transaction(work)
