# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The scores, by tables that are computed by hand, and what holds for all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.replay import scores
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import Setup, simulate
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import Trace

PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60)

# demand and supply; under, over; theta_u, theta_o; tau_u, tau_o; upsilon. Each sum is written as it was added up.
TABLE = {
    "perfect": ([2, 3, 2, 4], [2, 3, 2, 4], 0, 0, 0, 0, 0, 0, 0),
    "always-one-short": ([2, 2, 4, 4], [1, 1, 3, 3], 4 / 4, 0, 25 * (0.5 + 0.5 + 0.25 + 0.25), 0, 100, 0, 0),
    "always-one-too-many": ([1, 1, 3, 3], [2, 2, 4, 4], 0, 4 / 4, 0, 25 * (1 + 1 + 1 / 3 + 1 / 3), 0, 100, 0),
    # One step late: short by 2 of 4 at the third step, 2 too many for 2 at the fifth. Moves of the demand: 0 + 0 - 0;
    # of the supply: 0 0 + 0 -. They differ at four of five.
    "one-step-late": (
        [2, 2, 4, 4, 2, 2],
        [2, 2, 2, 4, 4, 2],
        2 / 6,
        2 / 6,
        100 / 6 * (2 / 4),
        100 / 6 * (2 / 2),
        100 / 6,
        100 / 6,
        100 / 5 * 4,
    ),
    # Both move at each step, and never alike.
    "opposed": ([1, 2, 1], [2, 1, 2], 1 / 3, 2 / 3, 100 / 3 * 0.5, 100 / 3 * (1 + 1), 100 / 3, 200 / 3, 100),
    # Twice what is needed is 100 per cent too many; three times, 200.
    "twice": ([3, 3], [6, 9], 0, (3 + 6) / 2, 0, (100 + 200) / 2, 0, 100, 100),
    # Nothing is needed, and both of two members are too many, relative to the one that a pool has to have.
    "no-demand": ([0, 0], [2, 2], 0, 2, 0, 200, 0, 100, 0),
    "no-supply": ([2, 2], [0, 0], 2, 0, 100, 0, 100, 0, 0),
    # The series of the tests of BUNGEE, one step a millisecond, with what it has for them: 13/20 missing, 16/20 too
    # many, for 6/20 and 8/20 of the time. Relative to the demand: missing 2 of 5 twice, 3 of 5 twice, 1 of 3, 2 of 4.
    "bungee": (
        [1] * 7 + [5] * 9 + [3] + [2] * 2 + [4],
        [1, 1, 2, 1, 1, 3, 3, 3, 3, 7, 7, 6, 8, 8, 2, 2, 2, 2, 2, 2],
        13 / 20,
        16 / 20,
        100 / 20 * (2 * 2 / 5 + 2 * 3 / 5 + 1 / 3 + 2 / 4),
        100 / 20 * (1 + 2 * 2 + 2 * 2 / 5 + 1 / 5 + 2 * 3 / 5),
        100 / 20 * 6,
        100 / 20 * 8,
        100 / 19 * 11,
    ),
    "one-step": ([3], [2], 1, 0, 100 / 3, 0, 100, 0, 0),
    "nothing": ([], [], 0, 0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize(
    ("demand", "supply", "under", "over", "theta_u", "theta_o", "tau_u", "tau_o", "upsilon"), TABLE.values(), ids=TABLE
)
def test_the_table(demand, supply, under, over, theta_u, theta_o, tau_u, tau_o, upsilon):
    assert scores.under(demand, supply) == pytest.approx(under)
    assert scores.over(demand, supply) == pytest.approx(over)
    assert scores.theta_u(demand, supply) == pytest.approx(theta_u)
    assert scores.theta_o(demand, supply) == pytest.approx(theta_o)
    assert scores.tau_u(demand, supply) == pytest.approx(tau_u)
    assert scores.tau_o(demand, supply) == pytest.approx(tau_o)
    assert scores.upsilon(demand, supply) == pytest.approx(upsilon)


@given(st.lists(st.integers(0, 30), max_size=60))
def test_a_perfect_supply_scores_zero(demand):
    for name in ("under", "over", "theta_u", "theta_o", "tau_u", "tau_o", "upsilon"):
        assert getattr(scores, name)(demand, demand) == 0
    assert scores.breaches(demand, demand) == []


@given(PAIRS)
def test_demand_and_supply_swapped_swap_under_and_over(pairs):
    one, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for under, over in (("under", "over"), ("tau_u", "tau_o")):
        assert getattr(scores, under)(one, other) == pytest.approx(getattr(scores, over)(other, one))
    assert scores.upsilon(one, other) == pytest.approx(scores.upsilon(other, one))


@given(PAIRS)
def test_shares_are_shares(pairs):
    demand, supply = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for name in ("theta_u", "tau_u", "tau_o", "upsilon"):
        assert 0 <= getattr(scores, name)(demand, supply) <= 100 + 1e-9
    # What is too much is relative to the demand, where the members that are too many are at least one each.
    assert 0 <= scores.theta_o(demand, supply) <= 100 * scores.over(demand, supply) + 1e-9
    assert scores.tau_u(demand, supply) + scores.tau_o(demand, supply) <= 100 + 1e-9
    # The mean of the difference is what is missing less what is too many.
    if pairs:
        difference = sum(demand) / len(demand) - sum(supply) / len(supply)
        assert scores.under(demand, supply) - scores.over(demand, supply) == pytest.approx(difference, abs=1e-9)


@pytest.mark.parametrize(
    ("demand", "supply", "expected"),
    [
        ([1, 1], [1, 2], []),
        ([2, 2, 1, 3], [1, 1, 1, 1], [2, 1]),
        ([2, 2], [1, 1], [2]),
        ([], [], []),
    ],
)
def test_breaches_are_stretches(demand, supply, expected):
    assert scores.breaches(demand, supply) == expected


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([], 0),
        ([("up", 0), ("up", 60)], 0),
        ([("up", 0), ("down", 3600)], 1),
        ([("up", 0), ("down", 3601)], 0),
        ([("up", 0), ("down", 600), ("up", 1200), ("up", 1260), ("down", 1800)], 3),
    ],
)
def test_flaps_turn_back_within_an_hour(actions, expected):
    assert scores.flaps([{"direction": way, "started": at} for way, at in actions]) == expected


