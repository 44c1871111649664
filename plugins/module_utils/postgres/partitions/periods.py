# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Periods: how a range of time or of numbers is divided, whatever the clock does meanwhile; pure.

Bounds are *wall-clock times of the set's zone*, turned into instants once. So a day has 23 hours when daylight saving
begins and 25 when it ends, names never come twice, and the periods have neither gap nor overlap. A wall-clock time that
is skipped stands for the instant at which it was skipped; of one that comes twice, the first counts.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import zoneinfo

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, Key

#: Periods of days and weeks are counted from this Monday.
ANCHOR = datetime.datetime(2000, 1, 3)
_DAY = 24 * 60
#: Files beside those of time zones, which say what the host is set to.
_OF_HOST = ("localtime", "posixrules")

_AMOUNT = re.compile(r"\s*(?:(\d{1,9})\s*)?([a-z]+)\s*\Z", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"\s*(\d{1,18})\s*\Z", re.ASCII)

#: What each unit is, in months, days and minutes.
_UNITS = {
    "minute": (0, 0, 1),
    "hour": (0, 0, 60),
    "day": (0, 1, 0),
    "week": (0, 7, 0),
    "month": (1, 0, 0),
    "quarter": (3, 0, 0),
    "year": (12, 0, 0),
}


@dataclasses.dataclass(frozen=True)
class Amount:
    """A length of time as a calendar counts it, or a count of numbers; one of the four is above 0.

    :param step: of a set whose column is a number.
    """

    months: int = 0
    days: int = 0
    minutes: int = 0
    step: int = 0

    @classmethod
    def of(cls, option: str, text: str) -> Amount:
        """The amount that a text such as ``month``, ``6 hours`` or ``1000000`` describes.

        :raises InvalidInput: it describes none.
        """
        number = _NUMBER.match(text)
        if number:
            amount = cls(step=int(number[1]))
        else:
            found = _AMOUNT.match(text)
            unit = found[2].lower() if found else ""
            unit = unit[:-1] if unit.endswith("s") else unit
            if found is None or unit not in _UNITS:
                raise InvalidInput(
                    option, text, f"is neither a number nor an amount of {', '.join(_UNITS)}, such as '3 months'"
                )
            months, days, minutes = (int(found[1] or 1) * part for part in _UNITS[unit])
            amount = cls(months=months, days=days, minutes=minutes)
        if not amount:
            raise InvalidInput(option, text, "is nothing")
        return amount

    def __bool__(self) -> bool:
        return bool(self.months or self.days or self.minutes or self.step)

    def __str__(self) -> str:
        for unit, (months, days, minutes) in reversed(_UNITS.items()):
            mine = self.months or self.days or self.minutes
            size = months or days or minutes
            same_kind = bool(months) == bool(self.months) and bool(days) == bool(self.days)
            count = mine // size
            # Three quarters are nine months to everyone.
            if mine and same_kind and mine % size == 0 and (unit != "quarter" or count == 1):
                return unit if count == 1 else f"{count} {unit}s"
        return str(self.step)

    def before(self, wall: datetime.datetime) -> datetime.datetime:
        """The wall-clock time that is so long before another; the last of a month for a day that it lacks."""
        return _shift(wall, -self.months) - datetime.timedelta(days=self.days, minutes=self.minutes)

    def require_divides(self, option: str) -> None:
        """Refuse an interval whose periods would begin at other times in each day or year.

        :raises InvalidInput: naming the option.
        """
        if self.minutes and self.minutes < _DAY and _DAY % self.minutes:
            raise InvalidInput(option, str(self), "does not divide a day")
        if self.minutes >= _DAY and self.minutes % _DAY:
            raise InvalidInput(option, str(self), "is not a number of whole days")
        if self.months and 12 % self.months and self.months % 12:
            raise InvalidInput(option, str(self), "does not divide a year")

    def in_days(self) -> Amount:
        """The same, where 24 hours are called a day."""
        if self.minutes and not self.minutes % _DAY:
            return Amount(days=self.minutes // _DAY)
        return self


@dataclasses.dataclass(frozen=True)
class Period:
    """One period: from ``lower`` on and before ``upper``, as keys of the axis.

    :param index: counts the periods of the grid.
    :param start: the wall-clock time of the lower bound in the set's zone; None of numbers.
    """

    index: int
    lower: int
    upper: int
    start: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Grid:
    """All periods of a set.

    :param axis: what the column's values are on a line.
    :param zone: in which a day begins.
    """

    axis: Axis
    interval: Amount
    zone: datetime.tzinfo

    def period(self, index: int) -> Period:
        """The period of an index; it is empty where the clock skipped it.

        :raises InvalidInput: it has no bounds that can be written.
        """
        if self.axis.is_number:
            step = self.interval.step
            return Period(index, index * step, (index + 1) * step)
        start, lower = self._bound(index)
        return Period(index, lower, self._bound(index + 1)[1], start)

    def containing(self, key: Key) -> Period:
        """The period that has a key.

        :raises InvalidInput: the key is infinite, or beyond what can be written.
        """
        try:
            index = self._index(int(key))
        except (OverflowError, ValueError):
            raise InvalidInput("interval", str(self.interval), f"has no period for {key}") from None
        period = self.period(index)
        # Where the clock was put back beyond a bound, the wall-clock time alone leads to the neighbour.
        while key >= period.upper:
            period = self.period(period.index + 1)
        while key < period.lower:
            period = self.period(period.index - 1)
        return period

    def after(self, period: Period) -> Period:
        """The next period that is not empty."""
        following = period
        while following is period or following.lower == following.upper:
            index = following.index + 1
            if self.axis.is_number:
                return self.period(index)
            # Its lower bound is the upper one of the period before.
            following = Period(index, following.upper, self._bound(index + 1)[1], self._wall(index))
        return following

    def before(self, period: Period) -> Period:
        """The period before that is not empty."""
        earlier = self.period(period.index - 1)
        while earlier.lower == earlier.upper:
            earlier = self.period(earlier.index - 1)
        return earlier

    def now(self, instant: int) -> int:
        """The key of an instant, which is in microseconds since 1970 UTC."""
        return self._key_of(wall_of(instant, self.zone), instant)

    def earlier(self, instant: int, amount: Amount) -> int:
        """The key of what is so long before an instant."""
        return self._key(amount.before(wall_of(instant, self.zone)))

    def later(self, key: Key, amount: Amount) -> int:
        """The key of the first day on which what is so long before is not before a key."""
        wall = self._wall_of(key)
        reached = _shift(wall, amount.months) + datetime.timedelta(days=amount.days, minutes=amount.minutes)
        # Of two days at the end of a month, a shorter month makes one.
        while amount.before(reached) < wall:
            reached += datetime.timedelta(days=1)
        return self._key(reached)

    def _wall_of(self, key: Key) -> datetime.datetime:
        return wall_of(self.axis.micros(key), datetime.timezone.utc if self.axis.is_wall else self.zone)

    def _bound(self, index: int) -> tuple[datetime.datetime, int]:
        """The wall-clock time and the key of a period's lower bound."""
        try:
            wall = self._wall(index)
            return wall, self._key(wall)
        except (OverflowError, ValueError):
            raise InvalidInput("interval", str(self.interval), "leads to a bound beyond the years 1 to 9999") from None

    def _wall(self, index: int) -> datetime.datetime:
        interval = self.interval
        if interval.months:
            year, month = divmod(index * interval.months, 12)
            return datetime.datetime(year, month + 1, 1)
        return ANCHOR + index * datetime.timedelta(days=interval.days, minutes=interval.minutes)

    def _index(self, key: int) -> int:
        interval = self.interval
        if self.axis.is_number:
            return key // interval.step
        wall = self._wall_of(key)
        if interval.months:
            return (wall.year * 12 + wall.month - 1) // interval.months
        return (wall - ANCHOR) // datetime.timedelta(days=interval.days, minutes=interval.minutes)

    def _key(self, wall: datetime.datetime) -> int:
        return self._key_of(wall, None)

    def _key_of(self, wall: datetime.datetime, instant: int | None) -> int:
        if self.axis.is_wall:
            return self.axis.key(micros_of(wall))
        return self.axis.key(instant_of(wall, self.zone) if instant is None else instant)


def zone(option: str, name: str) -> datetime.tzinfo:
    """The time zone of a name.

    :raises InvalidInput: the host where the module runs knows none of that name, or each host has its own.
    """
    if name in _OF_HOST:
        raise InvalidInput(option, name, "is another time zone on each host; name the one that is meant")
    try:
        return datetime.timezone.utc if name == "UTC" else zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            option, name, "is not a time zone that the host of the module knows (is its package tzdata installed?)"
        ) from None


