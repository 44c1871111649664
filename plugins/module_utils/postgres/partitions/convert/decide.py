# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a table can become a partition set, and where its first partition ends; pure."""

from __future__ import annotations

import math
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.sql import Value
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import Table, Trigger
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.statements import (
    Target,
    cut,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Grid
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet

CODE = "not_convertible"

ROOM = 2 * 24 * 3600 * 1_000_000
"""Microseconds for which the table has to take rows once its end is decided: a run that is killed leaves it with that
end, and the next one comes a night later."""

FARTHEST = 3660 * 24 * 3600 * 1_000_000
"""Microseconds that the latest row may be ahead of the clock. What is farther is a mark such as the year 9999, or no
UUIDv7, and would make one partition of all the years to come."""

_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
    "c": "a type",
}


def require_possible(wanted: PartitionSet, table: Table) -> None:
    """Refuse a set that no table becomes here, and a table that cannot become it as it is.

    :raises Refused: naming each reason.
    """
    if wanted.by != "range" and wanted.convert_old != "split":
        raise Refused(
            f"{wanted.label} cannot become a partition set by {wanted.by} as it is, since its rows have to move into "
            "partitions of their own: say convert_old: split. That needs as much disk again as the table has.",
            code=CODE,
        )
    require_convertible(table, [wanted.column] + ([wanted.sub.column] if wanted.sub else []))


def require_convertible(table: Table, columns: t.Sequence[str]) -> None:
    """Refuse a table that cannot become a partition set as it is.

    :param columns: those that the set is partitioned by, and its partitions in turn.
    :raises Refused: naming each reason.
    """
    keys = _of_keys(table, columns)
    reasons = [*_of_kind(table), *_of_columns(table, columns)] or [
        *keys,
        *_of_indexes(table),
        *_of_constraints(table),
        *_of_triggers(table),
        *(_filled_by(table, one) for one in fillers(table, columns, named=True)),
        *_of_dependents(table),
        *_of_publications(table),
    ]
    if reasons:
        raise Refused(
            f"{table.schema}.{table.name} cannot become a partition set: {'; '.join(reasons)}.",
            code="unpartitionable" if keys == reasons else CODE,
            reasons=reasons,
        )


def _of_kind(table: Table) -> list[str]:
    if table.kind != "r":
        return [f"it is {_KINDS.get(table.kind, 'no plain table')}"]
    reasons = []
    if table.is_partition:
        reasons.append("it is a partition of another table")
    elif table.inherits:
        reasons.append("it inherits from another table, or another inherits from it")
    if table.typed:
        reasons.append("it is a table of a composite type")
    if table.persistence != "p":
        reasons.append(f"it is {'temporary' if table.persistence == 't' else 'unlogged'}")
    if not table.mine:
        reasons.append(f"it belongs to {table.owner}, and this login is no member of that role")
    return reasons


def _of_columns(table: Table, columns: t.Sequence[str]) -> list[str]:
    known = {column.name: column for column in table.columns}
    reasons = [f"it has no column {name}" for name in columns if name not in known]
    return reasons + [
        f"its column {name} is generated, and PostgreSQL partitions by none such"
        for name in columns
        if name in known and known[name].generated
    ]


def _of_keys(table: Table, columns: t.Sequence[str]) -> list[str]:
    reasons = []
    for index in table.indexes:
        missing = [name for name in columns if name not in index.columns]
        if index.unique and missing:
            what = "primary key" if index.primary else "unique index"
            reasons.append(
                f"its {what} {index.name} lacks {', '.join(missing)}, and PostgreSQL keeps a key of a partitioned "
                "table unique only with the columns that divide it"
            )
    return reasons


def _of_indexes(table: Table) -> list[str]:
    return [
        f"its exclusion constraint {index.constraint} would hold in each partition alone"
        for index in table.indexes
        if index.constraint_kind == "x"
    ] + [
        f"its index {index.name} is not valid: drop it, or build it again with REINDEX CONCURRENTLY"
        for index in table.indexes
        if not index.valid
    ]


def _of_constraints(table: Table) -> list[str]:
    reasons = []
    for one in table.constraints:
        if one.to_itself:
            reasons.append(f"its foreign key {one.name} refers to the table itself")
        elif one.kind == "c" and one.no_inherit:
            reasons.append(f"its constraint {one.name} is NO INHERIT, which a partitioned table cannot have")
        elif not one.valid and one is not table.check:
            reasons.append(f"its constraint {one.name} is not validated: ALTER TABLE ... VALIDATE CONSTRAINT it first")
    for key in table.incoming:
        if not key.mine:
            reasons.append(f"the foreign key {key.name} of {key.table_name} refers to it, and that table is not ours")
        elif key.table_kind != "r":
            reasons.append(
                f"the foreign key {key.name} of {key.table_name} refers to it, and PostgreSQL adds a foreign key to a "
                "partitioned table only with a look at all its rows: drop it, and add it again afterwards"
            )
    return reasons


def _of_triggers(table: Table) -> list[str]:
    return [
        f"its trigger {one.name} is FOR EACH ROW with transition tables, which a partitioned table cannot have"
        for one in table.triggers
        if one.for_each_row and one.transition
    ] + [
        f"its trigger {one.name} has a definition that cannot be repeated"
        for one in table.triggers
        if one.definition.count(f" ON {table.quoted} ") != 1
    ]


