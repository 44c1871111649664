# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What other roles, policies, statistics and odd values would have us lose, against a real server."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations.show_partitions import ShowPartitions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import queries
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from tests.unit.plugins.module_utils.postgres.partitions.visits import CREATE_VISITS, VISITS, old

DEFAULT = "CREATE TABLE visits_default PARTITION OF visits DEFAULT"


@pytest.fixture
def role(client, server):
    """Create a role that may log in and create tables; roles outlive the database of a test."""

    def create(name):
        with contextlib.suppress(Exception):
            client.run(f"CREATE ROLE {name} LOGIN")
        client.run(f"GRANT CREATE ON SCHEMA public TO {name}")
        return name

    return create


def forged(**facts):
    """Return the comment that a run leaves at a table, as any role may write it."""
    stored = {"move_to": "", "of": ["public", "visits"], **facts}
    return "partition_set: " + json.dumps(stored, sort_keys=True).replace("'", "''")


@pytest.mark.parametrize("owner", ["postgres", "maid"])
def test_another_roles_comment_has_nothing_dropped(keep, client, role, owner):
    role("mallory")
    role("maid")
    client.run(CREATE_VISITS)
    client.run(f"ALTER TABLE visits OWNER TO {owner}")
    client.run("CREATE TABLE secret AS SELECT 1 AS a")
    client.run("CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    client.run("SET ROLE mallory")
    client.run("CREATE TABLE evil ()")
    client.run("CREATE TABLE old ()")
    moving = forged(action="moving", tables=["secret"])
    client.run(f"COMMENT ON TABLE evil IS '{moving}'")
    client.run(f"COMMENT ON TABLE old IS '{forged(action='dropped', upper='0')}'")
    client.run("RESET ROLE")
    keep({**VISITS, "retention": "1 year", "retention_action": "drop"})
    assert client.one("SELECT count(*) FROM secret") == 1
    assert client.one("SELECT evil()") == 1
    assert client.one("SELECT to_regclass('old') IS NOT NULL")


def test_the_owner_of_a_set_has_only_its_own_dropped(keep, client, role):
    role("mallory")
    client.run("CREATE TABLE secret AS SELECT 1 AS a")
    client.run("SET ROLE mallory")
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE evil ()")
    moving = forged(action="moving", tables=["secret"])
    client.run(f"COMMENT ON TABLE evil IS '{moving}'")
    client.run("RESET ROLE")
    keep(VISITS)
    assert client.one("SELECT count(*) FROM secret") == 1


def test_whose_all_leftovers_are_is_asked_once_and_each_gets_its_own_answer(keep, client, role, monkeypatch):
    role("mallory")
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE ours (); CREATE TABLE spare (); CREATE TABLE kept (); CREATE TABLE secret ()")
    client.run("ALTER TABLE secret OWNER TO mallory")
    client.run(f"COMMENT ON TABLE ours IS '{forged(action='moving', tables=['ours', 'spare'])}'")
    client.run(f"COMMENT ON TABLE kept IS '{forged(action='moving', tables=['kept', 'secret'])}'")
    asked = []
    rows = connection.Session.rows

    def counted(self, statement, *given):
        asked.append(statement)
        return rows(self, statement, *given)

    monkeypatch.setattr(connection.Session, "rows", counted)
    keep(VISITS, check=True)
    assert asked.count(queries.OWNERS) == 1
    keep(VISITS)
    there = [client.one(f"SELECT to_regclass('{name}') IS NOT NULL") for name in ("ours", "spare", "kept", "secret")]
    assert there == [False, False, True, True]


@pytest.mark.parametrize("name", ["visits_default_copy", "visits_default_moving", "visits_default_rest"])
def test_tables_with_the_names_of_a_move_stay(keep, client, name):
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz, PRIMARY KEY (id, seen_at))"
               " PARTITION BY RANGE (seen_at)")  # fmt: skip
    client.run(DEFAULT)
    client.run("INSERT INTO visits VALUES (1, now())")
    client.run(f"CREATE TABLE {name} AS SELECT 1 AS a")
    with pytest.raises(ScaleoutError):
        keep(VISITS)
    assert client.one(f"SELECT count(*) FROM {name}") == 1
    assert client.one("SELECT count(*) FROM visits") == 1


