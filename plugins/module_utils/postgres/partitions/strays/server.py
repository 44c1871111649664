# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts the rows of default partitions that belong elsewhere, and moves them there."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience as waiting
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Patience, Waited
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import ddl, queries
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision, New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays import places, statements
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays.places import Strays
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays.statements import Move

#: Rows that one block of 8 kB has at the most.
_ROWS_OF_BLOCK = 291
#: Notes that the last transaction may have to copy again: some milliseconds.
_LAST = 500
_TRUNCATED = "40001"
_ACCESS = "AccessExclusiveLock"

_FACTS = """SET LOCAL search_path = '';
SELECT (SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM (SELECT x.indkey FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid
              AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL
              AND NOT EXISTS (SELECT FROM pg_attribute n WHERE n.attrelid = c.oid AND NOT n.attnotnull
                              AND n.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1]))
              ORDER BY NOT x.indisprimary, x.indexrelid LIMIT 1) x
        CROSS JOIN unnest(x.indkey::int2[]) WITH ORDINALITY k (number, place)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number) AS key,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
             ORDER BY a.attnum) AS columns,
       ARRAY(SELECT pg_get_constraintdef(f.oid) FROM pg_constraint f
             WHERE f.conrelid = %(root)s AND f.contype = 'f' ORDER BY f.conname) AS foreign_keys,
       ARRAY(SELECT g.tgname::text FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgparentid = 0
             AND position('scaleout_moving' IN g.tgname::text) <> 1 ORDER BY 1) AS triggers,
       c.relkind::text AS kind,
       pg_relation_size(c.oid) / current_setting('block_size')::bigint AS blocks
FROM pg_class c WHERE c.oid = %(default)s
"""


def look(session: Session, decision: Decision) -> Decision:
    """A decision with what the rows of the default partition add to it; itself where there is no default partition."""
    default, sql, root = decision.default, session.sql, decision.root
    if default is None or root is None or (decision.wanted.default is False and not decision.create):
        return decision
    table = ddl.name(sql, default.schema, default.name)
    column = sql.Identifier(decision.wanted.column)
    if decision.grid is None:
        conditions = [statements.condition(sql, decision.wanted.column, new.bound, None) for new in decision.create]
        if not conditions:
            return decision
        each = [sql.SQL("count(*) FILTER (WHERE {})").format(one) for one in conditions]
        query = sql.SQL("SELECT ARRAY[{}] AS counts FROM {}").format(sql.SQL(", ").join(each), table)
        return places.with_listed(decision, session.rows(query)[0]["counts"])
    periods = places.periods(decision)
    edges = [periods[0].lower, *(period.upper for period in periods)]
    axis = decision.grid.axis
    query = sql.SQL(
        "SELECT coalesce(width_bucket({column}, ARRAY[{edges}]::{type}[]), -1) AS place, count(*) AS rows "
        "FROM {table} GROUP BY 1"
    ).format(
        column=column,
        edges=sql.SQL(", ").join(sql.Literal(axis.literal(edge)) for edge in edges),
        type=sql.SQL(root.columns[decision.wanted.column]),
        table=table,
    )
    counts = {row["place"]: row["rows"] for row in session.rows(query)}
    outside = sum(rows for place, rows in counts.items() if not 0 < place <= len(periods))
    ends = _ends(session, table, column) if outside else ("", "")
    return places.with_periods(decision, Strays(tuple(periods), counts, *ends))


def _ends(session: Session, table: t.Any, column: t.Any) -> tuple[str, str]:
    """The first and the last value, for a message."""
    found = []
    for order in ("ASC", "DESC"):
        query = session.sql.SQL(
            "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; "
            "SELECT {0}::text AS value FROM {1} WHERE {0} IS NOT NULL ORDER BY {0} {2} LIMIT 1"
        ).format(column, table, session.sql.SQL(order))
        rows = session.rows(query)
        found.append(rows[0]["value"] if rows else "null")
    return found[0], found[1]


