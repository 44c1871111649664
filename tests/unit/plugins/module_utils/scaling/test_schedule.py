# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bounds that follow the clock of a time zone (A3)."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.scaling import schedule
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.fields import Fields

from .world import case

OWN = schedule.Bounds(2, 10)
VIENNA = "Europe/Vienna"


def window(start, end, zone=VIENNA, days=None, low=4, high=None):
    given = {"from": start, "to": end, "time_zone": zone, "days": days, "min": low, "max": high}
    faults = []
    found = schedule.parse(Fields(given, "window", faults))
    assert not faults
    return found


def at(text, zone=VIENNA, fold=0):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("windows", "now", "expected"),
    [
        case([window("08:00", "18:00")], at("2026-01-05 07:59:59"), (2, 10), id="before"),
        case([window("08:00", "18:00")], at("2026-01-05 08:00:00"), (4, 10), id="from-counts"),
        case([window("08:00", "18:00")], at("2026-01-05 17:59:59"), (4, 10), id="the-last-second"),
        case([window("08:00", "18:00")], at("2026-01-05 18:00:00"), (2, 10), id="to-does-not"),
        case([window("08:00", 1080)], at("2026-01-05 17:59:59"), (4, 10), id="yaml-reads-18-00-as-a-number"),
        case([window("00:00", "24:00")], at("2026-01-05 23:59:59"), (4, 10), id="a-whole-day"),
        case([window("00:00", "24:00", days=["mon"])], at("2026-01-06 00:00:00"), (2, 10), id="until-midnight"),
        case([window("08:00", "18:00", days=["sat", "sun"])], at("2026-01-05 09:00:00"), (2, 10), id="another-day"),
        case([window("22:00", "06:00", days=["fri"])], at("2026-01-10 05:59:00"), (4, 10), id="past-midnight"),
        case([window("22:00", "06:00", days=["fri"])], at("2026-01-10 22:30:00"), (2, 10), id="and-not-the-next-night"),
        case([window("22:00", "06:00", days=["sun"])], at("2026-01-12 01:00:00"), (4, 10), id="past-the-week's-end"),
        case([window("22:00", "06:00", low=1)], at("2026-01-05 23:00:00"), (1, 10), id="a-window-may-go-below"),
        case([window("08:00", "18:00", low=None, high=20)], at("2026-01-05 09:00:00"), (2, 20), id="and-above"),
        case(
            [window("08:00", "18:00", low=4, high=9), window("12:00", "13:00", low=6, high=20)],
            at("2026-01-05 12:30:00"),
            (6, 9),
            id="overlap-larger-minimum-smaller-maximum",
        ),
        case([window("08:00", "09:00", zone="UTC")], at("2026-01-05 09:30:00"), (4, 10), id="another-zone-in-winter"),
        case([window("08:00", "09:00", zone="UTC")], at("2026-07-06 09:30:00"), (2, 10), id="and-in-summer"),
        case([window("08:00", "18:00")], at("2026-03-29 08:00:00"), (4, 10), id="on-the-day-the-clocks-change"),
        case([window("02:00", "03:00")], at("2026-10-25 02:30:00"), (4, 10), id="the-hour-that-comes-twice"),
        case([window("02:00", "03:00")], at("2026-10-25 02:30:00", fold=1), (4, 10), id="the-second-time"),
        case([window("02:00", "03:00")], at("2026-03-29 03:00:00"), (2, 10), id="the-hour-that-never-comes"),
        case([window("02:30", "05:00")], at("2026-03-29 03:00:00"), (4, 10), id="it-opens-after-the-missing-hour"),
    ],
)
def test_bounds(windows, now, expected):
    found = schedule.bounds(OWN, windows, now)
    assert (found.minimum, found.maximum) == expected


@pytest.mark.parametrize(
    ("windows", "contradicts"),
    [
        case([window("08:00", "12:00", low=6), window("12:00", "18:00", low=1, high=5)], False, id="they-only-touch"),
        case([window("08:00", "12:01", low=6), window("12:00", "18:00", low=1, high=5)], True, id="they-overlap"),
        case(
            [
                window("22:00", "06:00", days=["sun"], low=6),
                window("05:59", "07:00", days=["mon"], low=1, high=5),
            ],
            True,
            id="past-the-end-of-the-week",
        ),
        case(
            [window("08:00", "12:00", days=["mon"], low=6), window("08:00", "12:00", days=["tue"], low=1, high=5)],
            False,
            id="on-other-days",
        ),
        case(
            [window("08:00", "09:00", low=6), window("06:00", "07:00", zone="UTC", low=1, high=5)],
            True,
            id="only-in-summer",
        ),
        case(
            [window("08:00", "09:00", low=12), window("07:00", "10:00", low=None, high=20)],
            False,
            id="a-window-raises-the-maximum",
        ),
        case([window("08:00", "09:00", low=12)], True, id="above-the-pool's-own-maximum"),
    ],
)
def test_windows_that_contradict(windows, contradicts):
    assert (schedule.contradiction(OWN, windows) is not None) == contradicts
