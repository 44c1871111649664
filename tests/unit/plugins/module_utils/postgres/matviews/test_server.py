# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The room with a real PostgreSQL: what it sees, what it changes, and what it leaves as it was."""

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, PartlyApplied, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.alter_matviews import (
    OPTIONS,
    AlterMatviews,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Locked

QUERY = "SELECT user_id, count(*) AS tasks FROM tasks GROUP BY user_id"


class Place:
    """A database with a table, and tasks of ours on it."""

    def __init__(self, server, database):
        self.server, self.database = server, database
        self.run(
            "CREATE ROLE app LOGIN; CREATE ROLE reader; CREATE ROLE other LOGIN"
            if not self.rows("SELECT FROM pg_roles WHERE rolname = 'app'")
            else "SELECT 1",
            "GRANT CREATE, USAGE ON SCHEMA public TO app",
            "CREATE TABLE tasks (id int PRIMARY KEY, user_id int, state varchar(9), done boolean)",
            "ALTER TABLE tasks OWNER TO app",
            "INSERT INTO tasks SELECT n, n % 3, 'open', n % 2 = 0 FROM generate_series(1, 30) n",
        )

    def run(self, *statements, user="postgres"):
        with self.server.connect(self.database, user) as client:
            for statement in statements:
                client.run(statement)

    def rows(self, statement, user="postgres"):
        with self.server.connect(self.database, user) as client:
            return client.rows(statement)

    def one(self, statement):
        return self.rows(statement)[0][0]

    def task(self, *views, check=False, user="app", lock_timeout=100, lock_patience=0, connect_params=None, **view):
        own = {"name": None, "views": list(views), "lock_timeout": lock_timeout, "lock_patience": lock_patience}
        where = self.server.parameters(self.database, login_user=user, connect_params=connect_params or {})
        params = {**dict.fromkeys(OPTIONS), **own, **where, **view}
        task = AlterMatviews.of(params)
        try:
            plan = task.plan()
            result = dict(plan.result)
            if plan.changed and not check:
                result.update(task.apply(plan))
            return plan, result["views"]
        finally:
            task.close()

    def actions(self, **options):
        return [row["action"] for row in self.task(**options)[1]]

    def nothing_is_left(self):
        return self.rows(
            "SELECT relname FROM pg_class WHERE relname LIKE 'scaleout%' AND relkind <> 'r' AND relkind <> 'i'"
        )


@pytest.fixture(name="place")
def _place(server, database):
    return Place(server, database)


def test_check_mode_predicts_and_leaves_nothing(place):
    plan, (row,) = place.task(name="stats", query=QUERY, unique_index=["user_id"], check=True)
    assert plan.changed
    assert (row["action"], row["populated"], row["refreshed"]) == ("created", True, True)
    assert plan.before == {"public.stats": None}
    assert plan.after["public.stats"]["indexes"] == ["stats_scaleout_key"]
    assert place.rows("SELECT relname FROM pg_class WHERE relkind = 'm'") == []
    assert place.nothing_is_left() == []


def test_create_and_again(place):
    assert place.actions(name="stats", query=QUERY + " ;\n", unique_index=["user_id"]) == ["created"]
    assert place.rows("SELECT user_id, tasks FROM stats ORDER BY 1") == [(0, 10), (1, 10), (2, 10)]
    assert place.one("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'stats'") == "app"
    plan, (row,) = place.task(name="stats", query=QUERY, unique_index=["user_id"])
    assert (plan.changed, row["action"], row["age"] < 60) == (False, "none", True)


@pytest.mark.parametrize(
    "query",
    [
        'select tasks.user_id,COUNT ( * ) as "tasks"\n from public.tasks group by 1;',
        "SELECT user_id, count(*) AS tasks -- the number\nFROM tasks GROUP BY user_id -- of each",
        "SELECT t.user_id, count(*) AS tasks FROM tasks AS t GROUP BY t.user_id",
    ],
)
def test_another_way_to_write_the_same_is_no_change(place, query):
    place.task(name="stats", query=QUERY)
    # An alias is a part of what PostgreSQL stores.
    assert place.actions(name="stats", query=query) == ["replaced" if "AS t " in query else "none"]


def test_a_definition_that_went_through_a_dump_is_no_change(place):
    query = "SELECT id FROM tasks WHERE state IN ('open', 'done')"
    place.task(name="stats", query=query)
    written = place.one("SELECT pg_get_viewdef('stats'::regclass)")
    place.run("DROP MATERIALIZED VIEW stats", f"CREATE MATERIALIZED VIEW stats AS {written}", user="app")
    assert place.one("SELECT pg_get_viewdef('stats'::regclass)") != written
    assert place.actions(name="stats", query=query) == ["none"]
    place.run("ALTER TABLE tasks ADD COLUMN more int")
    assert place.actions(name="stats", query=query) == ["none"]


def test_a_new_column_is_a_change_of_a_star(place):
    place.task(name="stats", query="SELECT * FROM tasks")
    place.run("ALTER TABLE tasks ADD COLUMN more int")
    assert place.actions(name="stats", query="SELECT * FROM tasks") == ["replaced"]
    assert place.one("SELECT count(more) FROM stats") == 0


def test_all_that_belongs_to_a_view_is_kept_over_a_change(place):
    place.run('CREATE SCHEMA "Other"', 'GRANT ALL ON SCHEMA "Other" TO app')
    place.task(name="stats", query=QUERY, unique_index=["user_id"])
    place.run(
        'CREATE INDEX "By Tasks" ON stats (tasks DESC, (user_id + 1)) WHERE tasks > 0',
        "COMMENT ON MATERIALIZED VIEW stats IS 'it''s ours'",
        "COMMENT ON COLUMN stats.tasks IS '100 %'",
        "COMMENT ON INDEX \"By Tasks\" IS 'fast'",
        "GRANT SELECT ON stats TO reader WITH GRANT OPTION",
        "GRANT SELECT (user_id) ON stats TO PUBLIC",
        "ALTER MATERIALIZED VIEW stats SET (fillfactor = 70, autovacuum_enabled = false)",
        "ALTER MATERIALIZED VIEW stats ALTER tasks SET STATISTICS 500",
        "ALTER MATERIALIZED VIEW stats CLUSTER ON stats_scaleout_key",
        "CREATE STATISTICS both_of ON user_id, tasks FROM stats",
        'CREATE VIEW "Other"."Busy" WITH (security_barrier) AS SELECT user_id, tasks * 2 AS twice FROM stats',
        'COMMENT ON VIEW "Other"."Busy" IS \'a reader\'',
        'GRANT SELECT ON "Other"."Busy" TO reader',
        'CREATE VIEW of_a_view AS SELECT * FROM "Other"."Busy"',
        user="app",
    )
    place.run("ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT ALL ON TABLES TO other")
    oid = place.one('SELECT \'"Other"."Busy"\'::regclass::oid')
    told = """
        SELECT relacl::text, reloptions::text, obj_description(c.oid, 'pg_class'), pg_get_userbyid(relowner),
               (SELECT array_agg(pg_get_indexdef(indexrelid) || indisclustered
                   || coalesce(obj_description(indexrelid, 'pg_class'), '') ORDER BY 1)::text
                FROM pg_index WHERE indrelid = c.oid),
               (SELECT array_agg(attname || coalesce(attacl::text, '') || attstattarget ORDER BY attnum)::text
                FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
               col_description(c.oid, 2), (SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext)
        FROM pg_class c WHERE relname = 'stats'"""
    before = place.rows(told.replace("attstattarget", "coalesce(attstattarget, -1)"))
    changed = QUERY.replace("FROM tasks", "FROM tasks WHERE done")
    assert place.actions(name="stats", query=changed, unique_index=["user_id"]) == ["replaced"]
    assert place.rows(told.replace("attstattarget", "coalesce(attstattarget, -1)")) == before
    assert place.rows('SELECT * FROM "Other"."Busy" ORDER BY 1') == [(0, 10), (1, 10), (2, 10)]
    assert place.one("SELECT sum(twice) FROM of_a_view") == 30
    assert place.one('SELECT \'"Other"."Busy"\'::regclass::oid') == oid
    busy = place.rows(
        "SELECT reloptions::text, relacl::text, obj_description(oid) FROM pg_class WHERE relname = 'Busy'"
    )
    assert (busy[0][0], "reader=r/app" in busy[0][1], busy[0][2]) == ("{security_barrier=true}", True, "a reader")
    assert place.nothing_is_left() == []
    assert place.actions(name="stats", query=changed, unique_index=["user_id"]) == ["none"]


def test_an_index_whose_column_goes_is_named(place):
    place.task(name="stats", query="SELECT id, user_id, state FROM tasks", unique_index=["id"])
    place.run("CREATE INDEX by_state ON stats (lower(state))")
    plan, _rows = place.task(name="stats", query="SELECT id, user_id FROM tasks", unique_index=["id"])
    assert plan.warnings == ("public.stats: its new definition lacks columns of index by_state, which goes with them.",)
    assert place.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'stats'::regclass") == [
        ("stats_scaleout_key",)
    ]


