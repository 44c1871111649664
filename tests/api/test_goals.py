# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t
import uuid

import pytest
from api_lab.lab import Lab
from api_lab.server import ApiServer


@pytest.fixture
def goals(api: ApiServer) -> str:
    """The path of a new user's goals."""
    return f"/users/{api.post('/users', {'name': 'Ann', 'email': 'ann@example.org'}).body['id']}/goals"


def test_a_goal_is_made_read_changed_and_deleted(api: ApiServer, goals: str) -> None:
    made = api.post(goals, {"title": "Read", "target": 12})
    assert made.status == 201
    assert (made.body["progress"], made.body["completed_at"], made.body["due_at"]) == (0, None, None)
    path = f"{goals}/{made.body['id']}"
    assert api.get(path).body == made.body
    assert api.get(goals).body == {"items": [made.body], "next_cursor": None}
    changed = api.patch(path, {"title": "Read more", "target": 24, "description": "books"})
    assert (changed.status, changed.body["title"], changed.body["target"]) == (200, "Read more", 24)
    assert api.delete(path).status == 204
    for answer in (api.get(path), api.patch(path, {"title": "x"}), api.delete(path)):
        assert (answer.status, answer.code) == (404, "not_found")
    for answer in (api.get(f"/users/{uuid.uuid4()}/goals"), api.post(f"/users/{uuid.uuid4()}/goals", made_of(1))):
        assert (answer.status, answer.code) == (404, "not_found")


def made_of(target: int, **more: t.Any) -> dict[str, t.Any]:
    return {"title": "Read", "target": target, **more}


def test_completion_follows_progress_and_target(api: ApiServer, goals: str) -> None:
    path = f"{goals}/{api.post(goals, made_of(3)).body['id']}"
    assert api.patch(path, {"progress": 2}).body["completed_at"] is None
    done = api.patch(path, {"progress": 3}).body["completed_at"]
    assert done
    # It stays the time at which it was completed first.
    assert api.patch(path, {"progress": 5}).body["completed_at"] == done
    assert api.patch(path, {"title": "x"}).body["completed_at"] == done
    assert api.patch(path, {"target": 6}).body["completed_at"] is None
    assert api.patch(path, {"target": 5}).body["completed_at"] > done
    assert api.patch(path, {"progress": 0}).body["completed_at"] is None
    assert api.post(goals, made_of(3, progress=3)).body["completed_at"]


@pytest.mark.parametrize(
    "body",
    [
        made_of(0),
        made_of(-1),
        made_of(2**31),
        made_of(1, progress=-1),
        made_of(1, progress=2**31),
        {"title": "Read"},
        {"title": "Read", "target": "many"},
        {"title": "Read", "target": 1.5},
        made_of(1, completed_at="2026-11-24T16:00:00Z"),
        made_of(1, due_at="2026-11-24T16:00:00"),
    ],
)
def test_goals_that_are_none(api: ApiServer, goals: str, body: t.Any) -> None:
    answer = api.post(goals, body)
    assert (answer.status, answer.code) == (422, "invalid_request")


@pytest.mark.parametrize("body", [{}, {"target": None}, {"progress": None}, {"title": None}])
def test_changes_that_are_none(api: ApiServer, goals: str, body: t.Any) -> None:
    path = f"{goals}/{api.post(goals, made_of(3)).body['id']}"
    assert api.patch(path, body).status == 422


def test_the_events_of_goals_and_tasks(lab: Lab, goals: str) -> None:
    user_id = goals.split("/")[2]
    goal = f"{goals}/{lab.a.post(goals, made_of(2)).body['id']}"
    for progress in (1, 2, 2):
        lab.a.patch(goal, {"progress": progress})
    lab.a.delete(goal)
    task = f"/users/{user_id}/tasks/{lab.a.post(f'/users/{user_id}/tasks', {'title': 'Sow'}).body['id']}"
    for change in ({"status": "completed"}, {"status": "completed"}, {"title": "Reap"}):
        lab.a.patch(task, change)
    lab.a.post(f"/users/{user_id}/tasks", {"title": "done", "status": "completed"})
    lab.a.patch(f"/users/{user_id}", {"name": "Bob"})
    lab.a.delete(task)
    lab.a.patch(task, {"title": "gone"})
    lab.a.delete(f"/users/{user_id}")
    events = lab.events(lab.shard_of(user_id), user_id)
    assert [kind for kind, _payload in events] == [
        "user.created",
        "goal.created",
        *("goal.changed", "goal.changed", "goal.completed", "goal.changed", "goal.deleted"),
        "task.created",
        *("task.changed", "task.completed", "task.changed", "task.changed"),
        *("task.created", "task.completed"),
        "user.changed",
        "task.deleted",
        "user.deleted",
    ]
    assert events[4][1] == {"id": goal.rsplit("/", 1)[-1], "title": "Read", "target": 2, "progress": 2}
    assert events[0][1] == {"id": user_id, "name": "Ann"}


def test_a_time_in_any_zone_is_kept(api: ApiServer, goals: str) -> None:
    for due_at, expected in (
        ("2026-11-24T16:00:00+22:01", "2026-11-23T17:59:00"),
        ("2026-11-24T16:00:00-17:24", "2026-11-25T09:24:00"),
    ):
        assert api.post(goals, made_of(1, due_at=due_at)).body["due_at"].startswith(expected)
