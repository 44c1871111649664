# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused, and how: never a 500, always the same shape."""

from __future__ import annotations

import typing as t
import uuid

import pytest
from api_lab.lab import Lab
from api_lab.server import Answer, ApiServer

ANN = {"name": "Ann", "email": "ann@example.org"}
NO_USER = f"/users/{uuid.uuid4()}"


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.body["error"]["message"]
    assert answer.body["error"]["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        7,
        "text",
        b"",
        b"{",
        b"[[[",
        {"name": "Ann"},
        {"email": "a@b.cd"},
        {**ANN, "nmae": "misspelt"},
        {**ANN, "id": str(uuid.uuid4())},
        {**ANN, "name": ""},
        {**ANN, "name": " \t\n"},
        {**ANN, "name": "x" * 201},
        {**ANN, "name": "a\0b"},
        {**ANN, "name": "\ud800"},
        {**ANN, "name": 7},
        {**ANN, "name": None},
        {**ANN, "name": ["Ann"]},
        {**ANN, "name": True},
        {**ANN, "email": ""},
        {**ANN, "email": "ann"},
        {**ANN, "email": "ann@"},
        {**ANN, "email": "@example.org"},
        {**ANN, "email": "ann@example"},
        {**ANN, "email": "a b@example.org"},
        {**ANN, "email": "a@b@example.org"},
        {**ANN, "email": "ann@example..org"},
        {**ANN, "email": "a\0@example.org"},
        {**ANN, "email": "\udfff@example.org"},
        {**ANN, "email": "ann@" + "x" * 254 + ".org"},
        {**ANN, "email": None},
    ],
)
def test_users_that_cannot_be_made(api: ApiServer, body: t.Any) -> None:
    body = b"null" if body is None else body
    assert_refused(api.post("/users", body), 422, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": ""},
        {"title": "  "},
        {"title": "x" * 501},
        {"title": "a\0"},
        {"title": None},
        {"title": 1},
        {"title": "x", "status": "done"},
        {"title": "x", "status": None},
        {"title": "x", "status": 1},
        {"title": "x", "description": "x" * 10_001},
        {"title": "x", "description": "\0"},
        {"title": "x", "description": 5},
        {"title": "x", "due_at": "soon"},
        {"title": "x", "due_at": "2026-11-24T16:00:00"},
        {"title": "x", "due_at": {}},
        {"title": "x", "due_at": "0001-01-01T00:00:00+14:00"},
        {"title": "x", "due_at": "9999-12-31T23:59:59-12:00"},
        {"title": "x", "due_at": 10**30},
        {"title": "x", "due_at": -(10**30)},
        {"title": "x", "user_id": str(uuid.uuid4())},
    ],
)
def test_tasks_that_cannot_be_made(api: ApiServer, body: t.Any) -> None:
    assert_refused(api.post(f"{NO_USER}/tasks", body), 422, "invalid_request")


@pytest.mark.parametrize("body", [{}, {"name": None}, {"email": None}, {"name": " "}, {"email": "x"}, {"age": 3}, []])
def test_changes_of_a_user_that_cannot_be_made(api: ApiServer, body: t.Any) -> None:
    assert_refused(api.patch(NO_USER, body), 422, "invalid_request")


@pytest.mark.parametrize("body", [{}, {"title": None}, {"status": None}, {"status": "x"}, {"title": ""}, {"id": "x"}])
def test_changes_of_a_task_that_cannot_be_made(api: ApiServer, body: t.Any) -> None:
    assert_refused(api.patch(f"{NO_USER}/tasks/{uuid.uuid4()}", body), 422, "invalid_request")


@pytest.mark.parametrize(
    "path",
    [
        "/users/1",
        "/users/x",
        "/users/%00",
        f"/users/{uuid.uuid4()}0",
        "/users/x/tasks",
        f"{NO_USER}/tasks/x",
        "/users?limit=0",
        "/users?limit=201",
        "/users?limit=x",
        "/users?limit=",
        "/users?limit=1e9",
        "/users?cursor=x",
        "/users?cursor=%00",
        "/users?cursor=%F0%9F",
        "/users?cursor=" + "A" * 300,
        "/users?cursor=WzFd",
        f"{NO_USER}/tasks?limit=-1",
        f"{NO_USER}/tasks?cursor=x",
        f"{NO_USER}/tasks?cursor=bnVsbA",
    ],
)
def test_addresses_that_mean_nothing(api: ApiServer, path: str) -> None:
    assert_refused(api.get(path), 422, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("PUT", "/users", 405, "method_not_allowed"),
        ("DELETE", "/users", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("BREW", "/users", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there(api: ApiServer, method: str, path: str, status: int, code: str) -> None:
    assert_refused(api.call(method, path), status, code)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_at_all(api: ApiServer, body: bytes) -> None:
    assert_refused(api.post("/users", body), 422, "invalid_request")


def test_a_body_of_another_type_is_refused(api: ApiServer) -> None:
    answer = api.post("/users", b"name=Ann", Content_Type="application/x-www-form-urlencoded")
    assert_refused(answer, 422, "invalid_request")


def test_a_secret_that_was_sent_is_not_repeated(api: ApiServer) -> None:
    assert "hunter2" not in str(api.post("/users", {**ANN, "name": ["hunter2"]}).body)


def test_a_token_that_cannot_be_read_costs_nothing_but_the_primary(lab: Lab) -> None:
    user_id, _unused = lab.user_on("0")
    lab.heal()
    assert lab.b.get(f"/users/{user_id}").read_from == "pg1r"
    for token in ("x", "A" * 5000, "bnVsbA", "WzFd", "W1sxLDJdXQ", "\x7f", "W1siMCIsMSwxZTk5OSwwXV0"):
        answer = lab.b.get(f"/users/{user_id}", token=token)
        assert (answer.status, answer.read_from) == (200, "pg1")
    assert lab.b.get(f"/users/{user_id}", Cookie="session_token=nonsense; other=1").read_from == "pg1"
    assert lab.b.get(f"/users/{user_id}", Cookie="=;;==").status == 200
