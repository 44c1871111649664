# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carries out what was decided for a set: creation first, then retention, each in transactions of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience as waiting
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Patience
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import ddl, queries
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision, New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.outcome import Outcome
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.retention import Old
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    Leftover,
    Partition,
    Root,
    comment_with,
    split_comment,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.staying import referenced
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays import places, statements
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays import server as strays

#: Partitions that one transaction creates: each takes a lock on itself, its TOAST table and its indexes.
CHUNK = 50

_SHARE_UPDATE = "ShareUpdateExclusiveLock"
_SHARE_ROW = "ShareRowExclusiveLock"
_ACCESS = "AccessExclusiveLock"

#: Another client has created the same table, attached a partition that overlaps, or written rows of it to the default.
_RIVAL = ("42P07", "42P17", "23514")
_NOT_SUPPORTED = "0A000"
_CHECK_VIOLATION = "23514"
_DIVISION_BY_ZERO = "22012"
_REFERENCED = "23503"


class Outrun(ScaleoutError):
    """Another client has changed the set since it was read."""

    CODE = "conflict"


@dataclasses.dataclass
class Work:
    """Carries out one decision: creation first, then retention, each in transactions of their own.

    :param user: who we are on the server.
    :param outcome: what was done so far.
    """

    session: Session
    decision: Decision
    patience: Patience
    user: str
    companion: Companion
    outcome: Outcome
    batch_rows: int = 10_000
    pause: t.Callable[[], None] = lambda: None

    def create(self) -> None:
        """Create the table, and the partitions in chunks, then those that rows move to; what was done stays done.

        :raises Outrun: another client was faster.
        :raises ScaleoutError: the server refuses, or a lock was not had.
        """
        decision, sql = self.decision, self.session.sql
        wanted = decision.wanted
        first = sql.SQL("")
        if decision.create_root:
            first += ddl.create_root(sql, wanted)
        if decision.comment is not None:
            first += ddl.comment(sql, wanted.schema, wanted.table, decision.comment)
        self._tidy()
        pieces, moving = places.apart(decision)
        aside = strays.aside(self.session, decision, pieces) if pieces else None
        if aside:
            self._aside(*aside)
        try:
            self._create_all(first, pieces)
        finally:
            if aside:
                self._patiently(aside[2], "let the default partition take all rows", self._default_lock())
        if moving:
            self._move(moving)

    def _create_all(self, first: t.Any, pieces: list[New]) -> None:
        decision, sql = self.decision, self.session.sql
        size = CHUNK if self._attaching_is_harmless() else 1
        while pieces or ((decision.create_root or decision.comment is not None) and not self.outcome.described):
            chunk, pieces = pieces[:size], pieces[size:]
            try:
                self._create_chunk(first, chunk)
            except Refused as error:
                if error.facts.get("sqlstate") in _RIVAL:
                    raise Outrun(error.message) from None
                if error.facts.get("sqlstate") == _NOT_SUPPORTED:
                    # Such as a key without the column, of a definition or of a table that is divided in turn.
                    raise Refused(error.message, code="unpartitionable") from None
                raise
            self.outcome.described = True
            self.outcome.created += chunk
            first = sql.SQL("")

    def _create_chunk(self, first: t.Any, chunk: t.Sequence[New]) -> None:
        decision, sql = self.decision, self.session.sql
        root = decision.root or Root(0, decision.wanted.schema, decision.wanted.table)
        statement = sql.SQL("") if decision.root is None else ddl.lock(sql, root, "SHARE UPDATE EXCLUSIVE")
        statement += first
        # All tables are made before the first is attached, so that what attaching locks is locked as briefly as can be.
        for new in chunk:
            statement += ddl.create(sql, root, new, self.user)
        for new in chunk:
            statement += ddl.attach(sql, root, new, decision.axis)
            for more in self.companion.attached(root, new.name):
                statement += sql.SQL(more)
        names = ", ".join(new.name for new in chunk) or f"change {root.name}"
        self._patiently(statement, f"attach {names}", {root.oid: _SHARE_UPDATE})

    def _tidy(self) -> None:
        """Remove what an interrupted run has left in the way."""
        for left in self.decision.leftovers:
            if left.action == "moving":
                statement = statements.clean(self.session.sql, left)
                self._patiently(statement, f"remove {left.name}", {left.oid: _ACCESS, **self._default_lock()})
                self.outcome.finished.append(left)
        default = self.decision.default
        if default is None:
            return
        sql = self.session.sql
        rows = self.session.rows(queries.ASIDES, {"oid": default.oid, "prefix": statements.ASIDE})
        if rows:
            drops = sql.SQL(", ").join(
                sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(row["name"])) for row in rows
            )
            table = ddl.name(sql, default.schema, default.name)
            statement = sql.SQL("ALTER TABLE {} ").format(table) + drops
            self._patiently(statement, "let the default partition take all rows", self._default_lock())

    def _aside(self, add: t.Any, prove: t.Any, drop: t.Any) -> None:
        """Have a large default partition read before anything is attached beside it."""
        what = "prove that the default partition has no row of the new ones"
        try:
            self._patiently(add, what, self._default_lock())
            self._patiently(prove, what, dict.fromkeys(self._default_lock(), _SHARE_UPDATE))
        except Refused as error:
            self._patiently(drop, "let the default partition take all rows", self._default_lock())
            if error.facts.get("sqlstate") == _CHECK_VIOLATION:
                raise Outrun(error.message) from None
            raise

    def _move(self, moving: t.Sequence[New]) -> None:
        mover = strays.Mover(
            self.session,
            self.decision,
            self.patience,
            self.outcome.waited,
            self.user,
            self.companion,
            self.batch_rows,
            self.pause,
        )
        try:
            self.outcome.moved += mover.run(moving)
        except ScaleoutError as error:
            if strays.was_truncated(error):
                raise Outrun(error.message) from None
            raise
        self.outcome.created += moving

    def drop_default(self) -> None:
        """Drop the default partition, unless it has rows.

        :raises Refused: it has some.
        """
        root, default, sql = self.decision.table, self.decision.default, self.session.sql
        if default is None:
            return
        table = ddl.name(sql, default.schema, default.name)
        statement = ddl.lock(sql, root, "ACCESS EXCLUSIVE") + sql.SQL(
            "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE; "
        ).format(table)
        # It fails where there is a row, and that is the condition.
        statement += sql.SQL("SELECT 1 / (CASE WHEN EXISTS (SELECT FROM {}) THEN 0 ELSE 1 END); ").format(table)
        for more in self.companion.detaching(root, default.name):
            statement += sql.SQL(more)
        statement += ddl.detach(sql, root, default.schema, default.name) + ddl.drop(sql, default.schema, default.name)
        try:
            self._patiently(statement, f"drop {default.name}", {root.oid: _ACCESS, default.oid: _ACCESS})
        except Refused as error:
            if error.facts.get("sqlstate") != _DIVISION_BY_ZERO:
                raise
            raise Refused(
                f"{self.decision.wanted.label}: the default partition {default.name} has rows that no other one takes, "
                "and stays.",
                code="has_rows",
            ) from None
        self.outcome.dropped_default = True

    def _default_lock(self) -> dict[int, str]:
        default = self.decision.default
        return {default.oid: _ACCESS} if default else {}

    def _attaching_is_harmless(self) -> bool:
        """Whether no lock is taken that writers or readers of any table have to wait for."""
        root = self.decision.root
        return root is None or not (root.default or root.referenced or root.referencing)

    def retire(self) -> None:
        """Put the old partitions away, the one whose detaching was interrupted first.

        :raises ScaleoutError: the server refuses, or a lock was not had.
        """
        for left in self.decision.leftovers:
            if left.action != "moving":
                self._put_away(left)
                self.outcome.finished.append(left)
        # A table has one interrupted detaching at the most, and no other can begin before it is finished.
        staying = []
        for old in sorted(self.decision.going, key=lambda one: not one.partition.pending):
            try:
                self._retire(old)
            except Refused as error:
                if error.facts.get("sqlstate") != _REFERENCED:
                    raise
                staying.append(old.partition.name)
                continue
            self.outcome.retired.append(old)
        if staying:
            rows = self.session.rows(queries.REFERENCING, {"root": self.decision.table.oid})
            raise referenced(self.decision.wanted, staying, [row["name"] for row in rows])

    def _retire(self, old: Old) -> None:
        root, sql, partition = self.decision.table, self.session.sql, old.partition
        concurrently = partition.pending or not (root.default or self.companion.covers(root))
        locks = {root.oid: _ACCESS, partition.oid: _ACCESS}
        if not concurrently:
            statement = ddl.lock(sql, root, "ACCESS EXCLUSIVE")
            for more in self.companion.detaching(root, partition.name):
                statement += sql.SQL(more)
            statement += ddl.detach(sql, root, partition.schema, partition.name)
            retention = self.decision.wanted.retention
            if old.action == "dropped":
                statement += ddl.drop(sql, partition.schema, partition.name, partition.is_foreign)
            elif old.action == "moved" and retention:
                statement += ddl.move(sql, partition.schema, partition.name, retention.schema)
            self._patiently(statement, f"detach {partition.name}", locks)
            return
        left = self._mark(old) if old.action in ("dropped", "moved") else None
        try:
            self._detach_concurrently(partition, locks)
        except ScaleoutError:
            if left:
                self._unmark(left)
            raise
        if left:
            self._put_away(left)

    def _mark(self, old: Old) -> Leftover:
        """Note in its comment what becomes of a partition, for a later run to finish where this one is interrupted."""
        root, sql, retention = self.decision.table, self.session.sql, self.decision.wanted.retention
        partition = old.partition
        comment = self.session.rows(queries.COMMENT, {"oid": partition.oid})[0]["comment"]
        left = Leftover(
            partition.oid,
            partition.schema,
            partition.name,
            old.action,
            retention.schema if retention else "",
            split_comment(comment)[0],
            upper=self._upper_of(partition),
            is_foreign=partition.is_foreign,
        )
        noted = comment_with(left.comment, left.line(root))
        statement = ddl.comment(sql, left.schema, left.name, noted, left.is_foreign)
        self._patiently(statement, f"mark {left.name}", {left.oid: _SHARE_UPDATE})
        return left

    def _upper_of(self, partition: Partition) -> int | None:
        for one, bound in self.decision.present:
            if one.oid == partition.oid and isinstance(bound, Range) and math.isfinite(bound.upper):
                return int(bound.upper)
        return None

    def _unmark(self, left: Leftover) -> None:
        """Take the note back from a partition that is still attached, and whose detaching has not even begun."""
        asked = {"root": self.decision.table.oid, "partition": left.oid}
        with contextlib.suppress(ScaleoutError):
            rows = self.session.rows(queries.PENDING, asked)
            if rows and not rows[0]["pending"]:
                statement = ddl.comment(self.session.sql, left.schema, left.name, left.comment, left.is_foreign)
                self._patiently(statement, f"mark {left.name}", {left.oid: _SHARE_UPDATE})

    def _detach_concurrently(self, partition: Partition, locks: dict[int, str]) -> None:
        root, sql = self.decision.table, self.session.sql

        def statement(how: str) -> t.Any:
            return ddl.detach(sql, root, partition.schema, partition.name, how)

        def again() -> t.Any:
            # The first of its two transactions may have been carried out; the second alone is left then.
            rows = self.session.rows(queries.PENDING, {"root": root.oid, "partition": partition.oid})
            return statement("FINALIZE" if rows[0]["pending"] else "CONCURRENTLY") if rows else None

        self._patiently(
            statement("FINALIZE" if partition.pending else "CONCURRENTLY"),
            f"detach {partition.name}",
            locks,
            alone=True,
            again=again,
        )

    def _put_away(self, left: Leftover) -> None:
        """Drop or move what was detached for that."""
        sql = self.session.sql
        if left.action == "dropped":
            statement = ddl.drop(sql, left.schema, left.name, left.is_foreign)
        else:
            statement = ddl.comment(sql, left.schema, left.name, left.comment, left.is_foreign)
            statement += ddl.move(sql, left.schema, left.name, left.move_to)
        self._patiently(statement, f"put {left.name} away", {left.oid: _ACCESS})

    def drop_table(self) -> None:
        """Drop the table with its partitions."""
        root, sql = self.decision.table, self.session.sql
        locks = {root.oid: _ACCESS, **{one.oid: _ACCESS for one in root.partitions}}
        self._patiently(ddl.drop(sql, root.schema, root.name), f"drop {root.name}", locks)
        self.outcome.dropped_table = True

    def _patiently(self, statement: t.Any, what: str, locks: dict[int, str], **more: t.Any) -> None:
        root = self.decision.root
        if root is not None and root.oid in locks:
            locks = {**locks, **dict.fromkeys((*root.referenced, *root.referencing), _SHARE_ROW)}
            if root.default:
                locks[root.default] = _ACCESS
        locks.pop(0, None)
        waiting.patiently(self.session, statement, what, locks, self.patience, self.outcome.waited, **more)
