# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an application notices while its table becomes a partition set.

    python -m tests.bench.convert [--rows N] [--rate N] [--writers N] [--seconds N] [--reader N] [--split]

A PostgreSQL of its own, with autovacuum on, holds a table of the reference API's shape with rows of two years. Writers
insert, update and delete at a steady rate, and know what has to be there in the end. A transaction reads the table for
some seconds, first without a conversion and then across one; printed is the longest time that any statement of the
writers took in each. Then every row is compared: those that were written with what the writers know, the others by
count and hash. A row that is lost, doubled or changed, or a statement that fails, makes the run fail.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import math
import multiprocessing
import os
import random
import re
import statistics
import sys
import threading
import time
import uuid

import psycopg2

from tests.unit import postgres_server

USERS = 1000
#: As in production, and an autovacuum that is at the table most of the time.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "autovacuum_naptime": "1s",
    "autovacuum_vacuum_scale_factor": "0.0001",
    "autovacuum_vacuum_insert_scale_factor": "0.0001",
    # The server itself says how long each wait for a lock was, from 10 ms on.
    "deadlock_timeout": "10ms",
    "log_lock_waits": "on",
    "log_line_prefix": "'%n %a '",
    "max_wal_size": "8GB",
    "shared_buffers": "512MB",
}
SETUP = """
CREATE TABLE users (id uuid PRIMARY KEY);
CREATE TABLE tasks (
    user_id uuid NOT NULL REFERENCES users,
    id uuid NOT NULL,
    title text NOT NULL,
    status text NOT NULL DEFAULT 'open',
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id));
CREATE INDEX tasks_status ON tasks (user_id, status);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := now(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW open_tasks AS SELECT * FROM tasks WHERE status = 'open';
INSERT INTO users SELECT md5(n::text)::uuid FROM generate_series(1, %(users)s) n;
"""
# The time of a UUIDv7 is its first 48 bits; here it rises over two years, as the rows of an application do.
SEED = """
INSERT INTO tasks (user_id, id, title)
SELECT md5((1 + n %% %(users)s)::text)::uuid,
       (lpad(to_hex((extract(epoch FROM now() - interval '1 minute') * 1000)::bigint
                    - (%(rows)s - n) * (730::bigint * 86400000 / %(rows)s)), 12, '0')
        || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
       CASE WHEN n %% %(every)s = 0 THEN 'touched' ELSE 'task ' || n END
FROM generate_series(%(begin)s, %(end)s) n
"""
WRITER = "writer"
WAIT = re.compile(rf"^([0-9.]+) {WRITER} LOG:  process \d+ acquired .* after ([0-9.]+) ms", re.MULTILINE)
#: So many of the seeded rows are changed by the writers.
TOUCHED = 20_000
UNTOUCHED = "SELECT count(*), bit_xor(hashtextextended(t::text, 0)) FROM tasks t WHERE starts_with(title, 'task ')"


def uuid7(dice: random.Random) -> str:
    """A UUIDv7 of this moment."""
    value = int(time.time() * 1000) << 80 | 7 << 76 | dice.getrandbits(12) << 64 | 2 << 62 | dice.getrandbits(62)
    return str(uuid.UUID(int=value))


@dataclasses.dataclass
class Phase:
    """What the writers saw in one part of the run; durations in seconds with the moment at which each began.

    :param begun: by the clock of the host, like ``ended``.
    """

    name: str
    begun: float = dataclasses.field(default_factory=time.time)
    ended: float = math.inf
    durations: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def locked(self, log: str) -> float:
        """The longest wait of a writer for a lock, in ms; 0 where none was long enough for the server to say so."""
        waits = (found for found in WAIT.finditer(log) if self.begun <= float(found[1]) <= self.ended)
        return max((float(found[2]) for found in waits), default=0.0)

    def show(self) -> str:
        took = sorted(seconds for _begun, seconds in self.durations)
        worst = max(self.durations, key=lambda one: one[1])
        return (
            f"  {self.name:<34} {len(took):>7} statements, median {1000 * statistics.median(took):7.2f} ms, "
            f"99.9 % {1000 * took[int(len(took) * 0.999)]:7.1f} ms, longest {1000 * worst[1]:7.1f} ms"
        )


