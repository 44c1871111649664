# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a breach counts: the samples of a window and whether there are enough of them (B1, B5); pure."""

from __future__ import annotations

import array
import bisect
import itertools
import math
import operator
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import AHEAD, TICK
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Series

#: Why a window proves nothing.
NONE, STALE, SHORT, SPARSE, GAP = "no sample", "no fresh sample", "too short a time", "too few samples", "a gap"

#: Of the expected samples, in hundredths.
_SHARE = 80
_GAP = 3
_FRESH = 2


class Span(t.NamedTuple):
    """The samples of one member that a window holds: from the newest one that is ``duration`` old to the newest.

    :param first: index of the first sample in the series.
    :param last: index after the last one.
    :param fault: why they prove nothing; None when they do.
    """

    series: Series
    first: int
    last: int
    fault: str | None

    @property
    def times(self) -> array.array[float]:
        return self.series.times[self.first : self.last]

    @property
    def low(self) -> array.array[float]:
        return self.series.low[self.first : self.last]

    @property
    def high(self) -> array.array[float]:
        return self.series.high[self.first : self.last]


def span(series: Series | None, now: float, duration: float, interval: float, since: float = -math.inf) -> Span:
    """Find the samples of a window and judge whether they are enough.

    :param duration: seconds; 0 for the newest sample alone.
    :param interval: the expected distance of samples in seconds.
    :param since: earlier samples do not count: the member was in its warm-up, or the pool had another size (B6, J7).
    """
    if series is None:
        return Span(Series(), 0, 0, NONE)
    times = series.times
    last = len(times)
    # Nearly always nothing comes from the future.
    if last and times[-1] > now + AHEAD:
        last = bisect.bisect_right(times, now + AHEAD)
    floor = bisect.bisect_left(times, since - TICK, 0, last)
    if last == floor:
        return Span(series, last, last, NONE)
    newest = times[last - 1]
    fresh = now - newest <= _FRESH * interval + TICK
    if not duration:
        return Span(series, last - 1, last, None if fresh else STALE)
    first = bisect.bisect_right(times, now - duration + TICK, floor, last) - 1
    if not fresh:
        return Span(series, max(first, floor), last, STALE)
    if first < floor:
        return Span(series, floor, last, SHORT)
    expected = math.floor(duration / interval + TICK) + 1
    if (last - first) * 100 < expected * _SHARE:
        return Span(series, first, last, SPARSE)
    most = _GAP * interval + TICK
    # A window that is no longer than a gap has none.
    if newest - times[first] > most and max(map(operator.sub, times[first + 1 : last], times[first : last - 1])) > most:
        return Span(series, first, last, GAP)
    return Span(series, first, last, None)


class Means(t.NamedTuple):
    """The mean over members at each instant of a window.

    :param low: the smallest mean, of the lower value where a member has two for an instant.
    :param high: the largest mean, of the higher value.
    :param newest: the mean at the last instant.
    :param at: the last instant.
    :param instants: how many there are.
    """

    low: float
    high: float
    newest: float
    at: float
    instants: int


def means(spans: t.Sequence[Span]) -> Means:
    """Return the means of members whose windows are complete; each begins at or before the window does.

    An instant is a time at which any of them was measured; the others count with their newest value then.
    """
    head = spans[0]
    if spans.count(head) == len(spans):
        series, first, last = head.series, head.first, head.last
        low, high = series.low[first:last], series.high[first:last]
        return Means(min(low), max(high), (low[-1] + high[-1]) / 2, series.times[last - 1], last - first)
    times = head.times
    if all(one.times == times for one in spans):
        lows = [math.fsum(column) / len(spans) for column in zip(*(one.low for one in spans))]
        highs = [math.fsum(column) / len(spans) for column in zip(*(one.high for one in spans))]
        return Means(min(lows), max(highs), (lows[-1] + highs[-1]) / 2, times[-1], len(times))
    return _stepped(spans)


#: Sums of values are kept as whole numbers of 2**-60, so that they do not depend on the order in which they are made.
_BITS = 60


def _whole(value: float) -> int:
    return int(math.ldexp(value, _BITS))


def _stepped(spans: t.Sequence[Span]) -> Means:
    """The same for members that were measured at different times: one pass over all samples."""
    members = len(spans)
    lows = [_whole(one.series.low[one.first]) for one in spans]
    highs = [_whole(one.series.high[one.first]) for one in spans]
    low, high = sum(lows), sum(highs)
    divisor = members << _BITS
    found = [(low / divisor, high / divisor)]
    at = max(one.series.times[one.first] for one in spans)
    events = sorted(
        (one.series.times[place], member, place)
        for member, one in enumerate(spans)
        for place in range(one.first + 1, one.last)
    )
    for at, group in itertools.groupby(events, key=lambda event: event[0]):  # noqa: B007 (the last one is reported)
        for _time, member, place in group:
            series = spans[member].series
            new_low, new_high = _whole(series.low[place]), _whole(series.high[place])
            low, high = low + new_low - lows[member], high + new_high - highs[member]
            lows[member], highs[member] = new_low, new_high
        found.append((low / divisor, high / divisor))
    last = found[-1]
    return Means(min(one[0] for one in found), max(one[1] for one in found), sum(last) / 2, at, len(found))
