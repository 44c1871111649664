# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module's task against a real server; what it says is compared with queries of the test's own."""

from __future__ import annotations

import contextlib
import threading
import time

import psycopg2
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import ddl

from .conftest import column, table

TABLES = """
CREATE TABLE users (id uuid PRIMARY KEY, name text);
CREATE TABLE tasks (user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE, id uuid NOT NULL, status text,
                    PRIMARY KEY (user_id, id)) PARTITION BY RANGE (id);
CREATE TABLE tasks_a PARTITION OF tasks FOR VALUES FROM (MINVALUE) TO ('80000000-0000-0000-0000-000000000000');
CREATE TABLE tasks_b PARTITION OF tasks FOR VALUES FROM ('80000000-0000-0000-0000-000000000000') TO (MAXVALUE);
CREATE TABLE habits (user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE, id uuid NOT NULL, best_streak int,
                     PRIMARY KEY (user_id, id));
INSERT INTO users SELECT md5(n::text)::uuid, n FROM generate_series(1, 9) n;
INSERT INTO tasks SELECT md5((1 + n % 8)::text)::uuid, md5(n::text)::uuid,
                         CASE n % 3 WHEN 0 THEN 'completed' ELSE 'pending' END FROM generate_series(1, 300) n;
INSERT INTO habits SELECT md5((1 + n % 7)::text)::uuid, md5(n::text)::uuid, n % 11 FROM generate_series(1, 60) n
"""

#: The document's view, word for word but for the name of the streak's column.
DOCUMENT = """
SELECT u.id, count(DISTINCT t.id), count(DISTINCT t.id) FILTER (WHERE t.status = 'completed'),
       count(DISTINCT h.id), max(h.best_streak)
FROM users u LEFT JOIN tasks t ON t.user_id = u.id LEFT JOIN habits h ON h.user_id = u.id GROUP BY u.id ORDER BY u.id
"""

OF_TASKS = table(
    "tasks",
    ["user_id"],
    column("total_tasks", "count"),
    column("completed_tasks", "count", where="status = 'completed'"),
)
OF_HABITS = table("habits", ["user_id"], column("total_habits", "count"), column("best_streak", "max", "best_streak"))
USER_STATS = {"tables": [OF_TASKS, OF_HABITS], "every": {"table": "users", "schema": None, "columns": ["id"]}}

OBJECTS = """
SELECT count(*) FROM (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT oid FROM pg_trigger WHERE NOT tgisinternal) x
"""

LOW, HIGH = "11111111-0000-0000-0000-00000000000", "eeeeeeee-0000-0000-0000-00000000000"
FIRST = "md5('1')::uuid"

WRITES = [
    f"INSERT INTO tasks VALUES ({FIRST}, '{LOW}1', 'completed')",
    f"INSERT INTO tasks_b VALUES ({FIRST}, '{HIGH}1', 'completed')",
    "UPDATE users SET name = 'another'",
    "UPDATE tasks SET status = 'completed'",
    "UPDATE tasks_a SET status = NULL WHERE status = 'completed'",
    f"UPDATE tasks SET id = '{HIGH}2', status = 'moved' WHERE id = '{LOW}1'",
    "UPDATE tasks SET user_id = md5('9')::uuid WHERE user_id = md5('2')::uuid",
    f"UPDATE tasks SET user_id = md5('2')::uuid WHERE id = '{HIGH}2'",
    f"UPDATE tasks SET status = status WHERE id = '{HIGH}2'",
    "UPDATE habits SET best_streak = best_streak + 1",
    "UPDATE habits SET best_streak = NULL WHERE best_streak = 11",
    "DELETE FROM habits WHERE best_streak > 8",
    "DELETE FROM tasks_b WHERE status IS NULL",
    "DELETE FROM users WHERE id = md5('3')::uuid",
    f"INSERT INTO habits VALUES ({FIRST}, '{LOW}1', 1), ({FIRST}, '{HIGH}1', 99) ON CONFLICT DO NOTHING",
    f"INSERT INTO habits VALUES ({FIRST}, '{LOW}1', 1), ({FIRST}, '{LOW}3', 7) "
    "ON CONFLICT (user_id, id) DO UPDATE SET best_streak = 100",
    f"WITH gone AS (DELETE FROM tasks WHERE user_id = {FIRST} RETURNING *) "
    "INSERT INTO habits SELECT user_id, gen_random_uuid(), 5 FROM gone",
    "TRUNCATE tasks_a",
    "BEGIN; INSERT INTO tasks SELECT id, id, 'x' FROM users; TRUNCATE tasks; "
    "INSERT INTO tasks SELECT id, id, 'completed' FROM users; COMMIT",
    "BEGIN; DELETE FROM tasks; SAVEPOINT s; TRUNCATE habits; ROLLBACK TO s; COMMIT",
    "TRUNCATE users CASCADE",
]


