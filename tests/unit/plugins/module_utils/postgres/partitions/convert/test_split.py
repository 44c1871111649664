# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a plain table move into partitions of their own on a real server, and are there once at every moment."""

from __future__ import annotations

import random
import threading
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import copying
from tests.unit.plugins.module_utils.postgres.partitions.convert.test_room import (
    KIND,
    LEFT,
    RICH,
    ROWS,
    SUM,
    TASKS,
    killed_at,
    partitions,
    shape,
)

SPLIT = {**TASKS, "convert_old": "split"}


def test_all_that_a_table_has_is_kept(keep, client, database):
    client.run(RICH.format(database=database))
    client.run(ROWS.format(count=500))
    client.run("INSERT INTO child SELECT user_id, id, at FROM tasks LIMIT 5")
    client.run("TRUNCATE log")
    before, rows = shape(client), client.rows(SUM)
    foreseen = keep(SPLIT, check=True)
    assert client.one(KIND) == "r"
    assert client.rows(LEFT) == []
    done = keep(SPLIT)
    row = done.result["sets"][0]
    assert row == {**foreseen.result["sets"][0], "moved": 500}
    assert done.after == foreseen.after
    assert row["converted"] == {"name": "tasks_unpartitioned", "bounds": None}
    for name, part in shape(client).items():
        assert part == before[name], name
    assert client.rows(SUM) == rows
    assert client.one("SELECT count(*) FROM tasks_unpartitioned") == 500
    assert client.rows("SELECT * FROM log") == []
    assert len(partitions(client)) > 15
    assert client.rows(LEFT) == []
    options = client.rows("SELECT DISTINCT reloptions FROM pg_class WHERE relname LIKE 'tasks_y20%' AND relkind = 'r'")
    assert (["fillfactor=70"],) in options
    assert not keep(SPLIT).changed
    last = client.one("SELECT max(id) FROM tasks")
    assert client.one("INSERT INTO tasks (at, n) VALUES (now(), 7) RETURNING id") == last + 1
    assert client.rows("SELECT what FROM log ORDER BY 1") == [("before_row",), ("late",)]
    assert client.one("SELECT count(*) FROM busy WHERE n = 7") == 2
    # Nothing refers to the table of before, which can go.
    client.run("DROP TABLE tasks_unpartitioned")
    assert client.one("SELECT count(*) FROM child") == 5


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"by": "hash", "modulus": 4, "interval": None, "premake": None}, 4),
        (
            {
                "by": "list",
                "values": {"odd": 1, "even": [0, None]},
                "interval": None,
                "premake": None,
                "column": "half",
            },
            2,
        ),
    ],
)
def test_hash_and_list(keep, client, wanted, count):
    client.run("CREATE TABLE tasks (at timestamptz NOT NULL, half int NOT NULL, n int, PRIMARY KEY (at, half))")
    client.run("INSERT INTO tasks SELECT now() - n * interval '1 day', n % 2, n FROM generate_series(1, 100) n")
    wanted = {**SPLIT, **wanted}
    with pytest.raises(ScaleoutError, match="say convert_old: split") as refused:
        keep({**wanted, "convert_old": None})
    assert refused.value.code == "not_convertible"
    rows = client.rows(SUM)
    keep(wanted)
    assert client.rows(SUM) == rows
    assert len(partitions(client)) == count
    assert client.rows(LEFT) == []
    assert not keep(wanted).changed


@pytest.mark.parametrize(
    ("definition", "options", "reason"),
    [
        ("CREATE TABLE tasks (at timestamptz NOT NULL)", {}, "no primary key"),
        ("CREATE TABLE tasks (at timestamptz NOT NULL UNIQUE DEFERRABLE)", {}, "no primary key"),
        (
            "CREATE TABLE tasks (at timestamptz PRIMARY KEY); INSERT INTO tasks VALUES ('-infinity')",
            {},
            "a row at -infinity",
        ),
        (
            "CREATE TABLE tasks (at timestamptz PRIMARY KEY); INSERT INTO tasks VALUES ('1000-01-01')",
            {},
            "more than 2000 partitions",
        ),
        (
            "CREATE TABLE tasks (at int PRIMARY KEY); INSERT INTO tasks VALUES (1), (2), (3)",
            {"by": "list", "values": {"few": [1, 2]}, "interval": None, "premake": None},
            "1 rows belong into none",
        ),
        (
            "CREATE TABLE tasks (at timestamptz PRIMARY KEY);"
            "CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root)",
            {},
            "would publish the copies",
        ),
    ],
)
def test_what_cannot_be_split_is_as_it_was(keep, client, definition, options, reason):
    client.run(definition)
    before = shape(client)
    with pytest.raises(ScaleoutError) as refused:
        keep({**SPLIT, **options})
    assert reason in refused.value.message
    assert shape(client) == before
    assert client.rows(LEFT) == []


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(keep, client, monkeypatch):
    monkeypatch.setattr(copying, "_MOST_BLOCKS", 1)
    kinds = []
    statement = 1
    while True:
        client.run(
            "DROP TABLE IF EXISTS tasks, tasks_unpartitioned CASCADE;"
            "CREATE TABLE tasks (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, n int, filler text,"
            " UNIQUE (id, at))"
        )
        client.run("INSERT INTO tasks (at, n, filler) SELECT now() - n * interval '1 day', n, repeat('x', 2000) "
                   "FROM generate_series(1, 12) n")  # fmt: skip
        with killed_at(monkeypatch, statement) as seen:
            keep(SPLIT)
        client.run("UPDATE tasks SET n = n + 100 WHERE n % 3 = 0")
        client.run("DELETE FROM tasks WHERE n % 4 = 1")
        client.run("INSERT INTO tasks (at, n) SELECT now() - interval '1 hour', 50")
        rows = client.rows(SUM)
        kinds.append(client.one(KIND))
        keep(SPLIT)
        assert client.one(KIND) == "p"
        assert client.rows(SUM) == rows
        assert client.rows(LEFT) == []
        if seen["statements"] < statement:
            break
        statement += random.randint(4, 9)
    assert statement > 20
    assert kinds == sorted(kinds, reverse=True)
    assert {"r", "p"} == set(kinds)