@dataclasses.dataclass
class Mover:
    """Moves the rows of a set's default partition into partitions that are created for them.

    :param user: who we are on the server.
    :param batch_rows: the most rows of one transaction.
    :param pause: is called before each batch.
    """

    session: Session
    decision: Decision
    patience: Patience
    waited: Waited
    user: str
    companion: Companion
    batch_rows: int
    pause: t.Callable[[], None]

    def run(self, new: t.Sequence[New]) -> int:
        """Create partitions and move their rows; returns how many that were.

        :raises Refused: the rows cannot be moved, or a lock was not had; all is as it was then.
        """
        root, default = self.decision.table, self.decision.emptied
        facts = self.session.rows(_FACTS, {"root": root.oid, "default": default.oid})[0]
        move = Move(
            root,
            default,
            tuple(new),
            self.decision.axis,
            self.decision.wanted.column,
            tuple(facts["key"] or ()),
            tuple(facts["columns"]),
        )
        self._check(move, facts)
        if not move.key:
            return self._at_once(move)
        statement = statements.prepare(self.session.sql, move, self.user, facts["foreign_keys"])
        locks = {move.default.oid: "ShareRowExclusiveLock"}
        # Where this fails, nothing was made, and what has one of these names is someone else's.
        self._patiently(statement, f"prepare to move rows of {move.default.name}", locks)
        try:
            return self._in_batches(move)
        except ScaleoutError:
            with contextlib.suppress(ScaleoutError):
                self.clean(move)
            raise

    def clean(self, move: Move) -> None:
        """Remove what was prepared."""
        statement = statements.clean(self.session.sql, move.leftover)
        self._patiently(statement, f"give up moving rows of {move.default.name}", {move.default.oid: _ACCESS})

    def _check(self, move: Move, facts: t.Mapping[str, t.Any]) -> None:
        default = move.default.name
        names = ", ".join(new.name for new in move.new)
        why = ""
        if facts["kind"] != "r":
            why = "it is partitioned itself"
        elif move.root.referencing:
            why = "foreign keys lead to the table, and they would be broken for a moment"
        elif facts["triggers"] and not self.companion.covers(move.root):
            why = f"it has triggers of its own ({', '.join(facts['triggers'])}), which would be lost"
        if why:
            raise Refused(
                f"{self.decision.wanted.label}: {default} has rows that belong to {names}, and they cannot be moved: "
                f"{why}.",
                code="cannot_move",
            )

    def _at_once(self, move: Move) -> int:
        rows = sum(self.decision.strays.get(new.name, 0) for new in move.new)
        if rows > self.batch_rows:
            raise Refused(
                f"{self.decision.wanted.label}: {move.default.name} has {rows} rows that belong elsewhere, and no key "
                f"that tells them apart; without one they are moved in one transaction, of {self.batch_rows} rows "
                "(batch_rows) at the most. Give the table a primary key, or raise batch_rows.",
                code="cannot_move",
            )
        more = [one for new in move.new for one in self.companion.attached(move.root, new.name)]
        statement = statements.at_once(self.session.sql, move, self.user, more)
        self._patiently(statement, self._what(move), self._locks(move))
        return rows

    def _in_batches(self, move: Move) -> int:
        sql = self.session.sql
        # What is written after that is noted, so the blocks there are now are all that has to be read.
        blocks = self.session.rows(_FACTS, {"root": move.root.oid, "default": move.default.oid})[0]["blocks"]
        step = max(1, self.batch_rows // _ROWS_OF_BLOCK)
        for first in range(0, blocks, step):
            self.pause()
            self.session.rows(statements.copy_blocks(sql, move, first, first + step))
        self._catch_up(move)
        moved: int = sum(
            self.session.rows(
                sql.SQL("SELECT count(*) AS rows FROM {}").format(ddl.name(sql, move.root.schema, new.name))
            )[0]["rows"]
            for new in move.new
        )
        more = [one for new in (*move.new, move.rest) for one in self.companion.attached(move.root, new.name)]
        statement = statements.swap(sql, move, _LAST, more)

        def again() -> t.Any:
            self._catch_up(move)
            return statement

        self._patiently(statement, self._what(move), self._locks(move), again=again)
        return moved

    def _catch_up(self, move: Move) -> None:
        """Copy again what was written meanwhile, until little is left."""
        while True:
            self.pause()
            done = self.session.rows(statements.catch_up(self.session.sql, move, self.batch_rows))[0]["rows"]
            if done < min(_LAST, self.batch_rows):
                return

    def _what(self, move: Move) -> str:
        return f"move rows of {move.default.name} to {', '.join(new.name for new in move.new)}"

    def _locks(self, move: Move) -> dict[int, str]:
        return {move.root.oid: _ACCESS, move.default.oid: _ACCESS}

    def _patiently(self, statement: t.Any, what: str, locks: dict[int, str], **more: t.Any) -> None:
        waiting.patiently(self.session, statement, what, locks, self.patience, self.waited, **more)


def was_truncated(error: ScaleoutError) -> bool:
    """Whether a move was given up because all rows of the default partition were removed meanwhile."""
    return error.facts.get("sqlstate") == _TRUNCATED


def aside(session: Session, decision: Decision, new: t.Sequence[New]) -> t.Any:
    """Statements that let a large default partition say that it has no row of some partitions; None where it is small.

    :return: those that add the constraints, that prove them, and that drop them.
    """
    default, sql = decision.default, session.sql
    if default is None or decision.axis is None:
        return None
    size = session.rows(queries.SIZE, {"oid": default.oid})[0]["size"]
    return statements.aside(sql, default, decision.wanted.column, decision.axis, new) if size > _LARGE else None


#: A default partition of more bytes than this is read before it is locked, not while it is.
_LARGE = 16 * 1024 * 1024
