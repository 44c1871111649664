# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a table can be the set that is wanted, and what it is then; pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import bounds, periods
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, BadBound
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Bound
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Grid
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    Partition,
    Record,
    Root,
    State,
)

#: What types are called where a table is defined, beside their own names.
_ALIASES = {
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "int8": "bigint",
    "bigserial": "bigint",
    "int": "integer",
    "int4": "integer",
    "serial": "integer",
    "int2": "smallint",
    "decimal": "numeric",
}
_TYPE = re.compile(r'\s*(?:"((?:[^"]|"")+)"|(\w+))\s+(timestamp with(?:out)? time zone|\w+)', re.IGNORECASE)


def check(wanted: PartitionSet, root: Root | None, state: State) -> None:
    """Refuse a table that cannot be the set.

    :raises ScaleoutError: saying why.
    """
    if wanted.retention and wanted.retention.schema and wanted.retention.action == "move":
        _check_schema(wanted.retention.schema, "move_to", state)
    if root is None:
        if not wanted.definition:
            raise Refused(
                f"There is no table {wanted.label}. Create it, or give its columns as definition.", code="missing"
            )
        _check_schema(wanted.schema, "schema", state)
        return
    for column in (wanted.column, wanted.sub.column if wanted.sub else wanted.column):
        if column not in root.columns:
            raise Refused(f"{wanted.label} has no column {column}.", code="missing")
    if not root.may_own:
        raise not_ours(wanted, root)
    require_all_seen(wanted, root)
    if not root.may_create:
        raise Refused(f"This user may not create tables in the schema {wanted.schema}.", code="denied")
    if root.kind != "p":
        _not_partitioned(wanted, root)
    if root.by != wanted.by or root.partitioned_by != (wanted.column,):
        by = ", ".join(column or "an expression" for column in root.partitioned_by)
        raise Refused(
            f"{wanted.label} is partitioned by {root.by} of {by}, and by {wanted.by} of {wanted.column} is wanted.",
            code="differs",
        )


def not_ours(wanted: PartitionSet, root: Root) -> Refused:
    return Refused(f"{wanted.label} belongs to {root.owner}, and only its owner may change it.", code="denied")


def require_all_seen(wanted: PartitionSet, root: Root) -> None:
    """Refuse a table of which our user does not see all rows: those that are hidden would be lost.

    :raises Refused: row security hides some.
    """
    if root.may_own and root.hidden:
        raise Refused(
            f"{wanted.label}: row security hides rows of {', '.join(root.hidden)} from this user, and they would be "
            "lost. Nothing was changed. Let a role with BYPASSRLS run this task, or say ALTER TABLE "
            f"{root.hidden[0]} NO FORCE ROW LEVEL SECURITY.",
            code="row_security",
            table=root.hidden[0],
        )


def _not_partitioned(wanted: PartitionSet, root: Root) -> None:
    unfit = unpartitionable(root, wanted.column)
    if unfit:
        raise unfit
    if root.kind != "r":
        raise Refused(f"{wanted.label} is not a table.", code="differs")
    raise Refused(
        f"{wanted.label} is a plain table. With convert: true it is turned into a partition set.",
        code="not_partitioned",
    )


def unpartitionable(root: Root, column: str) -> Refused | None:
    """Why a plain table cannot be partitioned by a column: a key that does not have it."""
    for key in root.keys:
        if column not in key.columns:
            return Refused(
                f"{root.schema}.{root.name} cannot be partitioned by {column}: {key.name} is unique over "
                f"({', '.join(key.columns)}), and every unique key of a partitioned table has to have the column it is "
                "partitioned by.",
                code="unpartitionable",
                key=key.name,
            )
    return None


def _check_schema(schema: str, option: str, state: State) -> None:
    if schema not in state.schemas:
        raise Refused(f"There is no schema {schema}, which {option} names.", code="missing")
    if not state.schemas[schema]:
        raise Refused(f"This user may not create tables in the schema {schema}, which {option} names.", code="denied")


def require_partitioned(asked: t.Iterable[str], there: t.Iterable[str], where: str) -> None:
    """Refuse names of tables that are not partitioned, as nothing would watch or keep them.

    :param where: among which tables they were looked for, such as ``this database``.
    :raises Refused: naming those.
    """
    missing = sorted({*asked} - {*there})
    if missing:
        raise Refused(f"tables: {', '.join(missing)} is no partitioned table of {where}.", code="missing")


def axis_of(wanted: PartitionSet, root: Root | None) -> Axis:
    """What the values of the set's column are.

    :raises ScaleoutError: its type has no order in time or number, or is not of the kind that is wanted.
    """
    column_type = root.columns[wanted.column] if root else _defined_type(wanted)
    if wanted.axis is not None:
        if column_type and not wanted.axis.fits(column_type):
            raise InvalidInput("kind", wanted.axis.kind, f"does not go with {wanted.column}, which is {column_type}")
        return wanted.axis
    axis = Axis.of_type(column_type)
    if axis is None:
        if root is None:
            raise InvalidInput("kind", None, f"is needed, as definition does not say plainly what {wanted.column} is")
        raise InvalidInput("column", wanted.column, f"is {column_type}, which cannot be divided into ranges here")
    return axis


def _defined_type(wanted: PartitionSet) -> str:
    for part in wanted.definition:
        found = _TYPE.match(part)
        name = found and (found[1].replace('""', '"') if found[1] else found[2].lower())
        if found and name == wanted.column:
            return _ALIASES.get(found[3].lower(), found[3].lower())
    return ""


def record_of(wanted: PartitionSet, axis: Axis, stored: Record) -> Record:
    """What is to be stored with the set.

    :raises Refused: the set was made for another zone or kind.
    """
    zone = None if axis.is_number else wanted.time_zone or stored.time_zone or "UTC"
    if stored.time_zone is not None and zone != stored.time_zone:
        raise Refused(
            f"{wanted.label} is divided in the time zone {stored.time_zone}, which is stored with it, and {zone} is "
            "wanted; the bounds would not fit.",
            code="differs",
        )
    if stored.kind is not None and axis.kind != stored.kind:
        raise Refused(
            f"{wanted.label} is divided as {stored.kind}, which is stored with it, and {axis.kind} is wanted.",
            code="differs",
        )
    kept = str(wanted.retention) if wanted.retention else stored.retention
    return Record(time_zone=zone, interval=str(wanted.interval), kind=axis.kind, retention=kept)


def grid_of(wanted: PartitionSet, axis: Axis, record: Record) -> Grid:
    """The periods of a set."""
    zone = periods.zone("time_zone", record.time_zone or "UTC")
    return Grid(axis, t.cast("periods.Amount", wanted.interval), zone)


def bounds_of(root: Root, axis: Axis | None) -> tuple[tuple[Partition, Bound], ...]:
    """The partitions of a table with what they hold.

    :raises Refused: one holds what cannot be understood here.
    """
    found = []
    for partition in root.partitions:
        try:
            found.append((partition, bounds.parse(partition.bound, axis)))
        except BadBound:
            raise Refused(
                f"{root.schema}.{root.name} has the partition {partition.name} {partition.bound}, which is not a bound "
                f"of kind {axis.kind if axis else root.by}.",
                code="differs",
            ) from None
    return tuple(found)


def texts_of(root: Root) -> tuple[tuple[Partition, Bound], ...]:
    """The same of a table that is dropped, where it does not matter what they hold."""
    return tuple((partition, bounds.Verbatim(partition.bound)) for partition in root.partitions)
