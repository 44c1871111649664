# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides which partitions of a set come and go, and refuses what cannot be; pure."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.names import fault_of_length
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import coverage, fit, retention
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import (
    Bound,
    Default,
    Range,
    Remainder,
    Values,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.names import Template
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Grid
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.retention import Old
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    Leftover,
    Partition,
    Record,
    Root,
    State,
    comment_with,
)

#: Seconds by which the server's clock may differ from the controller's.
CLOCK_TOLERANCE = 86_400

#: What ``state: absent`` does not drop.
_KINDS = {
    "r": "a plain table",
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
}


@dataclasses.dataclass(frozen=True)
class New:
    """A partition to create.

    :param divided: the column that divides it in turn, by hash; "" for none.
    :param parts: its own partitions, by hash.
    """

    name: str
    bound: Bound
    divided: str = ""
    parts: tuple[New, ...] = ()

    @property
    def order(self) -> tuple[Key, str]:
        """By what it holds, where that has an order."""
        return (self.bound.lower if isinstance(self.bound, Range) else math.inf, self.name)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of one set.

    :param root: the table; None where it does not exist.
    :param axis: what the column's values are, of a range.
    :param grid: its periods.
    :param present: the partitions that there are, with what they hold.
    :param create: partitions to create, in their order.
    :param create_root: whether the table itself is created.
    :param comment: the table's new comment; None for no change.
    :param retire: partitions older than the retention, in their order.
    :param retention_error: why retention is refused; creation goes on.
    :param retention_is_new: whether the last run that had one had another one.
    :param leftovers: tables of an earlier run that are still to be dropped or moved.
    :param drop_default: whether the default partition goes.
    :param drop_table: whether the table goes.
    :param gaps: what no partition holds between the first and the last, afterwards.
    :param now: the key of the present time, or the largest number.
    :param cutoff: what ends here or before is older than the retention.
    :param strays: rows of the default partition by the new partition that they belong to.
    """

    wanted: PartitionSet
    root: Root | None = None
    axis: Axis | None = None
    grid: Grid | None = None
    present: tuple[tuple[Partition, Bound], ...] = ()
    create: tuple[New, ...] = ()
    create_root: bool = False
    comment: str | None = None
    retire: tuple[Old, ...] = ()
    retention_error: ScaleoutError | None = None
    retention_is_new: bool = False
    leftovers: tuple[Leftover, ...] = ()
    drop_default: bool = False
    drop_table: bool = False
    gaps: tuple[Range, ...] = ()
    now: int = 0
    cutoff: Key | None = None
    strays: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    time_zone: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def table(self) -> Root:
        """The table, of a set whose table exists."""
        return t.cast("Root", self.root)

    @property
    def periods(self) -> Grid:
        """The periods, of a range."""
        return t.cast("Grid", self.grid)

    @property
    def default(self) -> Partition | None:
        """The default partition that there is."""
        return next((one for one, bound in self.present if isinstance(bound, Default)), None)

    @property
    def emptied(self) -> Partition:
        """The default partition, of a set that has one."""
        return t.cast("Partition", self.default)

    @property
    def going(self) -> tuple[Old, ...]:
        """The partitions that retention puts away."""
        return tuple(old for old in self.retire if old.action != "kept")

    @property
    def changes(self) -> bool:
        """Whether there is anything to carry out."""
        own = self.create_root or self.comment is not None or self.drop_default or self.drop_table
        return bool(own or self.create or self.going or self.leftovers)


def check_server(state: State, here: float) -> None:
    """Refuse a server that cannot be worked on.

    :param here: the controller's time, in seconds since 1970.
    :raises Refused: it is a standby, or one of the two clocks is wrong.
    """
    if state.in_recovery:
        raise Refused("This server is a standby and takes no writes; name its primary.", code="standby")
    apart = abs(state.clock / 1_000_000 - here)
    if apart > CLOCK_TOLERANCE:
        raise Refused(
            f"The server's clock and the controller's are {apart / 86_400:.0f} days apart; one of them is wrong, and "
            "partitions would be made or put away by it. Nothing was changed.",
            code="clock",
            seconds_apart=round(apart),
        )


def hurry(state: State, lock_timeout: int) -> tuple[str, ...]:
    """What is said where a wait for a lock may end with a deadlock, and that in another session's error.

    :param lock_timeout: milliseconds that one attempt waits.
    """
    if lock_timeout < state.deadlock_timeout:
        return ()
    return (
        f"lock_timeout is {lock_timeout} ms, and the server's deadlock_timeout {state.deadlock_timeout} ms: in a "
        "deadlock, an application may get the error. Make lock_timeout the smaller one.",
    )


def decide(wanted: PartitionSet, state: State) -> Decision:
    """What becomes of one set.

    :raises ScaleoutError: the set cannot be had; nothing of it is to be changed.
    """
    root = state.roots.get((wanted.schema, wanted.table))
    if (wanted.schema, wanted.table) in state.unread:
        raise state.unread[(wanted.schema, wanted.table)]
    if wanted.state == "absent":
        return _absent(wanted, root, state)
    fit.check(wanted, root, state)
    if wanted.by == "range":
        return _range(wanted, root, state)
    present = () if root is None else fit.bounds_of(root, None)
    create = _hash(wanted, present) if wanted.by == "hash" else _list(wanted, present)
    return _with_default(
        Decision(
            wanted,
            root,
            present=present,
            create=_free(create, present),
            create_root=root is None,
            leftovers=tuple(left for left in root.leftovers if left.action == "moving") if root else (),
        )
    )


def _absent(wanted: PartitionSet, root: Root | None, state: State) -> Decision:
    if root is None:
        return Decision(wanted)
    if not root.may_own:
        raise fit.not_ours(wanted, root)
    if root.kind != "p":
        raise Refused(
            f"{wanted.label} is {_KINDS.get(root.kind, 'no table')} and no partition set, and state: absent drops "
            "partition sets alone. It stays.",
            code="not_partitioned",
        )
    if not wanted.confirmed:
        fit.require_all_seen(wanted, root)
    if (wanted.schema, wanted.table) in state.with_rows and not wanted.confirmed:
        raise Refused(
            f"{wanted.label} has rows, which would be dropped with it; say confirm: {wanted.table} if that is meant.",
            code="unconfirmed",
        )
    return Decision(wanted, root, present=fit.texts_of(root), drop_table=True)


def _range(wanted: PartitionSet, root: Root | None, state: State) -> Decision:
    axis = fit.axis_of(wanted, root)
    wanted.check_axis(axis)
    stored = root.record if root else Record()
    record = fit.record_of(wanted, axis, stored)
    present = fit.bounds_of(root, axis) if root else ()
    axis = axis.like(key for _one, bound in present if isinstance(bound, Range) for key in (bound.lower, bound.upper))
    grid = fit.grid_of(wanted, axis, record)
    now: int = state.largest.get((wanted.schema, wanted.table), 0) if axis.is_number else grid.now(state.clock)
    cutoff = _cutoff(wanted, grid, state.clock, now)
    column_type = root.columns[wanted.column] if root else ""
    ranges = [(one, bound) for one, bound in present if isinstance(bound, Range)]
    kept = [bound for _one, bound in ranges]
    pieces = coverage.wanted_pieces(wanted, grid, now, cutoff, kept, column_type)
    pieces, unfilled = coverage.with_gaps(wanted, grid, cutoff, kept, pieces)
    template = wanted.template(axis)
    create = [made(wanted, template.of_period(period), bound) for bound, period in pieces]
    retire, error = retention.retire(wanted, root, axis, ranges, cutoff)
    left, said = retention.leftovers(wanted, root, cutoff)
    leaving = {old.partition.oid for old in retire if old.action != "kept"}
    if error:
        leaving = set()
    after = [bound for one, bound in ranges if one.oid not in leaving] + [bound for bound, _period in pieces]
    comment = comment_with(root.comment if root else "", record.line())
    return _with_default(
        Decision(
            wanted,
            root,
            axis=axis,
            grid=grid,
            present=present,
            create=_free(create, present),
            create_root=root is None,
            comment=None if root and comment == root.comment else comment,
            retire=retire if not error else tuple(old for old in retire if old.action in ("kept", "finalized")),
            retention_error=error,
            retention_is_new=record.retention != stored.retention,
            leftovers=left,
            gaps=tuple(coverage.gaps(after)),
            now=now,
            cutoff=cutoff,
            time_zone=record.time_zone,
            warnings=(*unfilled, *said, *_of_interval(wanted, axis, stored, kept, pieces)),
        )
    )


def _of_interval(
    wanted: PartitionSet, axis: Axis, stored: Record, present: t.Sequence[Range], pieces: t.Sequence[coverage.Piece]
) -> tuple[str, ...]:
    """What is said where the set had another interval until now, which no partition that exists notices."""
    if stored.interval in (None, str(wanted.interval)):
        return ()
    begins = min((bound.lower for bound, _period in pieces), default=max((one.upper for one in present), default=0))
    return (
        f"{wanted.label}: the interval was {stored.interval} and is {wanted.interval} from now on. Existing partitions "
        f"stay as they are; the first new one begins at {axis.shown(begins)}.",
    )


def _cutoff(wanted: PartitionSet, grid: Grid, clock: int, now: int) -> Key | None:
    if wanted.retention is None:
        return None
    amount = wanted.retention.amount
    if amount.step:
        return now - amount.step
    try:
        return grid.earlier(clock, amount)
    except (OverflowError, ValueError):
        # It may be a slip of the keyboard, and to take it for "keep all" would hide that.
        raise InvalidInput(
            "retention",
            str(amount),
            f"of {wanted.label} reaches back beyond the year 1; without retention, all is kept",
        ) from None


def made(wanted: PartitionSet, name: str, bound: Bound) -> New:
    """A new partition of a set, with its own partitions where the set is divided twice."""
    sub = wanted.sub
    if sub is None:
        return New(name, bound)
    template = Template(sub.name, name)
    parts = tuple(New(template.of_remainder(part), Remainder(sub.modulus, part)) for part in range(sub.modulus))
    return New(name, bound, sub.column, parts)


def _hash(wanted: PartitionSet, present: t.Sequence[tuple[Partition, Bound]]) -> list[New]:
    there = set()
    for partition, bound in present:
        modulus = bound.modulus if isinstance(bound, Remainder) else 0
        if modulus != wanted.modulus:
            raise Refused(
                f"{wanted.label} has the partition {partition.name} with modulus {modulus}, and {wanted.modulus} is "
                "wanted. Rows would have to move; that is not done here.",
                code="differs",
            )
        there.add(t.cast("Remainder", bound).remainder)
    template = wanted.template()
    missing = (part for part in range(wanted.modulus) if part not in there)
    return [New(template.of_remainder(part), Remainder(wanted.modulus, part)) for part in missing]


def _list(wanted: PartitionSet, present: t.Sequence[tuple[Partition, Bound]]) -> list[New]:
    template = wanted.template()
    create = []
    for word, listed in wanted.values:
        values = frozenset(listed)
        others = ((one, bound) for one, bound in present if isinstance(bound, Values))
        clash = next(((one, bound) for one, bound in others if bound.values & values), None)
        if clash is None:
            create.append(New(template.of_value(word), Values(values)))
        elif clash[1].values != values:
            raise Refused(
                f"{wanted.label} has the partition {clash[0].name}, which holds {clash[1].shown()}, and values has "
                f"{word} with {Values(values).shown()}.",
                code="overlap",
            )
    return create


def _free(create: t.Sequence[New], present: t.Sequence[tuple[Partition, Bound]]) -> tuple[New, ...]:
    """Refuse names that come twice."""
    taken = {one.name: bound for one, bound in present}
    seen: set[str] = set()
    for new in create:
        if new.name in taken:
            raise Refused(
                f"The name {new.name} is wanted for a new partition and is that of one with other bounds. Give the set "
                "another template for its names.",
                code="name_taken",
                name=new.name,
            )
        if new.name in seen:
            raise InvalidInput("name", new.name, "would be the name of two partitions; the template needs more fields")
        seen.add(new.name)
    return tuple(create)


def _with_default(decision: Decision) -> Decision:
    wanted = decision.wanted
    if wanted.default and decision.default is None:
        name = f"{wanted.table}_default"
        fault = fault_of_length(name)
        if fault:
            raise InvalidInput("default", name, fault)
        new = New(name, Default())
        return dataclasses.replace(decision, create=_free((*decision.create, new), decision.present))
    if wanted.default is False and decision.default is not None:
        return dataclasses.replace(decision, drop_default=True)
    return decision


def clash(decision: Decision, taken: t.Mapping[tuple[str, str], t.Mapping[str, str]]) -> Refused | None:
    """Why new partitions, or those that move, cannot have the names that they are to have.

    :param taken: names, each after its schema, that something has; with its columns, as far as it has some.
    """
    schema, retention = decision.wanted.schema, decision.wanted.retention
    names = [(schema, one.name) for new in decision.create for one in (new, *new.parts)]
    if retention and retention.action == "move":
        names += [(retention.schema, old.partition.name) for old in decision.going if old.action == "moved"]
    # An interrupted move has prepared partitions of these very names, and they go first.
    leftovers = {(left.schema, table) for left in decision.leftovers for table in left.tables}
    for name in names:
        if name in taken and name not in leftovers:
            alike = decision.root is not None and taken[name] == decision.root.columns
            back = " It has the columns of this table: if it was put away, docs/partitions.md says how to put it back."
            return Refused(
                f"{decision.wanted.label}: the name {'.'.join(name)} is wanted for a partition, and something that is "
                f"not a partition of this table has it.{back if alike else ''}",
                code="name_taken",
                name=".".join(name),
            )
    return None
