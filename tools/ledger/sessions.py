# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users as the client knows them, and the next request of one of them. Pure.

A session is one user and the user's tasks. It sends one request at a time, so that the ledger is exact, and a proper
client's part of the protocol: it hands back the session token that it was given last.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .judge import (
    EXISTS,
    Answer,
    Judgement,
    Outcome,
    Row,
    judge_change,
    judge_create,
    judge_delete,
    judge_list,
    judge_read,
)

#: A list fits into one page of the API.
PAGE = 200
MOST_TASKS = 100


@dataclass
class Session:
    """One user.

    :param user: None until the user was created.
    :param lost_titles: of tasks whose creation was never acknowledged.
    :param shard: as the last answer named it; empty until one did.
    """

    user: Row | None = None
    tasks: list[Row] = field(default_factory=list)
    lost_titles: set[str] = field(default_factory=set)
    token: str = ""
    shard: str = ""

    def listen(self, answer: Answer) -> None:
        """Keep what an answer's headers say about the session."""
        self.token = answer.headers.get("Session-Token", self.token)
        self.shard = answer.headers.get("X-Shard", self.shard)


@dataclass(frozen=True)
class Step:
    """One request, and what its answer means.

    :param settle: judges the answer, and enters what was asked into the ledger.
    """

    name: str
    method: str
    path: str
    settle: Callable[[Answer], Judgement]
    body: Mapping[str, Any] | None = None


class Values:
    """Values that were never used before, so that an older one, or another user's, can be told from the right one.

    :param run: what tells this run's values from all others'.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._count = itertools.count(1)

    def fresh(self, what: str) -> str:
        """Return another value."""
        return f"{what} {next(self._count)} of {self._run}"

    def email(self) -> str:
        """Return another address."""
        return f"{next(self._count)}@{self._run}.example.org"


def create_user(session: Session, values: Values) -> Step:
    """Make the session's user; a lost answer leaves the session without one."""
    fields = {"name": values.fresh("user"), "email": values.email()}

    def settle(answer: Answer) -> Judgement:
        judgement = judge_create(fields, answer)
        if judgement.outcome is Outcome.OK:
            session.user = Row(judgement.body["id"], fields)
        return judgement

    return Step("create user", "POST", "/users", settle, fields)


def create_task(session: Session, values: Values) -> Step:
    """Give the user one more task."""
    fields = {"title": values.fresh("task"), "description": values.fresh("text")}

    def settle(answer: Answer) -> Judgement:
        judgement = judge_create(fields, answer)
        if judgement.outcome is Outcome.OK:
            session.tasks.append(Row(judgement.body["id"], fields))
        else:
            session.lost_titles.add(fields["title"])
        return judgement

    return Step("create task", "POST", f"{_path(session)}/tasks", settle, fields)


def read_user(session: Session) -> Step:
    """Read the user."""
    user = session.user
    return Step("read user", "GET", _path(session), lambda answer: judge_read(user, answer))


def read_task(session: Session, task: Row) -> Step:
    """Read one task, be it there or deleted."""
    return Step("read task", "GET", _path(session, task), lambda answer: judge_read(task, answer))


def list_tasks(session: Session) -> Step:
    """Read all tasks at once."""
    return Step(
        "list tasks",
        "GET",
        f"{_path(session)}/tasks?limit={PAGE}",
        lambda answer: judge_list(session.tasks, session.lost_titles, "title", answer),
    )


def change(session: Session, row: Row, name: str, values: Values) -> Step:
    """Set one field of the user or of a task."""
    changes = {name: values.fresh(name)}
    is_user = row is session.user

    def settle(answer: Answer) -> Judgement:
        judgement = judge_change(row, changes, answer)
        if judgement.outcome is not Outcome.OK or judgement.body is not None:
            row.settle(changes, judgement.outcome)
        return judgement

    what, path = ("user", _path(session)) if is_user else ("task", _path(session, row))
    return Step(f"change {what}", "PATCH", path, settle, changes)


def delete_task(session: Session, task: Row) -> Step:
    """Delete a task; it stays in the ledger, since it must stay away."""

    def settle(answer: Answer) -> Judgement:
        judgement = judge_delete(task, answer)
        task.settle({EXISTS: False}, judgement.outcome)
        return judgement

    return Step("delete task", "DELETE", _path(session, task), settle)


def next_read(session: Session, chance: random.Random) -> Step:
    """Choose what a user looks at."""
    if not session.tasks or chance.random() < 0.5:
        return read_user(session)
    return read_task(session, chance.choice(session.tasks)) if chance.random() < 0.6 else list_tasks(session)


def next_write(session: Session, chance: random.Random, values: Values) -> Step:
    """Choose what a user does."""
    present = [task for task in session.tasks if task.is_there]
    drawn = chance.random()
    if drawn < 0.25:
        return change(session, session.user, "name", values)
    if present and drawn < 0.35:
        return delete_task(session, chance.choice(present))
    if present and (drawn < 0.65 or len(session.tasks) >= MOST_TASKS):
        return change(session, chance.choice(present), chance.choice(["title", "description"]), values)
    return create_task(session, values)


def _path(session: Session, task: Row | None = None) -> str:
    return f"/users/{session.user.id}" + (f"/tasks/{task.id}" if task else "")
