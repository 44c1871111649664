# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which ranges there have to be, and which nothing holds; pure."""

from __future__ import annotations

import bisect
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import bounds
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, BadBound, Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Grid, Period
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import MOST, PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Partition

#: A range to create, and the period that it is named after.
Piece = tuple[Range, Period]


def wanted_pieces(
    wanted: PartitionSet, grid: Grid, now: int, cutoff: Key | None, present: t.Sequence[Range], column_type: str
) -> list[Piece]:
    """The ranges from ``past`` behind to ``premake`` ahead that no partition holds yet.

    :param now: the key of the present time, or the largest number.
    :param cutoff: what ends here or before is older than the retention.
    :param column_type: as PostgreSQL calls it; not all values fit into each.
    :raises Refused: a partition that exists holds a part of one.
    """
    current = grid.containing(now)
    periods = [current]
    for _ahead in range(wanted.premake):
        periods.append(grid.after(periods[-1]))
    for _behind in range(wanted.past):
        periods.insert(0, grid.before(periods[0]))
    pieces: list[Piece] = []
    # They do not overlap each other, so they are in one order by either bound.
    ordered = sorted(present)
    uppers = [one.upper for one in ordered]
    lowers = [one.lower for one in ordered]
    smallest, largest = grid.axis.smallest(column_type), grid.axis.largest(column_type)
    for period in periods:
        if (cutoff is not None and period.upper <= cutoff) or period.lower > largest or period.upper <= smallest:
            continue
        lower = -math.inf if period.lower < smallest else period.lower
        range_ = Range(lower, math.inf if period.upper > largest else period.upper)
        held = ordered[bisect.bisect_right(uppers, range_.lower) : bisect.bisect_left(lowers, range_.upper)]
        if not held:
            pieces.append((range_, period))
        elif gaps([Range(-math.inf, range_.lower), *held, Range(range_.upper, math.inf)], within=range_):
            axis = grid.axis
            raise Refused(
                f"{wanted.label} has a partition {held[0].shown(axis)}, which holds a part of what the interval "
                f"{wanted.interval} makes {range_.shown(axis)}. Partitions and interval do not fit.",
                code="overlap",
            )
    return pieces


def with_gaps(
    wanted: PartitionSet, grid: Grid, cutoff: Key | None, present: t.Sequence[Range], pieces: t.Sequence[Piece]
) -> tuple[list[Piece], list[str]]:
    """The pieces, and those that fill gaps where that is wanted; and what is said of gaps that stay."""
    if not wanted.fill_gaps:
        return list(pieces), []
    filled, said = list(pieces), []
    for gap in gaps([*present, *(range_ for range_, _period in pieces)]):
        lower = gap.lower if cutoff is None else max(gap.lower, _floor(grid, cutoff))
        found: list[Piece] | None = []
        if lower < gap.upper:
            found = _fill(grid, Range(lower, gap.upper))
        if found is None:
            said.append(
                f"{wanted.label}: the gap {gap.shown(grid.axis)} is longer than {MOST} partitions and stays; a bound "
                "beside it is probably not meant."
            )
        filled += found or []
    return sorted(filled, key=lambda piece: piece[0]), said


def gaps(ranges: t.Iterable[Range], within: Range | None = None) -> list[Range]:
    """What no range holds between the first and the last of them.

    :param within: look only there.
    """
    found = []
    end: Key | None = None
    for one in sorted(ranges):
        if end is not None and one.lower > end and math.isfinite(end) and math.isfinite(one.lower):
            gap = Range(end, one.lower)
            if within is None or gap.overlaps(within):
                found.append(gap)
        end = one.upper if end is None else max(end, one.upper)
    return found


def highest_first(partitions: t.Sequence[Partition]) -> list[Partition]:
    """The partitions of a set by numbers, from the highest bound down, and the default one last."""

    def bound_of(one: Partition) -> Key:
        try:
            bound = bounds.parse(one.bound, Axis("number"))
        except BadBound:
            return -math.inf
        return bound.lower if isinstance(bound, Range) else -math.inf

    ordered = sorted(partitions, key=bound_of, reverse=True)
    return sorted((one for one in ordered if not one.pending), key=lambda one: one.bound == "DEFAULT")


def covered_until(ranges: t.Iterable[Range], now: Key) -> Key | None:
    """The bound up to which every value from ``now`` on has a partition; None where ``now`` has none."""
    end: Key | None = None
    for one in sorted(ranges):
        if end is None:
            end = one.upper if one.lower <= now < one.upper else None
        elif one.lower <= end:
            end = max(end, one.upper)
    return end


def _floor(grid: Grid, cutoff: Key) -> int:
    return grid.containing(cutoff).lower


def _fill(grid: Grid, gap: Range) -> list[Piece] | None:
    """Periods that fill a gap, cut off at its ends; None where it is too long."""
    try:
        first, last = grid.containing(gap.lower), grid.containing(gap.upper - 1)
    except InvalidInput:  # beyond the years that periods are made of
        return None
    if last.index - first.index >= MOST:
        return None
    pieces = []
    period = first
    while period.lower < gap.upper:
        pieces.append((Range(max(period.lower, gap.lower), min(period.upper, gap.upper)), period))
        period = grid.after(period)
    return pieces
