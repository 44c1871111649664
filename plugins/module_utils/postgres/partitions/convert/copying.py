# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves the rows of a plain table into partitions of their own while the application goes on reading and writing.

``split.py`` says how. Each batch notes in its own transaction how far it came, so a run that ended anywhere is finished
by the next one, from there on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience as waiting
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Patience, is_busy
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import ddl
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Default
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion, Moving
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import (
    decide,
    reading,
    split,
    statements,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import Index, Table
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.turn import (
    WAITS,
    Turn,
    given,
    render,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.gate import Gate
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Root

GOAL = 0.03
"""Seconds that a batch is to take: so long may whoever deletes one of its rows wait."""

REST = 0.25
"""Of the time that a batch took, what passes before the next one."""

LOCK_TIMEOUT = 100
"""Milliseconds that a batch waits for another's row: less than deadlock_timeout, so that the batch gives way."""

CHUNK = 50
"""Partitions that one transaction makes."""

_MOST_BLOCKS = 4096
_DIVISION_BY_ZERO = "22012"

_SIZE = (
    "SELECT pg_relation_size(%(oid)s::oid) / current_setting('block_size')::bigint AS blocks, "
    "pg_relation_filenode(%(oid)s::oid)::bigint AS file"
)

# A snapshot that is older than the last batch does not see all copies. What is younger does, whatever is written: the
# mirror is part of the writers' transactions.
_NOW = "SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text AS moment"
_OLDER = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND age(backend_xmin) > age(%(moment)s::xid)
"""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a table is split into.

    :param root: the table as it will be.
    :param news: its partitions.
    :param needed: the names of those without which a copy that was begun cannot go on.
    """

    target: statements.Target
    key: Index
    root: Root
    news: tuple[New, ...]
    needed: frozenset[str]
    axis: Axis | None


class Copying:
    """One table's way into partitions of their own."""

    def __init__(
        self,
        session: Session,
        table: Table,
        wanted: Wanted,
        turn: Turn,
        gate: Gate,
        user: str,
        companion: Companion,
    ) -> None:
        self.session = session
        self.table = table
        self.wanted = wanted
        self.turn = turn
        self.gate = gate
        self.user = user
        self.companion = companion
        self.rows = 0

    def run(self) -> None:
        """Carry it out, or finish it.

        :raises Refused: it cannot be, or not now. Where it has to wait too long, what was copied stays for the next
            run; otherwise what was made for it is removed.
        """
        try:
            progress = self._begin()
            self._copy(progress)
            # Autovacuum never analyzes a partitioned table, and its readers come all at once.
            analyze(self.session, f"{self.table.quoted_schema}.{statements.root_name(self.table)}")
            self._outlast()
            self._verify()
            self._swap()
        except ScaleoutError as error:
            if error.code not in ("paused", "locked"):
                with contextlib.suppress(ScaleoutError):
                    undo(self.session, self.table.schema, self.table.name, self.turn)
            raise

    def _begin(self) -> split.Progress:
        """Make the root, its partitions and the mirror, or find them as an interrupted run has left them."""
        sign = split.signature(self.table, self.wanted.target)
        root = reading.read(self.session, self.table.schema, statements.root_name(self.table))
        # Another role's table may say anything.
        progress = split.Progress.of(root.comment) if root and root.owner == self.table.owner else None
        blocks, file = self._size()
        if progress and progress.signature == sign and progress.end and self._has_all():
            return progress if progress.file == file else dataclasses.replace(progress, file=file, block=0, end=blocks)
        undo(self.session, self.table.schema, self.table.name, self.turn)
        self.table = reading.again(self.session, self.table)
        sign = split.signature(self.table, self.wanted.target)
        what = f"make a partitioned table like {self.table.name}"
        moving = self._moving()
        made = statements.create_root(self.table, self.wanted.target, for_copies=True, apart=moving.triggers)
        self.turn.short(made, what, self.table)
        root = reading.root_of(self.session, self.table)
        dress = statements.dress_root(self.table, root)
        if dress:
            self.turn.short(dress, what, self.table)
            root = reading.root_of(self.session, self.table)
        self._make_partitions(root, what)
        if moving.beside:
            self.turn.short(given(moving.beside), what, self.table)
        mirror = split.mirror(self.table, self.wanted.key)
        self.turn.exclusive(self.table, [], mirror, f"add triggers to {self.table.name}")
        # What is beyond the end was written when the mirror was there.
        blocks, file = self._size()
        progress = split.Progress(sign, file, 0, blocks)
        self.session.run(render(self.session, [split.note(self.table, progress)]))
        return progress

    def _moving(self) -> Moving:
        return self.companion.moving(self.wanted.root, statements.root_name(self.table))

    def _size(self) -> tuple[int, int]:
        row = self.session.rows(_SIZE, {"oid": self.table.oid})[0]
        return row["blocks"], row["file"]

    def _has_all(self) -> bool:
        rows = self.session.rows(
            "SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "JOIN pg_class r ON r.oid = i.inhparent JOIN pg_namespace n ON n.oid = r.relnamespace "
            "WHERE r.relname = %(root)s AND n.nspname = %(schema)s",
            {"root": statements.root_name(self.table), "schema": self.table.schema},
        )
        mirrored = sum(split.mirrors(one.name) for one in self.table.triggers) == 2
        return mirrored and self.wanted.needed <= {row["name"] for row in rows}

    def _make_partitions(self, root: Table, what: str) -> None:
        sql = self.session.sql
        index = next((one.name for one in root.indexes if one.identity), "")
        place = dataclasses.replace(self.wanted.root, name=root.name, replica_index=index)
        pieces = [*self.wanted.news]
        options = f" SET ({', '.join(self.table.options)}); " if self.table.options else ""
        while pieces:
            chunk, pieces = pieces[:CHUNK], pieces[CHUNK:]
            statement = sql.SQL("")
            for new in chunk:
                statement += ddl.create(sql, place, new, self.user) + ddl.attach(sql, place, new, self.wanted.axis)
                for leaf in new.parts or (new,):
                    if options:
                        statement += sql.SQL("ALTER TABLE ") + ddl.name(sql, root.schema, leaf.name) + sql.SQL(options)
            patience = Patience(WAITS[-1], self.turn.patience.seconds)
            waiting.patiently(
                self.session, statement, what, {root.oid: "AccessExclusiveLock"}, patience, self.turn.waited
            )
        if self._has_rest:
            self.turn.short(split.create_rest(self.table), what, self.table)

    @property
    def _has_rest(self) -> bool:
        by_hash = self.wanted.root.by == "hash"
        return not by_hash and not any(isinstance(new.bound, Default) for new in self.wanted.news)

    def _copy(self, progress: split.Progress) -> None:
        size, since = min(64.0, _MOST_BLOCKS), time.monotonic()
        begin = (
            f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}ms'; SET LOCAL search_path = ''; SET LOCAL statement_timeout = 0"
        )
        while progress.block < progress.end:
            self.gate.wait()
            end = min(progress.block + max(int(size), 1), progress.end)
            after = dataclasses.replace(progress, block=end)
            wanted = [(begin,), split.batch(self.table, progress.block, end), split.note(self.table, after)]
            begun = time.monotonic()
            try:
                self.session.run(render(self.session, wanted))
            except Refused as error:
                if not is_busy(error):
                    raise
                time.sleep(GOAL)
                self.turn.waited.attempts += 1
                self.turn.waited.seconds += time.monotonic() - begun
                if time.monotonic() - since > self.turn.patience.seconds:
                    raise Refused(
                        f"Rows of {self.table.name} are held by another transaction, since "
                        f"{self.turn.patience.seconds:.0f} s. What is copied stays; run again.",
                        code="locked",
                    ) from None
                size /= 2
                continue
            took = time.monotonic() - begun
            size = min(max(size * min(max(GOAL / max(took, 0.001), 0.5), 2.0), 1.0), _MOST_BLOCKS)
            progress, since = after, time.monotonic()
            time.sleep(took * REST)

    def _outlast(self) -> None:
        """Wait for those who began to read before the last batch: they would miss rows after the swap."""
        moment = self.session.rows(_NOW)[0]
        started, spent = time.monotonic(), 0.0
        try:
            while older := self.session.rows(_OLDER, moment):
                spent = time.monotonic() - started
                if spent > self.turn.patience.seconds:
                    pids = ", ".join(str(row["pid"]) for row in older)
                    raise Refused(
                        f"{self.table.name} is copied, and transactions from before are still open (pid {pids}); they "
                        "would not see all rows. Run again when they have ended.",
                        code="locked",
                    )
                time.sleep(0.1)
        finally:
            self.turn.waited.seconds += spent

    def _verify(self) -> None:
        """Compare the two in one snapshot, row by row through a hash."""
        root = f"{self.table.quoted_schema}.{statements.root_name(self.table)}"
        self.session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0")
        try:
            both = [self.session.rows(split.digest(name))[0] for name in (f"ONLY {self.table.quoted}", root)]
        finally:
            self.session.run("ROLLBACK")
        if both[0] != both[1]:
            raise Conflict(
                f"The copy of {self.table.name} has {both[1]['rows']} rows and the table {both[0]['rows']}, or other "
                "values in them; the copy was removed. Someone has altered one of them meanwhile."
            )
        self.rows = both[0]["rows"]

    def _swap(self) -> None:
        self.gate.wait()
        self.table = reading.again(self.session, self.table)
        root = reading.root_of(self.session, self.table)
        moving = self._moving()
        body = split.swap(self.table, root, self.wanted.target, self._has_rest, moving.triggers)
        body += given(moving.replaced)
        what = f"turn {self.table.name} into a partition set"
        try:
            self.turn.exclusive(self.table, split.locks(self.table), body, what, self._same)
        except Refused as error:
            if error.facts.get("sqlstate") != _DIVISION_BY_ZERO:
                raise
            self._name_rest()
            raise reading.changed(self.table) from None

    def _same(self) -> None:
        reading.same(self.session, self.table)

    def _name_rest(self) -> None:
        """Say which rows have no partition.

        :raises Refused: there are such.
        """
        if not self._has_rest:
            return
        rest = f"{self.table.quoted_schema}.{split.rest_name(self.table)}"
        count = self.session.rows(f"SELECT count(*)::bigint AS rows FROM {rest}")[0]["rows"]
        if count:
            raise Refused(
                f"{self.table.schema}.{self.table.name} cannot be split: {count} rows belong into none of the "
                "partitions. Correct them, or declare partitions for them.",
                code=decide.CODE,
                rows=count,
            )


def analyze(session: Session, quoted: str) -> None:
    """Give the planner what it has to know; a conversion does not fail for lack of it."""
    with contextlib.suppress(Refused):
        session.run(f"ANALYZE {quoted}", timeout=0)


def undo(session: Session, schema: str, name: str, turn: Turn) -> None:
    """Leave a plain table as it was before any conversion.

    A constraint of ours would refuse rows one day, and the mirror writes each row twice.
    """
    table = reading.read(session, schema, name)
    if table is None or table.kind != "r":
        return
    wanted: list[t.Any] = []
    if table.check is not None:
        wanted += statements.drop_check(table.quoted)
    if any(split.mirrors(trigger.name) for trigger in table.triggers):
        wanted += split.drop_mirror(table, (table.quoted,))
    if wanted:
        turn.exclusive(table, [], wanted, f"remove what a conversion has left of {table.name}")
    left = reading.read(session, schema, statements.root_name(table))
    if left is None or statements.facts_of(left.comment) is None:
        return
    # Another role may write such a comment, too.
    if left.owner in (table.owner, session.rows("SELECT pg_catalog.quote_ident(current_user) AS name")[0]["name"]):
        turn.short(statements.drop_root(table), f"remove what a conversion has left of {table.name}", left)
