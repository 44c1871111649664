# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import uuid

import pytest
from api_lab.lab import Lab
from api_lab.server import ApiServer


@pytest.fixture
def tasks(api: ApiServer) -> str:
    """The path of a new user's tasks."""
    return f"/users/{api.post('/users', {'name': 'Ann', 'email': 'ann@example.org'}).body['id']}/tasks"


def test_a_task_is_made_read_changed_and_deleted(api: ApiServer, tasks: str) -> None:
    made = api.post(tasks, {"title": "Water the plants"})
    assert made.status == 201
    assert set(made.body) == {"id", "user_id", "title", "description", "status", "due_at", "created_at", "updated_at"}
    assert (made.body["status"], made.body["description"], made.body["due_at"]) == ("pending", None, None)
    assert made.body["user_id"] in tasks
    path = f"{tasks}/{made.body['id']}"

    assert api.get(path).body == made.body

    changes = {"status": "completed", "description": "all of them", "due_at": "2026-11-24T18:30:00+02:00"}
    changed = api.patch(path, changes)
    assert changed.status == 200
    assert (changed.body["title"], changed.body["status"]) == ("Water the plants", "completed")
    assert changed.body["due_at"].startswith("2026-11-24T16:30:00")
    assert api.patch(path, {"due_at": None}).body["due_at"] is None
    assert api.get(path).body["description"] == "all of them"

    assert api.delete(path).status == 204
    for answer in (api.get(path), api.patch(path, changes), api.delete(path)):
        assert (answer.status, answer.code) == (404, "not_found")


def test_a_task_belongs_to_its_user(api: ApiServer, tasks: str) -> None:
    task_id = api.post(tasks, {"title": "mine"}).body["id"]
    other = api.post("/users", {"name": "Bob", "email": "bob@example.org"}).body["id"]
    assert api.get(f"/users/{other}/tasks/{task_id}").status == 404
    assert api.delete(f"/users/{other}/tasks/{task_id}").status == 404
    assert api.get(f"{tasks}/{task_id}").status == 200


def test_an_unknown_user_has_no_tasks(api: ApiServer) -> None:
    path = f"/users/{uuid.uuid4()}/tasks"
    for answer in (api.post(path, {"title": "x"}), api.get(path), api.get(f"{path}/{uuid.uuid4()}")):
        assert (answer.status, answer.code) == (404, "not_found")


def test_the_newest_come_first(api: ApiServer, tasks: str) -> None:
    assert api.get(tasks).body == {"items": [], "next_cursor": None}
    made = [api.post(tasks, {"title": f"task {number}"}).body["id"] for number in range(5)]
    assert [task["id"] for task in api.get(tasks).body["items"]] == made[::-1]


def test_a_user_takes_the_tasks_along(lab: Lab, api: ApiServer, tasks: str) -> None:
    answer = api.post(tasks, {"title": "x"})
    assert api.delete(tasks[: -len("/tasks")]).status == 204
    primary, database = lab.primary_of(answer.shard), f"shard_{answer.shard}"
    assert primary.execute("SELECT count(*) FROM tasks WHERE id = %s", [answer.body["id"]], database) == [(0,)]
    assert api.get(tasks).status == 404


def test_tasks_are_read_from_the_primary(lab: Lab, api: ApiServer, tasks: str) -> None:
    answer = api.post(tasks, {"title": "x"})
    assert api.get(tasks).read_from == lab.primary_of(answer.shard).name
