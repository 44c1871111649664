# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The room against a real server: what is declared is what a query of the test's own finds."""

from __future__ import annotations

import datetime
import shutil
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion
from tests.unit.plugins.module_utils.postgres.partitions.visits import CHILDREN, CREATE_VISITS, VISITS, months, old


def test_months_are_made_ahead_and_a_second_run_changes_nothing(keep, client):
    client.run(CREATE_VISITS)
    foreseen = keep(VISITS, check=True)
    assert client.rows(CHILDREN, ("visits",)) == []
    done = keep(VISITS)
    names = [f"visits_y{month.year}m{month.month:02d}" for month in months(3)]
    edges = [f"{month} 00:00:00+00" for month in months(4)]
    found = client.rows(CHILDREN, ("visits",))
    assert [name for name, _bound in found] == names
    assert found[0][1] == f"FOR VALUES FROM ('{edges[0]}') TO ('{edges[1]}')"
    assert found[2][1] == f"FOR VALUES FROM ('{edges[2]}') TO ('{edges[3]}')"
    assert foreseen.result == done.result
    assert foreseen.after == done.after == {"public.visits": {**done.after["public.visits"]}}
    assert [row["name"] for row in done.result["sets"][0]["created"]] == names
    again = keep(VISITS)
    assert not again.changed
    assert again.result["sets"][0] == {**done.result["sets"][0], "outcome": "unchanged", "created": []}


def test_the_kinds_of_columns(keep, client):
    client.run("CREATE TABLE a (k timestamp) PARTITION BY RANGE (k)")
    client.run("CREATE TABLE b (k date) PARTITION BY RANGE (k)")
    client.run("CREATE TABLE c (k bigint) PARTITION BY RANGE (k)")
    client.run("CREATE TABLE d (k uuid) PARTITION BY RANGE (k)")
    client.run("CREATE TABLE e (k int) PARTITION BY RANGE (k)")
    client.run("CREATE TABLE f (k uuid) PARTITION BY HASH (k)")
    client.run("CREATE TABLE g (k text) PARTITION BY LIST (k)")
    plan = keep(
        {"table": "a", "column": "k", "interval": "6 hours", "time_zone": "Asia/Kolkata"},
        {"table": "b", "column": "k", "interval": "2 weeks"},
        {"table": "c", "column": "k", "kind": "epoch_milliseconds", "interval": "quarter"},
        {"table": "d", "column": "k", "interval": "year", "premake": 1},
        {"table": "e", "column": "k", "interval": "1000", "premake": 1},
        {"table": "f", "column": "k", "by": "hash", "modulus": 3},
        {"table": "g", "column": "k", "by": "list", "values": {"eu": ["DE", "FR"], "odd": ["it's", "a\\b", None]}},
    )
    assert [row["outcome"] for row in plan.result["sets"]] == ["changed"] * 7
    assert [len(client.rows(CHILDREN, (table,))) for table in "abcdefg"] == [5, 5, 5, 2, 2, 3, 2]
    client.run("INSERT INTO a VALUES (now() AT TIME ZONE 'Asia/Kolkata')")
    client.run("INSERT INTO b VALUES (now() AT TIME ZONE 'UTC')")
    client.run("INSERT INTO c VALUES (extract(epoch FROM now()) * 1000)")
    client.run("INSERT INTO e VALUES (0), (1999)")
    client.run("INSERT INTO g VALUES ('DE'), (NULL), ('it''s'), (E'a\\\\b')")
    year = datetime.datetime.now(datetime.UTC).year
    client.run(
        "INSERT INTO d SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')"
        " || '7abc8def0123456789ab')::uuid"
    )
    assert client.one("SELECT tableoid::regclass::text FROM d") == f"d_y{year}"
    assert not keep(
        {"table": "a", "column": "k", "interval": "6 hours"},
        {"table": "g", "column": "k", "by": "list", "values": {"eu": ["FR", "DE"], "odd": ["it's", "a\\b", None]}},
        {"table": "e", "column": "k", "interval": "1000", "premake": 0},
    ).changed
    assert [
        row["name"]
        for row in keep({"table": "e", "column": "k", "interval": "1000", "premake": 1}).result["sets"][0]["created"]
    ] == ["e_n2000"]


