# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fault L7: a process that was itself late does not count the silence against a server."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[4] / "roles" / "reference_api" / "files"))

from reference_api.lateness import LATELY, MOST_EXTRA, TICK, Lateness, Silence

ON_TIME = [TICK] * 10


def beating(gaps: list[float], start: float = 1000.0) -> tuple[Lateness, float]:
    """A loop that came round after each of these gaps, and the time of the last beat."""
    lateness, now = Lateness(), start
    lateness.beat(now)
    for gap in gaps:
        now += gap
        lateness.beat(now)
    return lateness, now


@pytest.mark.parametrize(
    ("gaps", "since", "lost"),
    [
        pytest.param(ON_TIME, 1.0, 0.0, id="on-time"),
        pytest.param([0.14] * 10, 1.4, 0.0, id="a-little-late-is-on-time"),
        pytest.param([*ON_TIME, 3.1], 4.1, 3.0, id="one-stall"),
        pytest.param([3.1, *ON_TIME], 4.1, 3.0, id="before-the-end"),
        pytest.param([3.1, *ON_TIME], 0.9, 0.0, id="before-the-question"),
        pytest.param([2.1, *ON_TIME], 2.1, 1.0, id="only-what-lies-within"),
        pytest.param([0.6] * 5, 3.0, 2.5, id="again-and-again"),
    ],
)
def test_l7_time_that_a_process_was_away(gaps: list[float], since: float, lost: float) -> None:
    lateness, now = beating(gaps)
    assert lateness.lost(now - since, now) == pytest.approx(lost)


def test_l7_a_gap_counts_before_the_beat_that_ends_it() -> None:
    """A timer that is due may be served before the beat is."""
    lateness, now = beating(ON_TIME)
    assert lateness.lost(now - 1, now + 2.1) == pytest.approx(2.0)


def test_l7_doubt_passes() -> None:
    lateness, now = beating([*ON_TIME, 1.1])
    assert lateness.in_doubt(now)
    for _beat in range(round(LATELY / TICK) + 1):
        now += TICK
        lateness.beat(now)
    assert not lateness.in_doubt(now)
    assert lateness.total == pytest.approx(1.0)


def test_l7_a_deadline_is_put_off_by_the_time_away_and_not_for_ever() -> None:
    lateness, now = beating([*ON_TIME, 1.1, 0.6])
    since = now - 2.7
    assert lateness.put_off(since + 2, since, now) == pytest.approx(since + 3.5)
    lateness, now = beating([60.0])
    assert lateness.put_off(now, now - 60, now) == pytest.approx(now + MOST_EXTRA)


def test_l7_a_process_that_has_not_begun_was_not_late() -> None:
    assert Lateness().lost(0.0, 1000.0) == 0.0


@pytest.mark.parametrize(
    ("answers", "down"),
    [
        pytest.param([(1.0, 0.0)], False, id="a-moment"),
        pytest.param([(1.0, 0.0), (1.0, 0.0)], True, id="silent"),
        pytest.param([(1.0, 0.05), (1.0, 0.05)], True, id="silent-to-a-process-that-was-barely-late"),
        pytest.param([(4.0, 3.9)] * 10, False, id="silent-to-a-process-that-was-away"),
        pytest.param([(1.0, 0.5)] * 3, False, id="not-yet"),
        pytest.param([(1.0, 0.5)] * 4, True, id="silent-to-a-process-that-is-late-all-the-time"),
        pytest.param([(1.0, 0.0), None, (1.0, 0.0)], False, id="an-answer-between"),
        pytest.param([(1.0, 5.0), (1.0, 0.0)], False, id="no-credit"),
    ],
)
def test_l7_when_a_server_is_down(answers: list[tuple[float, float] | None], down: bool) -> None:
    silence, judged = Silence(1.8), False
    for answer in answers:
        if answer is None:
            silence.broken()
        else:
            judged = silence.add(*answer)
    assert judged is down