class Writers:
    """Threads that write at a steady rate and remember what has to be there."""

    def __init__(self, dsn: str, count: int, rate: float, touched: list[tuple[str, str]]) -> None:
        self.dsn, self.count, self.interval = dsn, count, count / rate
        self.phase = Phase("")
        self.rows: list[dict[tuple[str, str], str | None]] = [
            dict.fromkeys(touched[number::count], "open") for number in range(count)
        ]
        self.failures: list[str] = []
        self.behind = 0.0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(count)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        dice, known = random.Random(number), self.rows[number]
        keys = list(known)
        connection = psycopg2.connect(self.dsn, application_name=WRITER)
        connection.autocommit = True
        cursor = connection.cursor()
        following = time.monotonic() + number * self.interval / self.count
        while not self._end.is_set():
            pause = following - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self.behind = max(self.behind, -pause)
            following += self.interval
            what = dice.random()
            begun = time.monotonic()
            try:
                if what < 0.6 or not keys:
                    key = (str(uuid.UUID(bytes=md5(1 + dice.randrange(USERS)))), uuid7(dice))
                    cursor.execute("INSERT INTO tasks (user_id, id, title) VALUES (%s, %s, 'mine')", key)
                    keys.append(key)
                    known[key] = "open"
                else:
                    place = dice.randrange(len(keys))
                    key = keys[place]
                    if what < 0.9:
                        cursor.execute(
                            "UPDATE tasks SET status = %s WHERE user_id = %s AND id = %s", (f"s{begun}", *key)
                        )
                        known[key] = f"s{begun}"
                    else:
                        cursor.execute("DELETE FROM tasks WHERE user_id = %s AND id = %s", key)
                        known[key] = None
                        keys[place] = keys[-1]
                        keys.pop()
                    if cursor.rowcount != 1:
                        self.failures.append(f"{cursor.rowcount} rows were there for one key: {cursor.query!r}")
            except psycopg2.Error as error:
                self.failures.append(str(error).strip())
                if connection.closed:
                    return
            self.phase.durations.append((begun, time.monotonic() - begun))
        connection.close()


def md5(number: int) -> bytes:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).digest()


def read_for(dsn: str, seconds: float, done: list[str]) -> None:
    """A transaction that has read the table, and holds its lock for so long."""
    with contextlib.closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        begun = time.monotonic()
        cursor.execute("SELECT count(*) FROM tasks WHERE status = 'open'")
        cursor.execute("SELECT pg_sleep(greatest(0, %s))", (seconds - (time.monotonic() - begun),))
        cursor.execute("SELECT count(*) FROM tasks WHERE user_id = (SELECT id FROM users LIMIT 1)")
        done.append(f"{time.monotonic() - begun:.1f} s")
        connection.commit()


def convert(parameters: dict, split: bool, said: multiprocessing.Queue) -> None:
    """Convert as the module does, in a process of its own."""
    from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
    from ansible_collections.scaleout.platform.plugins.module_utils.operations import keep_partitions

    wanted = {"table": "tasks", "column": "id", "interval": "month", "premake": 3, "convert": True}
    wanted["convert_old"] = "split" if split else None
    given = {**dict.fromkeys(keep_partitions.OPTIONS), **wanted, "sets": None, **parameters}
    given.update(lock_timeout=500, lock_patience=60, batch_rows=10_000)
    begun = time.monotonic()
    try:
        task = keep_partitions.KeepPartitions.of(given)
        try:
            row = task.apply(task.plan()).result["sets"][0]
        finally:
            task.close()
    except ScaleoutError as error:
        said.put((time.monotonic() - begun, error.coded, {}))
    else:
        said.put((time.monotonic() - begun, "", row))


def during(writers: Writers, name: str, dsn: str, reader: float, work) -> Phase:
    """Let the writers write while something goes on beside them, with a reader across it."""
    phase = writers.phase = Phase(name)
    done: list[str] = []
    thread = threading.Thread(target=read_for, args=(dsn, reader, done))
    thread.start()
    time.sleep(1)
    work()
    thread.join()
    time.sleep(2)
    phase.ended = time.time()
    writers.phase = Phase("between")
    if not done:
        raise SystemExit("The reader failed.")
    return phase


