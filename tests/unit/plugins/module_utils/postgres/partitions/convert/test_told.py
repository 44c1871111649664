# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is told of a conversion is what it has done, also where it failed on the way, against a real server."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import turn
from tests.unit.plugins.module_utils.postgres.partitions.visits import CHILDREN, VISITS, months

CREATE = "CREATE TABLE visits (id bigint, seen_at timestamptz NOT NULL, PRIMARY KEY (id, seen_at))"
ROWS = "INSERT INTO visits SELECT n, now() - n * interval '1 day' FROM generate_series(1, 100) n"
CONVERT = {**VISITS, "convert": True}
SPLIT = {**CONVERT, "convert_old": "split"}


@pytest.mark.parametrize(
    "wanted",
    [
        {**SPLIT, "premake": 6},
        {"table": "visits", "column": "id", "by": "hash", "modulus": 4, "convert": True, "convert_old": "split"},
    ],
)
def test_partitions_that_a_split_makes_are_created(keep, client, wanted):
    client.run(CREATE)
    client.run(ROWS)
    foreseen = keep(wanted, check=True)
    done = keep(wanted)
    assert done.result["sets"] == [{**foreseen.result["sets"][0], "moved": 100}]
    row = done.result["sets"][0]
    assert sorted(one["name"] for one in row["created"]) == [
        name for name, _bound in client.rows(CHILDREN, ("visits",))
    ]
    assert row["partitions"] == len(row["created"])
    assert keep(wanted).result["sets"][0]["created"] == []


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (CONVERT, "SELECT count(*) FROM visits"),
        (CONVERT, "ANALYZE visits"),
        (SPLIT, "UPDATE visits SET id = id"),
        (SPLIT, "SELECT count(*) FROM ref"),
    ],
)
def test_waiting_that_ends_without_the_lock_is_told(keep, client, server, database, monkeypatch, wanted, what):
    monkeypatch.setattr(turn, "WEAK_TIMEOUT", 200)
    client.run("CREATE TABLE ref (id int PRIMARY KEY)")
    client.run(CREATE)
    client.run(ROWS)
    with server.connect(database) as other:
        other.connection.autocommit = False
        if "ref" in what:
            other.run("SELECT pg_current_xact_id(); DECLARE c CURSOR FOR SELECT * FROM ref")
        else:
            other.run(what)
        with pytest.raises(ScaleoutError) as locked:
            keep(wanted, patience=0.5)
        other.connection.rollback()
    assert locked.value.code == "locked"
    row = locked.value.facts["sets"][0]
    assert 0.3 < row["waited"] < 10
    assert row["created"] == []


#: Takes a name as soon as the table is a partitioned one.
RIVAL = """
CREATE FUNCTION rival() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = 'visits' AND relkind = 'p') THEN
        CREATE TABLE IF NOT EXISTS public.{0} ();
    END IF;
END $$;
CREATE EVENT TRIGGER rival ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION rival()
"""


def test_a_conversion_that_was_done_is_told_though_the_rest_was_not(keep, client):
    client.run(CREATE)
    client.run(ROWS)
    last = months(3)[2]
    client.run(RIVAL.format(f"visits_y{last.year}m{last.month:02d}"))
    with pytest.raises(ScaleoutError) as failed:
        keep(CONVERT)
    assert failed.value.code == "name_taken"
    assert failed.value.facts["changed"]
    row = failed.value.facts["sets"][0]
    assert row["converted"]["name"] == "visits_converted"
    assert row["created"] == []
    assert client.one("SELECT relkind::text FROM pg_class WHERE oid = 'visits'::regclass") == "p"


@pytest.mark.parametrize("action", ["detach", "drop"])
def test_old_rows_that_a_split_divides_go_in_the_same_run(keep, client, action):
    client.run(CREATE)
    client.run(ROWS)
    client.run("CREATE TABLE alerts (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES visits)")
    wanted = {**SPLIT, "retention": "2 months", "retention_action": action, "confirm": "visits"}
    foreseen = keep(wanted, check=True)
    done = keep(wanted)
    assert foreseen.result["sets"][0]["retired"] == done.result["sets"][0]["retired"] != []
    assert all("put them back" in one or "alerts" not in one for one in foreseen.warnings)
    assert client.one("SELECT count(*) FROM visits") < 100


@pytest.mark.parametrize("wanted", [CONVERT, SPLIT])
def test_a_table_that_a_subscription_writes_to_is_refused(keep, client, server, database, wanted):
    publisher = server.database()
    for name in (publisher, database):
        with server.connect(name) as one:
            one.run(CREATE)
            one.run("CREATE PUBLICATION theirs FOR TABLE visits WITH (publish_via_partition_root)")
    where = f"host={server.folder} dbname={publisher} user=postgres"
    client.run(f"CREATE SUBSCRIPTION ours_{database} CONNECTION '{where}' PUBLICATION theirs"
               " WITH (create_slot = false, enabled = false, copy_data = false, slot_name = NONE)")  # fmt: skip
    for check in (True, False):
        with pytest.raises(ScaleoutError) as refused:
            keep(wanted, check=check)
        assert refused.value.code == "not_convertible"
        assert f"the subscription ours_{database} applies changes to it" in refused.value.message
    client.run(f"DROP SUBSCRIPTION ours_{database}")
    assert keep(wanted).changed