def test_the_documents_statistics_are_right_after_each_write(database):
    database.sql(TABLES)
    before = database.rows(OBJECTS)
    changed, foreseen = database.summary("user_stats", check_mode=True, **USER_STATS)
    assert changed
    assert database.rows(OBJECTS) == before
    changed, result = database.summary("user_stats", **USER_STATS)
    assert changed
    assert (result["outcome"], result["summary"]) == (foreseen["outcome"], foreseen["summary"])
    assert result["outcome"] == "created"
    assert not database.summary("user_stats", **USER_STATS)[0]
    for number, write in enumerate(WRITES):
        database.sql(write)
        assert database.rows("SELECT * FROM user_stats ORDER BY id") == database.rows(DOCUMENT), write
        assert database.drift("user_stats") == [], write
        if number % 4 == 3:
            pending = sum(
                database.rows(f"SELECT count(*) FROM user_stats__{t}_pending")[0][0] for t in ("tasks", "habits")
            )
            assert database.summary("user_stats", state="folded", check_mode=True)[1]["folded"] == pending
            assert database.summary("user_stats", state="folded")[1]["folded"] == pending
            assert database.rows("SELECT * FROM user_stats ORDER BY id") == database.rows(DOCUMENT), write
            assert not database.summary("user_stats", state="folded")[0]
    assert database.summary("user_stats", state="absent")[1]["outcome"] == "dropped"
    assert database.rows(OBJECTS) == before
    assert not database.summary("user_stats", state="absent")[0]


def test_a_condition_on_the_group_reaches_the_indexes(database):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    plan = database.rows(f"SET enable_seqscan = off; EXPLAIN SELECT * FROM user_stats WHERE id = {FIRST}")
    assert "Seq Scan" not in "\n".join(line for (line,) in plan)


KINDS = """
CREATE SCHEMA "Odd ""one"; CREATE TYPE "Odd ""one"."Mood" AS ENUM ('low', 'high');
CREATE DOMAIN "Odd ""one".amount AS numeric(12, 4) CHECK (VALUE < 1e6);
CREATE TABLE "Odd ""one"."T %s $$" ("G 1" int, "g$2" "Odd ""one"."Mood", "d" "Odd ""one".amount, "n" numeric,
    i smallint, b bigint, v varchar(9), e "Odd ""one"."Mood", at timestamptz, a int[]);
CREATE INDEX ON "Odd ""one"."T %s $$" ("g$2", "G 1")
"""
ODD = table(
    "T %s $$",
    ["G 1", "g$2"],
    column("rows of it", "count"),
    column("with d", "count", "d"),
    column("sum d", "sum", "d"),
    column("sum n", "sum", "n", "i IS NULL OR i > 2 -- which are the best"),
    column("sum b", "sum", "b"),
    column("sum i", "sum", "i"),
    column("min v", "min", "v", "\"G 1\" > 0 AND v <> '$scaleout$ %s'"),
    column("max e", "max", "e"),
    column("min at", "min", "at"),
    column("max a", "max", "a"),
    column("max n", "max", "n"),
)
VALUES = (
    "(1, 'low', 1.5, 'NaN', 3, 9e18::bigint, 'x', 'high', now(), '{1}')",
    "(1, 'low', 1.50, 2, NULL, 9e18::bigint, '$', 'low', 'infinity', '{1,2}')",
    "(NULL, 'low', NULL, 'Infinity', 1, -1, 'a', NULL, '-infinity', NULL)",
    "(NULL, 'low', NULL, 1e-30, 9, -1, 'b', NULL, NULL, '{}')",
    "(NULL, NULL, 0.0001, '-Infinity', 9, NULL, 'B', 'low', now(), NULL)",
)