def test_a_copy_that_was_begun_goes_on_where_it_was(keep, client, monkeypatch):
    monkeypatch.setattr(copying, "_MOST_BLOCKS", 1)
    client.run("CREATE TABLE tasks (at timestamptz PRIMARY KEY, filler text)")
    client.run(
        "INSERT INTO tasks SELECT now() - n * interval '1 minute', repeat('x', 1000) FROM generate_series(1, 100) n"
    )
    copied = []
    for_real = copying.split.batch
    monkeypatch.setattr(
        copying.split, "batch", lambda table, first, end: copied.append(first) or for_real(table, first, end)
    )
    monkeypatch.setattr(
        copying.Copying, "_outlast", lambda self: (none for none in ()).throw(ScaleoutError("", code="locked"))
    )
    with pytest.raises(ScaleoutError):
        keep(SPLIT)
    assert client.one("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'scaleout_%'") == 2
    begun = len(copied)
    assert begun > 3
    monkeypatch.undo()
    keep(SPLIT)
    assert client.one(KIND) == "p"
    assert client.one("SELECT count(*) FROM tasks") == 100


class Load:
    """Readers in snapshots of all ages, and writers that know what has to be there; each a thread."""

    FIXED = "SELECT count(*), count(DISTINCT id), bit_xor(hashtextextended(t::text, 0)) FROM tasks t WHERE fixed"

    def __init__(self, connect, wanted):
        self.connect = connect
        self.wanted = wanted
        self.end = threading.Event()
        self.wrong, self.seen, self.written = [], [], {}

    def read(self, isolation):
        """Count, twice in each transaction."""
        with self.connect() as reader:
            reader.connection.autocommit = False
            while not self.end.is_set():
                reader.run(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
                for _again in range(2):
                    found = reader.rows(self.FIXED)
                    self.seen.append(isolation)
                    if found != self.wanted:
                        self.wrong.append((isolation, found))
                    time.sleep(0.002)
                reader.connection.commit()

    def write(self, number):
        """Insert, update, move and delete rows of its own."""
        dice, known = random.Random(number), {}
        with self.connect() as writer:
            while not self.end.is_set():
                row = dice.choice(list(known)) if known and dice.random() < 0.5 else None
                self._change(writer, dice, known, row)
        self.written.update(known)

    @staticmethod
    def _change(writer, dice, known, row):
        value, what = dice.randrange(10**6), dice.random()
        if row is None:
            insert = "INSERT INTO tasks (at, n) VALUES (now() - %s * interval '1 hour', %s) RETURNING id, at"
            known[writer.rows(insert, (dice.randrange(3000), value))[0]] = value
        elif what < 0.4:
            writer.run("UPDATE tasks SET n = %s WHERE (id, at) = (%s, %s)", (value, *row))
            known[row] = value
        elif what < 0.7:
            move = "UPDATE tasks SET at = at - interval '40 days' WHERE (id, at) = (%s, %s) RETURNING id, at"
            known[writer.rows(move, row)[0]] = known.pop(row)
        else:
            writer.run("DELETE FROM tasks WHERE (id, at) = (%s, %s)", row)
            del known[row]


def test_each_row_is_there_once_at_every_moment(keep, client, server, database, monkeypatch):
    monkeypatch.setattr(copying, "_MOST_BLOCKS", 2)
    client.run(
        "CREATE TABLE tasks (id bigint GENERATED BY DEFAULT AS IDENTITY, at timestamptz NOT NULL, n int, fixed bool, "
        "PRIMARY KEY (id, at))"
    )
    client.run(
        "INSERT INTO tasks (at, n, fixed) SELECT now() - n * interval '6 hours', n, true "
        "FROM generate_series(1, 3000) n"
    )
    load = Load(lambda: server.connect(database), client.rows(Load.FIXED))
    levels = ("READ COMMITTED", "REPEATABLE READ")
    threads = [threading.Thread(target=load.read, args=(level,)) for level in levels]
    threads += [threading.Thread(target=load.write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        keep(SPLIT, patience=60)
        time.sleep(0.2)
    finally:
        load.end.set()
        for thread in threads:
            thread.join()
    assert load.wrong == []
    assert set(levels) == set(load.seen)
    there = {(row[0], row[1]): row[2] for row in client.rows("SELECT id, at, n FROM tasks WHERE fixed IS NULL")}
    assert there == load.written
    assert client.rows(LEFT) == []
