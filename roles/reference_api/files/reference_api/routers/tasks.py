# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's tasks. They are always read from the primary."""

from __future__ import annotations

import typing as t
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from ..outbox import Event
from ..schemas.common import changes_of, values_of
from ..schemas.links import created_row
from ..schemas.tasks import NewTask, Task, TaskChanges, TaskPage
from ..shards import Session
from ..tables import OwnedTable
from . import owned
from .session import open_session

router = APIRouter(prefix="/users/{user_id}/tasks", tags=["tasks"])

_SESSION = Depends(open_session)

TABLE = OwnedTable(
    name="tasks",
    noun="task",
    columns=("id", "user_id", "title", "description", "status", "due_at", "created_at", "updated_at"),
    payload=("title", "status"),
    by_month=True,
)
_DEFAULTS = {"description": None, "status": "pending", "due_at": None}
_NULLABLE = frozenset({"description", "due_at"})
_STATUS_BEFORE = "(SELECT status FROM tasks WHERE user_id = %(user_id)s AND id = %(id)s) AS status_before"
_MADE_COMPLETED = Event("task.completed", TABLE.payload, when="status = 'completed'")
_COMPLETED = Event("task.completed", TABLE.payload, when="status = 'completed' AND status_before <> 'completed'")


@router.post("", status_code=201, response_model=Task, responses=created_row("task"))
async def create_task(user_id: UUID, body: NewTask, session: Session = _SESSION) -> t.Any:
    values = {**_DEFAULTS, **values_of(body)}
    return await owned.create(session, TABLE, user_id, TABLE.insert(values), values, more=[_MADE_COMPLETED])


@router.get("", response_model=TaskPage)
async def list_tasks(
    user_id: UUID, session: Session = _SESSION, limit: int = owned.LIMIT, cursor: str | None = owned.CURSOR
) -> t.Any:
    """The user's tasks, the newest first."""
    return await owned.read_page(session, TABLE, user_id, limit, cursor)


@router.get("/{task_id}", response_model=Task)
async def get_task(user_id: UUID, task_id: UUID, session: Session = _SESSION) -> t.Any:
    return await owned.read(session, TABLE, user_id, task_id)


@router.patch("/{task_id}", response_model=Task)
async def change_task(user_id: UUID, task_id: UUID, body: TaskChanges, session: Session = _SESSION) -> t.Any:
    """Change the fields that are given; null clears the description and the due time. A body without any is refused."""
    changes = changes_of(body, _NULLABLE)
    statement = TABLE.update(changes, returning=_STATUS_BEFORE)
    return await owned.change(session, TABLE, user_id, task_id, statement, changes, more=[_COMPLETED])


@router.delete("/{task_id}", status_code=204, response_class=Response)
async def delete_task(user_id: UUID, task_id: UUID, session: Session = _SESSION) -> Response:
    await owned.delete(session, TABLE, user_id, task_id)
    return Response(status_code=204)
