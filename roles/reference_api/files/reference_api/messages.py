# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SQL that travels. Pure.

A transaction is one message: ``BEGIN``, a time limit, the statements and ``COMMIT`` go to the server in a single
simple-query message. So each request costs one round trip, no lock is ever held while a packet travels, nothing is left
behind in a session, and a transaction pooler may sit between. The driver quotes the values (psycopg's ClientCursor).

Each statement takes a snapshot of its own, whatever the server's default isolation is; two things rest on that:

- a replica's position is read *before* the snapshot of the row that it vouches for. In one statement with the row it
  would be read after it, and could vouch for a commit that the snapshot does not see;
- the position that a write returns is read after its COMMIT, so that it lies behind the commit's own record.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Rows = list[dict[str, t.Any]]
Parameters = t.Mapping[str, t.Any]
#: Statements that travel together.
Step = tuple[t.Sequence[str], Parameters]


@dataclass(frozen=True)
class Message:
    """
    :param text: SQL with ``%(name)s`` placeholders; the sender adds ``%(milliseconds)s``, the limit for each statement.
    :param is_write: whether losing the connection leaves the outcome unknown.
    """

    text: str
    parameters: Parameters
    is_write: bool


@dataclass(frozen=True)
class Reply:
    """
    :param rows: the rows of each statement.
    :param guard: whether the server was in the state that the read asked for; always true for a write.
    :param lsn: of a write: a position that its commit lies before. Of a read: one that was passed before the rows were
        looked at. On a replica they show everything up to it. On a primary a commit is in the log a moment before
        others see it, so they show everything *before* it only.
    """

    rows: list[Rows]
    guard: bool = True
    lsn: int = 0


_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_LIMIT = "SET LOCAL statement_timeout TO %(milliseconds)s"
# Not the flushed position: with synchronous_commit = off a commit is visible before it is flushed.
_POSITION_AFTER = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS lsn"
# A promoted replica has a log of its own, with which no position compares.
_REPLICA_GUARD = (
    "SELECT pg_is_in_recovery()"
    " AND coalesce(pg_last_wal_replay_lsn() >= '0/0'::pg_lsn + %(needed_lsn)s::numeric, false) AS guard,"
    " coalesce(pg_last_wal_replay_lsn() - '0/0'::pg_lsn, 0) AS lsn"
)
# A primary that came back as a standby may be far behind.
_PRIMARY_GUARD = (
    "SELECT NOT pg_is_in_recovery() AS guard,"
    " CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_current_wal_insert_lsn() - '0/0'::pg_lsn END AS lsn"
)

#: What the watch asks a server for, the fields of :class:`watch.Seen`. It takes no lock on the table.
LOOK = """
    SELECT pg_is_in_recovery() AS standby,
           coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END
                    - '0/0'::pg_lsn, 0)::bigint AS lsn,
           CASE WHEN pg_is_in_recovery() THEN 0
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int END AS timeline,
           extract(epoch FROM clock_timestamp())::double precision AS clock,
           coalesce((SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('tasks')), false) AS partitioned,
           coalesce((SELECT relkind = 'v' AND has_table_privilege(oid, 'SELECT')
                     FROM pg_class WHERE oid = to_regclass('user_stats')), false) AS summed
"""


def write(statements: t.Sequence[str], parameters: Parameters) -> Message:
    return Message("; ".join((_BEGIN, _LIMIT, *statements, "COMMIT", _POSITION_AFTER)), parameters, True)


def read_primary(statements: t.Sequence[str], parameters: Parameters) -> Message:
    text = "; ".join((f"{_BEGIN} READ ONLY", _LIMIT, _PRIMARY_GUARD, *statements, "COMMIT"))
    return Message(text, parameters, False)


def read_replica(statements: t.Sequence[str], parameters: Parameters, needed_lsn: int) -> Message:
    """A read that counts only when the replica has replayed ``needed_lsn``."""
    text = "; ".join((f"{_BEGIN} READ ONLY", _LIMIT, _REPLICA_GUARD, *statements, "COMMIT"))
    return Message(text, {**parameters, "needed_lsn": needed_lsn}, False)


def parse_reply(message: Message, results: list[Rows]) -> Reply:
    """Take the results apart that the server sent for a message, in order: BEGIN, SET, ..., COMMIT, ..."""
    if message.is_write:
        return Reply(results[2:-2], lsn=int(results[-1][0]["lsn"]))
    (guard,) = results[2]
    return Reply(results[3:-1], guard=bool(guard["guard"]), lsn=int(guard["lsn"]))
