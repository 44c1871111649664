# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plain table with a summary becomes a partition set, and the summary is what a count gives at every moment."""

from __future__ import annotations

import random
import threading
import time

import psycopg2
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import copying, split
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.server import Work
from tests.unit.plugins.module_utils.postgres.partitions.convert.test_room import LEFT, killed_at

from .conftest import column, table
from .test_history import Histories, named

PLAIN = """
CREATE TABLE people (who int PRIMARY KEY);
CREATE TABLE visits (who int NOT NULL, n bigint NOT NULL, mark int, gone int, PRIMARY KEY (who, n));
ALTER TABLE visits DROP COLUMN gone;
INSERT INTO people SELECT * FROM generate_series(0, 7);
INSERT INTO visits SELECT n % 7, n, n % 10 FROM generate_series(0, 499) n
"""
OF_VISITS = table(
    "visits",
    ["who"],
    column("seen", "count"),
    column("high", "count", where="mark > 5"),
    column("most", "max", "mark"),
    column("total", "sum", "n"),
)
EVERY = {"table": "people", "schema": None, "columns": ["who"]}
REAL = """
SELECT p.who, count(v.n), count(*) FILTER (WHERE mark > 5), max(mark), sum(v.n)
FROM people p LEFT JOIN visits v USING (who) GROUP BY p.who
"""
DIFFERENCE = f"""
WITH real AS MATERIALIZED ({REAL})
SELECT 'view', * FROM (TABLE visitors EXCEPT ALL TABLE real) a
UNION ALL SELECT 'table', * FROM (TABLE real EXCEPT ALL TABLE visitors) b
"""
SET = {"table": "visits", "column": "n", "interval": "100", "premake": 3, "convert": True}
KINDS = ["one_partition", "split"]
KIND = "SELECT relkind::text FROM pg_class WHERE oid = 'visits'::regclass"
CHILDREN = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'visits'::regclass ORDER BY 1"


def summarize(database, **options):
    """Make the summary; returns whether there was something to do."""
    return database.summary("visitors", tables=[OF_VISITS], every=EVERY, **options)[0]


def right(database):
    """The summary is what a count gives, by a query of ours and by the task's own."""
    assert database.rows(DIFFERENCE) == []
    assert database.drift() == []


def write(database, statement, role="origin"):
    database.sql(f"SET session_replication_role = {role}; {statement}")
    assert database.rows(DIFFERENCE) == [], statement


