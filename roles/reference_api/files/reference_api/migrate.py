# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python3 -m reference_api.migrate`` brings the schema of every shard up to date, on the shards' primaries, and
that of the analytics database.

The migrations are the numbered files in ``migrations/`` and in ``analytics/migrations/``; each database records the
ones that it has. Running it again, or twice at the same time, changes nothing: an advisory lock lets one at a time in.
Each migration is one transaction together with its record. It runs as the application's own role, which owns the
databases.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import sys
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
_LOCK_TIMEOUT = "60s"
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
    version: int
    name: str
    sql: str


def load(folder: pathlib.Path = _FOLDER) -> list[Migration]:
    """
    :raises MigrationError: a file is misnamed, or a number is missing or there twice.
    """
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if not match or int(match.group(1)) != len(migrations) + 1:
            raise MigrationError(f"The migration {path.name} is not the one with number {len(migrations) + 1:03}.")
        migrations.append(Migration(int(match.group(1)), path.stem, path.read_text(encoding="utf-8")))
    return migrations


def migrate(address: Address, settings: Settings, migrations: t.Sequence[Migration]) -> list[str]:
    """Apply what is missing in one database; return the names of what was applied.

    :raises MigrationError: the database cannot be reached, or refuses.
    """
    try:
        with psycopg.connect(
            host=address.host,
            port=address.port,
            dbname=address.database,
            user=settings.database_user,
            password=settings.database_password,
            connect_timeout=_CONNECT_TIMEOUT,
            autocommit=True,
            application_name="reference_api migrate",
        ) as connection:
            # A transaction's lock rather than a session's, so that a transaction pooler may sit between.
            applied: list[str] = []
            for migration in migrations:
                with connection.transaction():
                    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                    connection.execute("SET LOCAL client_min_messages = warning")
                    connection.execute(_HISTORY)
                    if not _is_applied(connection, migration):
                        connection.execute(migration.sql)
                        connection.execute(
                            "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)",
                            (migration.version, migration.name),
                        )
                        applied.append(migration.name)
            return applied
    except psycopg.Error as error:
        raise MigrationError(f"Cannot migrate {address} at {address.host}:{address.port}: {one_line(error)}") from error


def _is_applied(connection: psycopg.Connection[t.Any], migration: Migration) -> bool:
    query = "SELECT 1 FROM schema_migrations WHERE version = %s"
    return connection.execute(query, (migration.version,)).fetchone() is not None


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
            applied = migrate(shard.primary, settings, migrations)
            print(f"shard {shard.id} on {shard.primary.name}: {', '.join(applied) or 'up to date'}")
        if settings.analytics_database is not None:
            applied = migrate(analytics.address_of(settings.analytics_database), settings, load(analytics.MIGRATIONS))
            print(f"analytics: {', '.join(applied) or 'up to date'}")
    except (SettingsError, MigrationError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