@pytest.mark.parametrize(
    ("before", "query", "says"),
    [
        (
            "CREATE VIEW late AS SELECT tasks FROM stats",
            "SELECT user_id FROM tasks",
            "it lacks the column tasks, which the view public.late reads",
        ),
        (
            "CREATE VIEW late AS SELECT tasks FROM stats",
            "SELECT user_id, count(*)::int AS tasks FROM tasks GROUP BY 1",
            "it has tasks as integer and not bigint, which the view public.late reads",
        ),
        (
            "CREATE MATERIALIZED VIEW late AS SELECT tasks FROM stats",
            "SELECT user_id FROM tasks",
            "others depend on it: materialized view public.late.",
        ),
        (
            "CREATE FUNCTION late() RETURNS bigint BEGIN ATOMIC SELECT sum(tasks) FROM stats; END",
            "SELECT user_id FROM tasks",
            "others depend on it: function public.late().",
        ),
        ("CREATE TABLE late (one stats)", "SELECT user_id FROM tasks", "others depend on it: column one of table"),
        ("CREATE VIEW late AS SELECT s FROM stats s", "SELECT user_id FROM tasks", "late"),
    ],
)
def test_what_cannot_be_kept_is_named_and_nothing_changes(place, before, query, says):
    place.task(name="stats", query=QUERY)
    place.run(before, user="app")
    with pytest.raises(Refused) as refused:
        place.task(name="stats", query=query)
    assert refused.value.code == "depended_on"
    assert says in refused.value.message
    assert place.one("SELECT count(*) FROM stats") == 3
    assert place.nothing_is_left() == []
    with pytest.raises(Refused, match=r"is not dropped, because others depend on it: .*late") as refused:
        place.task(name="stats", state="absent", check=True)
    assert refused.value.code == "depended_on"


