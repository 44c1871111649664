# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A role that can make a view gets none of its code run by the task of a superuser."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import queries

from .conftest import column, table

COMMENT = (
    'scaleout.platform summary: {"declared":{"schema":"m","name":"s","sources":[{"schema":"SCHEMA","table":"t",'
    '"group_by":["g"],"columns":[{"name":"n","function":"FUNCTION","column":"","filter":""}]}],"every":null},'
    '"parts":[{"stem":"s__t","nullable":[],"types":{"g":"TYPE"},"numeric":[]}],"filters":{},"schemas":[]}'
)

TRAP = """
SET ROLE {role};
CREATE FUNCTION m.evil() RETURNS int LANGUAGE plpgsql AS $$BEGIN
    EXECUTE 'RESET ROLE'; EXECUTE 'ALTER ROLE {role} SUPERUSER'; RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 0; END$$;
CREATE FUNCTION m.fires() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM m.evil(); RETURN OLD; END$$;
CREATE FUNCTION m.s__t_count(regclass, int) RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM m.evil(); END$$;
CREATE TABLE m.s__t (g1 int, n int8); CREATE TABLE m.s__t_pending (g1 int, n int8); CREATE TABLE m.t (g int);
INSERT INTO m.s__t_pending VALUES (1, 1);
CREATE TRIGGER fires BEFORE DELETE ON m.s__t_pending FOR EACH ROW EXECUTE FUNCTION m.fires();
CREATE VIEW m.s AS SELECT m.evil() AS g, CAST(1 AS int8) AS n;
COMMENT ON VIEW m.s IS '{comment}';
RESET ROLE
"""


def trap(database, schema="m", function="count", kind="int"):
    role = f"mallory_{database.name}"
    comment = COMMENT.replace("SCHEMA", schema).replace("FUNCTION", function).replace("TYPE", kind)
    database.sql(f"CREATE ROLE {role}; CREATE SCHEMA m AUTHORIZATION {role}")
    database.sql(TRAP.format(role=role, comment=comment))
    return role


def is_superuser(database, role):
    return database.rows(f"SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'")[0][0]


@pytest.mark.parametrize("state", ["folded", "verified"])
def test_a_view_of_another_role_runs_no_code(database, state):
    role = trap(database)
    _changed, result = database.summary(state=state)
    assert not is_superuser(database, role)
    assert [role in warning and "m.s" in warning for warning in result["warnings"]] == [True]
    with pytest.raises(ScaleoutError, match=role) as caught:
        database.summary("s", schema="m", state=state)
    assert caught.value.code == "untrusted"
    assert not is_superuser(database, role)


def test_a_table_of_another_role_in_a_trusted_summary_runs_no_code(database):
    """The view is the superuser's, and what it counts became a view of someone else."""
    role = f"mallory_{database.name}"
    database.sql(f"CREATE ROLE {role}; CREATE SCHEMA m; CREATE TABLE m.t (g int); GRANT ALL ON SCHEMA m TO {role}")
    database.summary("s", schema="m", tables=[table("t", ["g"], column("n", "count"))])
    assert database.summary(state="verified")[1]["outcome"] == "exact"
    database.sql(f"ALTER TABLE m.s__t_pending OWNER TO {role}")
    assert role in database.summary(state="folded")[1]["warnings"][0]
    database.sql("ALTER TABLE m.s__t_pending OWNER TO postgres")
    database.sql(f"SET ROLE {role}; CREATE FUNCTION m.s__t_filter1(int) RETURNS bool LANGUAGE sql AS 'SELECT true'")
    assert role in database.summary(state="verified")[1]["warnings"][0]


def test_the_owner_who_is_named_is_trusted_and_others_are_left_out(database):
    role = f"app_{database.name}"
    database.sql(f"CREATE ROLE {role}; CREATE SCHEMA m AUTHORIZATION {role}; SET ROLE {role}; CREATE TABLE m.t (g int)")
    database.sql("CREATE TABLE public.t (g int)")
    given = [table("t", ["g"], column("n", "count"))]
    database.summary("s", schema="m", owner=role, tables=given)
    database.summary("s", tables=given)
    database.sql("INSERT INTO m.t VALUES (1); INSERT INTO public.t VALUES (1), (2)")
    assert database.summary(state="folded", owner=role)[1]["folded"] == 1
    _changed, result = database.summary(state="verified", owner=role)
    assert [one["summary"] for one in result["verified"]] == ["m.s"]
    assert not result["warnings"]
    with pytest.raises(ScaleoutError) as caught:
        database.summary("s", schema="m", state="absent")
    assert caught.value.code == "untrusted"
    database.sql(f"ALTER DATABASE {database.name} OWNER TO {role}")
    assert len(database.summary(state="verified")[1]["verified"]) == 2
    assert database.summary("s", schema="m", state="absent")[1]["outcome"] == "dropped"


def test_whatever_is_asked_of_all_summaries_is_one_query(database, monkeypatch):
    """And each gets its own answer."""
    role = trap(database)
    database.sql("CREATE TABLE t (g int, at timestamptz) PARTITION BY RANGE (at); CREATE TABLE u (g int, h int)")
    for name in ("one", "two", "three"):
        database.summary(name, tables=[table("u", ["g"], column("n", "count", "h"))])
    database.summary("four", tables=[table("t", ["g"], column("n", "count"))])
    database.sql(f"ALTER TABLE two__u_pending OWNER TO {role}; ALTER TABLE u RENAME h TO i")
    asked = []
    rows = Session.rows

    def counted(self, statement, *given):
        asked.append(statement)
        return rows(self, statement, *given)

    monkeypatch.setattr(Session, "rows", counted)
    for state in ("folded", "verified"):
        asked.clear()
        _changed, result = database.summary(state=state)
        words = [one.split(" ")[:3] for one in sorted(result["warnings"])]
        assert [one[2] for one in words] == ["m.s", "public.one", "public.three", "public.two"]
        for query in (queries.SUMMARIES, queries.DISTRUST, queries.COUNTED):
            assert asked.count(query) == 1
    asked.clear()
    database.partitions(table="t", column="at", interval="month", premake=1)
    assert [asked.count(one) for one in (queries.STANDING, queries.SUMMARIES, queries.OWNERS)] == [1, 1, 1]
    # Once for parts by their comments, once for views.
    assert asked.count(queries.DISTRUST) == len(["parts", "views"])
    assert not is_superuser(database, role)


def test_a_partition_set_calls_no_function_of_another_role(database):
    role = trap(database, schema="public")
    database.sql("CREATE TABLE public.t (g int NOT NULL, at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    database.partitions(table="t", column="at", interval="month", premake=1)
    assert not is_superuser(database, role)


@pytest.mark.parametrize("said", [{"function": "m.evil() + count"}, {"kind": "int), m.evil("}])
def test_what_a_comment_says_is_not_put_into_sql(database, said):
    role = trap(database, **said)
    for state in ("folded", "verified"):
        assert "m.s was passed over" in database.summary(state=state, owner=role)[1]["warnings"][0]
    assert not is_superuser(database, role)