def micros_of(wall: datetime.datetime) -> int:
    """Microseconds since 1970 of a wall-clock time, as if it were one of UTC."""
    return (wall - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)


def wall_of(instant: int, where: datetime.tzinfo) -> datetime.datetime:
    """The wall-clock time of an instant, which is in microseconds since 1970 UTC.

    :raises OverflowError: before the year 1 or after 9999.
    """
    utc = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=instant)
    return utc.astimezone(where).replace(tzinfo=None, fold=0)


def instant_of(wall: datetime.datetime, where: datetime.tzinfo) -> int:
    """The instant of a wall-clock time, in microseconds since 1970 UTC.

    It never falls when the wall-clock time rises.
    """
    late = _instant(wall, where, 0)
    if wall_of(late, where) == wall:
        return late
    # The clock skipped it. Between the two readings of it lies the moment at which it did.
    early = _instant(wall, where, 1)
    offset = late - micros_of(wall_of(late, where))
    while late - early > 1:
        middle = (early + late) // 2
        if middle - micros_of(wall_of(middle, where)) == offset:
            late = middle
        else:
            early = middle
    return late


def _instant(wall: datetime.datetime, where: datetime.tzinfo, fold: int) -> int:
    utc = wall.replace(tzinfo=where, fold=fold).astimezone(datetime.timezone.utc)
    return micros_of(utc.replace(tzinfo=None))


def _shift(wall: datetime.datetime, months: int) -> datetime.datetime:
    if not months:
        return wall
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    days = _days_of(year, month + 1)
    return wall.replace(year=year, month=month + 1, day=min(wall.day, days))


def _days_of(year: int, month: int) -> int:
    following = datetime.date(year + month // 12, month % 12 + 1, 1)
    return (following - datetime.timedelta(days=1)).day
