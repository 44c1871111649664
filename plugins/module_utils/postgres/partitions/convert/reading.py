# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a table that becomes a partition set, and its rows' outermost keys."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, BadBound, Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import (
    catalog,
    decide,
    statements,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import Table

_OUTERMOST = """
SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL statement_timeout = 0;
SELECT {column}::text AS value FROM {table} WHERE {column} IS NOT NULL ORDER BY {column} {order} LIMIT 1
"""


def read(session: Session, schema: str, name: str) -> Table | None:
    """A relation with all that belongs to it; None where there is none of that name."""
    rows = session.rows(catalog.QUERY, {"schema": schema, "name": name})
    return Table.of(json.loads(rows[0]["facts"])) if rows else None


def again(session: Session, table: Table) -> Table:
    """The same table as it is now.

    :raises Conflict: it is another one.
    """
    now = read(session, table.schema, table.name)
    if now is None or now.oid != table.oid:
        raise changed(table)
    return now


def root_of(session: Session, table: Table) -> Table:
    """The partitioned table that was made for a plain one."""
    root = read(session, table.schema, statements.root_name(table))
    if root is None:
        raise changed(table)
    return root


def same(session: Session, table: Table) -> None:
    """Make sure, under a lock that keeps others from altering a table, that it is what was read.

    :raises Conflict: it is not.
    """
    if again(session, table) != table:
        raise changed(table)


def changed(table: Table) -> Conflict:
    return Conflict(f"Someone altered {table.schema}.{table.name} while it became a partition set. Run again.")


def require_values(session: Session, table: Table, column: str) -> None:
    """Refuse rows that no range has.

    :raises Refused: there are rows whose value is null.
    """
    known = next(one for one in table.columns if one.name == column)
    if not known.not_null and session.rows(
        f"SET LOCAL statement_timeout = 0; SELECT FROM {table.quoted} WHERE {known.quoted} IS NULL LIMIT 1"
    ):
        raise Refused(
            f"{table.schema}.{table.name} cannot become a partition set: it has rows whose {column} is null, and a "
            "range has none such. Give them a value, or remove them, first.",
            code=decide.CODE,
        )


def outermost(session: Session, table: Table, column: str, axis: Axis, largest: bool = True) -> Key | None:
    """The largest or smallest key of a table's column; None where it has no rows.

    :raises Refused: it is none.
    """
    quoted = next(one.quoted for one in table.columns if one.name == column)
    query = _OUTERMOST.format(column=quoted, table=table.quoted, order="DESC" if largest else "ASC")
    rows: list[dict[str, t.Any]] = session.rows(query)
    if not rows:
        return None
    text = rows[0]["value"]
    whole, point, _fraction = text.partition(".")
    try:
        if axis.is_number and point:
            # Rounded down it is in the same period, as a bound is a whole number.
            return int(whole) - (1 if whole.startswith("-") else 0)
        return axis.parse(text)
    except (BadBound, ValueError):
        raise Refused(
            f"{table.schema}.{table.name} cannot become a partition set: it has a row at {text}, which no period has. "
            "Correct or remove it first.",
            code=decide.CODE,
        ) from None
