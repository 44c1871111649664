# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the routes of all rows that belong to a user do alike."""

from __future__ import annotations

import typing as t
from uuid import UUID

import psycopg
from fastapi import Query

from .. import pagination
from ..cache.caches import Entry
from ..errors import NotFound
from ..messages import Parameters, Rows
from ..outbox import Event
from ..shards import Session
from ..tables import OwnedTable

Row = dict[str, t.Any]

LIMIT = Query(pagination.DEFAULT_LIMIT, ge=1, le=pagination.LARGEST_LIMIT)
CURSOR = Query(None, max_length=pagination.LONGEST_CURSOR)


async def create(
    session: Session, table: OwnedTable, user_id: UUID, statement: str, values: Parameters, more: t.Sequence[Event] = ()
) -> Row:
    """
    :param more: events beside the one that tells of the new row.
    """
    row_id = session.new_id()
    parameters = {**values, "user_id": user_id, "id": row_id}
    try:
        rows = await session.write(
            user_id, statement, parameters, row_id, events=(table.created, *more), cached=[table.name]
        )
    except psycopg.errors.ForeignKeyViolation:
        raise NotFound("user", user_id) from None
    return rows[0]


async def read(session: Session, table: OwnedTable, user_id: UUID, row_id: UUID) -> Row:
    return await session.read_cached(
        Entry(table.name, user_id, str(row_id)),
        [table.select],
        {"user_id": user_id, "id": row_id},
        lambda rows: one(table, rows[0], row_id),
        table.from_replicas,
    )


async def read_page(
    session: Session, table: OwnedTable, user_id: UUID, limit: int, cursor: str | None
) -> dict[str, t.Any]:
    """The user's rows, the newest first. The page that callers get who ask for none in particular is cached."""
    # One more than asked for tells whether there is a next page.
    parameters: dict[str, t.Any] = {"user_id": user_id, "limit": limit + 1}
    if cursor:
        parameters["before"] = pagination.decode_row(table.name, cursor)
    statements = table.page(is_first=not cursor)

    def content_of(rows: list[Rows]) -> dict[str, t.Any]:
        user, items = rows
        if not user:
            raise NotFound("user", user_id)
        more = len(items) > limit
        items = items[:limit]
        return {"items": items, "next_cursor": pagination.encode_row(table.name, items[-1]["id"]) if more else None}

    if not cursor and limit == pagination.DEFAULT_LIMIT:
        entry = Entry(table.name, user_id, "page")
        return await session.read_cached(entry, statements, parameters, content_of, table.from_replicas)
    read = session.read if table.from_replicas else session.read_primary
    return content_of(await read(user_id, statements, parameters))


async def change(
    session: Session,
    table: OwnedTable,
    user_id: UUID,
    row_id: UUID,
    statement: str,
    changes: Parameters,
    more: t.Sequence[Event] = (),
) -> Row:
    parameters = {**changes, "user_id": user_id, "id": row_id}
    rows = await session.write(
        user_id,
        statement,
        parameters,
        row_id,
        events=(table.changed, *more),
        before=[table.lock],
        cached=[table.name],
    )
    return one(table, rows, row_id)


async def delete(session: Session, table: OwnedTable, user_id: UUID, row_id: UUID) -> None:
    parameters = {"user_id": user_id, "id": row_id}
    rows = await session.write(user_id, table.delete, parameters, row_id, events=[table.deleted], cached=[table.name])
    one(table, rows, row_id)


def one(table: OwnedTable, rows: Rows, row_id: UUID) -> Row:
    if not rows:
        raise NotFound(table.noun, row_id)
    return rows[0]
