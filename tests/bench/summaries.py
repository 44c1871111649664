# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a summary costs those who write, beside the same writes without one and beside a refresh.

    python -m tests.bench.summaries [--rounds N] [--rows N] [--seconds N]

The tables are those of the reference API, with a foreign key to the users. Both kinds are written in turns, in a random
order in each round, over a connection each. Two ratios are printed: of the time that the server's process had a
processor for, which other processes disturb least, and by the clock of the client. Data is in memory, where a commit
costs next to nothing, so that the ratios are as bad as they can be.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pathlib
import random
import statistics
import time

import psycopg2
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations import keep_summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection, locks
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import server
from tests.unit import postgres_server

BARE, OURS = "bare", "summary"
USERS = 10_000
MASS = 1000
SINGLE = 300

TABLES = """
CREATE SCHEMA {s};
CREATE TABLE {s}.users (id uuid PRIMARY KEY, name text);
CREATE TABLE {s}.tasks (user_id uuid NOT NULL REFERENCES {s}.users (id) ON DELETE CASCADE, id uuid NOT NULL,
    title text NOT NULL, description text, status text NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'in_progress', 'completed')), due_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    streak int NOT NULL DEFAULT 0, PRIMARY KEY (user_id, id));
INSERT INTO {s}.users SELECT md5(n::text)::uuid, n FROM generate_series(1, {users}) n;
INSERT INTO {s}.tasks (user_id, id, title, streak)
    SELECT md5((1 + n % {users})::text)::uuid, md5('t' || n)::uuid, 'title ' || n, n % 100
    FROM generate_series(1, {rows}) n
"""
COLUMNS = [
    {"name": "total", "function": "count", "column": None, "filter": None},
    {"name": "completed", "function": "count", "column": None, "filter": "status = 'completed'"},
    {"name": "best", "function": "max", "column": "streak", "filter": None},
]

ONE = "user_id = md5((1 + $1 % {users})::text)::uuid AND id = md5('t' || $1)::uuid"
OTHER = "status = CASE status WHEN 'completed' THEN 'pending' ELSE 'completed' END"
SINGLES = {
    "insert": "INSERT INTO {s}.tasks (user_id, id, title) "
    "VALUES (md5((1 + $1 % {users})::text)::uuid, gen_random_uuid(), 'a title')",
    "update of what counts": f"UPDATE {{s}}.tasks SET {OTHER} WHERE {ONE}",
    "update of other columns": f"UPDATE {{s}}.tasks SET title = 'another' WHERE {ONE}",
    "delete": f"DELETE FROM {{s}}.tasks WHERE {ONE}",
}
THOUSAND = (
    "(SELECT md5((1 + n % {groups})::text)::uuid AS u, md5('x' || n)::uuid AS i FROM generate_series(1, {mass}) n) x"
)
MASSES = {
    "insert": f"INSERT INTO {{s}}.tasks (user_id, id, title) SELECT u, gen_random_uuid(), 'a title' FROM {THOUSAND}",
    "update": f"UPDATE {{s}}.tasks t SET {OTHER} FROM {THOUSAND} WHERE t.user_id = x.u AND t.id = x.i",
    "delete": f"DELETE FROM {{s}}.tasks t USING {THOUSAND} WHERE t.user_id = x.u AND t.id = x.i",
}


class Kind:
    """A connection to the tables with or without a summary, and the server's process behind it."""

    def __init__(self, where: dict, database: str, schema: str) -> None:
        self.schema = schema
        self.connection = psycopg2.connect(dbname=database, **where)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.clock = pathlib.Path(f"/proc/{self.connection.info.backend_pid}/schedstat")

    def run(self, statement: str, **names: object) -> list:
        self.cursor.execute(statement.format(**{"s": self.schema, "users": USERS, "mass": MASS, **names}))
        return self.cursor.fetchall() if self.cursor.description else []

    def measure(self, statements: list[str]) -> tuple[float, float]:
        """Return the seconds that statements take, of a processor and by the clock."""
        before, began = self.busy(), time.perf_counter()
        for statement in statements:
            self.cursor.execute(statement)
        return self.busy() - before, time.perf_counter() - began

    def busy(self) -> float:
        return int(self.clock.read_text().split()[0]) / 1e9


def task(folder: str, database: str, state: str, **options: object) -> None:
    """Run the module's task."""
    defaults = dict.fromkeys(
        ("tables", "every", "owner", "readers", "ca_cert", "ssl_cert", "ssl_key", "login_password")
    )
    where = {"login_host": "", "login_unix_socket": folder, "login_port": 5432, "login_db": database}
    where |= {"login_user": "postgres", "ssl_mode": "prefer", "connect_params": {}, "login_password": ""}
    given = {
        "schema": OURS,
        "name": "stats",
        "state": state,
        "reseed": False,
        "lock_timeout": 500,
        "lock_patience": 60.0,
    }
    one = keep_summary.task({**defaults, **where, **given, **options})
    try:
        one.apply(one.plan())
    finally:
        one.close()


