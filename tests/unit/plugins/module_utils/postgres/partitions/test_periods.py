# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How time and numbers are divided: without gap or overlap, in any zone and at any moment."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import periods
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Amount, Grid

# Zones that put the clock back over midnight, skip midnight, skip a day, or change by half an hour.
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia",
    "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca",
]  # fmt: skip
INTERVALS = ["15 minutes", "hour", "6 hours", "day", "10 days", "week", "month", "quarter", "6 months", "year"]
TIMES = ["timestamptz", "timestamp", "date", "epoch_seconds", "epoch_milliseconds", "epoch_nanoseconds", "uuidv7"]
#: From 1971 to 2037: zones are predictable there.
INSTANTS = st.integers(31_536_000_000_000, 2_114_380_800_000_000)


def grid(kind, interval, zone="UTC"):
    return Grid(Axis(kind), Amount.of("interval", interval).in_days(), zoneinfo.ZoneInfo(zone))


@settings(max_examples=150)
@given(st.sampled_from(TIMES), st.sampled_from(INTERVALS), st.sampled_from(ZONES), INSTANTS)
def test_periods_have_neither_gap_nor_overlap(kind, interval, zone, instant):
    if kind == "date" and ("hour" in interval or "minute" in interval):
        return
    one = grid(kind, interval, zone)
    now = one.now(instant)
    current = one.containing(now)
    assert current.lower <= now < current.upper
    last = current
    for _step in range(15):
        following = one.after(last)
        assert following.lower == last.upper
        assert following.upper > following.lower
        assert one.before(following) == last
        assert one.containing(following.lower) == following
        assert one.containing(following.upper - 1) == following
        last = following


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**9))
def test_numbers_have_neither_gap_nor_overlap(number, step):
    one = grid("number", str(step))
    current = one.containing(number)
    assert current.lower <= number < current.upper
    assert current.upper - current.lower == step
    assert one.after(current).lower == current.upper


@settings(max_examples=150)
@given(st.sampled_from(ZONES), INSTANTS, st.integers(0, 10_000_000_000))
def test_instants_rise_with_the_wall_clock(zone, instant, step):
    where = zoneinfo.ZoneInfo(zone)
    wall = periods.wall_of(instant, datetime.UTC)
    later = wall + datetime.timedelta(microseconds=step)
    assert periods.instant_of(wall, where) <= periods.instant_of(later, where)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2024, 3, 31), 23),
        ("Europe/Berlin", (2024, 10, 27), 25),
        ("America/Havana", (2024, 11, 3), 25),
        ("Asia/Beirut", (2024, 3, 31), 23),
        ("Australia/Lord_Howe", (2024, 4, 7), 24.5),
    ],
)
def test_a_day_has_as_many_hours_as_the_clock_gives_it(zone, day, hours):
    one = grid("timestamptz", "day", zone)
    noon = periods.instant_of(datetime.datetime(*day, 12), zoneinfo.ZoneInfo(zone))
    period = one.containing(noon)
    assert period.start == datetime.datetime(*day)
    assert (period.upper - period.lower) / 3_600_000_000 == hours


def test_a_day_that_the_calendar_skipped_has_no_period():
    one = grid("timestamptz", "day", "Pacific/Apia")
    before = one.containing(periods.instant_of(datetime.datetime(2011, 12, 29, 12), zoneinfo.ZoneInfo("Pacific/Apia")))
    assert one.after(before).start == datetime.datetime(2011, 12, 31)


@pytest.mark.parametrize(
    ("kind", "interval", "lower", "upper"),
    [
        ("timestamptz", "month", "2024-01-01 00:00:00+00", "2024-02-01 00:00:00+00"),
        ("timestamp", "quarter", "2024-01-01 00:00:00", "2024-04-01 00:00:00"),
        ("date", "week", "2024-01-29", "2024-02-05"),
        ("epoch_seconds", "year", "1704067200", "1735689600"),
        ("uuidv7", "month", "018cc251-f400-0000-0000-000000000000", "018d61f7-1800-0000-0000-000000000000"),
    ],
)
def test_bounds_as_sql_has_them(kind, interval, lower, upper):
    one = grid(kind, interval)
    period = one.containing(one.now(periods.micros_of(datetime.datetime(2024, 1, 30, 8, 15))))
    assert (one.axis.literal(period.lower), one.axis.literal(period.upper)) == (lower, upper)
    assert one.axis.parse(lower) == period.lower


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("month", "month"), ("3 months", "quarter"), ("12 months", "year"), ("24 months", "2 years"),
        ("2 weeks", "2 weeks"), ("10 days", "10 days"), ("36 hours", "36 hours"), ("24 hours", "day"),
        ("18 months", "18 months"), ("90 minutes", "90 minutes"), ("1000000", "1000000"), ("Day", "day"),
    ],
)  # fmt: skip
def test_amounts_are_shown_as_they_are_read(text, shown):
    amount = Amount.of("interval", text).in_days()
    assert str(amount) == shown
    assert Amount.of("interval", str(amount)).in_days() == amount


@pytest.mark.parametrize("text", ["", "monthly", "3.5 days", "-1 day", "0", "0 days", "month day", "1 fortnight"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InvalidInput, match="interval"):
        Amount.of("interval", text)


@pytest.mark.parametrize("text", ["7 hours", "5 months", "25 minutes", "18 months"])
def test_an_interval_that_does_not_divide_is_refused(text):
    with pytest.raises(InvalidInput, match=text):
        Amount.of("interval", text).in_days().require_divides("interval")


def test_the_last_of_a_month():
    assert Amount(months=1).before(datetime.datetime(2024, 3, 31)) == datetime.datetime(2024, 2, 29)
    assert Amount(months=12).before(datetime.datetime(2024, 2, 29)) == datetime.datetime(2023, 2, 28)


def test_what_cannot_be_written_is_named():
    one = grid("timestamptz", "year")
    last = one.containing(periods.micros_of(datetime.datetime(9998, 6, 1)))
    with pytest.raises(InvalidInput, match="beyond the years"):
        one.after(last)
    with pytest.raises(InvalidInput):
        one.containing(10**30)


def test_a_zone_that_is_not_known_is_refused():
    with pytest.raises(InvalidInput, match="Mars/Olympus"):
        periods.zone("time_zone", "Mars/Olympus")


@settings(max_examples=100)
@given(
    st.sampled_from(TIMES), st.sampled_from(ZONES), INSTANTS, st.sampled_from(["day", "40 days", "month", "7 months"])
)
def test_what_is_so_much_later_is_the_first_day_from_which_it_is_old(kind, zone, instant, amount):
    one, length = grid(kind, "day", zone), Amount.of("retention", amount)
    key = one.containing(one.now(instant)).lower
    later = one.later(key, length)
    day = datetime.timedelta(days=1)
    moment = one._wall_of(later)
    assert length.before(moment) >= one._wall_of(key)
    assert length.before(moment - day) < one._wall_of(key)
