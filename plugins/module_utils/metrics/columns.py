# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Samples out of columns, one for each number of a sample, as a store of many samples keeps them; pure.

``parse`` judges one document after the other and gives its reasons. Of the 15,000 samples that a decision over 1,000
members needs, nearly all are sound; here a column is judged at once, in a fifth of the time. Where anything is not
sound there are no samples and no reasons: ``parse`` says then what is wrong.
"""

from __future__ import annotations

import itertools
import math
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import (
    LARGEST,
    MOST_BUCKETS,
    Application,
    Counters,
    Cpu,
    Group,
    Histogram,
    Memory,
    Network,
    Pooler,
    Sample,
    is_name,
)

Path = tuple[str, ...]
Column = Sequence[t.Any]

_NUMBERS = frozenset((int, float))
_PERCENT = 100.0


class _Unsound(Exception):
    """Something that parse has to judge."""


def samples(service: str, times: Column, instances: Column, columns: Mapping[Path, Column]) -> list[Sample] | None:
    """Return the samples of columns, in their order; None where one of them is not sound.

    :param times: when each was taken, in seconds since 1970.
    :param columns: by the path in a sample's document, such as ``("metrics", "cpu", "usage")``. None stands for what
        was not measured. All columns are of one length.
    """
    try:
        return _samples(service, times, instances, _Columns(columns))
    except _Unsound:
        return None


class _Columns:
    """Takes columns out, each judged as a whole; what no one takes is unknown."""

    def __init__(self, columns: Mapping[Path, Column]) -> None:
        self._left = dict(columns)

    def take(self, path: Path, default: t.Any, judge: Callable[[Column], Iterable[t.Any]]) -> Iterator[t.Any]:
        """Return a column with the default in the place of what was not measured."""
        column = self._left.pop(path, None)
        if column is None:
            return itertools.repeat(default)
        if None not in column:
            return iter(judge(column))
        sound = iter(judge([value for value in column if value is not None]))
        return (default if value is None else next(sound) for value in column)

    def numbers(self, *path: str, most: float = LARGEST, positive: bool = False) -> Iterator[t.Any]:
        def judge(column: Column) -> Column:
            _judge_numbers(column, most)
            if positive and not all(column):
                raise _Unsound
            return column

        return self.take(path, None, judge)

    def texts(self, *path: str) -> Iterator[t.Any]:
        return self.take(path, "", _judge_texts)

    def series(self, *path: str, rising: bool = False) -> Iterator[t.Any]:
        """Return tuples of three numbers, or of none."""

        def judge(column: Column) -> list[tuple[t.Any, ...]]:
            found = _tuples(column)
            if not {0, 3}.issuperset(map(len, found)) or (rising and not all(map(_rises, found))):
                raise _Unsound
            return found

        return self.take(path, (), judge)

    def histograms(self, *path: str) -> Iterator[Histogram | None]:
        bounds, counts = (self._left.pop((*path, key), None) for key in ("bounds", "counts"))
        if bounds is None and counts is None:
            return itertools.repeat(None)
        if bounds is None or counts is None:
            raise _Unsound
        known: dict[tuple[t.Any, ...], tuple[t.Any, ...]] = {}
        found: list[Histogram | None] = []
        for bound, count in zip(bounds, counts):
            if bound is None and count is None:
                found.append(None)
                continue
            bound, count = _tuples((bound, count))
            if bound not in known:
                if len(bound) >= MOST_BUCKETS or list(bound) != sorted(set(bound)):
                    raise _Unsound
                known[bound] = bound
            if len(count) != len(bound) + 1 or not _rises(count):
                raise _Unsound
            # One tuple for all of them, so that two are found equal at a glance.
            found.append(Histogram(known[bound], count))
        return iter(found)

    def finish(self) -> None:
        """Make sure that all columns were taken."""
        if self._left:
            raise _Unsound


def are_numbers(column: Column, most: float = LARGEST) -> bool:
    """Whether all of a column are numbers from 0 to the largest."""
    if not _NUMBERS.issuperset(map(type, column)):
        return False
    # A NaN that is the first of them fails the comparisons, and any other one the sum.
    return not column or (min(column) >= 0 and max(column) <= most and not math.isnan(sum(column)))


def _judge_numbers(column: Column, most: float = LARGEST) -> None:
    if not are_numbers(column, most):
        raise _Unsound


def _judge_texts(column: Column) -> Column:
    if {str}.issuperset(map(type, column)) and all(map(is_name, set(column))):
        return column
    raise _Unsound


def _tuples(column: Column) -> list[tuple[t.Any, ...]]:
    if not {list}.issuperset(map(type, column)):
        raise _Unsound
    _judge_numbers(list(itertools.chain.from_iterable(column)))
    return list(map(tuple, column))


def _rises(numbers: tuple[t.Any, ...]) -> bool:
    return list(numbers) == sorted(numbers)


def _samples(service: str, times: Column, instances: Column, columns: _Columns) -> list[Sample]:
    _judge_numbers(times, moments.LAST)
    if not all(times) or not is_name(service):
        raise _Unsound
    _judge_texts(instances)
    app, net = ("metrics", "application"), ("metrics", "network")
    cpus, unit_cpus = (
        _made(Cpu, columns.numbers(*path, "usage", most=_PERCENT), columns.series(*path, "load"))
        for path in (("metrics", "cpu"), ("metrics", "unit", "cpu"))
    )
    memories, unit_memories = (
        _made(_memory, *(columns.numbers(*path, key) for key in ("used", "free", "cached", "total")))
        for path in (("metrics", "memory"), ("metrics", "unit", "memory"))
    )
    networks = _made(Network, *(columns.numbers(*net, key) for key in ("rx_bytes", "tx_bytes", "connections")))
    applications = _made(
        Application,
        columns.numbers(*app, "requests"),
        columns.numbers(*app, "errors"),
        columns.series(*app, "latency", rising=True),
        columns.numbers(*app, "shard_errors"),
    )
    counters = _made(
        Counters,
        columns.texts("counters", "boot"),
        columns.numbers("counters", "uptime"),
        *(_groups(columns, scope) for scope in ("host", "unit")),
        columns.numbers("counters", "started", most=moments.LAST),
        columns.histograms("counters", "latency"),
        columns.texts("counters", "chosen"),
        columns.texts("counters", "interfaces"),
    )
    poolers = _made(Pooler, columns.numbers("metrics", "pooler", "wait"))
    columns.finish()
    services = itertools.repeat(service)
    parts = (cpus, memories, networks, applications, unit_cpus, unit_memories, counters, poolers)
    return list(map(Sample, times, services, instances, *parts))


def _groups(columns: _Columns, scope: str) -> Iterator[Group]:
    path = ("counters", scope)
    return _made(
        Group,
        columns.texts(*path, "name"),
        columns.numbers(*path, "cpu_seconds"),
        columns.numbers(*path, "cpus", positive=True),
    )


def _made(make: Callable[..., t.Any], *columns: Iterator[t.Any]) -> Iterator[t.Any]:
    """Return a part of each sample; one for all of them where nothing of it was measured."""
    if all(isinstance(column, itertools.repeat) for column in columns):
        return itertools.repeat(make(*(next(column) for column in columns)))
    return map(make, *columns)


def _memory(used: t.Any, free: t.Any, cached: t.Any, total: t.Any) -> Memory:
    if total is not None and not (total and (used or 0) <= total and (free or 0) <= total and (cached or 0) <= total):
        raise _Unsound
    return Memory(used, free, cached, total)