def fillers(table: Table, columns: t.Sequence[str], named: bool) -> list[Trigger]:
    """Triggers that may give a new row its value in a column that has no default.

    PostgreSQL finds the partition of a row before such a trigger runs, and refuses the row then.

    :param named: those whose function names one of the columns; or else all others.
    """
    without = [one.name for one in table.columns if one.name in columns and not one.has_default]
    found = []
    for trigger in table.triggers:
        if trigger.before_insert and trigger.enabled != "D" and without:
            names = "|".join(map(re.escape, without))
            names_one = bool(re.search(rf'\bNEW\s*\.\s*"?({names})"?(?!\w)', trigger.source, re.IGNORECASE))
            found += [trigger] if names_one == named else []
    return found


def _filled_by(table: Table, trigger: Trigger) -> str:
    return (
        f"its trigger {trigger.name} may fill the column that it would be partitioned by, and PostgreSQL chooses the "
        f"partition of a row before that: give the column a default (ALTER TABLE {table.name} ALTER … SET DEFAULT …)"
    )


def doubts(wanted: PartitionSet, table: Table) -> tuple[str, ...]:
    """What is said of a table that can be converted, where it may fail later."""
    others = fillers(table, [wanted.column], named=False)
    return tuple(
        f"{wanted.label}: the trigger {one.name} runs before each insert. It must not fill {wanted.column}, which has "
        "no default: PostgreSQL chooses the partition of a row before that."
        for one in others
    )


def late(wanted: PartitionSet, grid: Grid, smallest: Key | None, last: int) -> tuple[str, ...]:
    """What is said of a table that becomes one partition, whose old rows retention cannot put away for long.

    :param smallest: the smallest key of the table; None where it has no rows.
    :param last: the key before which the partition holds all rows.
    """
    # It may be cut in the next period, as it has to take rows for some days.
    if wanted.retention is None or smallest is None or smallest >= grid.before(grid.containing(last - 1)).lower:
        return ()
    amount = wanted.retention.amount
    if grid.axis.is_number:
        when = f"{wanted.column} has reached {last + amount.step}"
    else:
        when = grid.axis.shown(grid.later(last, amount))
    since = "-infinity" if smallest == -math.inf else grid.axis.shown(smallest)
    return (
        f"{wanted.label}: {old_name(wanted)} holds all rows since {since} as one partition, so retention {amount} puts "
        f"none of them away before {when}. With convert_old: split, they are divided.",
    )


def _of_dependents(table: Table) -> list[str]:
    reasons = []
    for view in table.views:
        if view.kind == "m":
            reasons.append(f"the materialized view {view.name} reads it: drop it, and create it again afterwards")
        elif view.kind != "v" or view.rule != "_RETURN":
            reasons.append(f"the rule {view.rule} of {view.name} depends on it")
        elif not view.mine:
            reasons.append(f"the view {view.name} reads it and is not ours")
    return reasons + [f"{one} depends on it" for one in table.others]


def _of_publications(table: Table) -> list[str]:
    reasons = []
    for one in table.publications:
        if not one.via_root:
            reasons.append(
                f"the publication {one.name} would publish its partitions by their own names: set "
                "publish_via_partition_root for it first"
            )
        elif one.listed and not one.mine:
            reasons.append(f"the publication {one.name} lists it and is not ours")
    return reasons + [
        # The worker looks the table up by its name, and then for its state under its new oid, which has none.
        f"the subscription {name} applies changes to it, and would skip them in silence once its worker starts again: "
        "take the table out of the publication first, and refresh the subscription"
        for name in table.subscriptions
    ]


def end(table: str, grid: Grid, now: int, largest: Key | None) -> int:
    """The key at which the partition that the table becomes ends.

    It is a bound of the grid, so that the next partition begins there, above all rows, and so far ahead that the
    application goes on writing whatever becomes of the conversion.

    :param now: the server's clock, in microseconds since 1970.
    :param largest: the largest key of the table; None where it has no rows.
    :raises Refused: it has rows that no period is made for.
    """
    if grid.axis.is_number:
        # Two whole periods more: the present one may be about to end.
        return grid.after(grid.after(grid.containing(0 if largest is None else largest))).upper
    farthest = grid.now(now + FARTHEST)
    if largest is not None and largest > farthest:
        shown = "infinity" if largest == math.inf else grid.axis.shown(largest)
        raise Refused(
            f"{table} cannot become a partition set: it has a row at {shown}, more than ten years ahead of the "
            "server's clock, and one partition would hold all the years up to it. Correct or remove such rows first.",
            code=CODE,
        )
    return grid.containing(max(grid.now(now + ROOM), largest if largest is not None else -math.inf)).upper


def old_name(wanted: PartitionSet) -> str:
    """What the table is called afterwards: as the first partition, or as what its rows have left."""
    return cut(f"{wanted.table}_{'unpartitioned' if wanted.convert_old == 'split' else 'converted'}")


def target(wanted: PartitionSet, table: Table, grid: Grid | None = None, last: int = 0) -> Target:
    """What the table becomes.

    :param last: the key before which it holds all rows, where it becomes a partition.
    """
    quoted = next(one.quoted for one in table.columns if one.name == wanted.column)
    clause = (f"{wanted.by.upper()} ({quoted})",)
    if wanted.convert_old == "split" or grid is None:
        return Target(clause, old_name(wanted))
    return Target(
        clause=clause,
        name=old_name(wanted),
        bound=(Range(-math.inf, last).sql(grid.axis),),
        condition=(f"{quoted} IS NOT NULL AND {quoted} < ", Value(grid.axis.literal(last))),
    )