def compare(cursor, before: tuple[int, int], writers: Writers) -> list[str]:
    """What is wrong with the rows; nothing, as it should be."""
    cursor.execute(UNTOUCHED)
    after = cursor.fetchone()
    wrong = [] if after == before else [f"rows that no one wrote: {after} are not {before} (count, hash)"]
    cursor.execute("SELECT user_id::text, id::text, status FROM tasks WHERE title IN ('mine', 'touched')")
    there: dict[tuple[str, str], str] = {}
    for user, task, status in cursor:
        if (user, task) in there:
            wrong.append(f"twice: {user} {task}")
        there[user, task] = status
    wanted = {key: status for rows in writers.rows for key, status in rows.items() if status is not None}
    lost, more = wanted.keys() - there.keys(), there.keys() - wanted.keys()
    changed = [key for key in wanted.keys() & there.keys() if wanted[key] != there[key]]
    for what, keys in (("lost", lost), ("there though deleted", more), ("not as written last", changed)):
        if keys:
            wrong.append(f"{len(keys)} rows {what}, such as {next(iter(keys))}")
    print(f"  {before[0]} rows that no one wrote by count and hash, {len(wanted)} written ones by their values")
    return wrong


def prepare(cursor, rows: int) -> None:
    """Make the table and fill it."""
    cursor.execute(SETUP, {"users": USERS})
    every, step = max(rows // TOUCHED, 2), 500_000
    for begin in range(1, rows + 1, step):
        given = {"users": USERS, "rows": rows, "every": every, "begin": begin, "end": min(begin + step - 1, rows)}
        cursor.execute(SEED, given)
    cursor.execute("VACUUM ANALYZE tasks")


def measure(server, cursor, asked: argparse.Namespace) -> list[str]:
    """Measure, print, and return what is wrong."""
    cursor.execute(UNTOUCHED)
    before = cursor.fetchone()
    cursor.execute("SELECT user_id::text, id::text FROM tasks WHERE title = 'touched'")
    touched = cursor.fetchall()
    cursor.execute("SELECT pg_size_pretty(pg_total_relation_size('tasks')), current_setting('server_version')")
    size, version = cursor.fetchone()
    print(
        f"PostgreSQL {version}, {asked.rows} rows ({size}), {asked.rate:.0f} writes a second by {asked.writers} "
        f"writers, autovacuum on, a reader of {asked.reader:.0f} s; load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} processors, nice {os.nice(0)}",
        flush=True,
    )
    context = multiprocessing.get_context("spawn")
    said = context.Queue()

    def work() -> None:
        arguments = (server.parameters("postgres"), asked.split, said)
        process = context.Process(target=convert, args=arguments)
        process.start()
        outcome.extend(said.get(timeout=7200))
        process.join()

    outcome: list = []
    dsn = f"host={server.folder} user=postgres dbname=postgres"
    with Writers(dsn, asked.writers, asked.rate, touched) as writers:
        time.sleep(asked.seconds)
        phases = [during(writers, "a reader", dsn, asked.reader, lambda: time.sleep(asked.reader))]
        phases.append(during(writers, "a conversion across a reader", dsn, asked.reader, work))
    for phase in phases:
        print(phase.show())
    base, worst = (max(seconds for _begun, seconds in phase.durations) for phase in phases)
    log = (server.folder / "log").read_text(encoding="utf-8", errors="replace")
    waits = [phase.locked(log) for phase in phases]
    took, failure, row = outcome
    print(
        f"  longest statement {1000 * worst:.1f} ms, {1000 * (worst - base):+.1f} ms beside that of the reader alone "
        "(the goal is less than 100)\n"
        f"  longest wait for a lock, as the server logs it from 10 ms on: {waits[1]:.0f} ms, and {waits[0]:.0f} ms "
        "with the reader alone\n"
        f"  the conversion took {took:.1f} s, {row.get('waited')} s of them for locks, in "
        f"{row.get('attempts')} attempts; {row.get('moved')} rows moved"
    )
    wrong = [*sorted(set(writers.failures)), *compare(cursor, before, writers)]
    cursor.execute("SELECT relkind::text FROM pg_class WHERE oid = 'tasks'::regclass")
    if failure or cursor.fetchone()[0] != "p":
        wrong.append(f"the table was not converted: {failure}")
    print(f"  {row.get('partitions')} partitions; {len(writers.failures)} statements failed")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rate", type=float, default=500, help="writes a second")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5, help="of writing before anything is measured")
    parser.add_argument("--reader", type=float, default=10, help="seconds that the reader's transaction takes")
    parser.add_argument("--split", action="store_true", help="move the rows into partitions of their own")
    asked = parser.parse_args()
    with postgres_server.running(**SETTINGS) as server:
        connection = psycopg2.connect(host=str(server.folder), user="postgres", dbname="postgres")
        with contextlib.closing(connection), connection.cursor() as cursor:
            connection.autocommit = True
            prepare(cursor, asked.rows)
            wrong = measure(server, cursor, asked)
    for one in wrong:
        print(f"  WRONG: {one}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