POLICED = """CREATE TABLE visits (id bigint, seen_at timestamptz NOT NULL, PRIMARY KEY (id, seen_at)){};
INSERT INTO visits SELECT n, now() FROM generate_series(1, 5) n;
ALTER TABLE visits OWNER TO maid;
ALTER TABLE visits ENABLE ROW LEVEL SECURITY;
ALTER TABLE visits FORCE ROW LEVEL SECURITY;
CREATE POLICY few ON visits USING (id = 1)"""
WITH_DEFAULT = " PARTITION BY RANGE (seen_at); CREATE TABLE visits_default PARTITION OF visits DEFAULT"


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (WITH_DEFAULT, VISITS),
        (WITH_DEFAULT, {**VISITS, "default": False}),
        (WITH_DEFAULT, {"table": "visits", "state": "absent"}),
        ("", {**VISITS, "convert": True}),
        ("", {**VISITS, "convert": True, "convert_old": "split"}),
    ],
)
def test_rows_that_policies_hide_are_not_lost(keep, client, role, made, wanted):
    role("maid")
    client.run(POLICED.format(made))
    if made:
        client.run("ALTER TABLE visits_default OWNER TO maid")
        client.run("ALTER TABLE visits_default ENABLE ROW LEVEL SECURITY")
        client.run("ALTER TABLE visits_default FORCE ROW LEVEL SECURITY")
    for check in (True, False):
        with pytest.raises(ScaleoutError) as refused:
            keep(wanted, user="maid", check=check)
        assert refused.value.code == "row_security"
        assert "visits" in refused.value.message
        assert "BYPASSRLS" in refused.value.message
    assert client.one("SELECT count(*) FROM visits") == 5
    if wanted.get("state") != "absent" and "default" not in wanted:
        client.run("ALTER ROLE maid BYPASSRLS")
        try:
            keep(wanted, user="maid")
        finally:
            client.run("ALTER ROLE maid NOBYPASSRLS")
        assert client.one("SELECT count(*) FROM visits") == 5


def test_a_partition_alone_may_hide_rows(keep, client, role):
    role("maid")
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    client.run("INSERT INTO visits SELECT n, now() FROM generate_series(1, 5) n")
    for table in ("visits", "visits_default"):
        client.run(f"ALTER TABLE {table} OWNER TO maid")
    client.run("ALTER TABLE visits_default ENABLE ROW LEVEL SECURITY")
    client.run("ALTER TABLE visits_default FORCE ROW LEVEL SECURITY")
    with pytest.raises(ScaleoutError) as refused:
        keep(VISITS, user="maid")
    assert refused.value.code == "row_security"
    assert client.one("SELECT count(*) FROM visits") == 5


def test_the_server_refuses_to_hide_rows_from_us(server, database, client, role):
    role("maid")
    client.run(POLICED.format(""))
    params = server.parameters(database, login_user="maid")
    session = connection.Session(connection.Endpoint.of(params), sees_all=True)
    with contextlib.closing(session), pytest.raises(ScaleoutError) as refused:
        session.rows("SELECT count(*) AS rows FROM visits")
    assert refused.value.facts["sqlstate"] == "42501"


