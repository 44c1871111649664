# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Partitions that are foreign tables, and what views, functions and foreign keys keep, against a real server."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from tests.unit.plugins.module_utils.postgres.partitions.visits import CHILDREN, CREATE_VISITS, VISITS, old

FOREIGN = """CREATE FOREIGN DATA WRAPPER none; CREATE SERVER far FOREIGN DATA WRAPPER none;
CREATE FOREIGN TABLE visits_far PARTITION OF visits FOR VALUES FROM ('2001-01-01') TO ('2001-02-01') SERVER far;
COMMENT ON FOREIGN TABLE visits_far IS 'on tape'"""


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("action", ["detach", "drop", "move"])
def test_a_partition_that_is_a_foreign_table_is_put_away(keep, client, action, default):
    client.run(CREATE_VISITS)
    client.run(FOREIGN)
    client.run("CREATE SCHEMA attic")
    if default:
        client.run("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    wanted = {**VISITS, "retention": "1 year", "retention_action": action, "confirm": "visits"}
    wanted.update({"move_to": "attic"} if action == "move" else {})
    foreseen = keep(wanted, check=True)
    done = keep(wanted)
    assert done.result == foreseen.result
    assert done.result["sets"][0]["retired"][0]["name"] == "visits_far"
    there = client.rows("SELECT n.nspname::text, obj_description(c.oid, 'pg_class') FROM pg_class c"
                        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'visits_far'")  # fmt: skip
    assert there == {"detach": [("public", "on tape")], "move": [("attic", "on tape")], "drop": []}[action]
    assert not keep(wanted).changed


def test_a_foreign_table_that_an_interrupted_run_has_left_is_dropped(keep, client):
    client.run(CREATE_VISITS)
    client.run(FOREIGN)
    client.run("ALTER TABLE visits DETACH PARTITION visits_far")
    client.run("""COMMENT ON FOREIGN TABLE visits_far IS
        'partition_set: {"action": "dropped", "move_to": "", "of": ["public", "visits"], "upper": "1000000"}'""")
    keep({**VISITS, "retention": "1 year", "retention_action": "drop"})
    assert client.one("SELECT to_regclass('visits_far') IS NULL")


def test_a_set_with_a_foreign_table_goes(keep, client):
    client.run(CREATE_VISITS)
    client.run(FOREIGN)
    assert keep({"table": "visits", "state": "absent", "confirm": "visits"}).changed
    assert client.one("SELECT to_regclass('visits') IS NULL")


#: What depends on a table, and how that is called.
NEEDS = [
    ("CREATE VIEW v AS SELECT * FROM {0}", "view public.v"),
    ("CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM {0}", "materialized view public.v"),
    ("CREATE FUNCTION f({0}) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.f(public.{0})"),
    ("CREATE TABLE t (of {0}, many {0}[])", "column"),
    ("CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
     " CREATE POLICY p ON t USING (EXISTS (SELECT FROM {0}))", "policy p on table public.t"),
]  # fmt: skip

#: What has all that goes with a table.
OWN = """CREATE TABLE visits (id bigserial, seen_at timestamptz NOT NULL,
    twice bigint GENERATED ALWAYS AS (id * 2) STORED, before_id bigint,
    before_at timestamptz, PRIMARY KEY (id, seen_at), CHECK (id > 0),
    FOREIGN KEY (before_id, before_at) REFERENCES visits) PARTITION BY RANGE (seen_at);
CREATE INDEX ON visits (twice); CREATE STATISTICS s ON id, twice FROM visits; CREATE PUBLICATION p FOR TABLE visits;
CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER g AFTER INSERT ON visits FOR EACH ROW EXECUTE FUNCTION g();
CREATE POLICY p ON visits USING (id > 0)"""


@pytest.mark.parametrize(("made", "name"), NEEDS)
@pytest.mark.parametrize("of", ["visits", "visits_default"])
def test_a_set_that_others_depend_on_stays(keep, client, made, name, of):
    client.run(OWN)
    client.run("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    client.run(made.format(of))
    for check in (True, False):
        with pytest.raises(ScaleoutError) as refused:
            keep({"table": "visits", "state": "absent", "confirm": "visits"}, check=check)
        assert refused.value.code == "depended_on"
        assert f"public.visits: it stays, because {name.format(of)}" in refused.value.message
    assert client.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'visits'::regclass") == 1


def test_a_set_that_foreign_keys_lead_to_stays(keep, client):
    client.run(OWN)
    client.run("CREATE TABLE alerts (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES visits)")
    with pytest.raises(ScaleoutError) as refused:
        keep({"table": "visits", "state": "absent"})
    assert refused.value.code == "depended_on"
    assert "constraint alerts_id_at_fkey on table public.alerts" in refused.value.message


def test_a_set_with_all_that_is_its_own_goes(keep, client):
    client.run(OWN)
    old(client, "visits", 2)
    client.run("CREATE RULE r AS ON DELETE TO visits DO INSTEAD NOTHING")
    assert keep({"table": "visits", "state": "absent", "confirm": "visits"}).changed
    assert client.one("SELECT to_regclass('visits') IS NULL")


@pytest.mark.parametrize(("made", "name", "default"), [(*one, place % 2 == 1) for place, one in enumerate(NEEDS)])
def test_an_old_partition_that_others_depend_on_stays_alone(keep, client, made, name, default):
    client.run(OWN)
    names = old(client, "visits", 5)
    if default:
        client.run("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    client.run("CREATE TABLE alerts (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES visits)")
    client.run(made.format(names[0]))
    wanted = {**VISITS, "retention": "2 months", "retention_action": "drop", "confirm": "visits"}
    rows = []
    for check in (True, False):
        with pytest.raises(ScaleoutError) as refused:
            keep(wanted, check=check)
        assert refused.value.code == "depended_on"
        assert f"{names[0]} of the old partitions stay, because {name.format(names[0])}" in refused.value.message
        rows.append(refused.value.facts["sets"][0])
    assert [one["name"] for one in rows[1]["retired"]][:1] == names[1:2]
    assert rows[0]["retired"] == rows[1]["retired"]
    left = [one for one, _bound in client.rows(CHILDREN, ("visits",))]
    assert names[0] in left
    assert names[1] not in left
    client.run(f"DROP TABLE IF EXISTS t; ALTER TABLE visits DETACH PARTITION {names[0]}; DROP TABLE {names[0]} CASCADE")
    assert not keep(wanted).changed


def test_a_table_that_was_to_be_dropped_and_is_depended_on_keeps_no_other(keep, client):
    client.run(CREATE_VISITS)
    names = old(client, "visits", 4)
    client.run(f"ALTER TABLE visits DETACH PARTITION {names[0]}")
    client.run(f"""COMMENT ON TABLE {names[0]} IS
        'partition_set: {{"action": "dropped", "move_to": "", "of": ["public", "visits"], "upper": "1000000"}}'""")
    client.run(f"CREATE VIEW v AS SELECT * FROM {names[0]}")
    with pytest.raises(ScaleoutError) as refused:
        keep({**VISITS, "retention": "2 months", "retention_action": "drop", "confirm": "visits"})
    assert refused.value.code == "depended_on"
    assert [one["name"] for one in refused.value.facts["sets"][0]["retired"]] == names[1 : len(names) - 2]
    assert client.one("SELECT count(*) FROM v") == 10


def test_a_default_partition_with_a_view_stays(keep, client):
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE visits_default PARTITION OF visits DEFAULT; CREATE VIEW v AS SELECT * FROM visits_default")
    with pytest.raises(ScaleoutError) as refused:
        keep({**VISITS, "default": False})
    assert refused.value.code == "depended_on"
    assert "view v depends on table visits_default" in refused.value.message


@pytest.mark.parametrize("action", ["detach", "drop"])
@pytest.mark.parametrize("names_of", [("of", "at"), ("id", "seen_at")])
def test_check_mode_foresees_what_rows_refer_to(keep, client, action, names_of):
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz, PRIMARY KEY (id, seen_at))"
               " PARTITION BY RANGE (seen_at)")  # fmt: skip
    names = old(client, "visits", 6)
    first, second = names_of
    client.run('CREATE SCHEMA "Other %s"')
    client.run(f'CREATE TABLE "Other %s"."Alerts" ({second} timestamptz, {first} bigint, kind text,'
               f" FOREIGN KEY ({first}, {second}) REFERENCES visits)")  # fmt: skip
    client.run("CREATE TABLE notes (of bigint, at timestamptz, FOREIGN KEY (of, at) REFERENCES visits)")
    client.run('INSERT INTO "Other %s"."Alerts" SELECT seen_at, id FROM visits ORDER BY seen_at LIMIT 1')
    # A null refers to nothing, and to what is kept everyone may refer.
    client.run('INSERT INTO "Other %s"."Alerts" SELECT max(seen_at), NULL FROM visits')
    client.run("INSERT INTO notes SELECT id, seen_at FROM visits ORDER BY seen_at DESC LIMIT 3")
    wanted = {**VISITS, "retention": "2 months", "retention_action": action, "confirm": "visits"}
    rows = []
    for check in (True, False):
        with pytest.raises(ScaleoutError) as refused:
            keep(wanted, check=check)
        assert refused.value.code == "referenced"
        assert f"{names[0]} of the old partitions stay, because rows of" in refused.value.message
        assert '"Other %s"."Alerts"' in refused.value.message
        rows.append(refused.value.facts["sets"][0])
    assert rows[0] == rows[1]
    client.run('DELETE FROM "Other %s"."Alerts"')
    assert [one["name"] for one in keep(wanted, check=True).result["sets"][0]["retired"]] == names[:1]


def test_check_mode_says_what_it_cannot_foresee(keep, client):
    client.run("CREATE ROLE holder LOGIN; GRANT CREATE ON SCHEMA public TO holder")
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz, PRIMARY KEY (id, seen_at))"
               " PARTITION BY RANGE (seen_at)")  # fmt: skip
    names = old(client, "visits", 4)
    for table in ("visits", *names):
        client.run(f"ALTER TABLE {table} OWNER TO holder")
    client.run("CREATE TABLE alerts (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES visits)")
    plan = keep({**VISITS, "retention": "2 months"}, user="holder", check=True)
    assert plan.result["sets"][0]["retired"]
    assert "whether rows of public.alerts refer to old partitions. PostgreSQL" in plan.warnings[0]
