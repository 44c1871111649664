# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Traces: the demand on a pool over time, from a seeded generator or from the text of a CSV file; pure.

The generator has its own pseudo-random numbers, so that a seed gives the same trace on every version of Python.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.replay.faults import Fault, InvalidReplay

HEADER = "seconds,requests_per_second"
HOUR = 3600.0
#: 2026-01-01T00:00:00Z, so that weekdays and hours of a schedule have a meaning in a generated trace.
START = 1767225600.0
#: Points that a trace may have: a year at six seconds.
MOST = 5_256_000
#: Bad rows that are named one by one; a file of another format would name all of its rows.
NAMED = 20
_MASK = (1 << 64) - 1


@dataclasses.dataclass(frozen=True)
class Trace:
    """The demand on a pool.

    :param start: when the first interval begins, in seconds since 1970.
    :param interval: seconds that each value holds for.
    :param demand: requests per second, one value an interval.
    """

    start: float
    interval: float
    demand: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """How long the trace lasts."""
        return self.interval * len(self.demand)


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a generated trace looks like.

    :param low: requests per second when there is little to do.
    :param peak: requests per second when there is most to do, before noise.
    :param hours: length of the trace.
    :param interval: seconds between two values.
    :param period_hours: from one peak to the next; of a flash crowd, the time in which one comes.
    :param noise: the part of each value by which it is at most off, 0 to 1.
    :param seed: of noise and of the moments of flash crowds.
    :param start: seconds since 1970.
    """

    low: float = 100.0
    peak: float = 1000.0
    hours: float = 24.0
    interval: float = 60.0
    period_hours: float = 24.0
    noise: float = 0.05
    seed: int = 1
    start: float = START

    @property
    def values(self) -> int:
        """How many values the trace has."""
        return round(self.hours * HOUR / self.interval)

    @property
    def period(self) -> float:
        """Seconds from one peak to the next."""
        return self.period_hours * HOUR


def generate(kind: str, shape: Shape) -> Trace:
    """Generate a trace; the same arguments give the same trace.

    :param kind: one of `KINDS`.
    :raises InvalidReplay: with all that is wrong with the arguments.
    """
    faults = faults_of(kind, shape)
    if faults:
        raise InvalidReplay(faults)
    curve = KINDS[kind]
    values = []
    for number in range(shape.values):
        level = shape.low + (shape.peak - shape.low) * curve(shape, number * shape.interval)
        values.append(level * (1.0 + shape.noise * (2.0 * uniform(shape.seed, number) - 1.0)))
    return Trace(shape.start, shape.interval, tuple(values))


def uniform(seed: int, number: int) -> float:
    """Return a pseudo-random number of [0, 1) that depends on nothing but its arguments.

    Source: SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
    """
    mixed = _mix((seed + (number + 1) * 0x9E3779B97F4A7C15) & _MASK)
    return (mixed >> 11) / float(1 << 53)


def parse(text: str, what: str = "Trace") -> Trace:
    """Read a trace from CSV.

    The first line is `HEADER`. Each other line has the time at which an interval begins, in seconds, and the demand in
    requests per second. All intervals are equally long; blank lines at the end are no rows.

    :param what: what the text is called in an error, such as its path.
    :raises InvalidReplay: the bad rows, named by their lines.
    """
    lines = text.rstrip().splitlines()
    if not lines or lines[0].strip() != HEADER:
        raise of_file(what, [f"Line 1 has to be {HEADER!r}."])
    if not 3 <= len(lines) <= MOST + 1:
        raise of_file(what, [f"It has {len(lines) - 1} rows, not 2 to {MOST}."])
    faults: list[str] = []
    times: list[tuple[int, float]] = []
    demand = []
    for number, line in enumerate(lines[1:], start=2):
        row = _row(line)
        if isinstance(row, str):
            faults.append(f"Line {number}: {row}")
            continue
        times.append((number, row[0]))
        demand.append(row[1])
    # A row that cannot be read leaves a gap, which would be named a second time.
    faults = faults or _uneven(times)
    if faults:
        raise of_file(what, faults)
    first, last = times[0][1], times[-1][1]
    return Trace(first, (last - first) / (len(times) - 1), tuple(demand))


def split(trace: Trace, longest: float) -> Trace:
    """Return the same demand in intervals of at most so many seconds, all equally long; it is even within each."""
    parts = max(1, math.ceil(trace.interval / longest - 1e-9))
    if parts == 1:
        return trace
    return Trace(trace.start, trace.interval / parts, tuple(value for value in trace.demand for _part in range(parts)))


def of_file(what: str, sentences: t.Sequence[str]) -> InvalidReplay:
    """Return the error of a file; of a file of another format, not each row is named.

    :param what: its path.
    """
    more = f" {len(sentences) - NAMED} more." if len(sentences) > NAMED else ""
    return InvalidReplay([Fault("path", f"{what}: {' '.join(sentences[:NAMED])}{more}")])


def _row(line: str) -> tuple[float, float] | str:
    """Return the two numbers of a row, or what is wrong with it."""
    cells = line.split(",")
    if len(cells) != 2:
        return f"{_short(line)} has {len(cells)} column{'' if len(cells) == 1 else 's'}, not 2."
    values = []
    for cell in cells:
        try:
            # Underscores and spaces, which float() takes, are no numbers of a CSV file.
            value = float(cell) if "_" not in cell and cell == cell.strip() else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            return f"{_short(cell)} is not a number."
        if value < 0:
            return f"{_short(cell)} is negative."
        values.append(value)
    return values[0], values[1]


def _uneven(times: list[tuple[int, float]]) -> list[str]:
    """Name the rows whose time is not one interval after the one before; the first two rows say what an interval is."""
    interval = times[1][1] - times[0][1]
    if interval <= 0:
        return [f"Line {times[1][0]}: its time is not after that of the line before."]
    faults = []
    for (_number, before), (number, after) in zip(times, times[1:]):
        # Seconds since 1970 with three decimals are off by less than a millisecond.
        if abs(after - before - interval) > max(0.002, 1e-6 * interval):
            faults.append(f"Line {number}: it is {after - before:g} s after the line before, not {interval:g} s.")
    return faults


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def _wave(shape: Shape, at: float) -> float:
    """Return the daily wave: lowest at its beginning, highest in the middle of the period."""
    return (1.0 - math.cos(2.0 * math.pi * at / shape.period)) / 2.0


def _flash(shape: Shape, at: float) -> float:
    """Return a flash crowd: one a period, at a moment of its first half that the seed draws.

    It rises within a hundredth of the period, stays for three, and falls by half in each further hundredth.
    """
    number, into = divmod(at, shape.period)
    # Numbers below zero are those that no noise uses.
    unit = shape.period / 100.0
    since = into - shape.period / 2.0 * uniform(shape.seed, -2 - int(number))
    if since < 0:
        return 0.0
    if since < 4 * unit:
        return min(1.0, since / unit)
    return math.pow(0.5, (since - 4 * unit) / unit)


def _step(shape: Shape, at: float) -> float:
    """Return a step up at a third of the period, and down again at two thirds."""
    return 1.0 if 1 <= 3.0 * (at % shape.period) / shape.period < 2 else 0.0


def _saw(shape: Shape, at: float) -> float:
    """Return a saw: a straight rise over the period and a fall at once."""
    return (at % shape.period) / shape.period


KINDS: dict[str, t.Callable[[Shape, float], float]] = {"wave": _wave, "flash": _flash, "step": _step, "saw": _saw}
"""By name, the curve of a kind: 0 where the demand is low, 1 where it is high."""


def faults_of(kind: str, shape: Shape) -> list[Fault]:
    """Return all that is wrong with what is to be generated."""
    faults = [] if kind in KINDS else [Fault("kind", f"{kind!r} is none of {', '.join(KINDS)}.")]
    for name in ("low", "peak", "hours", "interval", "period_hours", "noise", "start"):
        value = getattr(shape, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            faults.append(Fault(name, f"{value!r} is not a number of zero or more."))
    if isinstance(shape.seed, bool) or not isinstance(shape.seed, int):
        faults.append(Fault("seed", f"{shape.seed!r} is not a whole number."))
    if faults:
        return faults
    if shape.peak < shape.low:
        faults.append(Fault("peak", f"{shape.peak:g} is below low, {shape.low:g}."))
    if shape.noise > 1:
        faults.append(Fault("noise", f"{shape.noise:g} is above 1."))
    if shape.interval <= 0 or not 2 <= shape.values <= MOST:
        text = f"{shape.hours:g} in intervals of {shape.interval:g} s are not 2 to {MOST} values."
        faults.append(Fault("hours", text))
    if shape.period_hours <= 0:
        faults.append(Fault("period_hours", "0 is not above zero."))
    return faults
