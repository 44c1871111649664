# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What people do by hand to a summary and to its tables: it is named, or made right by the next run."""

from __future__ import annotations

import ast

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import ddl

from .conftest import column, table
from .test_server import FIRST, HIGH, LOW, OBJECTS, OF_HABITS, OF_TASKS, TABLES, USER_STATS


def test_what_comes_to_depend_on_the_view_while_it_changes_leaves_no_second_half(database, monkeypatch):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    before = database.rows(OBJECTS)
    install = ddl.install

    def meanwhile(*given):
        database.sql("CREATE FUNCTION f() RETURNS SETOF user_stats BEGIN ATOMIC SELECT * FROM user_stats; END")
        return install(*given)

    with monkeypatch.context() as patch:
        patch.setattr(ddl, "install", meanwhile)
        with pytest.raises(ScaleoutError) as caught:
            database.summary("user_stats", tables=[OF_TASKS])
    assert (caught.value.code, "CASCADE" in caught.value.message) == ("depended_on", False)
    with pytest.raises(ScaleoutError, match=r"function public.f\(\)"):
        database.summary("user_stats", tables=[OF_TASKS], check_mode=True)
    database.sql("DROP FUNCTION f")
    assert database.rows(OBJECTS) == before
    assert not database.summary("user_stats", **USER_STATS)[0]


def test_a_view_under_another_name_is_named(database):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    database.sql("CREATE SCHEMA away; ALTER VIEW user_stats RENAME TO stats; ALTER VIEW stats SET SCHEMA away")
    before = database.rows(OBJECTS)
    for options in ({**USER_STATS}, {"state": "absent"}):
        for check_mode in (True, False):
            with pytest.raises(ScaleoutError, match=r"The view away\.stats is the view of the summary") as caught:
                database.summary("user_stats", check_mode=check_mode, **options)
            assert caught.value.code == "depended_on"
    assert database.rows(OBJECTS) == before
    database.sql("ALTER VIEW away.stats SET SCHEMA public; ALTER VIEW stats RENAME TO user_stats")
    assert not database.summary("user_stats", **USER_STATS)[0]
    database.sql("CREATE TABLE keeps (one user_stats__tasks)")
    with pytest.raises(ScaleoutError, match=r"column one of table public\.keeps"):
        database.summary("user_stats", state="absent", check_mode=True)
    database.sql("DROP TABLE keeps; ALTER VIEW user_stats__defining RENAME TO mine")
    with pytest.raises(ScaleoutError, match=r"view public\.mine"):
        database.summary("user_stats", tables=[OF_HABITS])
    database.sql("DROP VIEW mine")
    assert database.summary("user_stats", tables=[OF_HABITS])[1]["outcome"] == "changed"


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW", "TABLE"])
def test_what_has_the_name_of_the_defining_view_by_chance_stays(database, monkeypatch, kind):
    database.sql(TABLES)
    name = "user_stats__defining"
    of_user = f"CREATE {kind} {name} AS SELECT 7 AS mine"
    database.sql(of_user)
    before = database.rows(OBJECTS)
    for check_mode in (True, False):
        with pytest.raises(ScaleoutError, match=rf"public\.{name} is there and does not belong to") as caught:
            database.summary("user_stats", check_mode=check_mode, **USER_STATS)
        assert caught.value.code == "name_taken"
    assert not database.summary("user_stats", state="absent")[0]
    assert database.rows(OBJECTS) == before
    database.sql(f"DROP {kind} {name}")
    database.summary("user_stats", **USER_STATS)
    # In place of the summary's own view.
    database.sql(f"DROP VIEW {name}; {of_user}")
    for options in (USER_STATS, {"tables": [OF_TASKS]}):
        with pytest.raises(ScaleoutError, match=name) as caught:
            database.summary("user_stats", **options)
        assert caught.value.code == "name_taken"
    assert database.summary(state="verified")[1]["verified"][0]["altered"] == [f"the view public.{name} is gone"]
    assert database.summary("user_stats", state="absent")[1]["outcome"] == "dropped"
    assert database.rows(f"SELECT * FROM {name}") == [(7,)]
    assert database.rows(OBJECTS) == before
    # Made between the look and the change.
    database.sql(f"DROP {kind} {name}")
    install = ddl.install

    def meanwhile(*given):
        database.sql(of_user)
        return install(*given)

    monkeypatch.setattr(ddl, "install", meanwhile)
    with pytest.raises(ScaleoutError, match=name) as caught:
        database.summary("user_stats", **USER_STATS)
    assert caught.value.code == "name_taken"
    assert database.rows(f"SELECT * FROM {name}") == [(7,)]
    assert database.rows(OBJECTS) == before