def spread(values: list[float]) -> str:
    """The median of values, the lowest and the highest."""
    return f"{statistics.median(values):5.2f} ({min(values):.2f} to {max(values):.2f})"


def compared(title: str, figures: dict[str, list[tuple[float, float]]], each: int) -> float:
    """Print one line; returns the seconds by which the median of ours exceeds the bare one."""
    ratios = [
        [ours[way] / bare[way] for bare, ours in zip(figures[BARE], figures[OURS], strict=True)] for way in (0, 1)
    ]
    bare, ours = (statistics.median(one for one, _value in figures[kind]) / each * 1e6 for kind in (BARE, OURS))
    print(f"  {title:<36}{bare:9.1f} {ours:9.1f}   {spread(ratios[0])}   {spread(ratios[1])}")
    return (ours - bare) / 1e6


def singles(kinds: list[Kind], rounds: int, rows: int, clean: object) -> None:
    print(
        f"\n{'  one row a statement':<38}{'bare µs':>9} {'ours µs':>9}   ratio of processor time   ratio by the clock"
    )
    dice = random.Random(1)
    gone = 0
    for title, statement in SINGLES.items():
        figures: dict[str, list] = {BARE: [], OURS: []}
        for kind in kinds:
            kind.run("DEALLOCATE ALL")
            kind.run(f"PREPARE one (int) AS {statement}")
        for number in range(rounds + 1):
            keys = [dice.randrange(rows // 2, rows) for _number in range(SINGLE)]
            if title == "delete":
                keys = list(range(gone + 1, gone + SINGLE + 1))
                gone += SINGLE
            for kind in dice.sample(kinds, 2):
                took = kind.measure([f"EXECUTE one({key})" for key in keys])
                if number:
                    figures[kind.schema].append(took)
            clean()
        compared(title, figures, SINGLE)


def masses(kinds: list[Kind], rounds: int, clean: object) -> float:
    print(f"\n  {MASS} rows a statement")
    dice = random.Random(2)
    extra = 0.0
    for groups in (1, 100, 1000):
        for kind in kinds:
            kind.run("DELETE FROM {s}.tasks WHERE title = 'mass'")
            kind.run("INSERT INTO {s}.tasks (user_id, id, title) SELECT u, i, 'mass' FROM " + THOUSAND, groups=groups)
            kind.run("VACUUM ANALYZE {s}.tasks")
        for title, statement in MASSES.items():
            figures: dict[str, list] = {BARE: [], OURS: []}
            for kind in kinds:
                kind.run("DEALLOCATE ALL")
                kind.run("PREPARE mass AS " + statement, groups=groups)
            for number in range(rounds + 1):
                for kind in dice.sample(kinds, 2):
                    # Rolled back, so that each finds the same rows.
                    took = kind.measure(["BEGIN; EXECUTE mass; ROLLBACK"] * 3)
                    if number:
                        figures[kind.schema].append(took)
                for kind in kinds:
                    kind.run("VACUUM {s}.tasks")
                clean()
            more = compared(f"{title}, {groups} group{'s' * (groups > 1)}", figures, 3)
            if (title, groups) == ("update", 1000):
                extra = more
    return extra


def writer(where: dict, database: str, schema: str, seconds: float, seed: int, counts: object) -> None:
    """Write single rows for some time."""
    kind = Kind(where, database, schema)
    kind.run(f"PREPARE one (int) AS {SINGLES['insert']}")
    dice, count, end = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        kind.cursor.execute(f"EXECUTE one({dice.randrange(USERS)})")
        count += 1
    counts[seed] = count


def rate(where: dict, database: str, schema: str, writers: int, seconds: float) -> float:
    with multiprocessing.Manager() as manager:
        counts = manager.dict()
        each = [
            multiprocessing.Process(target=writer, args=(where, database, schema, seconds, seed, counts))
            for seed in range(writers)
        ]
        for one in each:
            one.start()
        for one in each:
            one.join()
        return sum(counts.values()) / seconds


def crowds(where: dict, database: str, rounds: int, seconds: float, clean: object) -> None:
    print(f"\n  inserts a second of one row each, {seconds:g} s; {multiprocessing.cpu_count()} processors for all")
    found: dict[tuple[str, int], list[float]] = {}
    for _number in range(rounds):
        for writers in (1, 8):
            for schema in random.sample([BARE, OURS], 2):
                found.setdefault((schema, writers), []).append(rate(where, database, schema, writers, seconds))
            clean()
    for writers in (1, 8):
        ratios = [ours / bare for bare, ours in zip(found[BARE, writers], found[OURS, writers], strict=True)]
        medians = [statistics.median(found[schema, writers]) for schema in (BARE, OURS)]
        print(
            f"  {writers} writer(s)   bare {medians[0]:8.0f}   ours {medians[1]:8.0f}   ours of bare {spread(ratios)}"
        )
    for schema in (BARE, OURS):
        ratios = [many / one for one, many in zip(found[schema, 1], found[schema, 8], strict=True)]
        print(f"  {schema:<8} 8 writers beside one {spread(ratios)}")


def refresh(kind: Kind, folder: str, database: str, rows: int, rounds: int, extra: float) -> None:
    """A refresh after 1000 changed rows beside what the summary costs for them."""
    users = kind.run("SELECT count(*) FROM {s}.users")[0][0]
    print(f"\n  {MASS} changed rows of as many users in {rows + MASS} rows of {users}")
    kind.run(
        "CREATE MATERIALIZED VIEW {s}.refreshed AS SELECT user_id, count(*) AS total, "
        "count(*) FILTER (WHERE status = 'completed') AS completed, max(streak) AS best FROM {s}.tasks GROUP BY user_id"
    )
    kind.run("CREATE UNIQUE INDEX ON {s}.refreshed (user_id)")
    session = connection.Session(connection.Endpoint(host=folder, user="postgres", database=database))
    work = server.Work(session, "", locks.Patience(), locks.Waited())
    kept = server.summaries(session, OURS, "stats")[0]
    taken: dict[str, list[float]] = {"refresh": [], "fold": [], "read": []}
    for _number in range(rounds):
        kind.run(MASSES["update"], groups=1000)
        steps = {
            "read": lambda: kind.run("SELECT * FROM {s}.stats WHERE user_id = md5('7')::uuid"),
            "refresh": lambda: kind.run("REFRESH MATERIALIZED VIEW CONCURRENTLY {s}.refreshed"),
            "fold": lambda: work.fold(kept),
        }
        for step, run in steps.items():
            began = time.perf_counter()
            run()
            taken[step].append(time.perf_counter() - began)
    session.close()
    seconds, later = (statistics.median(taken[step]) for step in ("refresh", "fold"))
    less = [seconds / max(extra, 1e-6), seconds / (extra + later)]
    in_ms = {step: spread([one * 1000 for one in values]) for step, values in taken.items()}
    print(f"  REFRESH CONCURRENTLY {in_ms['refresh']} ms")
    print(f"  the summary adds {extra * 1000:.2f} ms of a processor to the write, {less[0]:.0f} times less")
    print(f"  its fold {in_ms['fold']} ms; with it {less[1]:.0f} times less")
    print(f"  a read of one user before the fold {in_ms['read']} ms")


def main() -> None:
    """Measure all of it, on a server that is started for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=4_000_000, help="of the table that is refreshed")
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    try:
        running = postgres_server.running(
            shared_buffers="512MB", max_wal_size="4GB", fsync="on", synchronous_commit="on"
        )
        with running as server:
            _measure(server, given)
    except pytest.skip.Exception as reason:
        print(f"Summaries were not measured: {reason}")


def _measure(running: postgres_server.Server, given: argparse.Namespace) -> None:
    database, folder = running.database(), str(running.folder)
    where = {"host": folder, "user": "postgres"}
    rows = 200_000
    kinds = [Kind(where, database, schema) for schema in (BARE, OURS)]
    for kind in kinds:
        kind.run(TABLES, rows=rows)
    tasks = {"table": "tasks", "schema": None, "group_by": ["user_id"], "columns": COLUMNS}
    task(folder, database, "present", tables=[tasks])
    for kind in kinds:
        kind.run("VACUUM ANALYZE")

    def clean() -> None:
        kinds[1].run("TRUNCATE {s}.stats__tasks_pending")

    version = kinds[0].run("SHOW server_version")[0][0]
    print(f"PostgreSQL {version}; median (lowest to highest) of {given.rounds} rounds in turns")
    singles(kinds, given.rounds, rows, clean)
    extra = masses(kinds, given.rounds, clean)
    crowds(where, database, min(given.rounds, 3), given.seconds, clean)
    kinds[0].run("DROP SCHEMA {s} CASCADE")
    task(folder, database, "absent")
    kinds[1].run("DROP SCHEMA {s} CASCADE")
    kinds[1].run(TABLES, rows=given.rows, users=given.rows // 10)
    kinds[1].run("INSERT INTO {s}.tasks (user_id, id, title) SELECT u, i, 'mass' FROM " + THOUSAND, groups=1000)
    kinds[1].run("ANALYZE")
    task(folder, database, "present", tables=[tasks])
    refresh(kinds[1], folder, database, given.rows, min(given.rounds, 3), extra)


if __name__ == "__main__":
    main()