def test_kinds_of_columns_groups_of_null_and_odd_names(database):
    database.sql(KINDS)
    name = '"Odd ""one"."T %s $$"'
    database.sql(f"INSERT INTO {name} VALUES {', '.join(VALUES)}")
    options = {"schema": 'Odd "one', "tables": [ODD]}
    assert database.summary("S'\"%s", **options)[1]["outcome"] == "created"
    assert not database.summary("S'\"%s", **options)[0]
    writes = [
        f"INSERT INTO {name} VALUES {', '.join(VALUES)}",
        f"INSERT INTO {name} VALUES {VALUES[0]}",
        f"UPDATE {name} SET n = 1 WHERE n = 'NaN'",
        f"UPDATE {name} SET n = 'NaN', v = 'zz' WHERE ctid = (SELECT ctid FROM {name} LIMIT 1)",
        f'UPDATE {name} SET "g$2" = \'high\' WHERE "g$2" IS NULL',
        f"DELETE FROM {name} WHERE n = 'NaN'",
        f"UPDATE {name} SET e = 'low', a = '{{0}}', at = now(), \"G 1\" = NULL",
        f"DELETE FROM {name} WHERE ctid = (SELECT ctid FROM {name} LIMIT 1)",
        f"DELETE FROM {name}",
    ]
    for write in writes:
        database.sql(write)
        assert database.drift() == [], write
        database.summary(state="folded")
        assert database.drift() == [], write
    assert database.rows('SELECT count(*) FROM "Odd ""one"."S\'""%s"') == [(0,)]
    database.summary("S'\"%s", schema='Odd "one', state="absent")
    assert database.rows('SELECT count(*) FROM pg_proc WHERE pronamespace = \'"Odd ""one"\'::regnamespace') == [(0,)]


def test_a_summary_changes_while_it_is_read(database):
    database.sql(TABLES)
    database.sql("CREATE ROLE reader; CREATE ROLE other")
    database.summary("user_stats", **USER_STATS, readers=["reader"])
    database.sql("GRANT SELECT ON user_stats TO other; CREATE VIEW on_top AS SELECT * FROM user_stats")
    spaced = {
        **OF_TASKS,
        "columns": [OF_TASKS["columns"][0], column("completed_tasks", "count", where="(status)='completed'")],
    }
    assert not database.summary("user_stats", **{**USER_STATS, "tables": [spaced, OF_HABITS]}, readers=["reader"])[0]
    more = {**OF_HABITS, "columns": [*OF_HABITS["columns"], column("worst", "min", "best_streak")]}
    changed, result = database.summary("user_stats", **{**USER_STATS, "tables": [OF_TASKS, more]})
    assert (changed, result["outcome"]) == (True, "changed")
    assert database.drift() == []
    granted = (
        "SELECT grantee::text FROM information_schema.role_table_grants WHERE table_name = 'user_stats' ORDER BY 1"
    )
    assert [name for (name,) in database.rows(granted) if name != "postgres"] == ["other", "reader"]
    objects = database.rows(OBJECTS)
    for options in ({**USER_STATS}, {"state": "absent"}):
        for check_mode in (True, False):
            with pytest.raises(ScaleoutError, match=r"others depend on it: view public\.on_top") as caught:
                database.summary("user_stats", check_mode=check_mode, **options)
            assert (caught.value.code, caught.value.facts["dependents"]) == ("depended_on", ["view public.on_top"])
            assert "CASCADE" not in caught.value.message
    assert database.rows(OBJECTS) == objects
    assert database.drift() == []
    database.sql("DROP VIEW on_top")
    assert database.summary("user_stats", **USER_STATS)[1]["outcome"] == "changed"
    stored = database.rows("SELECT count(*) FROM pg_class WHERE relname LIKE 'user_stats%' AND relkind = 'r'")
    assert stored == [(4,)]
    database.sql("ALTER TABLE habits ADD COLUMN note text")
    assert not database.summary("user_stats", **USER_STATS)[0]
    with pytest.raises(psycopg2.Error):
        database.sql("ALTER TABLE tasks DROP COLUMN status")
    database.summary("user_stats", state="absent")
    database.sql("DROP ROLE reader; DROP ROLE other")


