# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's habits and the days on which they were kept. They are always read from the primary."""

from __future__ import annotations

import typing as t
from datetime import UTC, date, datetime
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from .. import streaks
from ..outbox import Event
from ..schemas.common import changes_of, values_of
from ..schemas.habits import CheckIn, Habit, HabitChanges, HabitPage, NewCheckIn, NewHabit
from ..schemas.links import created_row
from ..shards import Session
from ..tables import OwnedTable
from . import owned
from .session import open_session

router = APIRouter(prefix="/users/{user_id}/habits", tags=["habits"])

_SESSION = Depends(open_session)

TABLE = OwnedTable(
    name="habits",
    noun="habit",
    columns=(
        "id",
        "user_id",
        "name",
        "description",
        "best_streak",
        "last_streak",
        "last_day",
        "created_at",
        "updated_at",
    ),
    payload=("name",),
)
_DEFAULTS = {"description": None}
_NULLABLE = frozenset({"description"})
_CHECKED_IN = Event("habit.checked_in", ("name", "day", "streak"), when="is_new")


@router.post("", status_code=201, response_model=Habit, responses=created_row("habit", ["check_in"]))
async def create_habit(user_id: UUID, body: NewHabit, session: Session = _SESSION) -> t.Any:
    values = {**_DEFAULTS, **values_of(body)}
    return _as_of_today(await owned.create(session, TABLE, user_id, TABLE.insert(values), values))


@router.get("", response_model=HabitPage)
async def list_habits(
    user_id: UUID, session: Session = _SESSION, limit: int = owned.LIMIT, cursor: str | None = owned.CURSOR
) -> t.Any:
    """The user's habits, the newest first."""
    page = await owned.read_page(session, TABLE, user_id, limit, cursor)
    return {**page, "items": [_as_of_today(row) for row in page["items"]]}


@router.get("/{habit_id}", response_model=Habit)
async def get_habit(user_id: UUID, habit_id: UUID, session: Session = _SESSION) -> t.Any:
    return _as_of_today(await owned.read(session, TABLE, user_id, habit_id))


@router.patch("/{habit_id}", response_model=Habit)
async def change_habit(user_id: UUID, habit_id: UUID, body: HabitChanges, session: Session = _SESSION) -> t.Any:
    """Change the fields that are given; null clears the description. A body without any is refused."""
    changes = changes_of(body, _NULLABLE)
    return _as_of_today(await owned.change(session, TABLE, user_id, habit_id, TABLE.update(changes), changes))


@router.delete("/{habit_id}", status_code=204, response_class=Response)
async def delete_habit(user_id: UUID, habit_id: UUID, session: Session = _SESSION) -> Response:
    await owned.delete(session, TABLE, user_id, habit_id)
    return Response(status_code=204)


@router.post(
    "/{habit_id}/check-ins",
    status_code=201,
    response_model=CheckIn,
    responses={200: {"model": CheckIn, "description": "The day was checked in already."}},
)
async def check_in(
    user_id: UUID, habit_id: UUID, response: Response, body: NewCheckIn | None = None, session: Session = _SESSION
) -> t.Any:
    """Check in for a day, by default today (UTC): 201, or 200 when that day was checked in already."""
    day = (body and body.day) or _today()
    parameters = {"user_id": user_id, "id": habit_id, "day": day, "check_in_id": session.new_id()}
    rows = await session.write(
        user_id,
        streaks.COUNT,
        parameters,
        habit_id,
        events=[_CHECKED_IN],
        before=[TABLE.lock, streaks.CHECK_IN],
        cached=[TABLE.name],
    )
    habit = owned.one(TABLE, rows, habit_id)
    if not habit["is_new"]:
        response.status_code = 200
    return {**_as_of_today(habit), "habit_id": habit_id, "created_at": habit["checked_in_at"]}


def _as_of_today(habit: owned.Row) -> owned.Row:
    last_day = habit["last_day"]
    if isinstance(last_day, str):  # It was cached.
        last_day = date.fromisoformat(last_day)
    current = streaks.current(habit["last_streak"], last_day, _today())
    return {**habit, "current_streak": current, "last_check_in": last_day}


def _today() -> date:
    return datetime.now(UTC).date()
