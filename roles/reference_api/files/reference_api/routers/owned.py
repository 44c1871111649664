# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the routes of all rows that belong to a user do alike."""

from __future__ import annotations

import time
import typing as t
from uuid import UUID

import psycopg
from fastapi import Query

from .. import pagination
from ..cache.caches import Entry
from ..errors import NotFound
from ..messages import Parameters, Rows
from ..outbox import Event
from ..pages import Page
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
    session: Session, table: OwnedTable, user_id: UUID, limit: int, cursor: str | None, cached: bool = True
) -> dict[str, t.Any]:
    """The user's rows, the newest first. The page that callers get who ask for none in particular is cached.

    :param cached: whether any page is.
    """
    before = pagination.decode_row(table.name, cursor) if cursor else None
    by_month = table.by_month and session.is_partitioned(user_id)
    now = time.time_ns() // 1_000_000 if by_month else None
    page = Page(table, user_id, limit, before, now, with_total=by_month and not cursor and session.is_summed(user_id))
    if cached and not cursor and limit == pagination.DEFAULT_LIMIT:
        entry = Entry(table.name, user_id, "page")
        return await session.read_cached(entry, *page.first, page.content_of, table.from_replicas, page.further)
    if table.from_replicas:
        return page.content_of(await session.read(user_id, *page.first))
    return page.content_of(await session.read_primary(user_id, *page.first, page.further))


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
