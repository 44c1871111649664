# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Numbers with units: what a server accepts, stores and shows, and properties that hold for all of them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils import units

MEMORY = ["B", "kB", "8kB", "16MB", "MB"]
TIME = ["ms", "s", "min"]
INTEGERS = st.integers(*units.INTEGER_RANGE)


@pytest.mark.parametrize(
    ("text", "unit", "stored"),
    [
        ("4GB", "kB", 4 * 1024**2),
        ("4096MB", "kB", 4 * 1024**2),
        ("128MB", "8kB", 16384),
        ("5min", "ms", 300_000),
        ("300s", "ms", 300_000),
        ("1d", "min", 1440),
        # A fraction goes to the next smaller unit first: 30.1 GB are 30822 MB and not 31561728.4 kB.
        ("30.1GB", "kB", 30822 * 1024),
        ("0.5", None, 0),
        ("1.5", None, 2),
        ("0777", None, 0o777),
        ("0x10kB", "kB", 16),
        (" 7 MB ", "kB", 7168),
        ("-1", "kB", -1),
    ],
)
def test_integer(text, unit, stored):
    assert units.parse_integer(text, unit) == stored


@pytest.mark.parametrize(
    ("text", "unit", "reason"),
    [
        ("", "kB", "is not a number"),
        ("much", "kB", "is not a number"),
        ("4gb", "kB", "valid units are B, kB, MB, GB, TB"),
        ("5 m", "s", "valid units are us, ms, s, min, h, d"),
        ("5s", "kB", "unknown unit"),
        ("08", None, "no"),
        ("10MB", None, "where none is allowed"),
        ("4TB", "B", "does not fit in 32 bits"),
    ],
)
def test_not_an_integer(text, unit, reason):
    with pytest.raises(units.BadNumber, match=reason):
        units.parse_integer(text, unit)


@pytest.mark.parametrize(
    ("text", "unit", "stored"),
    [("0.9", None, 0.9), ("2", "ms", 2.0), ("500us", "ms", 0.5), ("1e-3", None, 0.001), ("0x10", None, 16.0)],
)
def test_real(text, unit, stored):
    assert units.parse_real(text, unit) == stored


@pytest.mark.parametrize("text", ["1e309", "-1.8e308", "1e400s", "0x1p2000"])
def test_a_real_that_no_float_holds(text):
    with pytest.raises(units.BadNumber, match="out of range"):
        units.parse_real(text, "ms")


@given(value=INTEGERS, unit=st.sampled_from([*MEMORY, *TIME, None]))
def test_what_is_shown_is_read_as_what_is_stored(value, unit):
    assert units.parse_integer(units.show(value, unit), unit) == value


@given(value=st.floats(0, 1e6, allow_nan=False), unit=st.sampled_from(["ms", None]))
def test_a_shown_real_keeps_six_digits(value, unit):
    assert units.parse_real(units.show(value, unit), unit) == pytest.approx(value, rel=1e-5)


@given(value=st.integers(-(2**15), 2**15), units_=st.sampled_from([MEMORY, TIME]), data=st.data())
def test_a_value_means_the_same_in_its_own_unit_and_in_a_smaller_one(value, units_, data):
    base = data.draw(st.sampled_from(units_))
    names = units.units_of(base)
    bigger = data.draw(st.sampled_from(names[1:]))
    smaller = names[names.index(bigger) - 1]
    factor = units.parse_real(f"1{bigger}", smaller)
    assert units.parse_real(f"{value}{bigger}", base) == units.parse_real(f"{value * factor}{smaller}", base)


@given(first=INTEGERS, second=INTEGERS, unit=st.sampled_from([*MEMORY, *TIME]))
def test_order_is_kept(first, second, unit):
    smallest = units.units_of(unit)[0]
    low, high = (units.parse_real(f"{value}{smallest}", unit) for value in sorted((first, second)))
    assert low <= high


@given(text=st.text(max_size=12), unit=st.sampled_from([*MEMORY, *TIME, None]))
def test_any_text_is_a_number_or_refused(text, unit):
    for parse in (units.parse_integer, units.parse_real):
        with contextlib.suppress(units.BadNumber):
            parse(text, unit)
