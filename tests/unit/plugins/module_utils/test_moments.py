# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Times in documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils import moments

NOW = 1772366400.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01T12:00:00Z", NOW),
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-03-01 12:00:00", None),
        ("2026-02-30T12:00:00Z", None),
        ("", None),
        (None, None),
        (1772366400, None),
    ],
)
def test_what_is_no_time_is_none(value, expected):
    assert moments.seconds(value) == expected


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_a_time_comes_back_as_it_was_written(moment):
    assert moments.seconds(moments.text(moment)) == moment


@pytest.mark.parametrize("value", [1, 0.5, NOW, moments.LAST])
def test_times(value):
    assert moments.is_time(value)


@pytest.mark.parametrize("value", [0, -1, True, False, None, "1", [], float("nan"), float("inf"), 10**400, 1000 * NOW])
def test_what_is_no_time(value):
    assert not moments.is_time(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NOW, "2026-03-01 12:00:00 UTC"),
        (0, "1970-01-01 00:00:00 UTC"),
        (1e20, "1e+20 s after 1970"),
        (float("inf"), "inf s after 1970"),
    ],
)
def test_any_number_is_shown(value, text):
    assert moments.shown(value) == text
