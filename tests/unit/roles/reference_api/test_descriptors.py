# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fault H3: running out of file descriptors does not spin the log."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[4] / "roles" / "reference_api" / "files"))

from reference_api.descriptors import INTERVAL, Seldom

NOW = 1000.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        pytest.param([0.0], [1], id="first"),
        pytest.param([0.0, 0.0, INTERVAL - 0.1], [1, 0, 0], id="too-early"),
        pytest.param([0.0, 1.0, 2.0, INTERVAL, INTERVAL + 1, 2 * INTERVAL], [1, 0, 0, 3, 0, 2], id="counted-meanwhile"),
        pytest.param([0.0, 100.0], [1, 1], id="seldom-by-itself"),
    ],
)
def test_h3_what_happens_often_is_said_seldom(seconds: list[float], said: list[int]) -> None:
    seldom = Seldom()
    assert [seldom.count(NOW + second) for second in seconds] == said