def test_the_query_runs_as_the_owner(place):
    place.run("CREATE TABLE hidden (x int)", "INSERT INTO hidden VALUES (1)", "GRANT SELECT ON hidden TO app")
    assert place.actions(
        name="stats", query="SELECT x, current_user AS me FROM hidden", owner="app", user="postgres"
    ) == ["created"]
    assert place.rows("SELECT me::text FROM stats") == [("app",)]
    place.run("GRANT CREATE ON SCHEMA public TO other", "GRANT SELECT ON hidden TO other")
    assert place.actions(
        name="stats", query="SELECT x, current_user AS me FROM hidden", owner="other", user="postgres"
    ) == ["altered"]
    assert place.actions(name="stats", state="refreshed", user="postgres") == ["refreshed"]
    assert place.rows("SELECT me::text FROM stats") == [("other",)]
    with pytest.raises(Refused) as refused:
        place.task(name="stats", state="refreshed")
    assert refused.value.code == "denied"


def test_refreshes_by_age_and_concurrently(place):
    place.task(name="stats", query=QUERY)
    place.run("INSERT INTO tasks VALUES (31, 0)")
    plan, (row,) = place.task(name="stats", state="refreshed", max_age=5)
    assert not plan.changed
    place.run("UPDATE scaleout_refreshes SET refreshed_at = now() - interval '299 s'")
    assert place.actions(name="stats", state="refreshed", max_age=5) == ["none"]
    place.run("UPDATE scaleout_refreshes SET refreshed_at = now() - interval '300 s'")
    plan, (row,) = place.task(name="stats", state="refreshed", max_age=5)
    assert (row["action"], row["concurrently"], row["age"]) == ("refreshed", False, 0)
    assert row["reason"] == "its last refresh was 5 minutes ago, and max_age is 5"
    assert place.one("SELECT sum(tasks) FROM stats") == 31
    _plan, (row,) = place.task(name="stats", query=QUERY, unique_index=["user_id"], state="refreshed")
    assert (row["action"], row["concurrently"], row["reason"]) == ("altered", True, "it was asked for")
    _plan, (row,) = place.task(name="stats", state="refreshed", concurrently="never")
    assert (row["action"], row["concurrently"]) == ("refreshed", False)
    # What an older clock left, and what no one knows.
    place.run("UPDATE scaleout_refreshes SET refreshed_at = now() + interval '1 day'")
    assert place.actions(name="stats", state="refreshed", max_age=5) == ["refreshed"]
    place.run("DROP TABLE scaleout_refreshes")
    assert place.actions(name="stats", state="refreshed", max_age=5) == ["refreshed"]


