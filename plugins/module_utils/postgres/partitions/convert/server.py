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
import json
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import (
    catalog,
    decide,
    statements,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.sql import Statement, Value
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import Table
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.turn import Turn, render
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.gate import Gate

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


class Conversion:
    """One table's way to a partition set."""

    def __init__(self, session: Session, table: Table, target: statements.Target, turn: Turn, gate: Gate) -> None:
        self.session = session
        self.table = table
        self.target = target
        self.turn = turn
        self.gate = gate

    def run(self) -> None:
        """Carry the conversion out, or finish it.

        :raises Refused: it cannot be; what was made for it is removed, and the table is as it was.
        """
        self._require_free_name()
        self._remove_root()
        try:
            self._prove()
            root = self._make_root()
            self._swap(root)
        except ScaleoutError:
            with contextlib.suppress(ScaleoutError):
                self._undo()
            raise
        finish(self.session, self.table.schema, self.table.name)

    def _require_free_name(self) -> None:
        if read(self.session, self.table.schema, self.target.name) is not None:
            raise Refused(
                f"{self.table.schema}.{self.table.name} cannot become a partition set: there is a "
                f"{self.target.name} already, as the table would be called from then on. Rename it first.",
                code=decide.CODE,
            )

    def _remove_root(self) -> None:
        """Remove what an interrupted run made beside the table: the table may have changed since then."""
        left = read(self.session, self.table.schema, statements.root_name(self.table))
        if left is not None and statements.facts_of(left.comment) is not None:
            self.turn.short(statements.drop_root(self.table), "remove what an interrupted run has left", left)

    def _prove(self) -> None:
        """Step 1."""
        check = self.table.check
        wanted = statements.marked(end=_text(self.target.bound))
        if check is None or check.comment != wanted:
            add = [*statements.drop_check(self.table.quoted), *statements.add_check(self.table, self.target)]
            add.append((f"COMMENT ON CONSTRAINT {statements.CHECK} ON {self.table.quoted} IS ", Value(wanted)))
            self.turn.exclusive(self.table, [], add, "say which rows it has")
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
        self.turn.short(statements.create_root(self.table, self.target), "make the partitioned table", self.table)
        root = self._root()
        dress = statements.dress_root(self.table, root)
        if dress:
            self.turn.short(dress, "give the partitioned table its owner and grants", self.table)
            root = self._root()
        return root

    def _swap(self, root: Table) -> None:
        """Step 3."""
        self.gate.wait()
        body = statements.swap(self.table, root, self.target)
        try:
            self.turn.exclusive(self.table, statements.locks(self.table), body, "become a partition set", self._same)
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

    def _undo(self) -> None:
        """Leave the table as it was: the constraint would refuse rows beyond its end one day."""
        table = read(self.session, self.table.schema, self.table.name)
        if table is None or table.oid != self.table.oid:
            return
        self._remove_root()
        if table.check is not None:
            self.turn.exclusive(table, [], statements.drop_check(table.quoted), "be as it was")


def finish(session: Session, schema: str, name: str) -> bool:
    """Step 4, also for what an interrupted run left of it.

    :return: whether anything was left.
    """
    table = read(session, schema, name)
    left = False
    for key in table.incoming if table else ():
        facts = statements.facts_of(key.comment)
        if facts is not None:
            for one in statements.validate_key(key, facts.get("comment")):
                session.run(render(session, [one]), timeout=0)
            left = True
    return left


def _text(statement: Statement) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in statement)