def test_a_view_that_reads_the_summary_and_has_that_name_is_named(database):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    database.sql("DROP VIEW user_stats__defining; CREATE VIEW user_stats__defining AS SELECT * FROM user_stats")
    with pytest.raises(ScaleoutError, match=r"others depend on it: view public\.user_stats__defining") as caught:
        database.summary("user_stats", state="absent", check_mode=True)
    assert caught.value.code == "depended_on"


def renamed(old, new):
    """The declaration with a text replaced."""
    return ast.literal_eval(repr(USER_STATS).replace(old, new))


@pytest.mark.parametrize(
    ("statement", "said", "refused", "names"),
    [
        (
            "ALTER TABLE tasks RENAME status TO state",
            "the column status of public.tasks is called state now",
            'filter: "status = .*column "status" does not exist',
            ("status = ", "state = "),
        ),
        (
            "ALTER TABLE habits RENAME best_streak TO streak",
            "the column best_streak of public.habits is called streak now",
            "has no column best_streak. In public.user_stats, the column best_streak .* is called streak now",
            ("'column': 'best_streak'", "'column': 'streak'"),
        ),
        (
            "ALTER TABLE tasks RENAME user_id TO owner; ALTER TABLE tasks ADD user_id uuid",
            "the column user_id of public.tasks is called owner now",
            None,
            ("", ""),
        ),
        (
            "ALTER TABLE users RENAME id TO uid",
            "the column id of public.users is called uid now",
            "has no column id. In .* is called uid now",
            ("['id']", "['uid']"),
        ),
        (
            "ALTER TABLE tasks RENAME TO jobs",
            "the table public.tasks is called public.jobs now",
            "There is no table public.tasks. In .* is called public.jobs now",
            ("'tasks'", "'jobs'"),
        ),
        ("DROP VIEW user_stats__defining", "the view public.user_stats__defining is gone", None, ("", "")),
    ],
)
def test_what_was_renamed_is_noticed_and_made_right(database, statement, said, refused, names):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    database.sql(f"INSERT INTO tasks SELECT id, id, 'completed' FROM users; {statement}")
    _changed, result = database.summary(state="verified")
    assert (result["exact"], result["verified"][0]["altered"]) == (False, [said])
    assert said in result["warnings"][0]
    _changed, result = database.summary(state="folded")
    assert (result["folded"], said in result["warnings"][0]) == (0, True)
    with pytest.raises(ScaleoutError, match=said) as caught:
        database.summary("user_stats", state="folded")
    assert caught.value.code == "altered"
    if refused:
        before = database.rows(OBJECTS)
        with pytest.raises(ScaleoutError, match=refused):
            database.summary("user_stats", **USER_STATS)
        assert database.rows(OBJECTS) == before
    changed, result = database.summary("user_stats", **renamed(*names), check_mode=True)
    assert (changed, result["before"]["altered"], result["after"]["altered"]) == (True, [said], [])
    assert database.summary("user_stats", **renamed(*names))[1]["outcome"] == "changed"
    assert not database.summary("user_stats", **renamed(*names))[0]
    table = "jobs" if "jobs" in names[1] else "tasks"
    database.sql(f"DELETE FROM {table}; DELETE FROM habits WHERE id > '88888888-0000-0000-0000-000000000000'")
    assert database.summary(state="verified")[1]["exact"]
    assert database.summary("user_stats", state="absent")[1]["outcome"] == "dropped"


def test_a_renamed_summary_or_schema_says_so(database):
    database.sql("CREATE SCHEMA app; CREATE TABLE t (g int)")
    given = {"tables": [{**table("t", ["g"], column("n", "count")), "schema": "public"}]}
    database.summary("s", schema="app", **given)
    database.sql("ALTER SCHEMA app RENAME TO moved")
    for options in (given, {"state": "absent"}):
        with pytest.raises(ScaleoutError, match=r"moved\.s is there, and its comment is that of another summary"):
            database.summary("s", schema="moved", **options)


