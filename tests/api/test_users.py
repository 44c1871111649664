# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import uuid

from api_lab.lab import Lab
from api_lab.server import ApiServer

ANN = {"name": "Ann", "email": "ann@example.org"}


def test_a_user_is_made_read_changed_and_deleted(api: ApiServer) -> None:
    made = api.post("/users", ANN)
    assert made.status == 201
    assert set(made.body) == {"id", "name", "email", "created_at", "updated_at"}
    assert {**made.body, **ANN} == made.body
    assert uuid.UUID(made.body["id"]).version == 7
    path = f"/users/{made.body['id']}"

    assert api.get(path).body == made.body

    changed = api.patch(path, {"name": "Anna"})
    assert changed.status == 200
    assert (changed.body["name"], changed.body["email"]) == ("Anna", ANN["email"])
    assert changed.body["updated_at"] > made.body["updated_at"]
    assert changed.body["created_at"] == made.body["created_at"]
    assert api.get(path).body == changed.body

    gone = api.delete(path)
    assert (gone.status, gone.body) == (204, "")
    for answer in (api.get(path), api.patch(path, ANN), api.delete(path)):
        assert (answer.status, answer.code) == (404, "not_found")
        assert made.body["id"] in answer.body["error"]["message"]


def test_a_row_is_on_the_shard_that_the_map_names_and_on_no_other(lab: Lab) -> None:
    for shard in "0123":
        for _unused in range(3):
            user_id, _unused = lab.user_on(shard)
            assert shard == lab.shard_of(user_id)
            for other in "0123":
                assert bool(lab.row(lab.primary_of(other), other, user_id)) == (other == shard)


def test_every_text_that_postgresql_can_hold_comes_back(api: ApiServer) -> None:
    name = "quote ' \" back\\slash 100% %(id)s %s ; -- \t \u00e9 \u4e2d \U0001f600 {} $1 $$ E'\\x'"
    made = api.post("/users", {**ANN, "name": name})
    assert made.status == 201
    assert api.get(f"/users/{made.body['id']}").body["name"] == name
    assert api.patch(f"/users/{made.body['id']}", {"name": name[::-1]}).body["name"] == name[::-1]


def test_each_answer_says_who_served_it(api: ApiServer) -> None:
    made = api.post("/users", ANN, X_Request_ID="abc-123")
    assert made.headers["X-Request-ID"] == "abc-123"
    assert made.headers["X-Served-By"]
    assert made.headers["X-Shard"] in set("0123")
    cookie = made.headers["Set-Cookie"]
    assert cookie.startswith(f"session_token={made.token};")
    assert "HttpOnly" in cookie

    error = api.get(f"/users/{uuid.uuid4()}", X_Request_ID="not a good one")
    assert error.status == 404
    assert len(error.headers["X-Request-ID"]) == 32
    assert error.body["error"]["request_id"] == error.headers["X-Request-ID"]
    assert error.headers["X-Shard"]
    assert "X-Shard" not in api.get("/healthz").headers