def test_what_was_done_behind_the_triggers_is_found_and_repaired(database):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    database.sql("CREATE TABLE more (LIKE tasks); INSERT INTO more SELECT id, id, 'completed' FROM users")
    database.sql("ALTER TABLE tasks DETACH PARTITION tasks_b; DROP TABLE tasks_b")
    _changed, result = database.summary("user_stats", state="verified")
    assert (result["exact"], result["outcome"], len(result["warnings"])) == (False, "drifted", 1)
    assert result["verified"][0]["drifted"] == 8
    database.sql(
        "ALTER TABLE tasks ATTACH PARTITION more FOR VALUES FROM ('80000000-0000-0000-0000-000000000000') TO (MAXVALUE)"
        if database.rows("SELECT count(*) FROM more WHERE id < '80000000-0000-0000-0000-000000000000'") == [(0,)]
        else "DELETE FROM more WHERE id < '80000000-0000-0000-0000-000000000000';"
        "ALTER TABLE tasks ATTACH PARTITION more FOR VALUES FROM ('80000000-0000-0000-0000-000000000000') TO (MAXVALUE)"
    )
    changed, result = database.summary("user_stats", **USER_STATS, check_mode=True)
    assert (changed, result["outcome"], result["without_triggers"]) == (True, "repaired", ["public.more"])
    assert database.summary("user_stats", **USER_STATS)[1]["outcome"] == "repaired"
    assert database.drift() == []
    database.sql("ALTER TABLE tasks DISABLE TRIGGER ALL; DELETE FROM tasks WHERE user_id = md5('1')::uuid")
    assert database.summary("user_stats", **USER_STATS)[1]["outcome"] == "repaired"
    assert database.drift() == []
    database.sql("UPDATE user_stats__tasks SET n = n + 1")
    assert len(database.drift()) == 8 - 1
    assert not database.summary("user_stats", **USER_STATS)[0]
    assert database.summary("user_stats", **USER_STATS, reseed=True)[1]["outcome"] == "reseeded"
    assert database.drift() == []


REFUSED = [
    ({"tables": [table("nothing", ["a"], column("n", "count"))]}, "missing", "There is no table public.nothing."),
    ({"tables": [table("tasks", ["who"], column("n", "count"))]}, "missing", "public.tasks has no column who."),
    ({"schema": "nowhere"}, "missing", "There is no schema nowhere"),
    ({"readers": ["unknown_role"]}, "missing", "There is no role unknown_role"),
    ({"name": "habits_seen"}, "name_taken", "public.habits_seen is there and is no summary."),
    ({"tables": [table("tasks_a", ["user_id"], column("n", "count"))]}, "unsupported", "is a partition of another"),
    ({"tables": [table("quick", ["a"], column("n", "count"))]}, "unsupported", "is not logged"),
    ({"tables": [table("parent", ["a"], column("n", "count"))]}, "unsupported", "inherit"),
    ({"tables": [table("habits_seen", ["id"], column("n", "count"))]}, "unsupported", "is not a table"),
    ({"tables": [table("plain", ["a"], column("n", "max", "b"))]}, "no_index", "begins with (a)"),
    ({"tables": [table("plain", ["a"], column("n", "sum", "r"))]}, "invalid_input", "sum takes integers and numeric"),
    ({"tables": [table("plain", ["a"], column("n", "max", "j"))]}, "invalid_input", "which has no max"),
    *(
        (
            {"tables": [table("plain", [name], column("n", "count"))]},
            "invalid_input",
            f"group_by: '{name}' of public.plain",
        )
        for name in ("j", "p", "x", "js")
    ),
    (
        {
            "tables": [table("plain", ["a"], column("n", "count"))],
            "every": {"table": "plain", "schema": None, "columns": ["j"]},
        },
        "invalid_input",
        "every: 'j' of public.plain",
    ),
    ({"tables": [OF_TASKS, table("plain", ["a"], column("n", "count"))]}, "invalid_input", "has the type"),
    (
        {"tables": [table("plain", ["a"], column("n", "count", where="b > now()"))]},
        "invalid_input",
        "filter: 'b > now()'",
    ),
    ({"tables": [table("plain", ["a"], column("n", "count", where="c = 1"))]}, "invalid_input", "filter: 'c = 1'"),
    ({"tables": [table("plain", ["a"], column("n", "count", where="a > (SELECT 1)"))]}, "invalid_input", "filter"),
]