@pytest.mark.parametrize("of", ["tasks", "tasks_a"])
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE {0} DISABLE TRIGGER ALL; ALTER TABLE {0} ENABLE TRIGGER ALL; INSERT INTO {0} {1}",
        "INSERT INTO {0} {1}; ALTER TABLE {0} DISABLE TRIGGER ALL; DELETE FROM {0}",
    ],
)
def test_what_is_pending_and_wrong_is_repaired(database, statement, of):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    row = f"VALUES ({FIRST}, '{LOW}1', 'completed'), (md5('9')::uuid, '{LOW}2', 'completed')"
    database.sql(statement.format(of, row))
    assert database.drift() != []
    assert database.summary("user_stats", **USER_STATS)[1]["outcome"] == "repaired"
    assert database.drift() == []
    assert not database.summary("user_stats", **USER_STATS)[0]
    for event in ("insert", "row"):
        database.sql(f"ALTER TABLE {of} ENABLE ALWAYS TRIGGER user_stats__tasks_{event}")
    database.sql(f"INSERT INTO {of} VALUES ({FIRST}, '{LOW}3', 'completed')")
    database.sql(f"ALTER TABLE {of} ENABLE TRIGGER user_stats__tasks_insert")
    database.sql(f"ALTER TABLE {of} ENABLE REPLICA TRIGGER user_stats__tasks_row")
    assert len(database.drift()) == 1
    assert database.summary("user_stats", **USER_STATS, reseed=True)[1]["outcome"] == "reseeded"
    assert database.drift() == []


@pytest.mark.parametrize("attached", [False, True])
def test_a_partition_that_was_detached_by_hand_counts_no_longer(database, attached):
    database.sql(TABLES)
    database.sql(
        "ALTER TABLE tasks DETACH PARTITION tasks_b; CREATE TABLE deep (LIKE tasks) PARTITION BY LIST (user_id)"
    )
    bounds = "FOR VALUES FROM ('80000000-0000-0000-0000-000000000000') TO (MAXVALUE)"
    database.sql(f"CREATE TABLE leaf PARTITION OF deep DEFAULT; ALTER TABLE tasks ATTACH PARTITION deep {bounds}")
    database.summary("user_stats", **USER_STATS)
    database.sql("ALTER TABLE tasks DETACH PARTITION deep")
    if attached:
        database.sql("CREATE TABLE archive (LIKE tasks) PARTITION BY RANGE (id)")
        database.sql(f"ALTER TABLE archive ATTACH PARTITION deep {bounds}")
    database.sql(f"INSERT INTO deep VALUES ({FIRST}, '{HIGH}1', 'completed')")
    assert len(database.drift()) == 1
    changed, result = database.summary("user_stats", **USER_STATS, check_mode=True)
    assert (changed, result["stray_triggers"]) == (True, ["public.deep", "public.leaf"])
    changed, result = database.summary("user_stats", **USER_STATS)
    assert (result["outcome"], result["stray_triggers"]) == ("repaired", ["public.deep", "public.leaf"])
    for write in ("INSERT INTO {} VALUES (md5('2')::uuid, '{}', 'x')", "UPDATE {} SET status = '{}'", "TRUNCATE {}"):
        for number, name in enumerate(["deep", "leaf"]):
            database.sql(write.format(name, f"{HIGH}{2 + number}"))
            assert database.drift() == []
    assert (
        database.rows("SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text ~ 'deep|leaf'") == []
    )
    assert not database.summary("user_stats", **USER_STATS)[0]


def test_two_summaries_of_one_name_over_one_table_have_triggers_of_their_own(database):
    database.sql("CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE t (g int, v int) PARTITION BY LIST (g)")
    database.sql("CREATE TABLE t1 PARTITION OF t DEFAULT")
    first = [table("t", ["g"], column("n", "count"), schema="public")]
    second = [table("t", ["g"], column("n", "count"), column("v", "sum", "v"), schema="public")]
    for schema, tables in (("a", first), ("b", second), ("a", second), ("b", first)):
        assert database.summary("s", schema=schema, tables=tables)[0]
        database.sql("INSERT INTO t VALUES (1, 2); UPDATE t1 SET v = v + 1; INSERT INTO t1 VALUES (2, 3), (2, 4)")
        assert database.drift() == []
    for schema, tables in (("a", second), ("b", first)):
        assert not database.summary("s", schema=schema, tables=tables)[0]
    database.summary("s", schema="a", state="absent")
    database.sql("DELETE FROM t WHERE v = 3; TRUNCATE t1; INSERT INTO t VALUES (1, 2)")
    assert database.rows("SELECT * FROM b.s") == [(1, 1)]
    # Nor is a trigger of someone else's replaced.
    database.sql("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    database.sql("CREATE TRIGGER mine__t_insert BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION f()")
    assert database.summary("mine", schema="a", tables=first)[1]["outcome"] == "created"
    assert not database.summary("mine", schema="a", tables=first)[0]
    assert database.rows("SELECT count(*) FROM pg_trigger WHERE tgfoid = 'f'::regproc") == [(1,)]
    database.sql("INSERT INTO t VALUES (3, 2)")
    assert database.drift() == []


def test_an_owner_who_does_not_exist_is_named_where_a_summary_is(database):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    with pytest.raises(ScaleoutError, match="no role no_one") as caught:
        database.summary("user_stats", **USER_STATS, owner="no_one")
    assert caught.value.code == "missing"
