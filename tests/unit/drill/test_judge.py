# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a round of the drill comes to, by what its client noted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drill.judge import Attempt, Outcome, judge, percentile

OK, NO, MAYBE = Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.UNKNOWN


def attempt(number, ended, outcome=OK, timeline=1, pooler="a", sent=None):
    sent = ended - 0.1 if sent is None else sent
    return Attempt(number, pooler, sent, sent, ended, outcome, timeline if outcome is OK else 0)


def told(*attempts, rows=None, **more):
    ids = {each.id for each in attempts}
    return judge(attempts, {"vm1": ids, "vm2": ids} if rows is None else rows, "vm1", **more)


def test_a_quiet_round():
    found = told(*(attempt(number, number * 1.0) for number in range(1, 6)))
    assert found.is_right
    assert (found.attempts, found.acknowledged, found.refused, found.unknown) == (5, 5, 0, 0)
    assert found.gap == pytest.approx(1.0)
    assert found.timelines == (1,)


@pytest.mark.parametrize(
    ("rows", "lost", "differing"),
    [
        ({"vm1": {1, 2}, "vm2": {1, 2}}, (), ()),
        ({"vm1": {1}, "vm2": {1}}, (2,), ()),
        ({"vm1": {1, 2}, "vm2": {1}}, (), ("vm2",)),
        # What no one was told of may be there or not, but on all members alike.
        ({"vm1": {1, 2, 3}, "vm2": {1, 2, 3}}, (), ()),
        ({"vm1": {1, 2}, "vm2": {1, 2, 3}}, (), ("vm2",)),
    ],
)
def test_acknowledged_rows_are_on_every_member(rows, lost, differing):
    found = told(attempt(1, 1), attempt(2, 2), attempt(3, 3, MAYBE), rows=rows)
    assert (found.lost, found.differing) == (lost, differing)
    assert found.is_right is not bool(lost or differing)


def test_a_row_that_was_seen_and_is_gone():
    rows = {"vm1": {1}, "vm2": {1}}
    found = told(attempt(1, 1), attempt(2, 2, MAYBE), rows=rows, sightings=[1, 2])
    assert (found.vanished, found.lost, found.is_right) == ((2,), (), False)


@pytest.mark.parametrize(
    ("sent", "late"),
    [
        # Taken by the former leader in time, answered late.
        (4.9, ()),
        (5.1, (3,)),
    ],
)
def test_two_leaders_are_told_by_the_timeline_of_what_was_sent_later(sent, late):
    found = told(attempt(1, 1), attempt(2, 5, timeline=2), attempt(3, 9, timeline=1, sent=sent))
    assert (found.two_leaders, found.timelines) == (late, (1, 2))


def test_the_gap_is_that_of_the_worst_pooler_whose_host_stayed():
    attempts = [attempt(number, number * 1.0, pooler="a") for number in range(1, 11)]
    attempts += [attempt(20 + number, number * 1.0, pooler="b") for number in (1, 2, 7, 10)]
    attempts += [attempt(40 + number, number * 1.0, NO, pooler="c") for number in range(1, 11)]
    assert told(*attempts, spared=["a"]).gap == pytest.approx(1.0)
    assert told(*attempts, spared=["a", "b"]).gap == pytest.approx(5.0)
    # A pooler through which nothing was ever acknowledged was silent all the time.
    assert told(*attempts).gap == pytest.approx(9.0)


def test_a_write_that_was_tried_again_counts_once():
    found = told(attempt(1, 1, MAYBE), attempt(1, 2), attempt(2, 2, NO), attempt(2, 3))
    assert found.is_right
    assert (found.unknown, found.refused, found.acknowledged) == (1, 1, 2)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from(Outcome), st.integers(1, 3)), max_size=60),
    st.sets(st.integers(1, 30)),
)
def test_lost_is_what_was_acknowledged_and_is_gone(tried, there):
    attempts = [attempt(number, at * 1.0, outcome, timeline) for at, (number, outcome, timeline) in enumerate(tried, 1)]
    found = judge(attempts, {"vm1": there}, "vm1")
    acknowledged = {number for number, outcome, _timeline in tried if outcome is OK}
    assert set(found.lost) == acknowledged - there
    assert found.acknowledged + found.refused + found.unknown == len(tried)
    assert found.gap <= len(tried)


@pytest.mark.parametrize(("values", "percent", "expected"), [([], 99, 0.0), ([3, 1, 2], 50, 2), ([3, 1, 2], 100, 3)])
def test_percentiles(values, percent, expected):
    assert percentile(values, percent) == expected
