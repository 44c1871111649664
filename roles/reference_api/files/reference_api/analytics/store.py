# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The worker stores events and what they count for. An event that is there already counts for nothing."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ..events import topology
from ..events.event import Event
from ..servers import Connection
from ..worker.database import Database
from .counts import UserCounts, by_day, by_user

# One worker at a time, or two that add to the same rows in different orders would wait for each other. The key is any
# number, as long as all use the same.
_TURN = "SELECT pg_advisory_xact_lock(7235911840323)"
_INSERT = """
    INSERT INTO events (event_id, kind, user_id, occurred_at, payload)
    SELECT event_id, kind, user_id, occurred_at, payload::jsonb
    FROM unnest(%(event_id)s::uuid[], %(kind)s::text[], %(user_id)s::uuid[], %(occurred_at)s::timestamptz[],
                %(payload)s::text[]) AS new (event_id, kind, user_id, occurred_at, payload)
    ON CONFLICT DO NOTHING
    RETURNING event_id
"""
_ADD_TO_USERS = """
    INSERT INTO user_stats AS old
           (user_id, events, total_tasks, completed_tasks, total_habits, best_streak, last_event_at)
    SELECT * FROM unnest(%(user_id)s::uuid[], %(events)s::bigint[], %(total_tasks)s::bigint[],
                         %(completed_tasks)s::bigint[], %(total_habits)s::bigint[], %(best_streak)s::integer[],
                         %(last_event_at)s::timestamptz[])
    ON CONFLICT (user_id) DO UPDATE SET
        events = old.events + excluded.events,
        total_tasks = old.total_tasks + excluded.total_tasks,
        completed_tasks = old.completed_tasks + excluded.completed_tasks,
        total_habits = old.total_habits + excluded.total_habits,
        best_streak = greatest(old.best_streak, excluded.best_streak),
        last_event_at = greatest(old.last_event_at, excluded.last_event_at)
"""
_ADD_TO_DAYS = """
    INSERT INTO daily_events AS old (day, kind, events)
    SELECT * FROM unnest(%(day)s::date[], %(kind)s::text[], %(events)s::bigint[])
    ON CONFLICT (day, kind) DO UPDATE SET events = old.events + excluded.events
"""


class Analytics:
    queue = topology.ANALYTICS
    #: While the database is lost there is nothing that could pass.
    retry = ""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ready(self) -> None:
        await self._database.check()

    def place(self, _event: Event) -> Database:
        return self._database

    async def store(self, database: Database, events: t.Sequence[Event]) -> int:
        given = {event.id: event for event in events}
        parameters = {
            "event_id": list(given),
            "kind": [event.kind for event in given.values()],
            "user_id": [event.user_id for event in given.values()],
            "occurred_at": [event.occurred_at for event in given.values()],
            "payload": [json.dumps(event.payload) for event in given.values()],
        }

        async def work(connection: Connection) -> int:
            await connection.execute(_TURN)
            cursor = await connection.execute(_INSERT, parameters)
            new = [given[row["event_id"]] for row in await cursor.fetchall()]
            if new:
                await connection.execute(_ADD_TO_USERS, _of_users(new))
                await connection.execute(_ADD_TO_DAYS, _of_days(new))
            return len(new)

        return await database.transaction(work)


def _of_users(events: t.Sequence[Event]) -> dict[str, list[t.Any]]:
    users = by_user(events)
    columns = [field.name for field in dataclasses.fields(UserCounts)]
    counts = {column: [getattr(user, column) for user in users.values()] for column in columns}
    return {"user_id": list(users), **counts}


def _of_days(events: t.Sequence[Event]) -> dict[str, list[t.Any]]:
    days = by_day(events)
    return {
        "day": [day for day, _kind in days],
        "kind": [kind for _day, kind in days],
        "events": list(days.values()),
    }
