# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Random histories: at each moment that anyone looks, the summary is what its defining query gives.

Four writers write to the root and to partitions, in transactions that may be rolled back, while others fold, truncate,
detach and attach, and while a reader compares the view with a query of the test's own in one snapshot. Each writer has
rows of its own and shares all groups, so a deadlock would be the summary's.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time

import psycopg2
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations.summarized_partitions import (
    SummarizedPartitions,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Root
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import reading, triggers
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import server as room

from .conftest import column, table

WRITERS = 4
SECONDS, PATIENCE = 4, 150

#: Ranges over writer * 1000 + number, so that each writer has rows in each partition; the last is divided by hash.
SET = """
CREATE TABLE points (g int, h text, id int NOT NULL, w int NOT NULL, v int, n numeric, PRIMARY KEY (id, w))
    PARTITION BY RANGE (id);
CREATE TABLE points_1 PARTITION OF points FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE points_2 PARTITION OF points FOR VALUES FROM (100) TO (200);
CREATE TABLE points_3 PARTITION OF points FOR VALUES FROM (200) TO (MAXVALUE) PARTITION BY HASH (id);
CREATE TABLE points_3a PARTITION OF points_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE points_3b PARTITION OF points_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX ON points (g, h)
"""
BOUNDS = "FROM (100) TO (200)"

COLUMNS = [
    column("rows", "count"),
    column("big", "count", where="v > 5"),
    column("values", "count", "v"),
    column("total", "sum", "n", "h <> 'b'"),
    column("least", "min", "v"),
    column("most", "max", "v", "w < 3"),
]
POINTS = table("points", ["g", "h"], *COLUMNS)

DEFINED = """
SELECT g, h, count(*), count(*) FILTER (WHERE v > 5), count(v), sum(n) FILTER (WHERE h <> 'b'), min(v),
       max(v) FILTER (WHERE w < 3)
FROM points GROUP BY g, h
"""
DIFFERENCE = f"""
WITH real AS MATERIALIZED ({DEFINED})
SELECT 'view', * FROM (TABLE summary EXCEPT ALL TABLE real) a
UNION ALL SELECT 'tables', * FROM (TABLE real EXCEPT ALL TABLE summary) b
"""


class Histories:
    """Runs functions side by side until the time is over and each has done something, and keeps what went wrong."""

    def __init__(self, database, seconds=SECONDS):
        self.database = database
        self.seconds = seconds
        self.deadlocks = 0
        self.done = {}
        self.errors = []

    def run(self, *functions):
        began = time.monotonic()
        self.done = {function.name: 0 for function in functions}
        # A busy machine gets more time.
        self.over = lambda: (
            self.errors
            or ((spent := time.monotonic() - began) > self.seconds and (all(self.done.values()) or spent > PATIENCE))
        )
        threads = [threading.Thread(target=self._guarded, args=(one,)) for one in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.errors == []
        assert self.deadlocks == 0
        assert all(self.done.values()), self.done

    def _guarded(self, function):
        try:
            with self.database.connect() as client:
                while not self.over():
                    try:
                        self.done[function.name] += bool(function(client))
                    except psycopg2.errors.DeadlockDetected:
                        self.deadlocks += 1
        except Exception as error:  # a thread's failure is the test's
            self.errors.append(f"{type(error).__name__} in {function.name}: {error}")


def named(name):
    def keep(function):
        function.name = name
        return function

    return keep


def value(dice):
    return dice.choice(["NULL", *map(str, range(10))])


def write(dice, writer):
    """A statement on rows of one writer."""
    at = dice.choice(["points", "points", "points", "points_1", "points_2", "points_3", "points_3a"])
    low = {"points_1": 0, "points_2": 100, "points_3": 200, "points_3a": 200}.get(at, dice.choice([0, 100, 200]))
    g, h = dice.choice(["NULL", "1", "2", "3"]), dice.choice(["NULL", "'a'", "'b'"])
    mine = f"w = {writer} AND id % {dice.choice([1, 2, 7, 90])} = 0"
    row = f"{g}, {h}, {low} + n, {writer}, (n * {dice.randrange(9)}) % 11, n / {dice.choice([1, 3, 4])}.0"
    count = dice.choice([1, 1, 1, 40])
    first = dice.randrange(90)
    rows = f"SELECT {row} FROM generate_series({first}, {min(first + count - 1, 99)}) n"
    conflict = dice.choice(
        ["DO NOTHING", f"(id, w) DO UPDATE SET v = {value(dice)}, g = excluded.g, n = points.n + 1"]
    ).replace("points.", f"{at}.")
    insert = f"INSERT INTO {at} {rows} ON CONFLICT {conflict}"
    if at == "points_3a":
        insert = "SELECT 1"  # which rows go there is for the hash to say
    return dice.choice(
        [
            insert,
            insert,
            insert,
            f"UPDATE {at} SET v = {value(dice)} WHERE {mine}",
            f"UPDATE {at} SET v = v + 1, n = n * 2 WHERE {mine}",
            f"UPDATE {at} SET n = n WHERE {mine}",
            f"UPDATE {at} SET g = {g}, h = {h} WHERE {mine}",
            # To another partition, where there is room.
            f"UPDATE points p SET id = id + 100, v = {value(dice)} WHERE {mine} AND id < 300 AND id >= {low} "
            "AND NOT EXISTS (SELECT FROM points o WHERE o.id = p.id + 100 AND o.w = p.w)",
            f"DELETE FROM {at} WHERE {mine} AND id % 3 = {dice.randrange(3)}",
            f"WITH gone AS (DELETE FROM {at} WHERE {mine} AND id < {low + 20} RETURNING v) "
            f"UPDATE points SET v = 3 WHERE w = {writer} AND id >= {low + 20} AND v = (SELECT max(v) FROM gone)",
        ]
    )


def writes(writer, seed):
    dice = random.Random(seed * 10 + writer)

    @named("write")
    def one(client):
        level = dice.choice(["READ COMMITTED"] * 4 + ["REPEATABLE READ"])
        statements = [write(dice, writer) for _number in range(dice.choice([1, 1, 2, 4]))]
        if dice.random() < 0.2:
            # What is rolled back in part counts in part.
            statements[1:1] = ["SAVEPOINT s", write(dice, writer), "ROLLBACK TO s"]
        end = "ROLLBACK" if dice.random() < 0.1 else "COMMIT"
        # A partition that is away just now makes rows homeless; one that is attached again may have them twice.
        gone = (psycopg2.errors.CheckViolation, psycopg2.errors.UndefinedTable, psycopg2.errors.UniqueViolation)
        try:
            client.run(f"BEGIN ISOLATION LEVEL {level}")
            for statement in statements:
                client.run(statement)
            client.run(end)
        except (*gone, psycopg2.errors.SerializationFailure, psycopg2.errors.ObjectNotInPrerequisiteState):
            client.run("ROLLBACK")
            return False
        return True

    return one


@named("compare")
def compare(client):
    with client.connection.cursor() as cursor:
        cursor.execute(DIFFERENCE)
        found = cursor.fetchall()
    assert found == [], found
    return True


def folds(database):
    @named("fold")
    def fold(_client):
        # What may be done meanwhile locks the tables for a moment.
        with contextlib.suppress(ScaleoutError):
            return database.summary("summary", state="folded", lock_timeout=200)[0]
        time.sleep(0.02)
        return False

    return fold


def truncates(seed):
    dice = random.Random(seed)

    @named("truncate")
    def truncate(client):
        time.sleep(dice.uniform(0.1, 0.4))
        with contextlib.suppress(psycopg2.errors.LockNotAvailable):
            of = dice.choice(["points_1", "points_2", "points_3", "points_3b", "points"])
            client.run(f"SET lock_timeout = '300ms'; TRUNCATE {of}")
            return True
        return False

    return truncate


def moves(database, seed):
    """Detach points_2, write to it while it is away, and attach it, as partition_set does it with its companion."""
    dice = random.Random(seed)
    session = connection.Session(connection.Endpoint.of(database.server.parameters(database.name)))
    companion = SummarizedPartitions(session)
    root = Root(0, "public", "points")
    assert companion.covers(root)
    parts = room.summaries(session, "public", "summary")[0].parts
    away = []

    @named("move")
    def move(client):
        time.sleep(dice.uniform(0.05, 0.2))
        with contextlib.suppress(psycopg2.errors.LockNotAvailable, psycopg2.errors.UndefinedTable):
            if away:
                client.run(
                    f"INSERT INTO points_2 SELECT 1, 'a', {dice.randrange(100, 200)}, 9, 7 ON CONFLICT DO NOTHING"
                )
                more = "".join(triggers.arriving(parts[0], "points_2", counted=True))
                client.run(
                    # ATTACH alone keeps no one out, and a query that was planned before it does not see its rows.
                    "SET lock_timeout = '300ms'; BEGIN; LOCK points IN ACCESS EXCLUSIVE MODE; "
                    f"ALTER TABLE points ATTACH PARTITION points_2 FOR VALUES {BOUNDS}; {more} COMMIT"
                )
                away.clear()
            else:
                more = "".join(companion.detaching(root, "points_2"))
                client.run(
                    "SET lock_timeout = '300ms'; BEGIN; LOCK points IN ACCESS EXCLUSIVE MODE; "
                    f"{more} ALTER TABLE points DETACH PARTITION points_2; COMMIT"
                )
                away.append(1)
            return True
        with contextlib.suppress(psycopg2.Error):
            client.run("ROLLBACK")
        return False

    return move


@pytest.mark.parametrize("seed", [1, 2])
def test_random_histories_of_concurrent_writers(database, seed, monkeypatch):
    if seed == 2:
        # As where so much is pending that it is folded in several transactions.
        monkeypatch.setattr(reading, "WHOLE", 5)
        monkeypatch.setattr(reading, "BATCH", 3)
    database.sql(SET)
    # It is seeded while they write.
    made = []

    @named("make")
    def make(_client):
        if not made:
            made.append(database.summary("summary", tables=[POINTS], lock_timeout=900, lock_patience=60)[1]["outcome"])
        time.sleep(0.01)
        return True

    Histories(database, 1).run(*(writes(writer, seed + 100) for writer in range(WRITERS)), make)
    assert made == ["created"]
    assert database.rows(DIFFERENCE) == []
    Histories(database).run(
        *(writes(writer, seed) for writer in range(WRITERS)),
        compare,
        folds(database),
        truncates(seed),
        moves(database, seed),
    )
    assert database.rows(DIFFERENCE) == []
    assert database.drift() == []
    database.summary("summary", state="folded")
    assert database.rows(DIFFERENCE) == []


def test_what_logical_replication_copies_and_applies_counts_once(server, database):
    plain = SET.replace(" PARTITION BY RANGE (id)", "").split(";")
    source = type(database)(server)
    source.sql(plain[0] + "; CREATE PUBLICATION p FOR TABLE points")
    source.sql("INSERT INTO points SELECT n % 3, 'a', n, 0, n % 10, n FROM generate_series(0, 250) n")
    database.sql(SET)
    database.sql("INSERT INTO points SELECT 1, 'b', n, 8, n % 10, n FROM generate_series(0, 250) n")
    database.summary("summary", tables=[POINTS])
    slot = f"slot_{database.name}"
    source.sql(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    at = f"host={server.folder} dbname={source.name} user=postgres"
    database.sql(
        f"CREATE SUBSCRIPTION s_{database.name} CONNECTION '{at}' PUBLICATION p "
        f"WITH (create_slot = false, slot_name = '{slot}')"
    )
    try:
        histories = Histories(source, 3)
        dice = random.Random(7)

        @named("publish")
        def publish(client):
            client.run(dice.choice(PUBLISHED))
            # What is published faster than it is applied is only waited for at the end.
            time.sleep(0.05)
            return True

        @named("here")
        def here(_client):
            compare(local)
            local.run(f"UPDATE points SET v = {value(dice)} WHERE w = 8 AND id % 7 = {dice.randrange(7)}")
            return True

        with database.connect() as local:
            histories.run(publish, here)
            _caught_up(source, database)
            compare(local)
        count = "SELECT count(*), sum(v) FROM points WHERE w = 0"
        assert database.rows(count) == source.rows(count)
        assert database.drift() == []
    finally:
        database.sql(f"ALTER SUBSCRIPTION s_{database.name} DISABLE")
        database.sql(
            f"ALTER SUBSCRIPTION s_{database.name} SET (slot_name = NONE); DROP SUBSCRIPTION s_{database.name}"
        )
        with contextlib.suppress(psycopg2.Error):
            time.sleep(0.2)
            source.sql(f"SELECT pg_drop_replication_slot('{slot}')")


PUBLISHED = [
    "INSERT INTO points SELECT n % 3, 'a', n, 0, n % 10, n FROM generate_series(0, 250) n ON CONFLICT DO NOTHING",
    "UPDATE points SET v = v + 1 WHERE id % 5 = 1",
    "UPDATE points SET g = 3, h = NULL WHERE id % 5 = 2",
    "UPDATE points p SET id = id + 260 WHERE id < 3 AND NOT EXISTS (SELECT FROM points WHERE id = p.id + 260)",
    "DELETE FROM points WHERE id % 4 = 3 OR id > 250",
    "TRUNCATE points",
]


def _caught_up(source, database):
    """Wait for a row that is written last."""
    source.sql("INSERT INTO points VALUES (1, 'z', 5000, 0)")
    until = time.monotonic() + 30
    while not database.rows("SELECT FROM points WHERE id = 5000"):
        assert time.monotonic() < until, "the subscription does not come to its end"
        time.sleep(0.05)