SLOW = "SELECT user_id, count(*) AS tasks, (SELECT pg_sleep(1))::text AS waited FROM tasks GROUP BY user_id"


def read_until(place, thread):
    """Read the view while a task of 3 s runs, as one who does not wait so long; returns how often that went well."""
    thread.start()
    seen = 0
    with place.server.connect(place.database) as reader:
        reader.run("SET lock_timeout = 900")
        while not seen or place.rows("SELECT FROM pg_stat_activity WHERE query LIKE 'REFRESH%' AND state = 'active'"):
            assert reader.one("SELECT count(*) FROM stats") == 3
            seen += 1
    thread.join()
    return seen


def test_readers_go_on_during_a_concurrent_refresh(place):
    place.task(name="stats", query=SLOW, unique_index=["user_id"])
    assert read_until(place, threading.Thread(target=place.task, kwargs={"name": "stats", "state": "refreshed"}))


def test_readers_go_on_while_another_definition_is_built(place):
    place.task(name="stats", query=QUERY)
    assert read_until(place, threading.Thread(target=place.task, kwargs={"name": "stats", "query": SLOW}))
    assert place.one("SELECT count(waited) FROM stats") == 3


def after_an_attempt(place, reader):
    """End the reader's transaction once a lock was waited for, without success."""
    for awaited in (True, False):
        while place.one("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)") is not awaited:
            time.sleep(0.02)
    reader.run("COMMIT")


