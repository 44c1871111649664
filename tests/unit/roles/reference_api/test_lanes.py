# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fault C5: a database that hangs delays no other."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[4] / "roles" / "reference_api" / "files"))

from reference_api.worker.lanes import BATCH, PATIENCE, Lane

NOW = 1000.0


def lane_with(number: int, **options: bool) -> Lane[int]:
    lane: Lane[int] = Lane(**options)
    for item in range(number):
        lane.add(item)
    return lane


@pytest.mark.parametrize(
    ("failed", "seconds", "patient", "given_up"),
    [
        pytest.param(False, 0.0, False, False, id="just-begun"),
        pytest.param(False, PATIENCE - 0.1, False, False, id="takes-its-time"),
        pytest.param(False, PATIENCE, False, True, id="takes-too-long"),
        pytest.param(True, 0.0, False, True, id="failed-before"),
        pytest.param(False, 100.0, True, False, id="nothing-brings-it-again"),
        pytest.param(True, 100.0, True, False, id="nothing-brings-it-again-after-a-failure"),
    ],
)
def test_c5_what_waits_behind_a_batch(failed: bool, seconds: float, patient: bool, given_up: bool) -> None:
    lane = lane_with(1, patient=patient)
    assert lane.take(NOW) == [0]
    if failed:
        lane.ended(stored=False)
        lane.add(0)
        assert lane.take(NOW) == [0]
    lane.add(7)
    assert lane.give_up(NOW + seconds) == ([7] if given_up else [])
    assert lane.give_up(NOW + seconds) == []
    lane.ended(stored=True)
    assert lane.take(NOW + seconds) == ([] if given_up else [7])


def test_c5_an_idle_lane_gives_up_nothing() -> None:
    assert lane_with(3).give_up(NOW) == []


def test_c5_a_lane_that_failed_is_tried_with_one_at_a_time() -> None:
    lane = lane_with(BATCH + 50)
    assert lane.take(NOW) == list(range(BATCH))
    assert lane.ended(stored=False)
    assert lane.take(NOW) == [BATCH]
    assert not lane.ended(stored=False)
    assert lane.take(NOW) == [BATCH + 1]
    assert lane.ended(stored=True)
    assert len(lane.take(NOW)) == 48
    assert not lane.ended(stored=True)


def test_c5_a_lane_is_kept_while_it_means_something() -> None:
    lane = lane_with(1)
    assert not lane.forgettable
    lane.take(NOW)
    assert (lane.busy, lane.forgettable) == (True, False)
    lane.ended(stored=False)
    assert lane.take(NOW) == []
    assert (lane.busy, lane.forgettable) == (False, False)
    lane.ended(stored=True)
    assert lane.forgettable
