# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t

import pytest
from api_lab.lab import Lab
from api_lab.server import ApiServer


def pages(api: ApiServer, path: str, limit: int) -> t.Iterator[list[dict[str, t.Any]]]:
    cursor = ""
    while True:
        answer = api.get(f"{path}?limit={limit}{cursor and '&cursor='}{cursor}")
        assert answer.status == 200, answer.body
        yield answer.body["items"]
        if answer.body["next_cursor"] is None:
            return
        cursor = answer.body["next_cursor"]


@pytest.mark.parametrize("limit", [1, 3, 200])
def test_the_pages_of_tasks_hold_each_task_once(api: ApiServer, limit: int) -> None:
    user_id = api.post("/users", {"name": "Ann", "email": "ann@example.org"}).body["id"]
    path = f"/users/{user_id}/tasks"
    made = [api.post(path, {"title": str(number)}).body["id"] for number in range(7)]
    listed = list(pages(api, path, limit))
    assert [task["id"] for page in listed for task in page] == made[::-1]
    assert all(len(page) == limit for page in listed[:-1])


@pytest.mark.parametrize("limit", [2, 5, 200])
def test_the_pages_of_users_hold_each_user_once(lab: Lab, limit: int) -> None:
    # Through one server, whose own memory of its writes makes them visible without a token.
    for number in range(12):
        assert lab.a.post("/users", {"name": f"user {number}", "email": "u@example.org"}).status == 201
    listed = [user["id"] for page in pages(lab.a, "/users", limit) for user in page]
    stored = [
        str(row[0])
        for shard in "0123"
        for row in lab.primary_of(shard).execute("SELECT id FROM users ORDER BY id", database=f"shard_{shard}")
    ]
    assert listed == stored
    assert len(set(listed)) == len(listed)


def test_a_cursor_fits_only_its_own_listing(api: ApiServer) -> None:
    user_id = api.post("/users", {"name": "Ann", "email": "ann@example.org"}).body["id"]
    for number in range(2):
        api.post(f"/users/{user_id}/tasks", {"title": str(number)})
    tasks = api.get(f"/users/{user_id}/tasks?limit=1").body["next_cursor"]
    users = api.get("/users?limit=1").body["next_cursor"]
    assert api.get(f"/users?cursor={tasks}").status == 422
    assert api.get(f"/users/{user_id}/tasks?cursor={users}").status == 422


def test_a_row_of_another_shard_is_not_listed(lab: Lab) -> None:
    """While buckets move, the old shard and the new one both have the rows."""
    user_id, _unused = lab.user_on("0")
    copy = "INSERT INTO users (id, name, email) VALUES (%s, 'copy', 'c@example.org')"
    lab.pg2.execute(copy, [user_id], "shard_2")
    try:
        lab.heal()
        listed = [user["name"] for page in pages(lab.a, "/users", 50) for user in page if user["id"] == user_id]
        assert listed == ["Ann"]
    finally:
        lab.pg2.execute("DELETE FROM users WHERE id = %s", [user_id], "shard_2")