def test_a_reader_that_stays_is_waited_for_in_short_attempts(place):
    place.task(name="stats", query=QUERY)
    changed = QUERY.replace("FROM tasks", "FROM tasks WHERE done")
    with place.server.connect(place.database) as reader:
        reader.run("SET application_name = 'report'")
        reader.run("BEGIN")
        reader.rows("SELECT * FROM stats")
        with pytest.raises(
            Locked, match=r"change public.stats were not had in \d attempts .*report.*AccessShareLock"
        ) as locked:
            place.task(name="stats", query=changed, lock_patience=1)
        assert locked.value.facts["holders"][0]["relation"] == "public.stats"
        assert place.nothing_is_left() == []
        threading.Thread(target=lambda: after_an_attempt(place, reader)).start()
        _plan, (row,) = place.task(name="stats", query=changed, lock_patience=60, lock_timeout=400)
        assert (row["action"], row["attempts"] > 0, row["waited"] > 0) == ("replaced", True, True)
    assert place.one("SELECT sum(tasks) FROM stats") == 15


def test_a_table_that_is_locked_is_not_waited_for_either(place):
    with place.server.connect(place.database) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE tasks")
        with pytest.raises(Locked, match="locks to look at the views were not had in 1 attempts"):
            place.task(name="stats", query=QUERY)
        threading.Thread(target=lambda: after_an_attempt(place, other)).start()
        assert place.task(name="stats", query=QUERY, lock_patience=60, lock_timeout=400)[1][0]["action"] == "created"


def test_names_in_quotes_and_an_empty_search_path(place):
    place.run(
        'CREATE SCHEMA "My Schema"', 'GRANT ALL ON SCHEMA "My Schema" TO app', "ALTER ROLE app SET search_path = ''"
    )
    try:
        options = {"name": 'Per "User" 50%', "schema": "My Schema", "unique_index": ["User Id"]}
        query = 'SELECT user_id AS "User Id", count(*) AS "n %" FROM public.tasks GROUP BY 1'
        assert place.actions(query=query, **options) == ["created"]
        assert place.actions(query=query, **options) == ["none"]
        assert place.actions(query=query.replace("GROUP", "WHERE done GROUP"), **options) == ["replaced"]
        assert place.actions(name='Per "User" 50%', schema="My Schema", state="refreshed") == ["refreshed"]
        # What the query names without a schema is in the view's.
        query = 'SELECT * FROM "Per ""User"" 50%"'
        assert place.actions(name="second", schema="My Schema", query=query) == ["created"]
    finally:
        place.run("ALTER ROLE app RESET search_path")


def test_several_views_of_which_one_reads_another(place):
    views = [
        {"name": "stats", "query": QUERY},
        {"name": "total", "query": "SELECT sum(tasks) AS n FROM stats"},
    ]
    plan, _rows = place.task(*views, check=True)
    assert plan.changed
    assert [row["action"] for row in place.task(*views)[1]] == ["created", "created"]
    assert [row["action"] for row in place.task(*views)[1]] == ["none", "none"]
    gone = [{"name": name, "state": "absent"} for name in ("total", "stats")]
    with pytest.raises(Refused, match=r"others depend on it: materialized view public.total"):
        place.task(*reversed(gone))
    assert [row["action"] for row in place.task(*gone)[1]] == ["dropped", "dropped"]
    place.run("CREATE FUNCTION boom() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1 / 0; END'")
    views = [{"name": "bad", "query": "SELECT public.boom() AS x"}, {"name": "good", "query": "SELECT 1 AS x"}]
    with pytest.raises(
        PartlyApplied, match=r"division by zero. Done before: create public.good. Not done: create public.bad"
    ):
        place.task(*views)
    assert place.one("SELECT x FROM good") == 1
    assert place.rows("SELECT to_regclass('bad')") == [(None,)]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"query": "SELEC 1"}, "invalid_input", "query of public.stats: PostgreSQL at"),
        ({"query": "SELECT 1; DROP TABLE tasks"}, "invalid_input", "syntax error"),
        ({"query": "SELECT nothing FROM tasks"}, "invalid_input", 'column "nothing" does not exist'),
        ({"query": QUERY, "unique_index": ["id"]}, "invalid_input", "unique_index: 'id' is no column of public.stats"),
        ({"query": QUERY, "owner": "no_one"}, "missing", "owner: the role no_one of public.stats does not exist"),
        ({"query": QUERY, "schema": "nowhere"}, "missing", "needs the schema nowhere, which does not exist"),
        ({"state": "refreshed"}, "missing", "public.stats does not exist; give its query to create it"),
        ({"name": "tasks", "query": QUERY}, "name_taken", "public.tasks is a table and no materialized view"),
        ({"query": QUERY, "user": "other"}, "denied", "permission denied"),
    ],
)
def test_what_cannot_be(place, options, code, says):
    with pytest.raises((Refused, InvalidInput)) as refused:
        place.task(**{"name": "stats", **options})
    assert refused.value.code == code, refused.value.message
    assert says in refused.value.message
    assert place.one("SELECT count(*) FROM tasks") == 30


