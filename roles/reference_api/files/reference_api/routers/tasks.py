# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's tasks. They are always read from the primary."""

from __future__ import annotations

import typing as t
from uuid import UUID

import psycopg
from fastapi import APIRouter, Depends, Query, Response

from .. import pagination
from ..errors import NotFound
from ..messages import Rows
from ..schemas import NewTask, Task, TaskChanges, TaskPage, changes_of, values_of
from ..shards import Session
from .session import open_session

router = APIRouter(prefix="/users/{user_id}/tasks", tags=["tasks"])

_SESSION = Depends(open_session)

_COLUMNS = "id, user_id, title, description, status, due_at, created_at, updated_at"
_INSERT = f"""
    INSERT INTO tasks (user_id, id, title, description, status, due_at)
    VALUES (%(user_id)s, %(id)s, %(title)s, %(description)s, %(status)s, %(due_at)s) RETURNING {_COLUMNS}
"""
_SELECT = f"SELECT {_COLUMNS} FROM tasks WHERE user_id = %(user_id)s AND id = %(id)s"
_DELETE = "DELETE FROM tasks WHERE user_id = %(user_id)s AND id = %(id)s RETURNING id"
_USER = "SELECT id FROM users WHERE id = %(user_id)s"
_FIRST_PAGE = f"SELECT {_COLUMNS} FROM tasks WHERE user_id = %(user_id)s ORDER BY id DESC LIMIT %(limit)s"
_NEXT_PAGE = f"""
    SELECT {_COLUMNS} FROM tasks WHERE user_id = %(user_id)s AND id < %(before)s ORDER BY id DESC LIMIT %(limit)s
"""
_DEFAULTS = {"description": None, "status": "pending", "due_at": None}
_NULLABLE = frozenset({"description", "due_at"})


@router.post("", status_code=201, response_model=Task)
async def create_task(user_id: UUID, body: NewTask, session: Session = _SESSION) -> t.Any:
    task_id = session.new_id()
    parameters = {**_DEFAULTS, **values_of(body), "user_id": user_id, "id": task_id}
    try:
        rows = await session.write(user_id, _INSERT, parameters, row_id=task_id)
    except psycopg.errors.ForeignKeyViolation:
        raise NotFound("user", user_id) from None
    return rows[0]


@router.get("", response_model=TaskPage)
async def list_tasks(
    user_id: UUID,
    session: Session = _SESSION,
    limit: int = Query(pagination.DEFAULT_LIMIT, ge=1, le=pagination.LARGEST_LIMIT),
    cursor: str | None = Query(None, max_length=pagination.LONGEST_CURSOR),
) -> t.Any:
    """The user's tasks, the newest first."""
    # One more than asked for tells whether there is a next page.
    parameters: dict[str, t.Any] = {"user_id": user_id, "limit": limit + 1}
    if cursor:
        parameters["before"] = pagination.decode_tasks(cursor)
    statements = [_USER, _NEXT_PAGE if cursor else _FIRST_PAGE]
    user, items = await session.read_primary(user_id, statements, parameters)
    if not user:
        raise NotFound("user", user_id)
    more = len(items) > limit
    items = items[:limit]
    return {"items": items, "next_cursor": pagination.encode_tasks(items[-1]["id"]) if more else None}


@router.get("/{task_id}", response_model=Task)
async def get_task(user_id: UUID, task_id: UUID, session: Session = _SESSION) -> t.Any:
    parameters = {"user_id": user_id, "id": task_id}
    (rows,) = await session.read_primary(user_id, [_SELECT], parameters)
    return _one(rows, task_id)


@router.patch("/{task_id}", response_model=Task)
async def change_task(user_id: UUID, task_id: UUID, body: TaskChanges, session: Session = _SESSION) -> t.Any:
    """Change the fields that are given; null clears the description and the due time. A body without any is refused."""
    changes = changes_of(body, _NULLABLE)
    assignments = ", ".join(f"{name} = %({name})s" for name in changes)
    statement = f"""
        UPDATE tasks SET {assignments}, updated_at = now()
        WHERE user_id = %(user_id)s AND id = %(id)s RETURNING {_COLUMNS}
    """
    parameters = {**changes, "user_id": user_id, "id": task_id}
    rows = await session.write(user_id, statement, parameters, row_id=task_id)
    return _one(rows, task_id)


@router.delete("/{task_id}", status_code=204, response_class=Response)
async def delete_task(user_id: UUID, task_id: UUID, session: Session = _SESSION) -> Response:
    parameters = {"user_id": user_id, "id": task_id}
    rows = await session.write(user_id, _DELETE, parameters, row_id=task_id)
    _one(rows, task_id)
    return Response(status_code=204)


def _one(rows: Rows, task_id: UUID) -> dict[str, t.Any]:
    if not rows:
        raise NotFound("task", task_id)
    return rows[0]
