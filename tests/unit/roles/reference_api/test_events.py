# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events: their form on the wire, whom they are told to, and what they count for."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import uuid
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parents[4] / "roles" / "reference_api" / "files"))

from reference_api.analytics.counts import UserCounts, by_day, by_user
from reference_api.events import topology
from reference_api.events.event import Event, NotAnEvent
from reference_api.worker.notices import notice_of

ANN, BOB = uuid.UUID(int=1), uuid.UUID(int=2)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def event(kind="task.created", payload=None, user_id=ANN, occurred_at=NOON):
    return Event(uuid.uuid4(), kind, user_id, occurred_at, payload or {})


def content(**changes):
    return {**json.loads(event().encode()), **changes}


# Hypothesis's own text has no lone surrogates, and neither has an outbox.
_TEXT = st.text()
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda children: st.lists(children) | st.dictionaries(_TEXT, children),
    max_leaves=5,
)


@given(
    st.builds(
        Event,
        st.uuids(),
        st.from_regex(r"[a-z][a-z_]{0,20}\.[a-z][a-z_]{0,20}", fullmatch=True),
        st.uuids(),
        st.datetimes(timezones=st.timezones(), min_value=datetime(1970, 1, 1)),
        st.dictionaries(_TEXT, _VALUES),
    )
)
def test_wire_form_says_everything(value):
    # In the hour that clocks are set back, Python finds a time unequal to the same one in another zone.
    same = dataclasses.replace(value, occurred_at=value.occurred_at.astimezone(UTC))
    assert Event.decode(value.encode()) == same


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "cannot be read"),
        (json.dumps(content(id="x")).encode(), "cannot be read"),
        (json.dumps(content(id=7)).encode(), "cannot be read"),
        (json.dumps(content(user_id=None)).encode(), "cannot be read"),
        (json.dumps(content(occurred_at="yesterday")).encode(), "cannot be read"),
        (json.dumps(content(occurred_at="0001-01-01T00:00:00+14:00")).encode(), "cannot be read"),
        (json.dumps(content(occurred_at="2026-11-24T12:00:00")).encode(), "no zone"),
        (json.dumps(content(kind="created")).encode(), "its kind"),
        (json.dumps(content(kind=["task.created"])).encode(), "its kind"),
        (json.dumps(content(payload=None)).encode(), "its payload"),
    ],
)
def test_what_is_no_event(body, reason):
    with pytest.raises(NotAnEvent, match=reason):
        Event.decode(body)


def test_more_fields_than_known_are_no_fault():
    assert Event.decode(json.dumps(content(version=2)).encode()).kind == "task.created"


@pytest.mark.parametrize(
    ("kind", "payload", "notice"),
    [
        ("task.created", {"title": "Write"}, "New task: Write"),
        ("task.created", {}, "New task"),
        ("task.created", {"title": 7}, "New task"),
        ("task.completed", {"title": "Write"}, "Task completed: Write"),
        ("task.changed", {"title": "Write"}, None),
        ("task.deleted", {}, None),
        ("goal.completed", {"title": "Ship"}, "Goal reached: Ship"),
        ("user.created", {"name": "Ann"}, "Welcome: Ann"),
        ("user.deleted", {}, None),
        ("habit.created", {"name": "Run"}, None),
        *(("habit.checked_in", {"name": "Run", "streak": days}, None) for days in (0, 1, 6, 8, True, None, "7", [7])),
        *(
            ("habit.checked_in", {"name": "Run", "streak": days}, f"Habit: Run, {days} days in a row")
            for days in (7, 30, 100, 365)
        ),
    ],
)
def test_notices(kind, payload, notice):
    assert notice_of(event(kind, payload)) == notice


@pytest.mark.parametrize(
    ("analytics", "queues"),
    [
        (True, {"notifications", "notifications.retry", "analytics", "events.dead"}),
        (False, {"notifications", "notifications.retry", "events.dead"}),
    ],
)
def test_c4_queues_are_those_that_are_consumed(analytics, queues):
    assert set(topology.wanted(analytics)) == queues


def test_counts_of_a_user():
    later = NOON + timedelta(hours=1)
    events = [
        event(),
        event(),
        event("task.completed"),
        event("task.deleted"),
        event("habit.created", occurred_at=later),
        event("habit.checked_in", {"streak": 3}),
        event("habit.checked_in", {"streak": 2}),
        event(user_id=BOB),
    ]
    assert by_user(events) == {
        ANN: UserCounts(events=7, total_tasks=2, completed_tasks=1, total_habits=1, best_streak=3, last_event_at=later),
        BOB: UserCounts(events=1, total_tasks=1, completed_tasks=0, total_habits=0, best_streak=0, last_event_at=NOON),
    }


@pytest.mark.parametrize("streak", [None, "9", [9], -1, 2**31, 1.5])
def test_streak_that_is_none_counts_for_nothing(streak):
    assert by_user([event("habit.checked_in", {"streak": streak})])[ANN].best_streak == 0


def test_days_are_those_of_utc():
    eastern = timezone(timedelta(hours=9))
    events = [
        event(),
        event("task.deleted"),
        event(occurred_at=datetime(2026, 11, 25, 8, tzinfo=eastern)),
        event(occurred_at=datetime(2026, 11, 25, 9, tzinfo=eastern)),
    ]
    assert by_day(events) == {
        (date(2026, 11, 24), "task.created"): 2,
        (date(2026, 11, 24), "task.deleted"): 1,
        (date(2026, 11, 25), "task.created"): 1,
    }


@given(st.lists(st.tuples(st.sampled_from(["task.created", "task.completed", "habit.created"]), st.booleans())))
def test_counts_do_not_depend_on_the_batches(what):
    events = [event(kind, user_id=ANN if ann else BOB) for kind, ann in what]
    whole = by_user(events)
    one_by_one = [by_user([each]) for each in events]
    for user_id, counts in whole.items():
        parts = [part[user_id] for part in one_by_one if user_id in part]
        assert counts.events == sum(part.events for part in parts)
        assert counts.total_tasks == sum(part.total_tasks for part in parts)
        assert counts.completed_tasks == sum(part.completed_tasks for part in parts)
        assert counts.total_habits == sum(part.total_habits for part in parts)
