# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bounds of a pool at a moment: its own, or those of the windows of its schedule that are open (A3); pure.

A window is a matter of the clock on the wall of its time zone: one that is open from 02:00 to 03:00 is open for two
hours in the night in which the clocks go back, and not at all in the night in which they go forward.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t
import zoneinfo

from ansible_collections.scaleout.platform.plugins.module_utils.errors import told
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.fields import Fields

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 24 * 60
_WEEK = 7 * MINUTES
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)")
#: The days on which the offsets of time zones are compared; two years have every change of the clocks.
_FIRST_DAY = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
_DAYS = 731


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of the week with bounds of its own.

    :param days: on which it begins, 0 for Monday.
    :param start: minutes after midnight.
    :param end: minutes after midnight, the first at which it is closed; at most ``start`` when it passes midnight.
    :param zone: name of the time zone.
    :param minimum: None where the window leaves it as it is.
    :param maximum: the same.
    """

    name: str
    days: frozenset[int]
    start: int
    end: int
    zone: str
    minimum: int | None
    maximum: int | None

    def is_open(self, local: datetime.datetime) -> bool:
        """Say whether the window is open at a time of its zone."""
        return self._is_open(local.weekday(), local.hour * 60 + local.minute)

    def _is_open(self, day: int, minute: int) -> bool:
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        # It passes midnight, and belongs to the day on which it began.
        return (day in self.days and minute >= self.start) or ((day - 1) % 7 in self.days and minute < self.end)

    def is_open_in_week(self, minute: int, offset: int) -> bool:
        """Say whether it is open at a minute of the week in UTC, where its zone is ``offset`` minutes ahead."""
        day, rest = divmod((minute + offset) % _WEEK, MINUTES)
        return self._is_open(day, rest)

    def edges(self, offset: int) -> t.Iterator[int]:
        """Yield the minutes of the week in UTC at which it opens or closes."""
        for day in self.days:
            closes = self.end if self.start < self.end else self.end + MINUTES
            for minute in (self.start, closes):
                yield (day * MINUTES + minute - offset) % _WEEK


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The fewest and the most members at a moment; ``windows`` names those that are open."""

    minimum: int
    maximum: int
    windows: tuple[str, ...] = ()


def bounds(own: Bounds, windows: t.Sequence[Window], now: float) -> Bounds:
    """Return the bounds at a moment.

    An open window takes the place of the pool's own bounds; where several are open, the larger minimum and the smaller
    maximum count.

    :param now: seconds since the epoch.
    """
    if not windows:
        return own
    local = {zone: datetime.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(zone)) for zone in {w.zone for w in windows}}
    return _effective(own, [window for window in windows if window.is_open(local[window.zone])])


def _effective(own: Bounds, windows: t.Sequence[Window]) -> Bounds:
    low = max((w.minimum for w in windows if w.minimum is not None), default=own.minimum)
    high = min((w.maximum for w in windows if w.maximum is not None), default=own.maximum)
    return Bounds(low, high, tuple(window.name for window in windows))


def contradiction(own: Bounds, windows: t.Sequence[Window]) -> Bounds | None:
    """Return bounds that the schedule would have at some time of some week with the minimum above the maximum."""
    zones = sorted({window.zone for window in windows})
    days = [_FIRST_DAY + datetime.timedelta(days=day) for day in range(_DAYS)]
    for offsets in {tuple(_offset(zone, day) for zone in zones) for day in days}:
        ahead = dict(zip(zones, offsets))
        for minute in sorted({edge for window in windows for edge in window.edges(ahead[window.zone])}):
            found = _effective(own, [w for w in windows if w.is_open_in_week(minute, ahead[w.zone])])
            if found.minimum > found.maximum:
                return found
    return None


def _offset(zone: str, at: datetime.datetime) -> int:
    ahead = at.astimezone(zoneinfo.ZoneInfo(zone)).utcoffset()
    return round(ahead.total_seconds() / 60) if ahead else 0


def parse(given: Fields) -> Window:
    """Read one window; what is wrong is noted in its fields."""
    days = _days(given)
    start, end = _clock(given, "from", MINUTES - 1), _clock(given, "to", MINUTES)
    if start is not None and start == end:
        given.fault("to", "is the same as from, so the window is never open; a whole day is from 00:00 to 24:00.")
    minimum = given.count("min") if "min" in given else given.raw("min")
    maximum = given.count("max") if "max" in given else given.raw("max")
    if minimum is None and maximum is None:
        given.fault("", "has neither min nor max.")
    zone = _zone(given)
    name = given.text("name", f"{','.join(DAYS[day] for day in sorted(days))} {pretty(start)}-{pretty(end)} {zone}")
    given.done()
    return Window(name, days, start or 0, MINUTES if end is None else end, zone, minimum, maximum)


def pretty(minutes: int | None) -> str:
    """Write minutes after midnight as a clock shows them."""
    return "{:02}:{:02}".format(*divmod(minutes or 0, 60))


def _days(given: Fields) -> frozenset[int]:
    named = given.raw("days")
    if named is None:
        return frozenset(range(7))
    wrong = not isinstance(named, (list, tuple)) or not named or any(day not in DAYS for day in named)
    if wrong:
        given.fault("days", f"{told(named)} is not a list of days; there is {', '.join(DAYS)}.")
        return frozenset(range(7))
    return frozenset(DAYS.index(day) for day in named)


def _clock(given: Fields, name: str, latest: int) -> int | None:
    """Return the minutes after midnight. YAML 1.1 reads 18:00 without quotes as 1080, which is that number."""
    value = given.raw(name)
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    minutes = value if isinstance(value, int) and not isinstance(value, bool) else None
    if match and int(match[2]) < 60:
        minutes = int(match[1]) * 60 + int(match[2])
    if minutes is not None and 0 <= minutes <= latest:
        return minutes
    if value is None:
        given.missing(name, '"08:00"')
    else:
        given.fault(name, f'{told(value)} is not a time of the day, such as "08:00".')
    return None


def _zone(given: Fields) -> str:
    name = given.text("time_zone")
    try:
        if name:
            zoneinfo.ZoneInfo(name)
            return name
    # What is no zone is a folder, a path out of the data, or a file of something else.
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        given.fault("time_zone", f"{told(name)} is not a time zone that this host knows, such as Europe/Vienna or UTC.")
    return "UTC"
