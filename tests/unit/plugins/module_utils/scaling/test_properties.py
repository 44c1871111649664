# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds of every decision, whatever is measured: bounds, cooldowns, data before actions, and no chance."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.decide import look_at
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import Action, History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.pool import Member, Pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import decide_on, read

from .world import CPU, NOW, action, decision, policy_of, pool_of

POLICY = policy_of(
    min=2,
    max=6,
    rules=[{**CPU, "up": {"step": 1, "cooldown": 300}, "down": {"step": 2, "cooldown": 600}}],
    triggers=[
        {"metric": "cpu", "condition": "gt", "threshold": 85, "duration": 30, "action": "scale_up", "step": 2},
        {"metric": "cpu", "condition": "lt", "threshold": 20, "duration": 60, "action": "scale_down"},
    ],
    targets=[{"metric": "cpu", "target": 60}],
)
COOLDOWNS = {"up": 300.0, "down": 600.0}
LOADS = st.lists(st.sampled_from([0, 10, 60, 120, 200, 280, 400, 600]), min_size=5, max_size=40)


def simulated(loads, drop=0.0, failing=0.0, seed=0):
    """A pool under a load that changes each two minutes; the actions that decisions led to, and when each was taken."""
    chance = random.Random(seed)
    policy, _pool = read(POLICY, pool_of(), NOW)
    readings, actions = Readings(), []
    since = {f"s{number}": NOW - 3600 for number in range(3)}
    for tick in range(len(loads) * 8):
        now = NOW + tick * 15
        for name in since:
            if chance.random() >= drop:
                readings.put(name, now, {"cpu": min(100.0, loads[tick // 8] / len(since))})
        pool = Pool(len(since), tuple(Member(name, since=at) for name, at in since.items()))
        look, _voices, choice = look_at(policy, readings, pool, History(actions), now)
        if choice.outcome != "scale":
            continue
        outcome = "failed" if choice.direction == "up" and chance.random() < failing else "succeeded"
        actions.append(Action(choice.direction, choice.before, choice.after, now, now, outcome))
        yield look, choice, actions[-1]
        if outcome == "succeeded":
            for number in range(choice.join):
                since[f"s{tick}-{number}"] = now
            for name in list(since)[: choice.leave]:
                del since[name]


@settings(max_examples=25)
@given(LOADS, st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.5]), st.integers(0, 9))
def test_no_decision_breaks_its_limits(loads, drop, failing, seed):
    done = []
    for look, choice, taken in simulated(loads, drop, failing, seed):
        # A1: never outside the bounds.
        assert 2 <= choice.after <= 6
        # No action without the data to justify it.
        voice = choice.winner
        assert voice.evidence.means is not None
        assert look.now - voice.evidence.means.at <= 30
        if choice.direction == "down":
            assert voice.evidence.is_complete
            assert len(voice.evidence.spans) == choice.before
            # W4: the same load fits on those that remain, or the pool would grow again.
            assert voice.evidence.means.newest * choice.before / choice.after < 70
        else:
            assert 2 * (len(voice.evidence.spans) + voice.evidence.reached) > voice.evidence.warm
        # W2: never two actions within a cooldown. A failed growth starts the back-off instead.
        for before in done:
            waits = before.direction == "up" or choice.direction == "down"
            if choice.direction == "up" and before.outcome == "failed":
                assert taken.started - before.finished >= 30
            elif waits:
                assert taken.started - before.finished >= COOLDOWNS[choice.direction]
        done.append(taken)


@settings(max_examples=10)
@given(LOADS, st.integers(0, 3))
def test_a_simulation_is_deterministic(loads, seed):
    runs = [[taken for _look, _choice, taken in simulated(loads, 0.1, 0.3, seed)] for _run in range(2)]
    assert runs[0] == runs[1]


VALUES = st.one_of(st.integers(0, 100), st.floats(0, 100), st.sampled_from([70, 70.0, 80, float("nan"), -1, True, "9"]))
READING = st.fixed_dictionaries(
    {
        "instance": st.sampled_from("abcx"),
        "at": st.integers(-6, 330).map(lambda age: NOW - age),
        "values": st.dictionaries(st.sampled_from(["cpu", "memory", "requests", "application", "?"]), VALUES),
    }
)


@settings(max_examples=60)
@given(st.lists(READING, max_size=60), st.randoms(use_true_random=False))
def test_order_and_duplicates_change_nothing(readings, chance):
    """B5: also for members that are measured at different times."""
    again = [*readings, *readings[: len(readings) // 2]]
    chance.shuffle(again)
    policy = policy_of(rules=[CPU, {"metric": "application", "threshold": 50}], alerts=None)
    assert decision(policy, readings).document() == decision(policy, again).document()


@settings(max_examples=40)
@given(
    st.lists(st.one_of(READING, st.none(), st.text(), st.dictionaries(st.text(), st.none())), max_size=30),
    st.lists(st.one_of(st.just(action()), st.none(), st.dictionaries(st.text(), st.integers()))),
)
def test_no_garbage_is_an_error(readings, history):
    """A store full of garbage, and a history that is: a decision all the same."""
    found = decision(readings=readings, history=history)
    assert (found.choice.outcome == "hold") >= (len(history) > history.count(action()))
    assert found.told()


@pytest.mark.parametrize("every", [1, 7, 15])
def test_members_that_are_measured_at_different_times(every):
    """J1: the mean at each instant, by a plain reckoning."""
    chance = random.Random(every)
    series = {
        name: {NOW - age - offset: float(chance.randint(0, 100)) for age in range(0, 330, every)}
        for offset, name in enumerate("abc")
    }
    readings = [
        {"instance": name, "at": at, "values": {"cpu": cpu}} for name, own in series.items() for at, cpu in own.items()
    ]
    found = decision(policy_of(rules=[{**CPU, "duration": 300}]), readings).voices[0].evidence.means
    start = NOW - 300
    instants = [start, *sorted({at for own in series.values() for at in own if at > start})]
    plain = [sum(own[max(one for one in own if one <= at)] for own in series.values()) / 3 for at in instants]
    assert found.instants == len(instants)
    assert (found.low, found.high, found.newest) == (
        pytest.approx(min(plain)),
        pytest.approx(max(plain)),
        pytest.approx(plain[-1]),
    )


def test_a_simulation_may_share_one_series():
    """A load that is spread evenly needs one series, and gives the same decision."""
    readings, shared = Readings(), Readings()
    for name in "bc":
        shared.follow(name, "a")
    for age in range(300, -1, -15):
        shared.put("a", NOW - age, {"cpu": 80})
        for name in "abc":
            readings.put(name, NOW - age, {"cpu": 80})
    policy, pool = read(policy_of(), pool_of(), NOW)
    documents = [decide_on(policy, one, pool, History(), NOW).document() for one in (readings, shared)]
    assert documents[0] == documents[1]
    assert documents[0]["to"] == 4


@settings(max_examples=50)
@given(
    st.lists(st.one_of(st.floats(), st.floats(1e200, 1.7e308), st.integers(2**1000)), min_size=3, max_size=3),
    st.sampled_from(["server", "total"]),
)
def test_no_number_is_too_large_for_a_decision(values, scope):
    """J3: what no server does is garbage, also where members are measured at different times and their sum counts."""
    policy = policy_of(
        rules=[{"metric": "requests", "threshold": 1, "scope": scope}], targets=[{"metric": "requests", "target": 1e-9}]
    )
    readings = [
        {"instance": name, "at": NOW - age - late, "values": {"requests": value}}
        for late, (name, value) in enumerate(zip("abc", values, strict=True))
        for age in range(0, 300, 15)
    ]
    choice = decision(policy, readings).choice
    sound = [value for value in values if 0 <= value <= 1e15]
    assert choice.after <= 10
    # Two that are reached and silent count as breaching like the third; a sum is none without them (B2).
    assert choice.outcome != "scale" or len(sound) > (scope == "total")
