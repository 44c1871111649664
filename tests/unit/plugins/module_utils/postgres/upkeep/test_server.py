# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The upkeep of partitioned tables with a real PostgreSQL: what is done once is not done again."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_tables import KeepTables
from tests.unit import postgres_server

OPTIONS = {"tables": None, "analyze_after": 24, "freeze_after": 24, "freeze_age": 50_000_000, "freeze_most": 2}


@pytest.fixture(scope="module", name="server")
def _server():
    with postgres_server.running() as server:
        yield server


@pytest.fixture(name="client")
def _client(server):
    with server.connect(server.database()) as client:
        yield client


def run(server, client, check=False, **options):
    database = client.one("SELECT current_database()::text")
    task = KeepTables.of({**server.parameters(database), **OPTIONS, **options})
    try:
        plan = task.plan()
        if plan.changed and not check:
            plan.result.update(task.apply(plan))
        return plan
    finally:
        task.close()
        # Statistics are told at the end of a session, at the latest.
        client.run("SELECT pg_stat_clear_snapshot()")


def test_each_part_is_done_once(server, client):
    client.run('CREATE TABLE "My Visits" (seen timestamptz NOT NULL, id int) PARTITION BY RANGE (seen)')
    for year in ("2020", "2021", "2022", "2999"):
        client.run(
            f'CREATE TABLE "v{year}" PARTITION OF "My Visits" '
            f"FOR VALUES FROM ('{year}-01-01 00:00+01') TO ('{year}-12-31 00:00+01')"
        )
        client.run(f"INSERT INTO \"My Visits\" SELECT '{year}-06-01', n FROM generate_series(1, 100) n")
    client.run("CREATE TABLE plain (id int)")
    plan = run(server, client, check=True)
    assert plan.result["analyzed"] == ["public.My Visits"]
    assert [one["table"] for one in plan.result["frozen"]] == ["public.v2020", "public.v2021"]
    assert plan.result["waiting"] == 1
    assert client.one("SELECT count(*) FROM pg_stats WHERE tablename = 'My Visits'") == 0
    run(server, client)
    assert client.one("SELECT count(*) FROM pg_stats WHERE tablename = 'My Visits'") == 2
    frozen = (
        "SELECT relname FROM pg_class WHERE relname LIKE 'v2%' AND pg_stat_get_last_vacuum_time(oid) IS NOT NULL "
        "AND age(relfrozenxid) < (SELECT max(age(relfrozenxid)) FROM pg_class WHERE relname LIKE 'v2%') ORDER BY 1"
    )
    assert client.rows(frozen) == [("v2020",), ("v2021",)]
    plan = run(server, client)
    assert (plan.result["analyzed"], [one["table"] for one in plan.result["frozen"]]) == ([], ["public.v2022"])
    plan = run(server, client)
    assert not plan.changed


def test_parts_of_partitions_and_locked_tables(server, client):
    client.run("CREATE TABLE t (d date NOT NULL, k int NOT NULL) PARTITION BY RANGE (d)")
    client.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2020-01-01') TO ('2020-02-01') PARTITION BY HASH (k)")
    for part in (0, 1):
        client.run(f"CREATE TABLE t1_h{part} PARTITION OF t1 FOR VALUES WITH (MODULUS 2, REMAINDER {part})")
    client.run("INSERT INTO t SELECT '2020-01-05', n FROM generate_series(1, 100) n")
    with server.connect(client.one("SELECT current_database()::text")) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE t1_h0 IN ACCESS EXCLUSIVE MODE")
        plan = run(server, client)
        assert [one["table"] for one in plan.result["frozen"]] == ["public.t1_h0", "public.t1_h1"]
        assert plan.result["locked"] == ["analyze public.t"]
        other.run("ROLLBACK")
    plan = run(server, client)
    assert [one["table"] for one in plan.result["frozen"]] == ["public.t1_h0"]


def test_only_what_is_asked_for(server, client):
    client.run("CREATE TABLE t (d date NOT NULL) PARTITION BY RANGE (d)")
    assert not run(server, client, tables=["public.t"]).changed
    with pytest.raises(Refused, match=r"tables: public.nothing is no partitioned table") as refused:
        run(server, client, tables=["public.t", "public.nothing"])
    assert refused.value.code == "missing"