@pytest.mark.parametrize("old", KINDS)
def test_a_summary_comes_along(database, old):
    database.sql(PLAIN)
    summarize(database)
    write(database, "UPDATE visits SET mark = mark + 1 WHERE n % 3 = 0")
    comment = "SELECT obj_description('visitors'::regclass)"
    before = database.rows(comment)
    done = database.partitions(**SET, convert_old=old)
    assert done["converted"]["name"] == ("visits_unpartitioned" if old == "split" else "visits_converted")
    assert database.rows(KIND) == [("p",)]
    right(database)
    # No trigger is missing, so it is not counted again; and no further one is there.
    assert not summarize(database)
    assert database.rows(comment) == before
    counted = "SELECT count(*) FROM pg_trigger WHERE tgfoid = 'visitors__visits_{}'::regproc AND tgrelid {}"
    assert database.rows(counted.format("truncate", "= 'visits'::regclass")) == [(0,)]
    children = [name for (name,) in database.rows(CHILDREN)]
    assert len(children) >= (6 if old == "split" else 2)
    for name in children:
        assert database.rows(counted.format("insert", f"= '{name}'::regclass")) == [(1,)], name
    # Whatever a statement names, and whether it is an application's or comes by replication.
    for role in ("origin", "replica"):
        for name in ["visits", *children]:
            write(database, f"UPDATE {name} SET mark = mark + 1, who = (who + 1) % 7 WHERE n % 5 = 0", role)
            write(database, f"DELETE FROM {name} WHERE n % 11 = 0", role)
        write(database, "INSERT INTO visits SELECT 1, n, 50 FROM generate_series(500, 599) n", role)
        write(database, "DELETE FROM visits WHERE n >= 500", role)
    write(database, f"TRUNCATE {children[0]}")
    if old == "split":
        # The table of before counts no longer, whatever becomes of it.
        write(database, "UPDATE visits_unpartitioned SET mark = 77")
        write(database, "DELETE FROM visits_unpartitioned WHERE n > 400", "replica")
        write(database, "TRUNCATE visits_unpartitioned")
        write(database, "DROP TABLE visits_unpartitioned")
    write(database, "INSERT INTO visits SELECT 1, n, 50 FROM generate_series(550, 560) n")
    # What is made and put away afterwards.
    assert database.partitions(**{**SET, "premake": 6})["created"]
    write(database, "INSERT INTO visits SELECT 2, n, 51 FROM generate_series(590, 800) n")
    if old == "split":
        assert database.partitions(**{**SET, "premake": 6}, retention="500", confirm="visits")["retired"]
        right(database)
    database.summary("visitors", state="folded")
    right(database)
    write(database, "TRUNCATE visits")
    assert database.rows("SELECT sum(seen) FROM visitors") == [(0,)]
    assert not summarize(database)
    assert database.rows(LEFT) == []
    database.summary("visitors", state="absent")
    assert database.rows("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []


@pytest.mark.parametrize("old", KINDS)
def test_a_run_that_is_killed_anywhere_leaves_it_right_and_is_finished_by_the_next(database, old, monkeypatch):
    monkeypatch.setattr(copying, "_MOST_BLOCKS", 1)
    database.sql("CREATE TABLE people (who int PRIMARY KEY); INSERT INTO people VALUES (0)")
    kinds, statement, last = [], 1, False
    while not last:
        if statement > 1:
            database.summary("visitors", state="absent")
        database.sql("DROP TABLE IF EXISTS people, visits, visits_unpartitioned;" + PLAIN)
        summarize(database)
        with killed_at(monkeypatch, statement) as seen:
            database.partitions(**SET, convert_old=old)
        assert database.rows(DIFFERENCE) == []
        for role in ("origin", "replica"):
            write(database, "UPDATE visits SET mark = mark + 1, who = (who + 1) % 7 WHERE n % 9 = 4", role)
            write(database, "INSERT INTO visits SELECT 1, max(n) + 1, 50 FROM visits", role)
        if random.random() < 0.2:
            write(database, "TRUNCATE visits; INSERT INTO visits VALUES (1, 10, 3), (1, 11, 1)")
        kinds.append(database.rows(KIND)[0][0])
        database.partitions(**SET, convert_old=old)
        assert database.rows(KIND) == [("p",)]
        right(database)
        assert not summarize(database)
        assert database.rows(LEFT) == []
        last = seen["statements"] < statement
        # Chance picks, and over many runs it picks them all.
        statement += random.randint(8, 13)
    assert kinds == sorted(kinds, reverse=True)
    assert {"r", "p"} == set(kinds)


def writes(writer):
    dice = random.Random(writer)

    @named("write")
    def one(client):
        low, mark = dice.randrange(480), dice.randrange(12)
        mine = f"n BETWEEN {low} AND {low + 9} AND n % 3 = {writer}"
        new = f"SELECT {dice.randrange(7)}, n, {mark} FROM generate_series({low}, {low + 9}) n WHERE n % 3 = {writer}"
        client.run(
            dice.choice(
                [
                    f"INSERT INTO visits {new} ON CONFLICT (who, n) DO UPDATE SET mark = excluded.mark",
                    f"UPDATE visits SET mark = {mark} WHERE {mine}",
                    f"DELETE FROM visits WHERE {mine}",
                    f"BEGIN; UPDATE visits SET mark = mark + 1 WHERE {mine}; SAVEPOINT s; DELETE FROM visits WHERE "
                    f"{mine}; ROLLBACK TO s; INSERT INTO visits {new} ON CONFLICT DO NOTHING; COMMIT",
                ]
            )
        )
        # The swap is to find a moment in which no one writes, on a busy machine too.
        time.sleep(0.02)
        return True

    return one


def compares(level):
    @named(f"compare in {level}")
    def compare(client):
        client.run(f"BEGIN ISOLATION LEVEL {level}")
        for _again in range(2):
            found = client.rows(DIFFERENCE)
            assert found == [], found
            time.sleep(0.002)
        client.run("COMMIT")
        time.sleep(0.03)
        return True

    return compare


@pytest.mark.parametrize("old", KINDS)
def test_it_is_right_at_every_moment_beside_concurrent_writers(database, old, monkeypatch):
    monkeypatch.setattr(copying, "_MOST_BLOCKS", 1)
    database.sql(PLAIN)
    summarize(database)
    done = []

    @named("convert")
    def convert(_client):
        time.sleep(0.3)
        if not done:
            done.append(database.partitions(**SET, convert_old=old, patience=60))
            time.sleep(0.3)
        return True

    @named("fold")
    def fold(_client):
        time.sleep(0.05)
        return database.summary("visitors", state="folded", lock_patience=60)[0]

    Histories(database, 1).run(*map(writes, range(3)), compares("READ COMMITTED"), compares("REPEATABLE READ"),
                               fold, convert)  # fmt: skip
    assert done[0]["outcome"] == "changed"
    assert database.rows(KIND) == [("p",)]
    right(database)
    assert not summarize(database)


@pytest.mark.parametrize("old", KINDS)
def test_one_that_may_be_wrong_is_refused_and_nothing_is_changed(database, old):
    database.sql(PLAIN)
    summarize(database)
    database.sql("ALTER TABLE visits DISABLE TRIGGER visitors__visits_delete; DELETE FROM visits WHERE n < 10")
    with pytest.raises(ScaleoutError) as refused:
        database.partitions(**SET, convert_old=old)
    assert refused.value.code == "not_convertible"
    assert "its summary public.visitors are missing or disabled" in refused.value.message
    assert database.rows(KIND) == [("r",)]
    assert database.rows(LEFT) == []
    assert summarize(database)
    database.partitions(**SET, convert_old=old)
    right(database)


@pytest.mark.parametrize("old", KINDS)
def test_a_summary_that_is_being_made_comes_along(database, old, monkeypatch):
    """Its triggers are there, and it counts what is there once the table is a set."""
    database.sql(PLAIN)
    patiently, made = Work._patiently, []

    def meanwhile(self, statements, what, locks):
        patiently(self, statements, what, locks)
        if not made:
            made.append(database.partitions(**SET, convert_old=old))
            write_all = "UPDATE visits SET mark = mark + 1 WHERE n % 2 = 0; DELETE FROM visits_{} WHERE n % 13 = 0"
            database.sql(write_all.format("n0" if old == "split" else "converted"))

    monkeypatch.setattr(Work, "_patiently", meanwhile)
    assert summarize(database)
    monkeypatch.undo()
    assert database.rows(KIND) == [("p",)]
    right(database)
    assert not summarize(database)
    write(database, "TRUNCATE visits")


def test_what_is_repeated_in_the_partitions_counts_once(database, monkeypatch):
    database.sql(PLAIN)
    summarize(database)
    digest, done = split.digest, []

    def meanwhile(quoted):
        if not done:
            done.append(quoted)
            # The triggers that the set has already are no mistake.
            assert not summarize(database)
            for role in ("origin", "replica"):
                write(database, "TRUNCATE visits; INSERT INTO visits SELECT 1, n, 1 FROM generate_series(1, 9) n", role)
                write(database, "UPDATE visits SET mark = 7, n = n + 200 WHERE n % 2 = 0", role)
                write(database, "DELETE FROM visits WHERE n > 205", role)
        return digest(quoted)

    monkeypatch.setattr(split, "digest", meanwhile)
    database.partitions(**SET, convert_old="split")
    assert done
    right(database)


@pytest.mark.parametrize("change", ["made", "dropped", "altered"])
def test_a_summary_that_changes_while_rows_move(database, change, monkeypatch):
    database.sql(PLAIN)
    if change != "made":
        summarize(database)
    digest, done = split.digest, []

    def meanwhile(quoted):
        if not done:
            done.append(quoted)
            if change == "dropped":
                database.summary("visitors", state="absent")
            else:
                more = [*OF_VISITS["columns"], *([column("least", "min", "n")] if change == "altered" else [])]
                database.summary("visitors", tables=[{**OF_VISITS, "columns": more}], every=EVERY)
        return digest(quoted)

    monkeypatch.setattr(split, "digest", meanwhile)
    database.partitions(**SET, convert_old="split")
    assert database.rows(KIND) == [("p",)]
    database.sql("DELETE FROM visits_n100 WHERE n % 7 = 0; TRUNCATE visits_n300")
    if change == "dropped":
        assert database.rows("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    else:
        assert database.drift() == []


def test_another_table_of_the_summary_is_not_locked(database):
    """It may have another owner, and its readers have nothing to do with this."""
    owner = f"owner_{database.name}"
    database.sql(PLAIN + f"; CREATE ROLE {owner} LOGIN; GRANT ALL ON SCHEMA public TO {owner};"
                 f"GRANT SELECT ON people TO {owner}; ALTER TABLE visits OWNER TO {owner}")  # fmt: skip
    summarize(database, login_user=owner)
    with database.connect() as reader:
        reader.run("BEGIN; LOCK TABLE people IN ROW EXCLUSIVE MODE")
        assert database.partitions(**SET, login_user=owner, patience=0)["converted"]
    right(database)


def test_what_waits_for_the_swap_counts(database):
    """Writers queue behind it, and fire the triggers of what is there then."""
    database.sql(PLAIN)
    summarize(database)
    end, errors = threading.Event(), []

    def write_on():
        with database.connect() as client:
            client.run("PREPARE put AS INSERT INTO visits VALUES ($1, $2, 1)")
            number = 1000
            while not end.is_set():
                number -= 1
                time.sleep(0.002)
                try:
                    client.run("EXECUTE put (7, %s)", (number,))
                except psycopg2.errors.CheckViolation:
                    # Above the bound, for as long as there is no partition for it.
                    continue
                except Exception as error:  # a thread's failure is the test's
                    errors.append(error)
                    return

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        database.partitions(**SET, patience=60)
    finally:
        end.set()
        thread.join()
    assert errors == []
    right(database)
