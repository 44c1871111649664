# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for locks: attempts, pauses and what is said of those who hold them."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience as waiting
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import (
    CONFLICTS,
    Holder,
    Locked,
    Patience,
    Waited,
)

HOLDER = {
    "pid": 7, "user": "reports", "application": "psql", "state": "active", "seconds": 3.2, "mode": "AccessShareLock",
    "relation": "public.tasks",
}  # fmt: skip
BUSY = Refused("busy.", sqlstate="55P03")


class Session:
    """Answers each statement with the next of what it is to raise; None for success."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.ran = []

    def run(self, statement, alone=False):
        self.ran.append(statement)
        if "lock_timeout" in statement and not statement.startswith("SET LOCAL"):
            return
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer

    def rows(self, _statement, parameters):
        self.asked = parameters
        return [HOLDER]


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Time that passes in pauses alone."""
    now, taken = [0.0], []

    def sleep(seconds):
        now[0] += seconds
        taken.append(seconds)

    monkeypatch.setattr(waiting.time, "sleep", sleep)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    return taken


def test_a_lock_that_is_free_costs_one_statement():
    session, waited = Session(None), Waited()
    waiting.patiently(session, "ALTER", "alter", {1: "AccessExclusiveLock"}, Patience(), waited)
    assert session.ran == ["SET LOCAL lock_timeout = '500ms'; ALTER"]
    assert waited.result() == {"attempts": 0, "waited": 0.0, "holders": []}


def test_it_is_tried_again_with_longer_pauses(pauses):
    session, waited = Session(BUSY, Refused("deadlock.", sqlstate="40P01"), BUSY, None), Waited()
    waiting.patiently(session, "ALTER", "alter", {1: "ShareUpdateExclusiveLock"}, Patience(100), waited)
    assert len(session.ran) == 4
    assert waited.attempts == len(pauses) == 3
    assert waited.result()["holders"] == [HOLDER]
    assert sum(pauses) == pytest.approx(waited.seconds)
    assert 0.2 <= pauses[2] <= 0.4
    assert session.asked == {"relations": [1] * 5, "modes": list(CONFLICTS["ShareUpdateExclusiveLock"])}


def test_the_time_is_over(pauses):
    session, waited = Session(*[BUSY] * 99), Waited()
    with pytest.raises(Locked) as locked:
        waiting.patiently(session, "ALTER", "alter it", {1: "AccessExclusiveLock"}, Patience(100, 10), waited)
    assert sum(pauses) <= 10
    assert locked.value.code == "locked"
    assert locked.value.facts["holders"] == [HOLDER]
    assert "to alter it were not had" in locked.value.message
    assert "pid 7 of reports, psql, active, for 3 s, has AccessShareLock on public.tasks" in locked.value.message


def test_without_patience_there_is_one_attempt(pauses):
    with pytest.raises(Locked):
        waiting.patiently(Session(BUSY), "ALTER", "alter", {1: "AccessExclusiveLock"}, Patience(100, 0), Waited())
    assert pauses == []


def test_other_errors_end_it_at_once():
    session = Session(Refused("no.", sqlstate="42501"))
    with pytest.raises(Refused) as refused:
        waiting.patiently(session, "ALTER", "alter", {1: "AccessExclusiveLock"}, Patience(), Waited())
    assert not isinstance(refused.value, Locked)


def test_what_stands_alone_has_its_limit_from_the_session():
    session = Session(BUSY, None)
    waiting.patiently(session, "DETACH", "detach", {}, Patience(), Waited(), alone=True, again=lambda: "FINALIZE")
    assert session.ran == [
        "SET lock_timeout = '500ms'", "DETACH", "RESET lock_timeout",
        "SET lock_timeout = '500ms'", "FINALIZE", "RESET lock_timeout",
    ]  # fmt: skip


def test_nothing_may_be_left_to_do():
    session = Session(BUSY)
    waiting.patiently(session, "DETACH", "detach", {}, Patience(), Waited(), again=lambda: None)
    assert len(session.ran) == 1


def test_of_one_session_what_was_seen_last_is_kept():
    waited = Waited()
    waited.note([Holder(**HOLDER)])
    waited.note([Holder(**{**HOLDER, "seconds": 9.0}), Holder(**{**HOLDER, "pid": 8})])
    assert [(holder.pid, holder.seconds) for holder in waited.holders] == [(7, 9.0), (8, 3.2)]
    assert str(Holder(1, None, None, None, None, "ShareLock", "public.t")) == "pid 1, has ShareLock on public.t"
