# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A policy in a simulation decides as it would on a real pool, and says why."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.operations.replay_candidate import Candidate, doubling
from ansible_collections.scaleout.platform.plugins.module_utils.replay.baselines import PodAutoscaler
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import Setup, simulate
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import START, Trace
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import decide_on, read

CPU = {"metric": "cpu", "threshold": 70}
SETUP = Setup(capacity=100.0, minimum=1, maximum=6)
POLICIES = {
    "defaults": {},
    "rule": {"rules": [CPU]},
    "steps": {"rules": [{**CPU, "up": {"step": 2, "cooldown": 120}, "down": {"step": 3, "cooldown": 180}}]},
    "target": {"targets": [{"metric": "requests", "target": 60, "up": {"cooldown": 0}}]},
    "total": {"rules": [{"metric": "requests", "threshold": 150, "scope": "total"}]},
    "triggers": {
        "triggers": [
            {"metric": "errors", "condition": "gt", "threshold": 5, "duration": 0, "action": "scale_up"},
            {"metric": "cpu", "condition": "lt", "threshold": 30, "duration": 180, "action": "scale_down"},
        ]
    },
    "guard": {"rules": [CPU], "guards": [{"metric": "latency", "condition": "gt", "threshold": 20000}]},
    "warm-up": {"rules": [CPU], "warm_up": 300},
    "schedule": {
        "rules": [CPU],
        "schedule": [{"from": "00:05", "to": "00:20", "time_zone": "UTC", "min": 3, "max": 4}],
    },
}


def parsed(**keys):
    policy, _pool = read({"min": 1, "max": 6, "interval": 60, **keys}, {"desired": 1, "members": []}, START)
    return policy


def trace(*demand, interval=60.0):
    return Trace(START, interval, tuple(float(value) for value in demand))


def plainly(policy):
    """Decide as the module does: each member has readings of its own, which are kept from the beginning."""
    readings = Readings()
    present = []

    def decide(now, new, pool, history):
        nonlocal present
        for reading in new:
            if (reading["instance"], reading["at"]) not in present:
                readings.add(reading)
        present = [(reading["instance"], reading["at"]) for reading in new]
        # The code of a real pool reads both from documents each time.
        _policy, now_pool = read({"min": 1, "max": 6, "interval": 60}, pool, now)
        found = decide_on(policy, readings, now_pool, History(history), now).document()
        return found["to"] if found["outcome"] == "scale" else None

    return decide


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(POLICIES)),
    st.lists(st.tuples(st.floats(0, 700), st.integers(1, 12)), min_size=1, max_size=8),
    st.sampled_from([0.0, 60.0, 90.0, 400.0]),
)
def test_it_decides_as_on_a_real_pool_and_the_same_again(name, stretches, starts_in):
    """A replay is deterministic, and sharing one series among the members changes no decision."""
    demand = [level for level, steps in stretches for _step in range(steps)]
    policy, setup = parsed(**POLICIES[name]), Setup(100.0, 1, 6, starts_in=starts_in)
    candidate = Candidate(policy)
    run = simulate(trace(*demand), candidate, setup)
    assert run == simulate(trace(*demand), Candidate(policy), setup)
    assert run == simulate(trace(*demand), plainly(policy), setup)
    assert len(candidate.said) == len(demand)
    # Each action is asked for by someone, at its time.
    assert sorted(candidate.asked) == [action["started"] for action in run.actions]


@given(st.lists(st.floats(0, 700), min_size=2, max_size=60), st.integers(0, 600))
def test_it_keeps_its_cooldowns_and_its_bounds(demand, cooldown):
    policy = parsed(rules=[{**CPU, "up": {"cooldown": cooldown}, "down": {"cooldown": cooldown}}], min=2, max=4)
    run = simulate(trace(*demand), Candidate(policy), Setup(100.0, 1, 6, initial=2))
    assert all(2 <= size <= 4 for size in run.ordered)
    for before, after in zip(run.actions, run.actions[1:], strict=False):
        # W2: a growth waits only after growths, a shrinking after both.
        if (before["direction"], after["direction"]) != ("down", "up"):
            assert after["started"] >= before["finished"] + cooldown


@pytest.mark.parametrize(
    ("keys", "demand", "expected"),
    [
        # Two intervals above 70 % are 120 s from the first sample to the third.
        ({"rules": [CPU]}, [50, 90, 90, 90, 90], ["unproven", "unproven", "unproven", "calm", "grows"]),
        ({"rules": [CPU]}, [10] * 5, ["unproven"] * 3 + ["calm"] * 2),
        ({"rules": [CPU], "max": 1}, [90] * 5, ["unproven"] * 3 + ["maximum"] * 2),
        (
            {"rules": [{**CPU, "duration": 0}]},
            [90, 190, 190, 190, 190, 190],
            ["unproven", "grows", "cooldown", "cooldown", "cooldown", "cooldown"],
        ),
        (
            {"rules": [CPU], "guards": [{"metric": "cpu", "condition": "gt", "threshold": 80}]},
            [90] * 5,
            ["unproven"] * 3 + ["guard"] * 2,
        ),
    ],
    ids=["grows", "calm", "maximum", "cooldown", "guard"],
)
def test_each_step_says_what_it_came_to(keys, demand, expected):
    candidate = Candidate(parsed(**keys))
    simulate(trace(*demand), candidate, SETUP)
    assert candidate.said == expected


