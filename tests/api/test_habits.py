# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from api_lab.lab import Lab
from api_lab.server import Answer, ApiServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_api import streaks

DAY = timedelta(days=1)


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def habits(api: ApiServer) -> str:
    """The path of a new user's habits."""
    return f"/users/{api.post('/users', {'name': 'Ann', 'email': 'ann@example.org'}).body['id']}/habits"


@pytest.fixture
def habit(api: ApiServer, habits: str) -> str:
    return f"{habits}/{api.post(habits, {'name': 'Run'}).body['id']}"


def check_in(api: ApiServer, habit: str, day: date) -> Answer:
    return api.post(f"{habit}/check-ins", {"day": day.isoformat()})


def test_a_habit_is_made_read_changed_and_deleted(api: ApiServer, habits: str) -> None:
    made = api.post(habits, {"name": "Run", "description": "in the morning"})
    assert made.status == 201
    assert set(made.body) == {
        *("id", "user_id", "name", "description", "created_at", "updated_at"),
        *("current_streak", "best_streak", "last_check_in"),
    }
    assert (made.body["current_streak"], made.body["best_streak"], made.body["last_check_in"]) == (0, 0, None)
    path = f"{habits}/{made.body['id']}"
    assert api.get(path).body == made.body
    assert api.get(habits).body == {"items": [made.body], "next_cursor": None}
    changed = api.patch(path, {"name": "Walk", "description": None})
    assert (changed.status, changed.body["name"], changed.body["description"]) == (200, "Walk", None)
    assert api.delete(path).status == 204
    for answer in (api.get(path), api.patch(path, {"name": "x"}), api.delete(path), api.post(f"{path}/check-ins")):
        assert (answer.status, answer.code) == (404, "not_found")
    assert api.post(f"/users/{uuid.uuid4()}/habits", {"name": "x"}).status == 404


def test_a_check_in_counts_once_a_day(api: ApiServer, habit: str) -> None:
    first = api.post(f"{habit}/check-ins")
    assert first.status == 201
    assert (first.body["day"], first.body["current_streak"], first.body["best_streak"]) == (today().isoformat(), 1, 1)
    again = check_in(api, habit, today())
    assert (again.status, again.body) == (200, first.body)
    assert api.get(habit).body["last_check_in"] == today().isoformat()


def test_check_ins_at_the_same_time_count_once(lab: Lab, habit: str) -> None:
    with ThreadPoolExecutor(8) as executor:
        answers = list(executor.map(lambda number: check_in((lab.a, lab.b)[number % 2], habit, today()), range(8)))
        assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
        days = [today() - number * DAY for number in range(8)]
        list(executor.map(lambda day: check_in(lab.a, habit, day), days))
    assert lab.a.get(habit).body["current_streak"] == 8


def test_days_that_are_told_late_join_their_neighbours(api: ApiServer, habit: str) -> None:
    for back, current, best in ((0, 1, 1), (2, 1, 1), (3, 1, 2), (1, 4, 4), (10, 4, 4), (11, 4, 4)):
        answer = check_in(api, habit, today() - back * DAY)
        assert (answer.body["current_streak"], answer.body["best_streak"]) == (current, best)


def test_a_streak_ends_with_the_day_that_was_missed(api: ApiServer, habits: str) -> None:
    for last, current in ((-1, 3), (0, 3), (1, 3), (2, 0)):
        habit = f"{habits}/{api.post(habits, {'name': 'Run'}).body['id']}"
        for back in range(3):
            answer = check_in(api, habit, today() - (last + back) * DAY)
        assert (answer.body["current_streak"], answer.body["best_streak"]) == (current, 3)
        assert api.get(habit).body["current_streak"] == current


@pytest.mark.parametrize("day", ["1969-12-31", "2999-01-01", "yesterday", "2026-02-30", 0])
def test_impossible_days(api: ApiServer, habit: str, day: str | int) -> None:
    answer = api.post(f"{habit}/check-ins", {"day": day})
    assert (answer.status, answer.code) == (422, "invalid_request")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 12), min_size=1, max_size=13, unique=True))
def test_streaks_are_what_counting_says(api: ApiServer, habits: str, back: list[int]) -> None:
    habit = f"{habits}/{api.post(habits, {'name': 'Run'}).body['id']}"
    for days in back:
        answer = check_in(api, habit, today() - days * DAY)
    runs = [run(number, back) for number in back if number + 1 not in back]
    started = 0 if 0 in back else 1
    assert answer.body["best_streak"] == max(runs)
    assert answer.body["current_streak"] == (0 if started not in back else len_from(started, back))


def run(first: int, back: list[int]) -> int:
    """The length of the run whose earliest day lies so many days back."""
    return next(length for length in range(1, 20) if first - length not in back)


def len_from(last: int, back: list[int]) -> int:
    return next(length for length in range(1, 20) if last + length not in back)


def test_the_events_of_a_habit(lab: Lab, habit: str) -> None:
    user_id, habit_id = habit.split("/")[2::2]
    shard = lab.shard_of(user_id)
    for back in (1, 1, 0):
        check_in(lab.a, habit, today() - back * DAY)
    lab.a.patch(habit, {"name": "Walk"})
    lab.a.delete(habit)
    events = lab.events(shard, user_id)
    assert [kind for kind, _payload in events] == [
        "user.created",
        "habit.created",
        "habit.checked_in",
        "habit.checked_in",
        "habit.changed",
        "habit.deleted",
    ]
    assert {payload["id"] for _kind, payload in events[1:]} == {habit_id}
    assert events[3][1] == {"id": habit_id, "name": "Run", "day": today().isoformat(), "streak": 2}


def test_the_streak_that_can_be_continued() -> None:
    for days_ago, expected in ((-1, 5), (0, 5), (1, 5), (2, 0), (9, 0)):
        assert streaks.current(5, today() - days_ago * DAY, today()) == expected
    assert streaks.current(0, None, today()) == 0
