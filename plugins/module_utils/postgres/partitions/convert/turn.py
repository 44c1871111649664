# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Has the locks of a conversion without making the application wait.

Whoever waits for ACCESS EXCLUSIVE makes all wait who come after. So it is tried for without waiting, many times, and
then with waits of milliseconds. Before that comes SHARE UPDATE EXCLUSIVE, for which no one waits who reads or writes:
an autovacuum gives way to it after a second, and none begins while it is held.
"""

from __future__ import annotations

import contextlib
import random
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience as waiting
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import (
    Holder,
    Locked,
    Patience,
    Waited,
    is_busy,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.sql import (
    Name,
    Statement,
    Value,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import Table

WEAK_TIMEOUT = 5000
"""Milliseconds of one wait for a lock that stops no reader and no writer; an autovacuum needs a second of them."""

WAITS = (10, 20, 30, 50)
"""Milliseconds of the waits for ACCESS EXCLUSIVE, one after the other; the last one again and again. So long may a
statement of the application stand behind us."""

TRIES = 10
"""Tries without a wait before each one with it."""

LONG = 0.5
"""Seconds after which an open transaction is a long one: to wait for it would only hold others up."""

# Definitions were printed with an empty search_path, and are read so as well.
_PATH: Statement = ("SET LOCAL search_path = ''",)

# Whatever the server's defaults are: a snapshot of the beginning would not see what others have committed since.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '{}ms'; SET LOCAL search_path = ''"


class Turn:
    """How a conversion gets its locks, for so long as its patience lasts."""

    def __init__(self, session: Session, patience: Patience, waited: Waited) -> None:
        self.session = session
        self.patience = patience
        self.waited = waited

    def short(self, wanted: t.Sequence[Statement], what: str, table: Table) -> None:
        """Run statements as one transaction whose locks no one waits for long.

        :param what: what they do, for messages.
        :param table: whose neighbours are locked.
        :raises Locked: the patience is over.
        """
        locks = {one.target_oid: "ShareRowExclusiveLock" for one in table.foreign_keys}
        patience = Patience(WAITS[-1], self.patience.seconds)
        waiting.patiently(self.session, render(self.session, [_PATH, *wanted]), what, locks, patience, self.waited)

    def exclusive(
        self,
        table: Table,
        locks: t.Sequence[Statement],
        body: t.Sequence[Statement],
        what: str,
        check: t.Callable[[], None] | None = None,
    ) -> None:
        """Run statements in one transaction that has the table to itself.

        :param locks: those to take; by default of the table alone.
        :param check: is called once no one else can alter the table; what it raises ends it.
        :raises Locked: the patience is over; nothing was done.
        """
        held = {table.oid: "AccessExclusiveLock"}
        held.update({key.table_oid: "AccessExclusiveLock" for key in table.incoming})
        held.update({key.target_oid: "ShareRowExclusiveLock" for key in table.foreign_keys} if locks else {})
        locks = locks or [(f"LOCK TABLE {table.quoted} IN ACCESS EXCLUSIVE MODE",)]
        started, failed = time.monotonic(), 0
        with self._waiting(), self._transaction():
            self._weak(table, what, started)
            if check is not None:
                check()
            while not self._try(locks, body, failed):
                failed += 1
                self.waited.attempts += 1
                spent = time.monotonic() - started
                holders = self._holders(held, failed)
                if spent > self.patience.seconds:
                    raise Locked(what, failed, spent, holders or self.waited.holders)
                # Behind a long transaction of another, each wait of ours would only hold others up.
                while any((one.seconds or 0) > LONG for one in holders):
                    if time.monotonic() - started > self.patience.seconds:
                        raise Locked(what, failed, time.monotonic() - started, holders)
                    time.sleep(random.uniform(0.05, 0.15))
                    holders = self._holders(held, 0)
                time.sleep(random.uniform(0.005, 0.03))

    @contextlib.contextmanager
    def _waiting(self) -> t.Iterator[None]:
        """Count the time that something took as time spent waiting, where an attempt of it failed."""
        started, attempts = time.monotonic(), self.waited.attempts
        try:
            yield
        finally:
            if self.waited.attempts > attempts:
                self.waited.seconds += time.monotonic() - started

    def _holders(self, held: t.Mapping[int, str], failed: int) -> list[Holder]:
        """Who has what we want; looked at before each try that waits, and after it."""
        if failed % (TRIES + 1) not in (0, TRIES):
            return []
        # Within a transaction, pg_stat_activity stays as it was seen first.
        self.session.run("SELECT pg_stat_clear_snapshot()")
        holders = waiting.holders_of(self.session, held)
        self.waited.note(holders)
        return holders

    @contextlib.contextmanager
    def _transaction(self) -> t.Iterator[None]:
        self.session.run(_BEGIN.format(WEAK_TIMEOUT))
        try:
            yield
        except BaseException:
            with contextlib.suppress(ScaleoutError):
                self.session.run("ROLLBACK")
            raise

    def _weak(self, table: Table, what: str, started: float) -> None:
        """The lock that keeps vacuum and other changes away; it waits where no one waits behind it."""
        failed = 0
        while True:
            try:
                self.session.run(f"SAVEPOINT weak; LOCK TABLE {table.quoted} IN SHARE UPDATE EXCLUSIVE MODE")
            except Refused as error:
                if not is_busy(error):
                    raise
                self.session.run("ROLLBACK TO SAVEPOINT weak")
            else:
                return
            failed += 1
            holders = waiting.holders_of(self.session, {table.oid: "ShareUpdateExclusiveLock"})
            self.waited.attempts += 1
            self.waited.note(holders)
            if time.monotonic() - started > self.patience.seconds:
                raise Locked(what, failed, time.monotonic() - started, holders)

    def _try(self, locks: t.Sequence[Statement], body: t.Sequence[Statement], failed: int) -> bool:
        """Try once; one message, so that the locks are held for as long as the statements take, and no longer."""
        rounds, position = divmod(failed, TRIES + 1)
        timeout = WAITS[min(rounds, len(WAITS) - 1)]
        limit: list[Statement] = [(f"SET LOCAL lock_timeout = '{timeout}ms'",)]
        begin: list[Statement] = [("SAVEPOINT strong",), *limit]
        if position < TRIES:
            # Not all that takes a lock knows NOWAIT.
            begin.append(("SET LOCAL lock_timeout = '1ms'",))
            locks = [(*one, " NOWAIT") if str(one[0]).startswith("LOCK ") else one for one in locks] + limit
        try:
            self.session.run(render(self.session, [*begin, *locks, *body, ("COMMIT",)]))
        except Refused as error:
            if not is_busy(error):
                raise
            self.session.run("ROLLBACK TO SAVEPOINT strong")
            return False
        return True


def given(wanted: t.Sequence[str]) -> list[Statement]:
    """Statements of another room, each with its semicolon."""
    return [(one.rstrip(";"),) for one in wanted]


def render(session: Session, wanted: t.Sequence[Statement]) -> t.Any:
    """Statements as the driver sends them, in one message."""
    sql = session.sql
    quote: dict[t.Any, t.Any] = {Name: sql.Identifier, Value: sql.Literal}
    parts = []
    for one in wanted:
        parts += [sql.SQL(part) if isinstance(part, str) else quote[type(part)](part.text) for part in one]
        parts.append(sql.SQL("; "))
    return sql.Composed(parts[:-1])
