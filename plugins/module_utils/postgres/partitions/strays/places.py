# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the rows of a default partition belong, and which of them stay; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import coverage
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision, New, made
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Period

#: Rows so many periods from the present one are far outside: a mistake in the row, most likely.
REACH = 1_000


@dataclasses.dataclass(frozen=True)
class Strays:
    """How many rows of a default partition belong where.

    :param periods: those that were looked at, in their order.
    :param counts: rows by the place of their period, from 1 on; 0 and what is beyond the last are outside, -1 is null.
    :param first: the smallest value there is, for a message.
    :param last: the largest.
    """

    periods: tuple[Period, ...]
    counts: t.Mapping[int, int]
    first: str = ""
    last: str = ""


def periods(decision: Decision) -> list[Period]:
    """The periods that rows are moved to: from the retention, or long ago, to far ahead."""
    grid = decision.periods
    column_type = decision.table.columns[decision.wanted.column]
    current = grid.containing(decision.now)
    found = [current]
    for following in _steps(grid.after, current):
        if following.upper > grid.axis.largest(column_type):
            break
        found.append(following)
    oldest = []
    for earlier in _steps(grid.before, current):
        old = decision.cutoff is not None and earlier.upper <= decision.cutoff
        if old or earlier.lower < grid.axis.smallest(column_type):
            break
        oldest.append(earlier)
    return [*reversed(oldest), *found]


def _steps(step: t.Callable[[Period], Period], start: Period) -> t.Iterator[Period]:
    period = start
    for _count in range(REACH):
        try:
            period = step(period)
        except InvalidInput:  # beyond the years that can be written
            return
        yield period


def with_periods(decision: Decision, strays: Strays) -> Decision:
    """A decision that creates the partitions that rows of the default one belong to.

    What is far outside or older than the retention stays; a warning names it.
    """
    wanted, axis = decision.wanted, decision.axis
    held = [bound for _one, bound in decision.present if isinstance(bound, Range)]
    coming = {new.bound: new for new in decision.create if isinstance(new.bound, Range)}
    create = list(decision.create)
    found: dict[str, int] = {}
    for place, period in enumerate(strays.periods, start=1):
        rows = strays.counts.get(place, 0)
        if not rows:
            continue
        # A row of the default partition is in none of the others, so something of its period is free.
        mine = [one for one in coming if one.overlaps(Range(period.lower, period.upper))]
        if not mine:
            mine = free(Range(period.lower, period.upper), held)
            new = [made(wanted, wanted.template(axis).of_period(period), one) for one in mine]
            create += new
            coming.update({t.cast("Range", one.bound): one for one in new})
        for one in mine:
            found[coming[one].name] = found.get(coming[one].name, 0) + rows
    outside = sum(rows for place, rows in strays.counts.items() if not 0 < place <= len(strays.periods))
    warnings = decision.warnings
    if outside and axis:
        looked = Range(strays.periods[0].lower, strays.periods[-1].upper)
        warnings += (
            f"{wanted.label}: {outside} rows of the default partition are not {looked.shown(axis)} and stay there; the "
            f"first value there is {strays.first}, the last {strays.last}.",
        )
    create.sort(key=lambda new: new.order)
    return dataclasses.replace(
        decision,
        create=tuple(create),
        strays=found,
        gaps=tuple(coverage.gaps([*_staying(decision), *coming])),
        warnings=warnings,
    )


def with_listed(decision: Decision, counts: t.Sequence[int]) -> Decision:
    """The same of a list.

    :param counts: rows that belong to each new partition, in their order.
    """
    found = {new.name: rows for new, rows in zip(decision.create, counts) if rows}
    return dataclasses.replace(decision, strays=found)


def free(range_: Range, held: t.Sequence[Range]) -> list[Range]:
    """What of a range no other one holds."""
    found, lower = [], range_.lower
    for one in sorted(held):
        if one.overlaps(range_):
            if one.lower > lower:
                found.append(Range(lower, one.lower))
            lower = max(lower, one.upper)
    if lower < range_.upper:
        found.append(Range(lower, range_.upper))
    return found


def _staying(decision: Decision) -> list[Range]:
    gone = {old.partition.oid for old in decision.going}
    return [bound for one, bound in decision.present if isinstance(bound, Range) and one.oid not in gone]


def apart(decision: Decision) -> tuple[list[New], list[New]]:
    """New partitions without rows in the default one, and those with some."""
    empty = [new for new in decision.create if new.name not in decision.strays]
    return empty, [new for new in decision.create if new.name in decision.strays]