def test_what_a_new_partition_has(keep, client, server):
    client.run("CREATE ROLE keeper")
    client.run('CREATE SCHEMA "My Schema" AUTHORIZATION keeper')
    client.run("CREATE TABLE places (id bigint PRIMARY KEY)")
    client.run("GRANT REFERENCES ON places TO keeper")
    client.run("SET ROLE keeper")
    client.run("""CREATE TABLE "My Schema"."Odd ""Name%" (
        "Id" bigint GENERATED ALWAYS AS IDENTITY, "At" timestamptz NOT NULL DEFAULT now(), place bigint,
        double bigint GENERATED ALWAYS AS (place * 2) STORED, note text COLLATE "C" CHECK (note <> ''),
        PRIMARY KEY ("Id", "At"), FOREIGN KEY (place) REFERENCES public.places
    ) PARTITION BY RANGE ("At")""")
    client.run("""CREATE INDEX ON "My Schema"."Odd ""Name%" (note)""")
    client.run("""ALTER TABLE "My Schema"."Odd ""Name%" REPLICA IDENTITY USING INDEX "Odd ""Name%_pkey" """)
    client.run("""ALTER TABLE "My Schema"."Odd ""Name%" ENABLE ROW LEVEL SECURITY""")
    client.run("""COMMENT ON TABLE "My Schema"."Odd ""Name%" IS E'What was odd,\\nand where.'""")
    client.run("RESET ROLE")
    odd = {"schema": "My Schema", "table": 'Odd "Name%', "column": "At", "interval": "day", "premake": 1}
    keep(odd)
    rows = client.rows(
        "SELECT c.relname::text, pg_get_userbyid(c.relowner)::text, c.relrowsecurity, c.relreplident::text,"
        " (SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid), (SELECT count(*) FROM pg_constraint f"
        "  WHERE f.conrelid = c.oid AND f.contype IN ('f', 'c')),"
        " (SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid AND x.indisreplident)"
        " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r'"
        " WHERE i.inhparent = %s::regclass ORDER BY 1",
        ('"My Schema"."Odd ""Name%"',),
    )
    today = datetime.datetime.now(datetime.UTC).date()
    assert rows[0] == (f'Odd "Name%_y{today:%Y}m{today:%m}d{today:%d}', "keeper", True, "i", 2, 2, 1)
    comment = client.one("SELECT obj_description(%s::regclass)", ('"My Schema"."Odd ""Name%"',))
    assert comment.startswith("What was odd,\nand where.\npartition_set: {")
    client.run("INSERT INTO places VALUES (7)")
    client.run("""INSERT INTO "My Schema"."Odd ""Name%" (place, note) VALUES (7, 'x')""")
    assert client.rows("""SELECT "Id", double FROM "My Schema"."Odd ""Name%" """) == [(1, 14)]
    assert not keep(odd).changed
    client.run("ALTER ROLE keeper LOGIN")
    client.run("GRANT CREATE ON SCHEMA public TO keeper")
    assert keep({**odd, "premake": 2}, user="keeper").changed


def test_old_partitions_are_detached_and_keep_their_rows(keep, client):
    client.run(CREATE_VISITS)
    names = old(client, "visits", 6)
    done = keep({**VISITS, "retention": "2 months"})
    row = done.result["sets"][0]
    # What ends two months ago or before: this month's day decides whether that is four or three of them.
    gone = [one["name"] for one in row["retired"]]
    assert gone == names[: len(gone)]
    assert len(gone) in (3, 4)
    assert {one["action"] for one in row["retired"]} == {"detached"}
    assert [name for name, _bound in client.rows(CHILDREN, ("visits",))] == sorted(
        names[len(gone) :] + [one["name"] for one in row["created"]]
    )
    assert client.one(f"SELECT count(*) FROM {names[0]}") == 10
    assert not keep({**VISITS, "retention": "2 months"}).changed


