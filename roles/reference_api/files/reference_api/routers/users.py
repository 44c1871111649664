# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users. A user's id is the shard key: everything that belongs to a user is in the user's shard."""

from __future__ import annotations

import typing as t
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from .. import pagination
from ..cache.caches import Entry
from ..errors import NotFound
from ..messages import Rows
from ..outbox import Event
from ..pagination import UsersCursor
from ..schemas.common import changes_of, values_of
from ..schemas.links import created
from ..schemas.users import NewUser, User, UserChanges, UserPage
from ..settings import CACHED_KINDS
from ..shard_map import Shard
from ..shards import Session
from .session import open_session

router = APIRouter(prefix="/users", tags=["users"])

_SESSION = Depends(open_session)

_COLUMNS = "id, name, email, created_at, updated_at"
_INSERT = f"INSERT INTO users (id, name, email) VALUES (%(id)s, %(name)s, %(email)s) RETURNING {_COLUMNS}"
_SELECT = f"SELECT {_COLUMNS} FROM users WHERE id = %(id)s"
_DELETE = "DELETE FROM users WHERE id = %(id)s RETURNING id"
_CREATED, _CHANGED = (Event(f"user.{verb}", ("name",)) for verb in ("created", "changed"))
_DELETED = Event("user.deleted")
_CACHED = ("users",)
_ON_A_USER = (
    *("get_user", "change_user", "delete_user", "user_stats", "list_notifications"),
    *("create_task", "list_tasks", "create_habit", "list_habits", "create_goal", "list_goals"),
)
_FIRST_PAGE = f"SELECT {_COLUMNS} FROM users ORDER BY id LIMIT %(limit)s"
_NEXT_PAGE = f"SELECT {_COLUMNS} FROM users WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"


@router.post("", status_code=201, response_model=User, responses=created(_ON_A_USER, user_id="id"))
async def create_user(body: NewUser, session: Session = _SESSION) -> t.Any:
    user_id = session.new_id()
    parameters = {**values_of(body), "id": user_id}
    rows = await session.write(user_id, _INSERT, parameters, row_id=user_id, events=[_CREATED], cached=_CACHED)
    return rows[0]


@router.get("", response_model=UserPage)
async def list_users(
    session: Session = _SESSION,
    limit: int = Query(pagination.DEFAULT_LIMIT, ge=1, le=pagination.LARGEST_LIMIT),
    cursor: str | None = Query(None, max_length=pagination.LONGEST_CURSOR),
) -> t.Any:
    """All users, shard after shard, in each in the order of their ids.

    A shard that is lost is not left out in silence: the page that reaches it is a 503.
    """
    position = pagination.decode_users(cursor) if cursor else UsersCursor(0, None)
    shards = [shard for shard in session.map.shards.values() if int(shard.id) >= position.shard]
    items: Rows = []
    for index, shard in enumerate(shards):
        after = position.after if int(shard.id) == position.shard else None
        rows = await _page(session, shard, after, limit)
        items = _own(session, shard, rows)
        if len(rows) == limit:
            return _answer(items, UsersCursor(int(shard.id), rows[-1]["id"]))
        if items and index + 1 < len(shards):
            # A page stays within one shard, so that a lost shard spoils no page but its own.
            return _answer(items, UsersCursor(int(shards[index + 1].id), None))
    return _answer(items, None)


@router.get("/{user_id}", response_model=User)
async def get_user(user_id: UUID, session: Session = _SESSION) -> t.Any:
    return await session.read_cached(
        Entry("users", user_id, "user"), [_SELECT], {"id": user_id}, lambda rows: _one(rows[0], user_id), True
    )


@router.patch("/{user_id}", response_model=User)
async def change_user(user_id: UUID, body: UserChanges, session: Session = _SESSION) -> t.Any:
    """Change the fields that are given. A body without any is refused."""
    changes = changes_of(body)
    assignments = ", ".join(f"{name} = %({name})s" for name in changes)
    statement = f"UPDATE users SET {assignments}, updated_at = now() WHERE id = %(id)s RETURNING {_COLUMNS}"
    parameters = {**changes, "id": user_id}
    rows = await session.write(user_id, statement, parameters, row_id=user_id, events=[_CHANGED], cached=_CACHED)
    return _one(rows, user_id)


@router.delete("/{user_id}", status_code=204, response_class=Response)
async def delete_user(user_id: UUID, session: Session = _SESSION) -> Response:
    """Delete a user with everything that belongs to it."""
    parameters = {"id": user_id}
    rows = await session.write(user_id, _DELETE, parameters, row_id=user_id, events=[_DELETED], cached=CACHED_KINDS)
    _one(rows, user_id)
    return Response(status_code=204)


def _answer(items: Rows, position: UsersCursor | None) -> dict[str, t.Any]:
    return {"items": items, "next_cursor": pagination.encode_users(position) if position else None}


def _one(rows: Rows, user_id: UUID) -> dict[str, t.Any]:
    if not rows:
        raise NotFound("user", user_id)
    return rows[0]


async def _page(session: Session, shard: Shard, after: UUID | None, limit: int) -> Rows:
    statement, parameters = (_NEXT_PAGE, {"after": after, "limit": limit}) if after else (_FIRST_PAGE, {"limit": limit})
    return await session.read_page(shard, statement, parameters)


def _own(session: Session, shard: Shard, rows: Rows) -> Rows:
    """Leave out rows that the map gives to another shard: while buckets move, both have them."""
    shard_map = session.map
    return [row for row in rows if shard_map.shard_of(row["id"]).id == shard.id]
