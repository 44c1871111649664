# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sessions: each answer is entered into the ledger as what it is."""

from __future__ import annotations

import json
import random

import pytest

from tools.ledger import sessions
from tools.ledger.judge import Answer, Outcome
from tools.ledger.sessions import Session, Values

USER = "01938c9e-7b1a-7cc0-8000-000000000001"
TASK = "01938c9e-7b1a-7cc0-8000-000000000002"
LOST = Answer(error="TimeoutError")


def echo(step, status, id):
    """What an honest server answers to a write."""
    return Answer(status, json.dumps({"id": id, **step.body}).encode())


@pytest.fixture
def values():
    return Values("test")


@pytest.fixture
def session(values):
    """A user with one task."""
    made = Session()
    for step, id in (
        (lambda: sessions.create_user(made, values), USER),
        (lambda: sessions.create_task(made, values), TASK),
    ):
        asked = step()
        assert asked.settle(echo(asked, 201, id)).outcome is Outcome.OK
    return made


def test_values_never_repeat(values):
    made = [values.fresh("x") for _turn in range(100)] + [values.email() for _turn in range(100)]
    assert len(set(made)) == 200


def test_a_user_whose_creation_was_lost_is_not_in_the_ledger(values):
    session = Session()
    sessions.create_user(session, values).settle(LOST)
    assert session.user is None


def test_a_task_whose_creation_was_lost_may_be_in_the_list(session, values):
    step = sessions.create_task(session, values)
    step.settle(LOST)
    items = [{"id": TASK, **_fields(session)}, {"id": USER, **step.body}]
    page = Answer(200, json.dumps({"items": items}).encode())
    assert sessions.list_tasks(session).settle(page).outcome is Outcome.OK
    session.lost_titles.clear()
    assert sessions.list_tasks(session).settle(page).outcome is Outcome.WRONG


def test_an_acknowledged_change_is_expected_from_then_on(session, values):
    step = sessions.change(session, session.user, "name", values)
    step.settle(Answer(200, json.dumps({"id": USER, "email": "1", **step.body}).encode()))
    assert (step.method, step.path) == ("PATCH", f"/users/{USER}")
    # The answer named another e-mail address than was acknowledged: wrong, so the change is only possible.
    assert session.user.allows("name", step.body["name"])
    assert session.user.allows("name", "user 1 of test")


def test_an_acknowledged_change_replaces_the_older_value(session, values):
    task = session.tasks[0]
    step = sessions.change(session, task, "title", values)
    step.settle(Answer(200, json.dumps({"id": TASK, **_fields(session), **step.body}).encode()))
    assert step.path == f"/users/{USER}/tasks/{TASK}"
    assert task.allows("title", step.body["title"])
    assert not task.allows("title", "task 3 of test")


def test_a_change_of_a_row_that_was_gone_changes_nothing(session, values):
    task = session.tasks[0]
    sessions.delete_task(session, task).settle(LOST)
    step = sessions.change(session, task, "title", values)
    assert step.settle(Answer(404, b"{}")).outcome is Outcome.OK
    assert not task.allows("title", step.body["title"])


def test_a_deleted_task_is_kept_to_stay_away(session, values):
    task = session.tasks[0]
    assert sessions.delete_task(session, task).settle(Answer(204)).outcome is Outcome.OK
    assert session.tasks == [task]
    assert sessions.read_task(session, task).settle(Answer(404)).outcome is Outcome.OK
    present = Answer(200, json.dumps({"id": TASK, **_fields(session)}).encode())
    assert sessions.read_task(session, task).settle(present).outcome is Outcome.WRONG


def test_the_token_and_the_shard_of_the_last_answer_that_had_them_count(session):
    session.listen(Answer(200, headers={"Session-Token": "a", "X-Shard": "3"}))
    session.listen(LOST)
    assert (session.token, session.shard) == ("a", "3")


def test_every_kind_of_request_is_made(session, values):
    chance = random.Random(1)
    made = {sessions.next_write(session, chance, values).name for _unused in range(200)}
    made |= {sessions.next_read(session, chance).name for _unused in range(200)}
    assert made == {"change user", "change task", "create task", "delete task", "read user", "read task", "list tasks"}


def _fields(session):
    return {"title": "task 3 of test", "description": "text 4 of test"}