def test_what_cannot_be_is_refused_and_nothing_is_changed(database):
    database.sql(TABLES)
    database.sql(
        "CREATE VIEW habits_seen AS SELECT * FROM habits; CREATE UNLOGGED TABLE quick (a int); "
        "CREATE TABLE parent (a int); CREATE TABLE child () INHERITS (parent); "
        "CREATE TABLE plain (a int, b timestamptz, r real, j json, p point, x xml, js json[])"
    )
    before = database.rows(OBJECTS)
    for changed, code, message in REFUSED:
        options = {"name": "stats", "tables": [OF_TASKS], **changed}
        for check_mode in (True, False):
            with pytest.raises(ScaleoutError) as caught:
                database.summary(check_mode=check_mode, **options)
            assert (caught.value.code, message in caught.value.message) == (code, True), caught.value.message
    assert database.rows(OBJECTS) == before
    for state in ("verified", "folded"):
        with pytest.raises(ScaleoutError) as caught:
            database.summary("stats", state=state)
        assert caught.value.code == "missing"
    with pytest.raises(ScaleoutError) as caught:
        database.summary("habits_seen", state="absent")
    assert caught.value.code == "name_taken"
    for options in ({"lock_timeout": 1}, {"lock_patience": -1.0}, {"state": "folded", "tables": [OF_TASKS]}):
        with pytest.raises(InvalidInput):
            database.summary("stats", **options)


def test_an_owner_who_is_no_superuser_and_an_empty_search_path(database):
    database.sql(
        "CREATE ROLE app LOGIN; CREATE ROLE writer LOGIN; CREATE SCHEMA app AUTHORIZATION app; "
        "SET ROLE app; CREATE TABLE app.t (id int PRIMARY KEY, g text, v int, secret bool DEFAULT false); "
        "CREATE INDEX ON app.t (g); GRANT ALL ON app.t TO writer; GRANT USAGE ON SCHEMA app TO writer"
    )
    database.sql("CREATE SCHEMA evil AUTHORIZATION writer")
    options = {"schema": "app", "tables": [table("t", ["g"], column("n", "count"), column("m", "max", "v", "v > 1"))]}
    for role in ("app", "postgres"):
        given = {"login_user": role, "connect_params": {"options": "-c search_path="}}
        if role == "postgres":
            given["owner"] = "app"
        assert database.summary("stats", **options, **given)[0] == (role == "app")
    with database.connect(user="writer") as writer:
        # Operators and functions of the writer's own choice get no hand on what the owner's triggers do.
        writer.run(
            "CREATE FUNCTION evil.stop(int, int) RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE 'mine'; END$$; "
            "CREATE FUNCTION evil.yes(int, int) RETURNS bool LANGUAGE plpgsql AS $$BEGIN RAISE 'mine'; END$$; "
            "CREATE FUNCTION evil.yes(text, text) RETURNS bool LANGUAGE plpgsql AS $$BEGIN RAISE 'mine'; END$$; "
            "CREATE OPERATOR evil.- (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.stop); "
            "CREATE OPERATOR evil.> (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes); "
            "CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes); "
            "CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes); "
            "SET search_path = evil, pg_catalog; "
            "INSERT INTO app.t VALUES (1, 'a', 5); INSERT INTO app.t VALUES (2, 'a', 7), (3, 'b', 1); "
            "UPDATE app.t SET v = 6; UPDATE app.t SET g = 'c' WHERE id OPERATOR(pg_catalog.=) 1; "
            "DELETE FROM app.t WHERE id OPERATOR(pg_catalog.=) 3"
        )
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            writer.run("SELECT * FROM app.stats")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            writer.run("SELECT app.stats__t_count('app.t', 1)")
    assert database.rows("SELECT * FROM app.stats ORDER BY g") == [("a", 1, 6), ("c", 1, 6)]
    assert database.summary("stats", schema="app", state="folded", login_user="app")[1]["folded"] > 0
    assert database.drift("stats", schema="app", login_user="app") == []
    database.sql("CREATE TABLE public.groups (g text)")
    every = {"every": {"table": "groups", "schema": "public", "columns": ["g"]}}
    with pytest.raises(ScaleoutError) as caught:
        database.summary("stats", **options, **every, login_user="app")
    assert caught.value.code == "denied"
    database.sql("GRANT SELECT ON groups TO app; ALTER TABLE groups ENABLE ROW LEVEL SECURITY")
    with pytest.raises(ScaleoutError) as caught:
        database.summary("stats", **options, **every, login_user="app")
    assert (caught.value.code, caught.value.facts["table"]) == ("row_security", "public.groups")
    database.sql("ALTER TABLE app.t ENABLE ROW LEVEL SECURITY")
    assert not database.summary("stats", **options, login_user="app")[0]
    database.sql("ALTER TABLE app.t FORCE ROW LEVEL SECURITY")
    with pytest.raises(ScaleoutError) as caught:
        database.summary("stats", **options, login_user="app")
    assert (caught.value.code, caught.value.facts["table"]) == ("row_security", "app.t")
    with pytest.raises(ScaleoutError) as caught:
        database.summary("stats", **options, login_user="writer")
    assert caught.value.code == "denied"
    with pytest.raises(ScaleoutError) as caught:
        database.summary("stats", **options)
    assert caught.value.code == "denied"
    database.summary("stats", schema="app", state="absent", owner="app")
    database.sql(
        "DROP SCHEMA evil CASCADE; DROP SCHEMA app CASCADE; DROP TABLE groups; DROP ROLE app; DROP ROLE writer"
    )