def test_an_action_that_runs_is_said_and_holds():
    candidate = Candidate(parsed(rules=[{**CPU, "duration": 0}]))
    run = simulate(trace(*[90] * 6), candidate, Setup(100.0, 1, 6, starts_in=180.0))
    assert candidate.said[1:5] == ["grows", "running", "running", "cooldown"]
    assert len(run.actions) == 1


def test_a_cycle_decides_less_often():
    candidate = Candidate(parsed(rules=[{**CPU, "duration": 0}]), cycle=180.0)
    run = simulate(trace(*[90] * 7), candidate, SETUP)
    assert [word == "waits" for word in candidate.said[:4]] == [False, True, True, False]
    assert [action["started"] - START for action in run.actions] == [180.0]


def test_it_tells_who_asked_and_what_it_saw():
    candidate = Candidate(parsed(rules=[CPU]))
    simulate(trace(50, 90, 90, 90, 90), candidate, SETUP)
    assert len(candidate.asked) == 1
    at, asked = next(iter(candidate.asked.items()))
    assert (at - START, asked.by) == (240.0, "rule cpu > 70")
    assert asked.why.startswith("cpu 90 % a server (90 % to 90 % in 120 s; 3 samples of 1 of 1 members)")


def test_a_member_that_comes_back_has_no_readings_of_the_past():
    """Member 2 goes and comes; until its first sample it is silent, and its earlier ones are not its own."""
    seen = []

    class Spy(Candidate):
        def __call__(self, now, readings, pool, history):
            super().__call__(now, readings, pool, history)
            seen.append(self._readings.newest("member2", now))
            return {0: 2, 180: 1, 240: 2}.get(round(now - START))

    simulate(trace(*[10] * 8), Spy(parsed(rules=[CPU])), SETUP)
    since = [None if at is None else at - START for at in seen]
    assert since == [None, None, 120.0, 180.0, None, None, 360.0, 420.0]


def test_a_long_simulation_keeps_the_horizon_only():
    candidate = Candidate(parsed(rules=[CPU], interval=10, dead_after=300))
    simulate(trace(*[10] * 2001, interval=10.0), candidate, SETUP)
    times = candidate._readings.times("member1", 0, START + 1e6)
    # 300 + 3 * 10 seconds before the last time at which old ones were dropped, which was 2000 samples in.
    assert times[0] - START == 20000 - 330


@pytest.mark.parametrize(
    ("keys", "size", "starts_in", "expected"),
    [
        # Samples from 0 to 60, 60 to 120 and 120 to 180 breach; windows of 120 s hold three of them: 180 s. Then 60 s
        # until it serves.
        ({"rules": [CPU]}, 1, 60.0, 240.0),
        ({"rules": [{**CPU, "duration": 0}]}, 1, 60.0, 120.0),
        ({"rules": [{**CPU, "duration": 0}]}, 1, 0.0, 60.0),
        # One more each 300 s after the one before serves: 60 + 60, then 300 + 60.
        ({"rules": [{**CPU, "duration": 0}]}, 2, 60.0, 120.0 + 360.0),
        ({"rules": [{**CPU, "up": {"step": 2}, "duration": 0}]}, 2, 60.0, 120.0),
        ({"rules": [{**CPU, "up": False}]}, 2, 60.0, None),
        # A schedule and bounds of its own do not matter.
        ({"rules": [{**CPU, "duration": 0}], "max": 1, "min": 1}, 1, 60.0, 120.0),
    ],
    ids=["windows", "at-once", "no-start", "cooldown", "step", "never", "bounds"],
)
def test_how_long_a_pool_takes_to_double(keys, size, starts_in, expected):
    def make(low, high):
        return Candidate(parsed(**{**keys, "min": low, "max": high}))

    assert doubling(make, size, Setup(100.0, 1, 1, starts_in=starts_in), 60.0) == expected


def test_how_long_the_hpa_takes_to_double():
    # Of 2 at 100 %, ceil(2 * 100 / 70) = 3 at 60 s, of which the third serves at 120 s; at 180 s, 3 have 100 % of what
    # 4 could carry: ceil(3 * 100 / 70) = 5, at most 4, which serve at 240 s.
    assert doubling(lambda low, high: PodAutoscaler(70, low, high), 2, SETUP, 60.0) == 240.0