def test_a_default_partition_makes_detaching_plain(keep, client):
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    names = old(client, "visits", 6)
    row = keep({**VISITS, "retention": "2 months"}).result["sets"][0]
    assert row["outcome"] == "changed"
    assert names[0] in [one["name"] for one in row["retired"]]


def test_much_is_dropped_only_with_the_word_and_creation_stays(keep, client):
    client.run(CREATE_VISITS)
    names = old(client, "visits", 6)
    dropping = {**VISITS, "retention": "2 months", "retention_action": "drop"}
    with pytest.raises(ScaleoutError) as refused:
        keep(dropping, check=True)
    assert refused.value.code == "unconfirmed"
    with pytest.raises(ScaleoutError) as refused:
        keep(dropping)
    assert refused.value.code == "unconfirmed"
    assert refused.value.facts["changed"]
    row = refused.value.facts["sets"][0]
    assert len(row["created"]) == 3
    assert row["retired"] == []
    assert len(client.rows(CHILDREN, ("visits",))) == 9
    done = keep({**dropping, "confirm": "visits"})
    assert done.result["sets"][0]["retired"][0]["action"] == "dropped"
    assert client.one("SELECT to_regclass(%s)", (names[0],)) is None
    assert not keep(dropping).changed


def test_partitions_move_to_another_schema(keep, client):
    client.run(CREATE_VISITS)
    names = old(client, "visits", 4)
    moving = {**VISITS, "retention": "1 month", "retention_action": "move", "move_to": "attic"}
    with pytest.raises(ScaleoutError) as refused:
        keep(moving)
    assert refused.value.code == "missing"
    client.run("CREATE SCHEMA attic")
    client.run(f"COMMENT ON TABLE {names[0]} IS 'of old'")
    done = keep(moving)
    assert done.result["sets"][0]["retired"][0] == {
        **done.result["sets"][0]["retired"][0],
        "name": names[0],
        "action": "moved",
    }
    assert client.one(f"SELECT count(*) FROM attic.{names[0]}") == 10
    assert client.one(f"SELECT obj_description('attic.{names[0]}'::regclass)") == "of old"
    assert not keep(moving).changed


def test_a_leftover_is_dropped_while_that_is_wanted(keep, client):
    client.run(CREATE_VISITS)
    keep(VISITS)
    client.run("CREATE TABLE old (LIKE visits)")
    client.run("""COMMENT ON TABLE old IS
        'partition_set: {"action": "dropped", "move_to": "", "of": ["public", "visits"], "upper": "1000000"}'""")
    plan = keep(VISITS)
    assert not plan.changed
    assert "public.old was detached to be dropped" in plan.warnings[0]
    longer = {**VISITS, "retention": "90 years", "retention_action": "drop"}
    # The set remembers its retention, and that is all.
    assert keep(longer).result["sets"][0]["retired"] == []
    assert not keep(longer).changed
    dropping = {**VISITS, "retention": "2 years", "retention_action": "drop"}
    assert keep(dropping, check=True).changed
    assert keep(dropping).result["sets"][0]["retired"] == [{"name": "old", "action": "dropped", "bounds": None}]
    assert client.one("SELECT to_regclass('old')") is None
    assert not keep(dropping).changed