@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize("before", [0, 3])
def test_stale_statistics_drop_nothing_without_the_word(keep, client, divided, before):
    client.run(CREATE_VISITS)
    bounds = "FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')"
    client.run(f"CREATE TABLE visits_old PARTITION OF visits {bounds}{' PARTITION BY HASH (id)' if divided else ''}")
    if divided:
        client.run("CREATE TABLE visits_old_h PARTITION OF visits_old FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    keep(VISITS)
    client.run("INSERT INTO visits SELECT n, '2020-01-02' FROM generate_series(1, %s) n", (before,))
    client.run("INSERT INTO visits SELECT n, now() FROM generate_series(1, 20) n")
    client.run("ANALYZE")
    client.run("INSERT INTO visits SELECT n, '2020-01-02' FROM generate_series(1, 5000) n")
    with pytest.raises(ScaleoutError) as refused:
        keep({**VISITS, "retention": "1 year", "retention_action": "drop"})
    assert refused.value.code == "unconfirmed"
    assert client.one("SELECT count(*) FROM visits_old") == 5000 + before


def test_a_small_share_goes_without_the_word(keep, client):
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')")
    keep(VISITS)
    client.run("INSERT INTO visits SELECT n, '2020-01-02' FROM generate_series(1, 10) n")
    client.run("INSERT INTO visits SELECT n, now() FROM generate_series(1, 2000) n")
    client.run("ANALYZE")
    keep({**VISITS, "retention": "1 year", "retention_action": "drop"})
    assert client.one("SELECT to_regclass('visits_old') IS NULL")


def test_a_share_that_is_not_known_is_not_said(keep, client):
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz NOT NULL, PRIMARY KEY (id, seen_at))")
    client.run("INSERT INTO visits SELECT n, now() - n * interval '40 days' FROM generate_series(0, 9) n")
    wanted = {**VISITS, "convert": True, "convert_old": "split", "retention": "2 months", "retention_action": "drop"}
    with pytest.raises(ScaleoutError) as refused:
        keep(wanted, check=True)
    assert refused.value.code == "unconfirmed"
    assert "%" not in refused.value.message


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ("CREATE TABLE visits ()", "a plain table"),
        ("CREATE VIEW visits AS SELECT 1 AS a", "a view"),
        ("CREATE MATERIALIZED VIEW visits AS SELECT 1 AS a", "a materialized view"),
        ("CREATE SEQUENCE visits", "a sequence"),
    ],
)
def test_what_is_not_partitioned_is_not_dropped(keep, client, made, what):
    client.run(made)
    for confirm in (None, "visits"):
        with pytest.raises(ScaleoutError) as refused:
            keep({"table": "visits", "state": "absent", "confirm": confirm})
        assert refused.value.code == "not_partitioned"
        assert f"public.visits is {what} and no partition set" in refused.value.message
    assert client.one("SELECT to_regclass('visits') IS NOT NULL")


@pytest.mark.parametrize("retention", ["99999999 months", "999999999 years", "999999999 days", "999999999 weeks"])
def test_a_retention_from_before_the_year_1_stops_no_other_set(keep, client, retention):
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE others (seen_at timestamptz) PARTITION BY RANGE (seen_at)")
    with pytest.raises(ScaleoutError) as refused:
        keep({**VISITS, "retention": retention}, {**VISITS, "table": "others", "retention": "2000 years"})
    assert refused.value.code == "invalid_input"
    assert "retention" in refused.value.message
    assert "of public.visits reaches back beyond the year 1" in refused.value.message
    assert client.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'others'::regclass") == 3


@pytest.mark.parametrize(
    "given", [{"retention": "٣ months"}, {"interval": "٣"}, {"time_zone": "localtime"}, {"time_zone": "posixrules"}]
)
def test_what_looks_right_and_is_not(keep, given):
    with pytest.raises(ScaleoutError) as refused:
        keep({**VISITS, **given})
    assert refused.value.code == "invalid_input"
    assert next(iter(given)) in refused.value.message


FAR = [("0044-03-15 BC", "0001-01-01 BC"), ("9000-01-01", "12000-02-29"), ("200000-01-01", "294000-12-31")]


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_bounds_of_any_year_are_shown_as_they_are(keep, client, server, database, kind):
    client.run(f"CREATE TABLE visits (seen_at {kind}) PARTITION BY RANGE (seen_at)")
    for number, (lower, upper) in enumerate(FAR):
        client.run(f"CREATE TABLE far_{number} PARTITION OF visits FOR VALUES FROM ('{lower}') TO ('{upper}')")
    plan = keep({**VISITS, "retention": "1 year", "fill_gaps": True}, confirm="visits")
    tail = {"timestamptz": " 00:00:00+00", "timestamp": " 00:00:00", "date": ""}[kind]
    shown = [f"FROM {lower}{tail} TO {upper}{tail}" for lower, upper in FAR]
    shown[0] = f"FROM 0044-03-15{tail} BC TO 0001-01-01{tail} BC"
    assert [row["bounds"] for row in plan.result["sets"][0]["retired"]] == shown[:1]
    client.run(f"CREATE TABLE far_4 PARTITION OF visits FOR VALUES FROM ('{FAR[0][0]}') TO ('{FAR[0][1]}')")
    info = ShowPartitions(connection.Endpoint.of(server.parameters(database)), None, None)
    with contextlib.closing(info):
        (found,) = info.plan().result["sets"]
    assert [shown[0], *shown[1:]] == [one["bounds"] for one in found["partitions"] if one["name"].startswith("far_")]
    assert found["last_bound"] == FAR[2][1] + tail