def test_a_run_is_scored_as_a_whole():
    sizes = iter([None, 3, None, 2])
    trace = Trace(0.0, 60.0, (100.0, 250.0, 250.0, 150.0, 150.0))
    run = simulate(trace, lambda *_seen: next(sizes, None), Setup(100.0, 1, 5, starts_in=60.0))
    # needed 1 3 3 2 2, serving 1 1 3 2 2, ordered 1 3 3 2 2: 150 of 250 requests a second refused for one minute.
    found = scores.score(run)
    assert found.under == pytest.approx(2 / 5)
    assert found.over == 0
    assert found.theta_u == pytest.approx(20 * 2 / 3)
    assert (found.tau_u, found.tau_o) == (20, 0)
    # The demand moves + 0 - 0, the supply 0 + - 0.
    assert found.upsilon == 50
    assert found.member_hours == pytest.approx(11 / 60)
    assert (found.actions, found.flaps, found.breaches, found.longest_breach) == (2, 1, 1, 60)
    assert found.refused == pytest.approx(100 * 150 / 900)


def test_the_instability_does_not_depend_on_the_sync():
    trace = Trace(0.0, 60.0, (100.0, 250.0, 50.0, 250.0, 90.0, 90.0))
    runs = [simulate(trace, lambda *_seen: None, Setup(100.0, 2, 5, sync=sync)) for sync in (60.0, 15.0)]
    assert scores.score(runs[0]) == scores.score(runs[1])


def test_no_requests_are_no_refused_ones():
    run = simulate(Trace(0.0, 60.0, (0.0, 0.0)), lambda *_seen: None, Setup(100.0, 1, 5))
    assert (scores.score(run).refused, scores.score(run).theta_o) == (0, 100)
