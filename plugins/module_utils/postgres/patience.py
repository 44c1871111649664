# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take locks without making others wait: a short lock_timeout, tries with pauses up to a bound, and who held the lock.

A statement that waits for a strong lock holds up all that comes behind it. So no attempt waits longer than
``lock_timeout``. As long as that is less than the server's ``deadlock_timeout``, it is always we who give way in a
deadlock, and no application ever gets an error for it.
"""

from __future__ import annotations

import random
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import (
    CONFLICTS,
    Holder,
    Locked,
    Patience,
    Waited,
    is_busy,
)

#: The first pause and the longest one between two attempts, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0

_Done = t.TypeVar("_Done")

# What another user's session does is visible to members of pg_read_all_stats; its pid and names are to all.
_HOLDERS = """SET LOCAL search_path = '';
SELECT DISTINCT ON (l.pid, l.relation)
       l.pid, a.usename::text AS "user", nullif(a.application_name, '') AS application, a.state,
       round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric, 3)::float8 AS seconds, l.mode,
       n.nspname || '.' || c.relname AS relation
FROM unnest(%(relations)s::oid[], %(modes)s::text[]) AS w (relation, mode)
JOIN pg_locks l ON l.locktype = 'relation' AND l.relation = w.relation AND l.mode = w.mode AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
JOIN pg_class c ON c.oid = l.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.pid <> pg_backend_pid()
ORDER BY l.pid, l.relation, l.mode
"""
_TAKERS = """SET LOCAL search_path = '';
SELECT l.pid, a.usename::text AS "user", nullif(a.application_name, '') AS application, a.state,
       round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric, 3)::float8 AS seconds, l.mode,
       %(turn)s AS relation
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(%(turn)s, 0)
"""


def patiently(
    session: Session,
    statement: t.Any,
    what: str,
    locks: t.Mapping[int, str],
    patience: Patience,
    waited: Waited,
    alone: bool = False,
    again: t.Callable[[], t.Any] | None = None,
    turn: str = "",
) -> None:
    """Run statements as one transaction, and again with pauses while a lock is not to be had.

    :param statement: text or a composition of one or more statements, without BEGIN and COMMIT.
    :param what: what they do, for the message: ``attach tasks_y2024m01``.
    :param locks: the mode that each relation is locked in, by its oid; whoever is in the way there is reported.
    :param waited: is added to.
    :param alone: the statement refuses to be in a transaction with others, such as DETACH … CONCURRENTLY.
    :param again: gives the statement for another attempt, where the first may have been carried out in part; None from
        it says that nothing is left to do.
    :param turn: what the advisory lock is of that the statements take; its hash is the key. "" for none.
    :raises Locked: the time is over.
    """
    again_now = False

    def attempt() -> None:
        nonlocal statement, again_now
        if again_now and again is not None:
            statement = again()
        again_now = True
        if statement is not None:
            run(session, statement, patience.lock_timeout, alone)

    keep_trying(session, attempt, what, lambda: locks, patience, waited, turn)


def keep_trying(
    session: Session,
    work: t.Callable[[], _Done],
    what: str,
    locks: t.Callable[[], t.Mapping[int, str]],
    patience: Patience,
    waited: Waited,
    turn: str = "",
) -> _Done:
    """Do something that waits for no lock longer than a bound, and again with pauses while one is not to be had.

    :param work: is done whole or not at all.
    :param locks: gives the locks that it takes, as in :func:`patiently`.
    :param turn: as there.
    :raises Locked: the time is over.
    """
    started = time.monotonic()
    pause, failed = _FIRST_PAUSE, 0
    try:
        while True:
            try:
                return work()
            except Refused as error:
                if not is_busy(error):
                    raise
            failed += 1
            holders = holders_of(session, locks(), turn)
            waited.attempts += 1
            waited.note(holders)
            spent = time.monotonic() - started
            if spent + pause > patience.seconds:
                raise Locked(what, failed, spent, holders)
            # Not in step with others who wait for the same.
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)
    finally:
        if failed:
            waited.seconds += time.monotonic() - started


def run(session: Session, statement: t.Any, lock_timeout: int, alone: bool = False) -> None:
    """Run statements as one transaction that waits for no lock longer than a bound.

    :param lock_timeout: milliseconds.
    :param alone: as in :func:`patiently`; the limit is the session's then, until the statement has ended.
    """
    limit = f"lock_timeout = '{lock_timeout:d}ms'"
    if not alone:
        limit = f"SET LOCAL {limit}; "
        session.run(limit + statement if isinstance(statement, str) else session.sql.SQL(limit) + statement)
        return
    session.run(f"SET {limit}")
    try:
        session.run(statement, alone=True)
    finally:
        session.run("RESET lock_timeout")


def holders_of(session: Session, locks: t.Mapping[int, str], turn: str = "") -> list[Holder]:
    """Who holds what is in the way of these locks, at this moment.

    :param locks: modes by the oids of relations.
    :param turn: as in :func:`patiently`.
    """
    pairs = [(oid, held) for oid, mode in locks.items() for held in CONFLICTS[mode]]
    rows = session.rows(_HOLDERS, {"relations": [oid for oid, _held in pairs], "modes": [held for _oid, held in pairs]})
    rows += session.rows(_TAKERS, {"turn": turn}) if turn else []
    return [Holder(**row) for row in rows]