def test_always_concurrently_is_refused_where_it_cannot_be(place):
    place.task(name="stats", query=QUERY, populate=False)
    with pytest.raises(Refused) as refused:
        place.task(name="stats", state="refreshed", concurrently="always")
    assert refused.value.code == "not_concurrent"


def test_a_view_without_rows(place):
    assert place.actions(name="stats", query=QUERY, populate=False) == ["created"]
    assert place.actions(name="stats", query=QUERY, populate=False) == ["none"]
    changed = QUERY.replace("FROM tasks", "FROM tasks WHERE done")
    assert place.actions(name="stats", query=changed, populate=False) == ["replaced"]
    assert place.one("SELECT relispopulated FROM pg_class WHERE relname = 'stats'") is False
    _plan, (row,) = place.task(name="stats", query=changed)
    assert (row["action"], row["reason"], row["populated"]) == ("refreshed", "it has no rows yet", True)


def test_the_unique_index_follows_its_columns(place):
    query = "SELECT id, user_id, state FROM tasks"
    place.task(name="stats", query=query)
    place.run("CREATE UNIQUE INDEX half ON stats (id) WHERE id > 3")
    assert place.actions(name="stats", query=query, unique_index=["id"]) == ["altered"]
    assert place.actions(name="stats", query=query, unique_index=["id"]) == ["none"]
    assert place.actions(name="stats", query=query, unique_index=["id", "user_id"]) == ["altered"]
    names = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'stats'::regclass ORDER BY 1"
    assert place.rows(names) == [("half",), ("stats_scaleout_key",)]
    with pytest.raises(Refused) as refused:
        place.task(name="stats", query=query, unique_index=["user_id"])
    assert refused.value.facts["sqlstate"] == "23505"
    assert place.rows(names) == [("half",), ("stats_scaleout_key",)]
    changed = query + " WHERE done"
    assert place.actions(name="stats", query=changed, unique_index=["id"]) == ["replaced"]
    assert place.rows(names) == [("half",), ("stats_scaleout_key",)]


def test_absent(place):
    place.task(name="stats", query=QUERY)
    plan, (row,) = place.task(name="stats", state="absent", check=True)
    assert (plan.changed, row["action"], plan.after["public.stats"]) == (True, "dropped", None)
    _plan, (row,) = place.task(name="stats", state="absent")
    assert (row["action"], row["populated"], row["last_refresh"]) == ("dropped", False, None)
    assert place.rows("SELECT * FROM scaleout_refreshes") == []
    assert place.actions(name="stats", state="absent") == ["none"]
    assert place.actions(name="stats", schema="nowhere", state="absent") == ["none"]


def test_the_table_of_refreshes_goes_to_the_owner_of_the_schema(place):
    place.task(name="stats", query=QUERY, user="postgres", owner="app")
    owner = place.one("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'scaleout_refreshes'")
    assert owner == place.one("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public'")


def test_what_read_only_servers_say(place):
    with pytest.raises(Refused) as refused:
        place.task(name="stats", query=QUERY, connect_params={"options": "-c default_transaction_read_only=on"})
    assert refused.value.code == "standby"
