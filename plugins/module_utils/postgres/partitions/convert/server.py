# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns a plain table into a partition set while the application goes on reading and writing.

No row is written again: the table becomes the first partition. What each step leaves behind can be told from the
catalog, so a run that ended anywhere is finished by the next one:

1. A constraint says what the partition will hold. It is added without a look at the rows, and then validated with a
   lock that stops no reader and no writer.
2. A partitioned table like the plain one is made beside it.
3. In one short transaction they change places, and the table is attached without a scan.
4. Foreign keys of others, which lead to the partitioned table now, are validated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import fit
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import (
    catalog,
    decide,
    statements,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.sql import Statement, Value
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import Incoming, Table
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.turn import Turn, render
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.gate import Gate
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Partition, Root

_CHECK_VIOLATION = "23514"
_DIVISION_BY_ZERO = "22012"


def read(session: Session, schema: str, name: str) -> Table | None:
    """A relation with all that belongs to it; None where there is none of that name."""
    rows = session.rows(catalog.QUERY, {"schema": schema, "name": name})
    return Table.of(json.loads(rows[0]["facts"])) if rows else None


def read_largest(session: Session, table: Table, column: str, axis: Axis) -> Key | None:
    """The largest key of a table's column, None where it has no rows.

    :raises Refused: there are rows without a value, which no range has.
    """
    known = next(one for one in table.columns if one.name == column)
    sql = session.sql
    if not known.not_null and session.rows(f"SELECT FROM {table.quoted} WHERE {known.quoted} IS NULL LIMIT 1"):
        raise Refused(
            f"{table.schema}.{table.name} cannot become a partition set: it has rows whose {column} is null, and a "
            "range has none such. Give them a value, or remove them, first.",
            code=decide.CODE,
        )
    rows = session.rows(
        sql.SQL("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SELECT ")
        + sql.SQL(
            f"{known.quoted}::text AS largest FROM {table.quoted} WHERE {known.quoted} IS NOT NULL "
            f"ORDER BY {known.quoted} DESC LIMIT 1"
        )
    )
    if not rows:
        return None
    text = rows[0]["largest"]
    # A number with a fraction is below the next whole one, which a bound can be.
    return axis.parse(str(math.ceil(float(text))) if axis.is_number and "." in text else text)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A conversion that can be carried out.

    :param root: the table as it will be, for whoever plans its other partitions.
    :param partition: what the old table will be called.
    :param bounds: what it will hold, for a person.
    """

    table: Table
    target: statements.Target
    root: Root
    partition: str
    bounds: str


def prepare(session: Session, wanted: PartitionSet, root: Root, clock: int) -> Prepared:
    """Look at a plain table of which a set is wanted; changes nothing.

    :param clock: the server's, in microseconds since 1970.
    :raises ScaleoutError: it cannot become the set.
    """
    table = read(session, wanted.schema, wanted.table)
    if table is None:
        raise Conflict(f"{wanted.label} is gone. Run again.")
    decide.require_possible(wanted, table)
    axis = fit.axis_of(wanted, root)
    wanted.check_axis(axis)
    grid = fit.grid_of(wanted, axis, fit.record_of(wanted, axis, root.record))
    last = decide.end(wanted.label, grid, clock, read_largest(session, table, wanted.column, axis))
    target = decide.target(table, wanted.column, grid, last)
    if read(session, wanted.schema, target.name) is not None:
        raise Refused(
            f"{wanted.label} cannot become a partition set: there is a {target.name} already, as the table would be "
            "called from then on. Rename it first.",
            code=decide.CODE,
        )
    bound = Range(-math.inf, last)
    partition = Partition(table.oid, wanted.schema, target.name, bound.sql(axis))
    after = dataclasses.replace(
        root, kind="p", by=wanted.by, partitioned_by=(wanted.column,), partitions=(partition,), keys=()
    )
    return Prepared(table, target, after, target.name, bound.shown(axis))


class Conversion:
    """One table's way to a partition set."""

    def __init__(self, session: Session, prepared: Prepared, turn: Turn, gate: Gate) -> None:
        self.session = session
        self.table = prepared.table
        self.target = prepared.target
        self.turn = turn
        self.gate = gate

    def run(self) -> None:
        """Carry the conversion out, or finish it.

        :raises Refused: it cannot be; what was made for it is removed, and the table is as it was.
        """
        _remove_root(self.session, self.table, self.turn)
        try:
            self._prove()
            root = self._make_root()
            self._swap(root)
        except ScaleoutError:
            with contextlib.suppress(ScaleoutError):
                undo(self.session, self.table.schema, self.table.name, self.turn)
            raise

    def _prove(self) -> None:
        """Step 1."""
        check = self.table.check
        wanted = statements.marked(end=_text(self.target.bound))
        if check is None or check.comment != wanted:
            add = [*statements.drop_check(self.table.quoted), *statements.add_check(self.table, self.target)]
            add.append((f"COMMENT ON CONSTRAINT {statements.CHECK} ON {self.table.quoted} IS ", Value(wanted)))
            self.turn.exclusive(self.table, [], add, f"add a constraint to {self.table.name}")
        elif check.valid:
            return
        self.gate.wait()
        try:
            self.session.run(render(self.session, [statements.validate_check(self.table)]), timeout=0)
        except Refused as error:
            if error.facts.get("sqlstate") != _CHECK_VIOLATION:
                raise
            raise Conflict(
                f"{self.table.schema}.{self.table.name} got rows beyond the end of its partition just before that end "
                "was set. Run again.",
            ) from None

    def _make_root(self) -> Table:
        """Step 2."""
        self.table = self._again()
        self.turn.short(statements.create_root(self.table, self.target), f"make a partitioned table like {self.table.name}", self.table)
        root = self._root()
        dress = statements.dress_root(self.table, root)
        if dress:
            self.turn.short(dress, f"make a partitioned table like {self.table.name}", self.table)
            root = self._root()
        return root

    def _swap(self, root: Table) -> None:
        """Step 3."""
        self.gate.wait()
        body = statements.swap(self.table, root, self.target)
        try:
            self.turn.exclusive(self.table, statements.locks(self.table), body, f"turn {self.table.name} into a partition set", self._same)
        except Refused as error:
            if error.facts.get("sqlstate") != _DIVISION_BY_ZERO:
                raise
            raise self._changed() from None

    def _same(self) -> None:
        """Make sure, under a lock that keeps others from altering the table, that it is what was read."""
        if self._again() != self.table:
            raise self._changed()

    def _again(self) -> Table:
        table = read(self.session, self.table.schema, self.table.name)
        if table is None or table.oid != self.table.oid:
            raise self._changed()
        return table

    def _root(self) -> Table:
        root = read(self.session, self.table.schema, statements.root_name(self.table))
        if root is None:
            raise self._changed()
        return root

    def _changed(self) -> Conflict:
        return Conflict(
            f"Somebody altered {self.table.schema}.{self.table.name} while it became a partition set. Run again."
        )


def undo(session: Session, schema: str, name: str, turn: Turn) -> None:
    """Leave a plain table as it was: the constraint would refuse rows beyond its end one day."""
    table = read(session, schema, name)
    if table is None or table.kind != "r":
        return
    _remove_root(session, table, turn)
    if table.check is not None:
        turn.exclusive(table, [], statements.drop_check(table.quoted), f"remove the constraint of {table.name}")


def _remove_root(session: Session, table: Table, turn: Turn) -> None:
    """Remove what an interrupted run made beside the table: the table may have changed since then."""
    left = read(session, table.schema, statements.root_name(table))
    if left is not None and statements.facts_of(left.comment) is not None:
        turn.short(statements.drop_root(table), f"remove what an interrupted run has left of {table.name}", left)


def unfinished(session: Session, schema: str, name: str) -> list[Incoming]:
    """The foreign keys to a partitioned table that a conversion has moved there and not validated yet."""
    table = read(session, schema, name)
    return [key for key in table.incoming if statements.facts_of(key.comment) is not None] if table else []


def validate(session: Session, key: Incoming) -> None:
    """Step 4, of one foreign key."""
    facts = statements.facts_of(key.comment) or {}
    for one in statements.validate_key(key, facts.get("comment")):
        session.run(render(session, [one]), timeout=0)


def _text(statement: Statement) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in statement)
