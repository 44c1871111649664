# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be measured of a server, in which unit, and how it behaves when the load moves; pure."""

from __future__ import annotations

import math
import typing as t

UP = "up"
DOWN = "down"

GT, LT, EQ = "gt", "lt", "eq"
CONDITIONS = (GT, LT, EQ)
SIGNS = {GT: ">", LT: "<", EQ: "="}

#: Two numbers are equal within this part of the larger one (J6).
RELATIVE = 1e-9
#: Two times are equal within this many seconds: a float holds an epoch to less than a microsecond.
TICK = 1e-6
#: How many seconds a clock may be ahead of ours (B5).
AHEAD = 5.0


#: What is above it no server does, and no sum of it is exact.
LARGEST = 1e15


class Measure(t.NamedTuple):
    """A metric.

    :param unit: as it is shown after a number.
    :param highest: what is above it is garbage; None for no limit.
    :param rises: whether more load makes it rise, so that a rule may grow the pool by it.
    :param tracks: whether it is proportional to the load of a server, so that a target may track it.
    """

    unit: str
    highest: float | None = None
    rises: bool = True
    tracks: bool = True


MEASURES: dict[str, Measure] = {
    "cpu": Measure(" %", 100),
    "memory": Measure(" %", 100),
    "memory_free": Measure(" MB", rises=False, tracks=False),
    "requests": Measure("/s"),
    "application": Measure("/s"),
    "errors": Measure("/s", tracks=False),
    "network": Measure(" B/s"),
    "latency": Measure(" ms", tracks=False),
}

#: What only a guard may name: the state of what all servers share.
GUARDS: dict[str, Measure] = {
    "pooler_wait": Measure(" s", tracks=False),
    "shard_errors": Measure("/s", tracks=False),
}

_ALL = {**MEASURES, **GUARDS}
#: Two names of one metric.
_SAME = {"application": "requests"}


def stored(metric: str) -> str:
    """Return the name under which the readings of a metric are kept."""
    return _SAME.get(metric, metric)


def is_amount(value: t.Any, most: float = LARGEST) -> bool:
    """Say whether a value is a finite number, not negative and not above the most."""
    # A comparison with NaN is false, and an int may be too large for a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most


def is_sound(metric: str, value: t.Any) -> bool:
    """Say whether a value can be one of the metric: a finite number, not negative, not above what is possible."""
    highest = _ALL[metric].highest if metric in _ALL else None
    return is_amount(value, LARGEST if highest is None else highest)


def shown(metric: str, value: float) -> str:
    """Return a value with its unit, for a person."""
    text = f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"
    return text.replace(".0", "") + (_ALL[metric].unit if metric in _ALL else "")


def holds(condition: str, value: float, threshold: float) -> bool:
    """Say whether a value meets a condition: ``gt`` and ``lt`` are strict, ``eq`` has a relative tolerance (J6)."""
    if condition == GT:
        return value > threshold
    if condition == LT:
        return value < threshold
    return math.isclose(value, threshold, rel_tol=RELATIVE)


def reached(elapsed: float, limit: float) -> bool:
    """Say whether a time has reached a limit; one that equals it has (J6)."""
    return elapsed >= limit - TICK
