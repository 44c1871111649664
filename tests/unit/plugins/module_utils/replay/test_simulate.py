# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The simulation: what serves and when, what members measure, and what a policy sees."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.replay.faults import InvalidReplay
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import (
    Setup,
    members_for,
    simulate,
)
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import Trace

SETUP = Setup(capacity=100.0, minimum=1, maximum=5, starts_in=60.0)


def trace(*demand, interval=60.0):
    return Trace(1000.0, interval, tuple(float(value) for value in demand))


def asks(*sizes):
    """A policy that asks for these sizes, one after the other."""
    left = iter(sizes)
    return lambda *_seen: next(left, None)


class Watcher:
    """A policy that asks for sizes and keeps copies of what it saw."""

    def __init__(self, *sizes):
        self.policy, self.seen = asks(*sizes), []

    def __call__(self, now, readings, pool, history):
        self.seen.append(copy.deepcopy((now, readings, pool, history)))
        return self.policy()


@pytest.mark.parametrize(
    ("sizes", "warm_up", "supply", "ordered"),
    [
        ([None, None, None, None], 60.0, [1, 1, 1, 1], [1, 1, 1, 1]),
        ([3], 60.0, [1, 3, 3, 3], [3, 3, 3, 3]),
        ([3], 0.0, [3, 3, 3, 3], [3, 3, 3, 3]),
        # A warm-up that ends within a step counts from the next step.
        ([3], 61.0, [1, 1, 3, 3], [3, 3, 3, 3]),
        ([3, None, 2], 60.0, [1, 3, 2, 2], [3, 3, 2, 2]),
        # Those that do not serve yet are the first to go.
        ([3, 5, 4], 120.0, [1, 1, 3, 4], [3, 5, 4, 4]),
        ([9, -9], 60.0, [1, 1, 1, 1], [5, 1, 1, 1]),
        ([3, 3, 3], 60.0, [1, 3, 3, 3], [3, 3, 3, 3]),
    ],
    ids=["nothing", "up", "at-once", "between-steps", "down", "called-off", "bounds", "the-same"],
)
def test_members_serve_when_their_warm_up_is_over(sizes, warm_up, supply, ordered):
    run = simulate(trace(50, 50, 50, 50), asks(*sizes), dataclasses.replace(SETUP, starts_in=warm_up))
    assert (list(run.supply), list(run.ordered)) == (supply, ordered)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([3], [("up", 1, 3, 1000.0, 1120.0, "succeeded")]),
        ([2, 1], [("up", 1, 2, 1000.0, 1060.0, "called_off"), ("down", 2, 1, 1060.0, 1060.0, "succeeded")]),
        # Of three that were ordered, one is called off and two come: the action ends with those.
        ([4, 3], [("up", 1, 4, 1000.0, 1120.0, "succeeded"), ("down", 4, 3, 1060.0, 1060.0, "succeeded")]),
        ([2, 3], [("up", 1, 2, 1000.0, 1120.0, "succeeded"), ("up", 2, 3, 1060.0, 1180.0, "succeeded")]),
        ([None, None, None, 2], [("up", 1, 2, 1180.0, None, None)]),
    ],
    ids=["up", "called-off", "partly-called-off", "two", "runs-at-the-end"],
)
def test_actions_are_written_as_the_history_has_them(sizes, expected):
    run = simulate(trace(50, 50, 50, 50), asks(*sizes), dataclasses.replace(SETUP, starts_in=120.0))
    names = ("direction", "from", "to", "started", "finished", "outcome")
    assert [tuple(action[name] for name in names) for action in run.actions] == expected


def test_a_policy_sees_the_pool_and_its_running_action():
    watcher = Watcher(2)
    simulate(trace(50, 50, 50), watcher, SETUP)
    before, during, after = (pool for _now, _readings, pool, _history in watcher.seen)
    none, one = (history for _now, _readings, _pool, history in watcher.seen[:2])
    assert (before["desired"], before["running"], none) == (1, None, [])
    assert during["desired"] == 2
    # Its warm-up is over at the beginning of the second step.
    assert during["running"] is None
    assert one[0]["outcome"] == "succeeded"
    assert [member["name"] for member in after["members"]] == ["member1", "member2"]
    assert after["members"][1]["since"] == 1060.0


def test_an_action_runs_until_the_last_of_its_members_serves():
    watcher = Watcher(4, 3)
    simulate(trace(50, 50, 50, 50), watcher, dataclasses.replace(SETUP, starts_in=150.0))
    # One of three was called off at 1060.0; the other two serve from 1180.0.
    outcomes = [history[0]["outcome"] for _now, _readings, _pool, history in watcher.seen[1:]]
    assert outcomes == [None, None, "succeeded"]


def test_a_member_that_does_not_serve_yet_is_seen_so():
    watcher = Watcher(2)
    simulate(trace(50, 50, 50), watcher, dataclasses.replace(SETUP, starts_in=90.0))
    pool = watcher.seen[1][2]
    assert pool["running"] == {"direction": "up", "from": 1, "to": 2, "started": 1000.0}
    assert pool["members"][1] == {
        "name": "member2",
        "healthy": False,
        "in_rotation": False,
        "since": 1090.0,
        "protected": False,
        "failed": False,
        "reached": False,
    }
    assert [reading["instance"] for reading in watcher.seen[1][1]] == ["member1"]