def test_truncate_with_an_older_snapshot_is_refused(database):
    database.sql(TABLES)
    # A publication of all tables does not keep the rows from being folded.
    database.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    database.summary("user_stats", **USER_STATS)
    database.sql("DELETE FROM tasks WHERE status = 'completed'")
    assert database.summary("user_stats", state="folded")[1]["folded"] > 0
    with pytest.raises(psycopg2.errors.FeatureNotSupported):
        database.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; TRUNCATE habits; COMMIT")
    assert database.drift() == []


def test_a_lock_that_is_not_had_leaves_nothing_behind(database):
    database.sql(TABLES)
    before = database.rows(OBJECTS)
    with database.connect() as other:
        other.run("BEGIN; DELETE FROM habits")
        with pytest.raises(ScaleoutError) as caught:
            database.summary("user_stats", **USER_STATS, lock_timeout=50, lock_patience=0.2)
        assert caught.value.code == "locked"
        assert caught.value.facts["holders"][0]["relation"] == "public.habits"
        assert database.rows(OBJECTS) == before
        letting_go = let_go(database, 0.2, other)
        changed, result = database.summary("user_stats", **USER_STATS, lock_timeout=50)
        assert changed
        assert result["attempts"] > 0
        letting_go.join()
    assert database.drift() == []


def let_go(database, seconds, *holders):
    """Once a session waits for a lock, end the transactions of its holders one after the other, each after so long."""

    def ends():
        while not database.rows("SELECT FROM pg_locks WHERE NOT granted"):
            time.sleep(0.01)
        for holder in holders:
            time.sleep(seconds)
            holder.run("COMMIT")

    thread = threading.Thread(target=ends)
    thread.start()
    return thread


def test_all_locks_of_an_attempt_are_had_within_the_bound_of_one(database):
    """Or a writer who waits for the first would find a deadlock before we give way at the last."""
    database.sql(TABLES)
    with database.connect() as one, database.connect() as other:
        one.run("BEGIN; DELETE FROM tasks")
        other.run("BEGIN; DELETE FROM habits")
        letting_go = let_go(database, 0.35, one, other)
        _changed, result = database.summary("user_stats", **USER_STATS, lock_timeout=500)
        letting_go.join()
    assert result["attempts"] > 0
    assert database.drift() == []


def test_a_task_that_was_broken_off_is_finished_by_the_next(database, monkeypatch):
    database.sql(TABLES)
    before = database.rows(OBJECTS)

    def broken(*_given):
        raise KeyboardInterrupt

    monkeypatch.setattr(ddl, "open_view", broken)
    with contextlib.suppress(KeyboardInterrupt):
        database.summary("user_stats", **USER_STATS)
    monkeypatch.undo()
    database.sql("INSERT INTO tasks VALUES (md5('1')::uuid, md5('x')::uuid, 'completed')")
    assert database.summary("user_stats", **USER_STATS)[1]["outcome"] == "created"
    assert database.drift() == []
    monkeypatch.setattr(ddl, "open_view", broken)
    with contextlib.suppress(KeyboardInterrupt):
        database.summary("user_stats", tables=[OF_TASKS])
    monkeypatch.undo()
    assert database.drift() == []
    assert database.summary("user_stats", **USER_STATS)[1]["outcome"] == "cleaned"
    assert not database.summary("user_stats", **USER_STATS)[0]
    database.summary("user_stats", state="absent")
    assert database.rows(OBJECTS) == before