def test_one_set_that_cannot_be_stops_no_other(keep, client):
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE plain (id int PRIMARY KEY, at timestamptz)")
    bad = {"table": "plain", "column": "at", "interval": "month"}
    with pytest.raises(ScaleoutError) as failed:
        keep(bad, VISITS, {**bad, "table": "nowhere"})
    assert failed.value.code == "incomplete"
    rows = failed.value.facts["sets"]
    assert [(row["outcome"], row["code"]) for row in rows] == [
        ("failed", "unpartitionable"),
        ("changed", None),
        ("failed", "missing"),
    ]
    assert len(client.rows(CHILDREN, ("visits",))) == 3


def test_a_table_is_created_and_dropped(keep, client):
    new = {**VISITS, "definition": ["id bigint NOT NULL", "seen_at timestamptz NOT NULL"]}
    assert keep(new, check=True).changed
    assert client.one("SELECT to_regclass('visits')") is None
    assert keep(new).changed
    assert len(client.rows(CHILDREN, ("visits",))) == 3
    assert not keep(new).changed
    client.run("INSERT INTO visits VALUES (1, now())")
    gone = {"table": "visits", "state": "absent"}
    with pytest.raises(ScaleoutError) as refused:
        keep(gone)
    assert refused.value.code == "unconfirmed"
    assert keep({**gone, "confirm": "visits"}, check=True).changed
    assert keep({**gone, "confirm": "visits"}).changed
    assert client.one("SELECT to_regclass('visits')") is None
    assert not keep(gone).changed


def test_the_zone_is_stored_with_the_set(keep, client, server, database):
    client.run(CREATE_VISITS)
    berlin = {**VISITS, "time_zone": "Europe/Berlin"}
    keep(berlin)
    client.run(f"ALTER DATABASE {database} SET TimeZone = 'America/New_York'")
    client.run(f"ALTER DATABASE {database} SET DateStyle = 'SQL, DMY'")
    client.run(f"ALTER DATABASE {database} SET search_path = ''")
    client.run(f"ALTER DATABASE {database} SET standard_conforming_strings = off")
    assert not keep(VISITS).changed
    assert keep({**VISITS, "premake": 3}).result["sets"][0]["time_zone"] == "Europe/Berlin"
    with pytest.raises(ScaleoutError) as differs:
        keep({**VISITS, "time_zone": "UTC"})
    assert differs.value.code == "differs"


def test_ranges_over_hash(keep, client):
    client.run("CREATE TABLE tasks (user_id uuid, id uuid, PRIMARY KEY (user_id, id)) PARTITION BY RANGE (id)")
    tasks = {"table": "tasks", "column": "id", "interval": "month", "premake": 1}
    tasks["sub_partitions"] = {"column": "user_id", "modulus": 4}
    keep(tasks)
    first = client.rows(CHILDREN, ("tasks",))[0][0]
    assert [name for name, _bound in client.rows(CHILDREN, (first,))] == [f"{first}_h{part}" for part in range(4)]
    assert not keep(tasks).changed


def test_gaps_are_reported_and_filled_on_request(keep, client):
    client.run(CREATE_VISITS)
    names = old(client, "visits", 5)
    client.run(f"DROP TABLE {names[1]}, {names[2]}")
    row = keep(VISITS).result["sets"][0]
    assert len(row["gaps"]) == 1
    filled = keep({**VISITS, "fill_gaps": True}).result["sets"][0]
    assert [one["name"] for one in filled["created"]] == names[1:3]
    assert filled["gaps"] == []


def test_a_bound_far_outside_is_named_and_not_looped_over(keep, client):
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE far PARTITION OF visits FOR VALUES FROM ('4713-01-01 BC') TO ('0001-01-01')")
    client.run("CREATE TABLE never PARTITION OF visits FOR VALUES FROM ('infinity') TO (MAXVALUE)")
    plan = keep({**VISITS, "fill_gaps": True})
    assert len(plan.result["sets"][0]["created"]) == 3
    assert "is longer than" in plan.warnings[0]
    with pytest.raises(ScaleoutError) as failed:
        keep({**VISITS, "fill_gaps": True}, {**VISITS, "table": "nowhere"})
    assert failed.value.facts["warnings"] == list(plan.warnings)