@pytest.mark.parametrize(
    ("demand", "initial", "cpu", "requests", "errors", "latency"),
    [
        (0, 1, 0.0, 0.0, 0.0, 1000 * math.log(100) / 100),
        (50, 1, 50.0, 50.0, 0.0, 1000 * math.log(100) / 50),
        (90, 3, 30.0, 30.0, 0.0, 1000 * math.log(100) / 70),
        (100, 1, 100.0, 100.0, 0.0, 30_000.0),
        # What exceeds the capacity is refused before the member, and all that it measures stops there.
        (250, 1, 100.0, 100.0, 150.0, 30_000.0),
        (250, 2, 100.0, 100.0, 25.0, 30_000.0),
    ],
)
def test_members_measure_their_part_of_the_demand(demand, initial, cpu, requests, errors, latency):
    watcher = Watcher()
    simulate(trace(demand, demand), watcher, dataclasses.replace(SETUP, initial=initial))
    assert watcher.seen[0][1] == []
    readings = watcher.seen[1][1]
    assert [(reading["instance"], reading["at"]) for reading in readings] == [
        (f"member{number + 1}", 1060.0) for number in range(initial)
    ]
    assert readings[0]["values"] == pytest.approx(
        {
            "cpu": cpu,
            "memory": 40.0,
            "memory_free": 2048.0 * 0.6,
            "requests": requests,
            "application": requests,
            "errors": errors,
            "network": requests * 10_000,
            "latency": latency,
        }
    )


def test_a_member_that_joined_within_an_interval_has_no_reading_yet():
    watcher = Watcher(2)
    setup = dataclasses.replace(SETUP, starts_in=30.0, sync=15.0)
    run = simulate(trace(120, 120, 120), watcher, setup)
    assert list(run.supply[:4]) == [1, 1, 2, 2]
    after_one, after_two = watcher.seen[4][1], watcher.seen[8][1]
    # Two steps with 120 for one member and two with 60 for each: 90 on average.
    assert [(reading["instance"], reading["values"]["cpu"]) for reading in after_one] == [("member1", 90.0)]
    assert [reading["values"]["cpu"] for reading in after_two] == [60.0, 60.0]


def test_a_sync_asks_between_the_readings_and_gives_the_same_objects():
    seen = []

    def policy(now, readings, pool, _history):
        seen.append((now, readings, pool))

    run = simulate(trace(50, 60), policy, dataclasses.replace(SETUP, sync=15.0))
    assert [now for now, _readings, _pool in seen] == [1000.0 + 15 * number for number in range(8)]
    assert len({id(readings) for _now, readings, _pool in seen}) == 2
    assert len({id(pool) for _now, _readings, pool in seen}) == 1
    assert (run.step, run.parts, len(run.supply)) == (15.0, 4, 8)
    assert run.demand == (50.0,) * 4 + (60.0,) * 4


def test_what_no_member_has_room_for_is_refused():
    run = simulate(trace(250, 250, 80), asks(2), SETUP)
    # 150 too many for 60 s, then 50 too many for 60 s.
    assert run.refused == pytest.approx(150 * 60 + 50 * 60)
    assert run.needed == (3, 3, 1)


@pytest.mark.parametrize(
    ("demand", "members"), [(0.0, 0), (0.1, 1), (100.0, 1), (100.1, 2), (3 * 0.1 * 1000, 3), (1e6, 10_000)]
)
def test_the_fewest_members_that_can_serve(demand, members):
    assert members_for(demand, 100.0) == members


@given(
    st.lists(st.floats(0, 1000), min_size=2, max_size=30),
    st.lists(st.one_of(st.none(), st.integers(-5, 20)), max_size=60),
    st.floats(0, 400),
    st.sampled_from([None, 15.0, 30.0]),
    st.integers(1, 4),
    st.integers(0, 6),
)
def test_a_pool_stays_within_its_bounds_and_is_the_same_again(demand, sizes, warm_up, sync, minimum, more):
    setup = Setup(100.0, minimum, minimum + more, starts_in=warm_up, sync=sync)
    run = simulate(trace(*demand), asks(*sizes), setup)
    assert run == simulate(trace(*demand), asks(*sizes), setup)
    assert all(minimum <= size <= minimum + more for size in run.ordered)
    assert all(1 <= serving <= size for serving, size in zip(run.supply, run.ordered, strict=True))
    size = minimum
    for action in run.actions:
        assert action["from"] == size != action["to"]
        size = action["to"]
        assert (action["finished"] is None) == (action["outcome"] is None)
    assert size == run.ordered[-1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"minimum": 6}, ["minimum: 6 is above maximum, 5."]),
        ({"initial": 6}, ["initial: 6 is not between 1 and 5."]),
        ({"memory": 101.0}, ["memory: 101 is above 100 per cent."]),
        ({"sync": 45.0}, ["sync: 45 does not divide the trace's interval of 60 s."]),
        ({"sync": 120.0}, ["sync: 120 does not divide the trace's interval of 60 s."]),
        (
            {"capacity": 0, "minimum": 0, "maximum": 2.5, "initial": True, "starts_in": -1, "sync": 0},
            ["minimum: 0 ", "maximum: 2.5 ", "initial: True ", "capacity: 0 ", "starts_in: -1 ", "sync: 0 "],
        ),
        ({"capacity": float("nan"), "memory": "much"}, ["capacity: nan ", "memory: 'much' "]),
    ],
)
def test_a_setup_that_cannot_be_is_refused_with_all_that_is_wrong(changes, told):
    with pytest.raises(InvalidReplay) as caught:
        simulate(trace(1, 2), asks(), dataclasses.replace(SETUP, **changes))
    assert caught.value.code == "invalid_input"
    problems = [f"{one['option']}: {one['text']}" for one in caught.value.facts["problems"]]
    assert [problem.startswith(words) for problem, words in zip(problems, told, strict=True)] == [True] * len(told)
    assert caught.value.facts["option"] == told[0].split(":")[0]
