# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows of a default partition move to where they belong, and are seen once at every moment."""

from __future__ import annotations

import datetime
import random
import threading

import psycopg2
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays import places
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays import server as strays

DAYS = {"table": "visits", "column": "seen_at", "interval": "day", "premake": 2}
LEFT = """SELECT relname::text FROM pg_class WHERE relname ~ 'moving|_copy|_rest' AND relkind IN ('r', 'p')
UNION ALL SELECT proname::text FROM pg_proc WHERE proname ~ 'moving'
UNION ALL SELECT tgname::text FROM pg_trigger WHERE tgname ~ 'moving'
UNION ALL SELECT conname::text FROM pg_constraint WHERE conname ~ '^scaleout_'"""


def day(ahead):
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=ahead)).date()


def partition(ahead):
    return f"visits_y{day(ahead):%Y}m{day(ahead):%m}d{day(ahead):%d}"


@pytest.fixture
def visits(client):
    client.run("CREATE TABLE places (id bigint PRIMARY KEY)")
    client.run("INSERT INTO places SELECT generate_series(0, 9)")
    client.run("""CREATE TABLE visits (
        id bigint NOT NULL, seen_at timestamptz NOT NULL, place bigint REFERENCES places, note text,
        double bigint GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, seen_at)
    ) PARTITION BY RANGE (seen_at)""")
    client.run("CREATE INDEX ON visits (place)")
    client.run("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    return client


def fill(client, rows, *aheads):
    for ahead in aheads:
        client.run(
            "INSERT INTO visits (id, seen_at, place, note)"
            " SELECT n, %s::timestamptz + n * interval '1 ms', n %% 10, repeat('x', 50) FROM generate_series(1, %s) n",
            (f"{day(ahead)} 00:00:00+00", rows),
        )


def spread(client):
    return dict(client.rows("SELECT tableoid::regclass::text, count(*) FROM visits GROUP BY 1"))


def test_rows_move_to_partitions_that_are_created_for_them(keep, visits):
    fill(visits, 500, -40, -3, 0, 1, 6)
    visits.run("INSERT INTO visits (id, seen_at) VALUES (1, 'infinity'), (2, '0001-01-01'), (3, '4000-01-01 BC')")
    before = visits.rows("SELECT id, seen_at::text, place, double FROM visits ORDER BY 1, 2")
    foreseen = keep({**DAYS, "retention": "30 days"}, check=True)
    assert spread(visits) == {"visits_default": 2503}
    plan = keep({**DAYS, "retention": "30 days"}, patience=60)
    assert foreseen.result["sets"][0]["created"] == plan.result["sets"][0]["created"]
    assert foreseen.result["sets"][0]["moved"] == plan.result["sets"][0]["moved"] == 2000
    # What is older than the retention, or far outside, stays and is named.
    assert spread(visits) == {**{partition(ahead): 500 for ahead in (-3, 0, 1, 6)}, "visits_default": 503}
    assert "503 rows of the default partition are not FROM" in plan.warnings[0]
    assert "the first value there is 4000-01-01 00:00:00+00 BC, the last infinity" in plan.warnings[0]
    assert visits.rows("SELECT id, seen_at::text, place, double FROM visits ORDER BY 1, 2") == before
    assert visits.rows(LEFT) == []
    assert (
        visits.one(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated AND conrelid = %s::regclass",
            (partition(0),),
        )
        == 1
    )
    again = keep({**DAYS, "retention": "30 days"})
    assert not again.changed
    assert again.warnings == plan.warnings


def count(server, database, done, counts):
    """Count rows that no one writes to, until it is done."""
    query = "SELECT count(*), sum(id)::int FROM visits WHERE id <= 3000"
    with server.connect(database) as reader:
        while not done.is_set():
            counts.append(reader.rows(query)[0])


def write(server, database, done, number, failures, expected):
    """Insert, update and delete rows of one's own, until it is done; expected has what is to be there then."""
    choose, mine = random.Random(number), {}
    with server.connect(database) as writer:
        while not done.is_set():
            key, note = 10_000 * number + choose.randrange(300), str(choose.random())
            # Some 750 writes a second by three: without a bound they may be faster than any move.
            done.wait(0.004)
            try:
                if key not in mine:
                    at = f"{day(choose.choice([-2, -1, 0, 1, 5]))} 12:00:00+00"
                    writer.run("INSERT INTO visits (id, seen_at, note) VALUES (%s, %s, %s)", (key, at, note))
                    mine[key] = note
                elif choose.random() < 0.5:
                    writer.run("UPDATE visits SET note = %s WHERE id = %s", (note, key))
                    mine[key] = note
                else:
                    writer.run("DELETE FROM visits WHERE id = %s", (key,))
                    del mine[key]
            except psycopg2.Error as error:
                failures.append(error)
    expected.update(mine)


def test_each_row_is_seen_once_while_others_write(keep, visits, server, database):
    fill(visits, 3000, -2, -1, 0, 1)
    done, counts, failures, expected = threading.Event(), [], [], {}
    threads = [threading.Thread(target=count, args=(server, database, done, counts), daemon=True)]
    for number in range(1, 4):
        given = (server, database, done, number, failures, expected)
        threads.append(threading.Thread(target=write, args=given, daemon=True))
    for thread in threads:
        thread.start()
    try:
        plan = keep({**DAYS, "premake": 6}, patience=150, batch_rows=300, lock_timeout=900)
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert set(counts) == {(12_000, 4 * 3000 * 3001 // 2)}
    assert plan.result["sets"][0]["moved"] >= 12_000
    assert dict(visits.rows("SELECT id, note FROM visits WHERE id > 3000")) == expected
    assert visits.one("SELECT count(*) FROM visits_default") == 0
    assert visits.rows(LEFT) == []


class Killed(BaseException):
    """Nothing tidies up behind it."""


def test_an_interrupted_move_is_begun_again(keep, visits, monkeypatch):
    fill(visits, 900, 0, 1)

    def die(*_given):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(strays.Mover, "_catch_up", die)
        with pytest.raises(Killed):
            keep(DAYS, batch_rows=300)
    assert visits.rows(LEFT) != []
    fill(visits, 100, 3)
    visits.run("DELETE FROM visits WHERE id > 800")
    plan = keep(DAYS, batch_rows=300, patience=60)
    assert plan.result["sets"][0]["moved"] == 1700
    assert spread(visits) == {partition(0): 800, partition(1): 800, partition(3): 100}
    assert visits.rows(LEFT) == []


def test_without_superuser_and_with_writers_of_other_roles(keep, client, server, database, monkeypatch):
    client.run("CREATE ROLE mover LOGIN")
    client.run("CREATE ROLE app LOGIN")
    client.run("CREATE SCHEMA own AUTHORIZATION mover")
    client.run("SET ROLE mover")
    client.run("CREATE TABLE own.visits (id bigint, seen_at timestamptz, PRIMARY KEY (id, seen_at))"
               " PARTITION BY RANGE (seen_at)")  # fmt: skip
    client.run("CREATE TABLE own.visits_default PARTITION OF own.visits DEFAULT")
    client.run("GRANT USAGE ON SCHEMA own TO app")
    client.run("GRANT SELECT, INSERT, UPDATE, DELETE ON own.visits TO app")
    client.run("INSERT INTO own.visits SELECT n, now() FROM generate_series(1, 100) n")
    catch_up = strays.Mover._catch_up

    def write_meanwhile(mover, move):
        with server.connect(database, "app") as app:
            app.run("DELETE FROM own.visits WHERE id = 7")
            app.run("INSERT INTO own.visits VALUES (101, now())")
        catch_up(mover, move)

    with monkeypatch.context() as patched:
        patched.setattr(strays.Mover, "_catch_up", write_meanwhile)
        assert keep({**DAYS, "schema": "own"}, user="mover").result["sets"][0]["moved"] == 100
    assert client.one("SELECT count(*) FROM own.visits WHERE id <> 7") == 100
    assert client.one("SELECT count(*) FROM own.visits_default") == 0


def test_a_lock_that_is_not_had_leaves_all_as_it_was(keep, visits, server, database):
    fill(visits, 900, 0)
    with server.connect(database) as reader:
        reader.run("BEGIN")
        reader.rows("SELECT count(*) FROM visits WHERE seen_at > 'infinity'")
        with pytest.raises(ScaleoutError) as locked:
            keep(DAYS)
        reader.run("ROLLBACK")
    assert locked.value.code == "locked"
    # What has no rows in the default partition was created first.
    assert [row["name"] for row in locked.value.facts["sets"][0]["created"]] in ([], [partition(1), partition(2)])
    assert spread(visits) == {"visits_default": 900}
    keep(DAYS, patience=60)
    assert spread(visits) == {partition(0): 900}
    assert visits.rows(LEFT) == []


def test_rows_without_a_key_move_at_once_when_they_are_few(keep, client):
    client.run("CREATE TABLE visits (id bigint GENERATED BY DEFAULT AS IDENTITY, seen_at timestamptz)"
               " PARTITION BY RANGE (seen_at)")  # fmt: skip
    client.run("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    client.run("INSERT INTO visits SELECT n, now() FROM generate_series(1, 90) n")
    client.run("INSERT INTO visits VALUES (0, NULL)")
    with pytest.raises(ScaleoutError) as refused:
        keep(DAYS, batch_rows=80)
    assert refused.value.code == "cannot_move"
    assert "no key" in refused.value.message
    plan = keep(DAYS)
    assert plan.result["sets"][0]["moved"] == 90
    assert spread(client) == {partition(0): 90, "visits_default": 1}


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE TABLE f (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES visits)", "foreign keys lead to"),
        ("CREATE TRIGGER own BEFORE INSERT ON visits_default FOR EACH ROW"
         " EXECUTE FUNCTION suppress_redundant_updates_trigger()", "triggers of its own (own)"),
    ],
)  # fmt: skip
def test_rows_that_cannot_move_stop_nothing_else(keep, visits, statement, says):
    fill(visits, 10, 0)
    visits.run(statement)
    with pytest.raises(ScaleoutError) as refused:
        keep(DAYS)
    assert refused.value.code == "cannot_move"
    assert says in refused.value.message
    assert [row["name"] for row in refused.value.facts["sets"][0]["created"]] == [partition(1), partition(2)]


def test_a_default_partition_goes_once_it_is_empty(keep, visits):
    fill(visits, 10, 0)
    visits.run("INSERT INTO visits (id, seen_at) VALUES (1, 'infinity')")
    with pytest.raises(ScaleoutError) as refused:
        keep({**DAYS, "default": False})
    assert refused.value.code == "has_rows"
    assert spread(visits) == {partition(0): 10, "visits_default": 1}
    visits.run("DELETE FROM visits WHERE seen_at = 'infinity'")
    assert keep({**DAYS, "default": False}).result["sets"][0]["partitions"] == 3
    assert visits.one("SELECT to_regclass('visits_default')") is None
    assert not keep({**DAYS, "default": False}).changed
    assert keep({**DAYS, "default": True}).changed
    assert not keep({**DAYS, "default": True}).changed


def test_ids_and_numbers_move_too(keep, client):
    client.run("CREATE TABLE tasks (user_id uuid, id uuid, PRIMARY KEY (user_id, id)) PARTITION BY RANGE (id)")
    client.run("CREATE TABLE tasks_default PARTITION OF tasks DEFAULT")
    client.run(
        "INSERT INTO tasks SELECT gen_random_uuid(), (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint"
        " - n * 86400000::bigint), 12, '0') || '7abc8def0123456789ab')::uuid FROM generate_series(0, 99) n"
    )
    client.run("INSERT INTO tasks SELECT gen_random_uuid(), 'ffffffff-ffff-ffff-ffff-ffffffffffff'")
    client.run("CREATE TABLE numbers (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    client.run("CREATE TABLE numbers_default PARTITION OF numbers DEFAULT")
    client.run("INSERT INTO numbers SELECT n * 10 FROM generate_series(-5, 20) n")
    plan = keep(
        {"table": "tasks", "column": "id", "interval": "month", "premake": 1},
        {"table": "numbers", "column": "id", "interval": "100", "premake": 1},
    )
    assert [row["moved"] for row in plan.result["sets"]] == [100, 26]
    assert client.one("SELECT count(*) FROM tasks_default") == 1
    assert client.rows("SELECT tableoid::regclass::text, count(*)::int FROM numbers GROUP BY 1 ORDER BY 1") == [
        ("numbers_n0", 10), ("numbers_n100", 10), ("numbers_n200", 1), ("numbers_nm100", 5)
    ]  # fmt: skip
    large = {"table": "numbers", "column": "id", "interval": "1000000000", "premake": 0}
    client.run("DROP TABLE numbers_n0, numbers_n100, numbers_n200, numbers_nm100")
    client.run("DROP TABLE numbers_n300")
    client.run("INSERT INTO numbers VALUES (-2000000000), (1)")
    keep(large)
    assert client.one("SELECT count(*) FROM numbers_default") == 0


def test_rows_move_into_partitions_that_are_divided(keep, visits):
    fill(visits, 40, 0, 1)
    divided = {**DAYS, "sub_partitions": {"column": "id", "modulus": 2}}
    assert keep(divided).result["sets"][0]["moved"] == 80
    assert set(spread(visits)) == {f"{partition(ahead)}_h{part}" for ahead in (0, 1) for part in (0, 1)}
    assert visits.rows(LEFT) == []


def test_values_of_a_list_move_too(keep, client):
    client.run("CREATE TABLE orders (id bigint, country text, PRIMARY KEY (id, country)) PARTITION BY LIST (country)")
    client.run("CREATE TABLE orders_default PARTITION OF orders DEFAULT")
    client.run("INSERT INTO orders SELECT n, (ARRAY['DE', 'FR', 'US'])[n %% 3 + 1] FROM generate_series(1, 30) n", ())
    listed = {"table": "orders", "by": "list", "column": "country", "values": {"eu": ["DE", "FR"], "uk": "GB"}}
    assert keep(listed).result["sets"][0]["moved"] == 20
    assert dict(client.rows("SELECT tableoid::regclass::text, count(*) FROM orders GROUP BY 1")) == {
        "orders_eu": 20,
        "orders_default": 10,
    }


def test_a_large_default_partition_is_read_before_it_is_locked(keep, visits, monkeypatch):
    monkeypatch.setattr(strays, "_LARGE", 0)
    visits.run("INSERT INTO visits (id, seen_at) SELECT n, 'infinity' FROM generate_series(1, 1000) n")
    keep(DAYS)
    assert visits.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'visits'::regclass") == 4
    assert visits.rows(LEFT) == []
    visits.run("ALTER TABLE visits_default ADD CONSTRAINT scaleout_aside_0 CHECK (seen_at > '2020-01-01')")
    keep({**DAYS, "premake": 3})
    assert visits.rows(LEFT) == []


def test_what_is_free_of_a_range():
    held = [Range(0, 10), Range(20, 30)]
    assert places.free(Range(5, 40), held) == [Range(10, 20), Range(30, 40)]
    assert places.free(Range(0, 10), held) == []
    assert places.free(Range(12, 15), held) == [Range(12, 15)]
