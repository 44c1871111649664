# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's goals. A goal is completed while its progress is at its target."""

from __future__ import annotations

import typing as t
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from ..outbox import Event
from ..schemas.common import changes_of, values_of
from ..schemas.goals import Goal, GoalChanges, GoalPage, NewGoal
from ..schemas.links import created_row
from ..shards import Session
from ..tables import OwnedTable
from . import owned
from .session import open_session

router = APIRouter(prefix="/users/{user_id}/goals", tags=["goals"])

_SESSION = Depends(open_session)

TABLE = OwnedTable(
    name="goals",
    noun="goal",
    columns=(
        "id",
        "user_id",
        "title",
        "description",
        "target",
        "progress",
        "due_at",
        "completed_at",
        "created_at",
        "updated_at",
    ),
    payload=("title", "target", "progress"),
    from_replicas=True,
)
_DEFAULTS = {"description": None, "progress": 0, "due_at": None}
_NULLABLE = frozenset({"description", "due_at"})
# Both are the transaction's time if it was completed just now.
_COMPLETED = Event("goal.completed", TABLE.payload, when="completed_at = updated_at")


@router.post("", status_code=201, response_model=Goal, responses=created_row("goal"))
async def create_goal(user_id: UUID, body: NewGoal, session: Session = _SESSION) -> t.Any:
    values = {**_DEFAULTS, **values_of(body)}
    statement = TABLE.insert(values, completed_at=_completed_at(values, before="null"))
    return await owned.create(session, TABLE, user_id, statement, values, more=[_COMPLETED])


@router.get("", response_model=GoalPage)
async def list_goals(
    user_id: UUID, session: Session = _SESSION, limit: int = owned.LIMIT, cursor: str | None = owned.CURSOR
) -> t.Any:
    """The user's goals, the newest first."""
    return await owned.read_page(session, TABLE, user_id, limit, cursor)


@router.get("/{goal_id}", response_model=Goal)
async def get_goal(user_id: UUID, goal_id: UUID, session: Session = _SESSION) -> t.Any:
    return await owned.read(session, TABLE, user_id, goal_id)


@router.patch("/{goal_id}", response_model=Goal)
async def change_goal(user_id: UUID, goal_id: UUID, body: GoalChanges, session: Session = _SESSION) -> t.Any:
    """Change the fields that are given; null clears the description and the due time. A body without any is refused."""
    changes = changes_of(body, _NULLABLE)
    statement = TABLE.update(changes, completed_at=_completed_at(changes, before="completed_at"))
    return await owned.change(session, TABLE, user_id, goal_id, statement, changes, more=[_COMPLETED])


@router.delete("/{goal_id}", status_code=204, response_class=Response)
async def delete_goal(user_id: UUID, goal_id: UUID, session: Session = _SESSION) -> Response:
    await owned.delete(session, TABLE, user_id, goal_id)
    return Response(status_code=204)


def _completed_at(given: t.Container[str], before: str) -> str:
    """SQL for the time of completion, with the new values where they are given."""
    progress, target = (f"%({name})s" if name in given else name for name in ("progress", "target"))
    return f"CASE WHEN {progress} >= {target} THEN coalesce({before}, now()) END"
