# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python3 -m reference_api.migrate`` brings the schema of every shard up to date, on the shards' primaries, and
that of the analytics database.

The migrations are the numbered files in ``migrations/`` and in ``analytics/migrations/``; each database records the
ones that it has. Running it again, or twice at the same time, changes nothing: an advisory lock lets one at a time in.
Each migration is one transaction together with its record. It runs as the application's own role, which owns the
databases.

An index of a table that is in use is made with CREATE INDEX CONCURRENTLY, which lets writes go on and runs in no
transaction. Such a migration is a file with this statement alone. It runs on a second connection while the first holds
the lock, and what an interrupted one has left is removed first.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import sys
import time
import typing as t
from dataclasses import dataclass

import psycopg

from . import analytics, consul
from .servers import one_line
from .settings import Settings, SettingsError
from .shard_map import Address, InvalidMap, ShardMap

_FOLDER = pathlib.Path(__file__).parent / "migrations"
_FILE_NAME = re.compile(r"(\d{3})_\w+\.sql")
#: The key of the advisory lock: any number, as long as all use the same.
_LOCK = 7235911840321
_CONNECT_TIMEOUT = 10
#: Seconds that a migration waits for a lock.
_LOCK_TIMEOUT = 60
#: Seconds between two looks whether the advisory lock is free.
_LOOK = 0.2
_CONCURRENT = re.compile(r"CREATE INDEX CONCURRENTLY (\w+) ON [^;]+;\s*")
_COMMENT = re.compile(r"--[^\n]*\n")
_HISTORY = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer     PRIMARY KEY,
        name       text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


class MigrationError(Exception):
    """The message is one sentence."""


@dataclass(frozen=True)
class Migration:
    """
    :param index: the name of the index, where all that it does is to make one concurrently.
    """

    version: int
    name: str
    sql: str
    index: str = ""


def load(folder: pathlib.Path = _FOLDER) -> list[Migration]:
    """
    :raises MigrationError: a file is misnamed, or a number is missing or there twice.
    """
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if not match or int(match.group(1)) != len(migrations) + 1:
            raise MigrationError(f"The migration {path.name} is not the one with number {len(migrations) + 1:03}.")
        sql = path.read_text(encoding="utf-8")
        migrations.append(Migration(int(match.group(1)), path.stem, sql, _index_of(path.name, sql)))
    return migrations


def _index_of(file_name: str, sql: str) -> str:
    """
    :raises MigrationError: it has more than the one statement that cannot be part of a transaction.
    """
    statements = _COMMENT.sub("", sql).strip()
    if "CONCURRENTLY" not in statements:
        return ""
    match = _CONCURRENT.fullmatch(statements)
    if not match:
        raise MigrationError(f"The migration {file_name} has to be one CREATE INDEX CONCURRENTLY name ON ... alone.")
    return match.group(1)


def migrate(members: t.Sequence[Address], settings: Settings, migrations: t.Sequence[Migration]) -> list[str]:
    """Apply what is missing in one database; return the names of what was applied.

    :raises MigrationError: the database cannot be reached, or refuses.
    """
    try:
        with _connect(members, settings) as connection:
            # A transaction's lock rather than a session's, so that a transaction pooler may sit between.
            applied: list[str] = []
            for migration in migrations:
                with connection.transaction():
                    _take_lock(connection)
                    connection.execute("SET LOCAL client_min_messages = warning")
                    connection.execute(_HISTORY)
                    if not _is_applied(connection, migration):
                        if migration.index:
                            _make_index(members, settings, migration)
                        else:
                            connection.execute(migration.sql)
                        connection.execute(
                            "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)",
                            (migration.version, migration.name),
                        )
                        applied.append(migration.name)
            return applied
    except psycopg.Error as error:
        where = ", ".join(f"{member.host}:{member.port}" for member in members)
        raise MigrationError(f"Cannot migrate {members[0].database} at {where}: {one_line(error)}") from error


def _connect(members: t.Sequence[Address], settings: Settings) -> psycopg.Connection[t.Any]:
    """Connect to the server that takes writes; past a pooler, which would share the connection."""
    return psycopg.connect(
        host=",".join(member.host for member in members),
        port=",".join(str(member.port) for member in members),
        target_session_attrs="read-write",
        dbname=members[0].database,
        user=settings.database_user,
        password=settings.database_password,
        connect_timeout=_CONNECT_TIMEOUT,
        autocommit=True,
        application_name="reference_api migrate",
        # Values are quoted here: what the server would have to bind keeps a snapshot until the next statement, and an
        # index that is made concurrently waits for the end of each snapshot.
        cursor_factory=psycopg.ClientCursor,
    )


def _take_lock(connection: psycopg.Connection[t.Any]) -> None:
    """
    :raises psycopg.errors.LockNotAvailable: another migration runs for too long.
    """
    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}s'")
    # It may hold the lock for as long as an index takes, and does nothing meanwhile.
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    gives_up = time.monotonic() + _LOCK_TIMEOUT
    # Not a statement that waits: an index that is made concurrently waits for the end of each that has begun before.
    while not _is_true(connection, "SELECT pg_try_advisory_xact_lock(%s)", _LOCK):
        if time.monotonic() > gives_up:
            raise psycopg.errors.LockNotAvailable(f"another migration has run for {_LOCK_TIMEOUT} s")
        time.sleep(_LOOK)


def _make_index(members: t.Sequence[Address], settings: Settings, migration: Migration) -> None:
    with _connect(members, settings) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}s'")
        state = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid = %s"
        if _is_true(connection, state, migration.index, False):
            connection.execute(f"DROP INDEX CONCURRENTLY {migration.index}")
        if not _is_true(connection, state, migration.index, True):
            connection.execute(migration.sql)


def _is_true(connection: psycopg.Connection[t.Any], query: t.LiteralString, *values: t.Any) -> bool:
    row = connection.execute(query, values).fetchone()
    return bool(row and row[0])


def _is_applied(connection: psycopg.Connection[t.Any], migration: Migration) -> bool:
    return _is_true(connection, "SELECT 1 FROM schema_migrations WHERE version = %s", migration.version)


def read_map(settings: Settings) -> ShardMap:
    """
    :raises MigrationError: there is no usable map in Consul.
    """
    try:
        entry = asyncio.run(
            consul.read_key(
                settings.consul_http_addr, settings.consul_http_token, settings.shard_map_key, index=0, wait=5
            )
        )
        if entry.value is None:
            raise MigrationError(f"There is no key {settings.shard_map_key} in Consul.")
        return ShardMap.parse(entry.value)
    except (consul.Error, InvalidMap) as error:
        raise MigrationError(str(error)) from error


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
        migrations = load()
        for shard in read_map(settings).shards.values():
            applied = migrate(shard.members, settings, migrations)
            print(f"shard {shard.id}: {', '.join(applied) or 'up to date'}")
        if settings.analytics_database is not None:
            members = analytics.addresses_of(settings.analytics_database)
            applied = migrate(members, settings, load(analytics.MIGRATIONS))
            print(f"analytics: {', '.join(applied) or 'up to date'}")
    except (SettingsError, MigrationError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
