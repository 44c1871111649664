# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said of the sets that there are: for a person, a playbook, and a monitoring system; pure."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import (
    bounds,
    coverage,
    fit,
    periods,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import KINDS, Axis, Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Bound, Default, Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Partition, Root

_DAY = 86_400_000_000

#: What a monitoring system reads, with what each means.
METRICS = {
    "days_ahead": "Days until the upper bound of the last partition that follows the present one without a gap.",
    "covered_until_seconds": "Unix time until which each moment from the present one on has a partition.",
    "numbers_ahead": "Numbers above the largest one until that bound, of a set whose column is a number.",
    "gaps": "Ranges between partitions that no partition holds.",
    "default_rows": "Rows in the default partition.",
    "partition_count": "Partitions.",
    "bytes": "Bytes of all partitions with their indexes.",
    "pending": "Partitions whose detaching was interrupted.",
    "failed": "Whether something of the set could not be known; what is missing among the others is not 0.",
}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What has to be asked for beside a table's catalog rows.

    :param clock: the server's time, in microseconds since 1970.
    :param largest: the largest number in the column, of a set whose column is a number.
    :param default_rows: rows in the default partition; None where there is none, or we may not read it.
    :param denied: whether our user may not read the table.
    :param error: why rows could not be looked at for another reason.
    """

    clock: int
    largest: int | None = None
    default_rows: int | None = None
    denied: bool = False
    error: ScaleoutError | None = None


def axis_of(root: Root) -> Axis | None:
    """What the values of a set's column are, as far as it is a range of one column that we understand."""
    if root.by != "range" or len(root.partitioned_by) != 1 or root.partitioned_by[0] is None:
        return None
    kind = root.record.kind
    column_type = root.columns.get(root.partitioned_by[0], "")
    if kind in KINDS and Axis(kind).fits(column_type):
        return Axis(kind)
    return Axis.of_type(column_type)


def describe(root: Root, facts: Facts) -> dict[str, t.Any]:
    """A set as the module returns it."""
    axis, record, error = axis_of(root), root.record, facts.error
    try:
        held = fit.bounds_of(root, axis)
    except Refused:
        axis, held = None, fit.texts_of(root)
    ranges = sorted(bound for _one, bound in held if isinstance(bound, Range))
    now = None
    try:
        now = _now(root, axis, facts) if axis else None
    except InvalidInput as bad_zone:
        error = bad_zone
    until = coverage.covered_until(ranges, now) if now is not None else None
    default = next((one.name for one, bound in held if isinstance(bound, Default)), None)
    ahead = _ahead(axis, now, until) if axis and now is not None else None
    return {
        "schema": root.schema,
        "table": root.name,
        "managed": record.interval is not None or record.kind is not None,
        "by": root.by,
        "column": root.partitioned_by[0] if len(root.partitioned_by) == 1 else None,
        "kind": axis.kind if axis else None,
        "interval": record.interval,
        "time_zone": record.time_zone,
        "partitions": [_partition(one, bound, axis) for one, bound in _in_order(held)],
        "partition_count": len(held),
        "bytes": sum(one.size for one, _bound in held),
        "last_bound": axis.shown(ranges[-1].upper) if axis and ranges else None,
        "covered_until": axis.shown(until) if axis and until is not None else None,
        "covered_until_seconds": _end(axis, facts, ahead),
        "days_ahead": None if axis is None or axis.is_number else ahead,
        "numbers_ahead": ahead if axis is not None and axis.is_number else None,
        "gaps": [gap.shown(axis) for gap in coverage.gaps(ranges)] if axis else [],
        "default": default,
        "default_rows": facts.default_rows,
        "pending": [one.name for one, _bound in held if one.pending],
        "leftovers": [f"{left.schema}.{left.name}" for left in root.leftovers],
        "failed": error is not None,
        "code": error.code if error else None,
        "msg": error.message if error else None,
    }


def warned(sets: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[str, ...]:
    """What is said of sets of which something could not be known."""
    return tuple(f"{one['schema']}.{one['table']} is not described whole: {one['msg']}" for one in sets if one["msg"])


def exposition(sets: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The figures of sets in Prometheus's text format, as a file for the textfile collector."""
    lines = []
    for name, meaning in METRICS.items():
        metric = f"scaleout_partition_set_{name.replace('partition_count', 'partitions')}"
        samples = []
        for one in sets:
            value = one[name]
            if isinstance(value, (list, bool)):
                value = len(value) if isinstance(value, list) else int(value)
            if value is not None:
                labels = ",".join(f'{label}="{_escaped(one[label])}"' for label in ("schema", "table"))
                samples.append(f"{metric}{{{labels}}} {value}")
        if samples:
            lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge", *samples]
    return "".join(f"{line}\n" for line in lines)


def _now(root: Root, axis: Axis, facts: Facts) -> Key | None:
    """The present value; None where the rows that have it could not be read.

    :raises InvalidInput: the host does not know the set's time zone.
    """
    if axis.is_number:
        return None if facts.denied or facts.error else facts.largest or 0
    if not axis.is_wall:
        return axis.key(facts.clock)
    zone = periods.zone("time_zone", root.record.time_zone or "UTC")
    return axis.key(periods.micros_of(periods.wall_of(facts.clock, zone)))


def _ahead(axis: Axis, now: Key, until: Key | None) -> float | int | None:
    """Days, or numbers, that are ahead; None where there is no end."""
    if until is None:
        return 0 if axis.is_number else 0.0
    if not math.isfinite(until):
        return None
    if axis.is_number:
        return int(until - now)
    return round((axis.micros(until) - axis.micros(now)) / _DAY, 3)


def _end(axis: Axis | None, facts: Facts, days: float | int | None) -> int | None:
    """The Unix time to which days reach, which goes on being true when nothing is written any more."""
    if axis is None or axis.is_number or days is None:
        return None
    return round((facts.clock + days * _DAY) / 1_000_000)


def _in_order(held: t.Sequence[tuple[Partition, Bound]]) -> list[tuple[Partition, Bound]]:
    """Partitions by their bounds where these have an order, and by name."""

    def order(pair: tuple[Partition, Bound]) -> tuple[Key, str]:
        partition, bound = pair
        return (bound.lower if isinstance(bound, Range) else math.inf, partition.name)

    return sorted(held, key=order)


def _partition(one: Partition, bound: Bound, axis: Axis | None) -> dict[str, t.Any]:
    return {
        "name": one.name,
        "schema": one.schema,
        "bounds": bounds.shown(bound, axis),
        "bytes": one.size,
        "rows": int(one.rows) if one.rows >= 0 else None,
        "divided": one.is_divided,
        "pending": one.pending,
    }


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