@pytest.mark.parametrize("how", ["one_partition", "split"])
@pytest.mark.parametrize("value", ["294276-12-31", "4713-01-01 BC"])
def test_a_row_of_any_year_is_converted_or_named(keep, client, how, value):
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz NOT NULL, PRIMARY KEY (id, seen_at))")
    client.run("INSERT INTO visits VALUES (1, now()), (2, %s)", (value,))
    wanted = {**VISITS, "convert": True, "convert_old": how}
    if how == "one_partition" and "BC" in value:
        keep(wanted)
    else:
        with pytest.raises(ScaleoutError):
            keep(wanted)
    assert client.one("SELECT count(*) FROM visits") == 2


@given(micros=st.integers(-210_866_803_200_000_000, 9_223_371_331_200_000_000 - 1))
def test_each_moment_is_read_as_it_is_written(micros):
    for kind in ("timestamptz", "timestamp", "date"):
        key = micros // 86_400_000_000 if kind == "date" else micros
        assert Axis(kind).parse(Axis(kind).literal(key)) == key


@pytest.mark.parametrize("how", ["one_partition", "split"])
@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("body", ["NEW.seen_at := coalesce(NEW.seen_at, now())", "NEW.note := 'seen_at'"])
def test_a_trigger_that_fills_the_column(keep, client, how, default, body):
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz NOT NULL, note text, PRIMARY KEY (id, seen_at))")
    client.run(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body.replace(chr(39), chr(39) * 2)};"
               " RETURN NEW; END'")  # fmt: skip
    client.run("CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON visits FOR EACH ROW EXECUTE FUNCTION f()")
    if default:
        client.run("ALTER TABLE visits ALTER seen_at SET DEFAULT now()")
    insert = "INSERT INTO visits (id) VALUES (1)" if default else "INSERT INTO visits (id, seen_at) VALUES (1, now())"
    client.run(insert)
    wanted = {**VISITS, "convert": True, "convert_old": how}
    if not default and "NEW.seen_at" in body:
        for check in (True, False):
            with pytest.raises(ScaleoutError) as refused:
                keep(wanted, check=check)
            assert refused.value.code == "not_convertible"
            assert "its trigger fill may fill the column" in refused.value.message
        return
    plan = keep(wanted)
    assert ["the trigger fill runs before each insert" in one for one in plan.warnings] == [True] * (not default)
    client.run(insert.replace("(1", "(2"))
    assert client.one("SELECT count(*) FROM visits") == 2


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("action", ["detach", "drop"])
def test_a_partition_that_rows_refer_to_stays_alone(keep, client, default, action):
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz, PRIMARY KEY (id, seen_at))"
               " PARTITION BY RANGE (seen_at)")  # fmt: skip
    names = old(client, "visits", 6)
    if default:
        client.run(DEFAULT)
    client.run("CREATE TABLE alerts (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES visits)")
    client.run("INSERT INTO alerts SELECT id, seen_at FROM visits ORDER BY seen_at LIMIT 1")
    wanted = {**VISITS, "retention": "2 months", "retention_action": action, "confirm": "visits"}
    with pytest.raises(ScaleoutError) as refused:
        keep(wanted)
    assert refused.value.code == "referenced"
    assert f"{names[0]} of the old partitions stay, because rows of public.alerts refer" in refused.value.message
    row = refused.value.facts["sets"][0]
    assert [one["name"] for one in row["retired"]][:2] == names[1:3]
    assert client.one("SELECT count(*) FROM visits JOIN alerts USING (id) WHERE at = seen_at") == 1
    assert client.one("SELECT obj_description(%s::regclass) IS NULL", (names[0],))
    client.run("DELETE FROM alerts")
    assert [one["name"] for one in keep(wanted).result["sets"][0]["retired"]] == names[:1]
