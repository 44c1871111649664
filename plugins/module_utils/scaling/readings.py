# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was measured of each member, in the order of time, so that a decision finds its windows by bisection; pure.

A reading is ``{"instance": "shop1", "at": 1767225600.0, "values": {"cpu": 71.5, …}}``. A key that is missing is missing
data, never zero (B4). Readings may come in any order and more than once (B5). ``{"instance": …, "at": …, "reported":
true}`` says that a member reported at a time whose values no one judges any more.
"""

from __future__ import annotations

import array
import bisect
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.moments import LAST
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import (
    AHEAD,
    is_amount,
    is_sound,
    stored,
)


class Series:
    """One metric of one member.

    Two values for one instant are kept as the lower and the higher one: a breach is judged by the one, calm by the
    other, so that either needs both values to agree.
    """

    __slots__ = ("high", "low", "times")

    def __init__(self) -> None:
        # Arrays, so that Python's garbage collector has nothing to look at in a week of samples.
        self.times: array.array[float] = array.array("d")
        self.low: array.array[float] = array.array("d")
        self.high: array.array[float] = array.array("d")

    def put(self, at: float, value: float) -> None:
        """Add a value; the newest one costs nothing."""
        times = self.times
        if not times or at > times[-1]:
            times.append(at)
            self.low.append(value)
            self.high.append(value)
            return
        place = bisect.bisect_left(times, at)
        if times[place] == at:
            self.low[place] = min(self.low[place], value)
            self.high[place] = max(self.high[place], value)
            return
        times.insert(place, at)
        self.low.insert(place, value)
        self.high.insert(place, value)

    def forget(self, before: float) -> None:
        """Drop what is older."""
        place = bisect.bisect_left(self.times, before)
        for values in (self.times, self.low, self.high):
            del values[:place]


class Readings:
    """All readings of a pool and of what its guards watch.

    :ivar unreadable: how many were not readings at all.
    :ivar garbage: by instance and metric, when a value last was none that can be.
    """

    def __init__(self, documents: t.Iterable[t.Any] = ()) -> None:
        self._series: dict[str, dict[str, Series]] = {}
        self._seen: dict[str, Series] = {}
        self.unreadable = 0
        self.garbage: dict[tuple[str, str], float] = {}
        for document in documents:
            self.add(document)

    def add(self, document: t.Any) -> None:
        """Add a reading as it comes from outside; what is garbage is noted and left out (J3)."""
        fields = document if isinstance(document, dict) else {}
        instance, at, values = fields.get("instance"), _time(fields.get("at")), fields.get("values")
        if not isinstance(instance, str) or not instance or at is None:
            self.unreadable += 1
            return
        if fields.get("reported") is True and values is None:
            self._see(instance, at)
            return
        if not isinstance(values, dict):
            self.unreadable += 1
            return
        sound = {}
        for metric, value in values.items():
            if is_sound(str(metric), value):
                sound[str(metric)] = float(value)
            elif value is not None:
                key = (instance, str(metric))
                self.garbage[key] = max(at, self.garbage.get(key, -math.inf))
        self.put(instance, at, sound)

    def put(self, instance: str, at: float, values: t.Mapping[str, float]) -> None:
        """Add values that are known to be sound."""
        if not values:
            return
        own = self._series.setdefault(instance, {})
        for metric, value in values.items():
            name = stored(metric)
            # Both names in one reading are one value, not two for one instant.
            if name != metric and name in values:
                continue
            series = own.get(name)
            if series is None:
                series = own[name] = Series()
            series.put(at, value)
        self._see(instance, at)

    def _see(self, instance: str, at: float) -> None:
        seen = self._seen.get(instance)
        if seen is None:
            seen = self._seen[instance] = Series()
            self._series.setdefault(instance, {})
        seen.put(at, 0.0)

    def follow(self, instance: str, leader: str) -> None:
        """Let an instance have the readings of another: a simulation that spreads its load evenly needs one series."""
        self._series[instance] = self._series.setdefault(leader, {})
        self._seen[instance] = self._seen.setdefault(leader, Series())

    def unfollow(self, instance: str) -> None:
        """Let an instance have no readings any more; those of its leader stay."""
        self._series.pop(instance, None)
        self._seen.pop(instance, None)

    def forget(self, before: float) -> None:
        """Drop what is older, so that a simulation of a year takes no more memory than one of a day."""
        shared = [*self._seen.values(), *(one for own in self._series.values() for one in own.values())]
        for one in {id(one): one for one in shared}.values():
            one.forget(before)

    def track(self, instance: str) -> int:
        """Return a number that instances have in common which have the same readings."""
        # Without readings there are no windows to tell apart.
        return id(self._series.get(instance))

    def series(self, instance: str, metric: str) -> Series | None:
        """Return a metric of an instance; None where it was never measured."""
        own = self._series.get(instance)
        return own.get(stored(metric)) if own else None

    def instances(self) -> list[str]:
        """Return all that ever reported, by name."""
        return sorted(self._series)

    def oldest(self, instance: str) -> float:
        """Return when an instance first reported, of what is kept; infinity where it never did."""
        seen = self._seen.get(instance)
        return seen.times[0] if seen and seen.times else math.inf

    def newest(self, instance: str, now: float) -> float | None:
        """Return when an instance last reported; what comes from the future is left out."""
        seen = self._seen.get(instance)
        if seen is None:
            return None
        if seen.times and seen.times[-1] <= now + AHEAD:
            return seen.times[-1]
        place = bisect.bisect_right(seen.times, now + AHEAD)
        return seen.times[place - 1] if place else None

    def is_ahead(self, instance: str, now: float) -> bool:
        """Say whether an instance has readings from the future."""
        seen = self._seen.get(instance)
        return seen is not None and len(seen.times) > 0 and seen.times[-1] > now + AHEAD

    def times(self, instance: str, since: float, now: float) -> list[float]:
        """Return when an instance reported within a time."""
        seen = self._seen.get(instance)
        if seen is None:
            return []
        return list(seen.times[bisect.bisect_left(seen.times, since) : bisect.bisect_right(seen.times, now + AHEAD)])


def _time(value: t.Any) -> float | None:
    return float(value) if is_amount(value, LAST) else None