def test_a_user_who_may_not(keep, client, server):
    client.run(CREATE_VISITS)
    client.run("CREATE ROLE stranger LOGIN")
    with pytest.raises(ScaleoutError) as denied:
        keep(VISITS, user="stranger")
    assert denied.value.code == "denied"


def test_a_key_without_the_column_is_refused(keep, client):
    bad = {**VISITS, "definition": ["id bigint PRIMARY KEY", "seen_at timestamptz NOT NULL"]}
    with pytest.raises(ScaleoutError) as refused:
        keep(bad)
    assert refused.value.code == "unpartitionable"
    assert client.one("SELECT to_regclass('visits')") is None


def test_tablespace_publication_and_full_identity(keep, client, server):
    folder = server.folder / "data" / "space"
    folder.mkdir()
    shutil.chown(folder, (server.folder / "data").owner())
    client.run(f"CREATE TABLESPACE aside LOCATION '{folder}'")
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz NOT NULL) PARTITION BY RANGE (seen_at)"
               " TABLESPACE aside")  # fmt: skip
    client.run("ALTER TABLE visits REPLICA IDENTITY FULL")
    client.run("CREATE PUBLICATION all_visits FOR TABLE visits")
    keep(VISITS)
    assert client.rows(
        "SELECT DISTINCT t.spcname::text, c.relreplident::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE i.inhparent = 'visits'::regclass"
    ) == [("aside", "f")]
    assert client.one("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'all_visits'") == 3
    client.run("DROP TABLE visits")
    client.run("DROP TABLESPACE aside")


class Counting(Companion):
    """Counts partitions in a table of its own, as a summary counts rows."""

    def covers(self, root):
        return root.name == "visits"

    def attached(self, root, partition):
        return [f"INSERT INTO public.counted VALUES ('attached {partition}'); "]

    def detaching(self, root, partition):
        return [
            f"INSERT INTO public.counted SELECT 'detaching {partition} with ' || count(*) FROM public.{partition}; "
        ]


def test_what_changes_with_a_set_does_so_in_the_same_transaction(keep, client):
    client.run(CREATE_VISITS)
    client.run("CREATE TABLE counted (what text)")
    names = old(client, "visits", 2)
    keep({**VISITS, "premake": 0, "retention": "1 day"}, companion=Counting())
    said = [what for (what,) in client.rows("SELECT what FROM counted")]
    assert said[0] == f"attached visits_y{months(1)[0]:%Y}m{months(1)[0]:%m}"
    # On the first of a month, the month before is not a day old.
    assert said[1:] == [f"detaching {name} with 10" for name in names[: len(said) - 1]]
    assert len(said) in (2, 3)


def test_the_largest_number_is_looked_for_where_it_is(keep, client):
    client.run("CREATE TABLE events (id numeric) PARTITION BY RANGE (id)")
    client.run("CREATE TABLE events_default PARTITION OF events DEFAULT")
    events = {"table": "events", "column": "id", "interval": "10", "premake": 70}
    keep(events)
    client.run("INSERT INTO events VALUES (5), (25), (1e30)")
    plan = keep({**events, "premake": 70})
    assert [row["name"] for row in plan.result["sets"][0]["created"]] == ["events_n710", "events_n720"]
    assert "the last 1000000000000000000000000000000" in plan.warnings[0]


def test_a_clock_of_the_controller_that_is_years_off(keep, client):
    client.run(CREATE_VISITS)
    with pytest.raises(ScaleoutError) as refused:
        keep(VISITS, controller_time=time.time() - 3 * 365 * 86_400)
    assert refused.value.code == "clock"
    assert "1095 days apart" in refused.value.message
    assert client.rows(CHILDREN, ("visits",)) == []
    assert keep(VISITS, controller_time=time.time() - 3600).changed
