# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The room against a real server: what is declared is what a query of the test's own finds."""

from __future__ import annotations

import datetime
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_partitions import (
    OPTIONS,
    KeepPartitions,
)
from tests.unit import postgres_server

CHILDREN = """
SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %s::regclass ORDER BY 1
"""


@pytest.fixture(scope="module")
def server():
    with postgres_server.running() as running:
        yield running


@pytest.fixture
def database(server):
    return server.database()


@pytest.fixture
def client(server, database):
    with server.connect(database) as one:
        one.run("SET TimeZone = 'UTC'")
        yield one


@pytest.fixture
def keep(server, database):
    """Run the task as the module does; returns whether it changed something, and its result."""

    def run(*sets, check=False, user="postgres", patience=0, **options):
        given = {**dict.fromkeys(OPTIONS), "sets": None, "lock_timeout": 200, "lock_patience": patience}
        given = {**given, "batch_rows": 1000, **server.parameters(database, login_user=user)}
        if len(sets) == 1 and not options:
            given.update(sets[0])
        else:
            given["sets"] = [{**dict.fromkeys(OPTIONS), **one} for one in sets]
        task = KeepPartitions.of({**given, **options}, check)
        try:
            plan = task.plan()
            if plan.changed and not check:
                plan = task.apply(plan)
            return plan
        finally:
            task.close()

    return run


def months(count, behind=0):
    """Return the first days of the months from so many behind this one on."""
    today = datetime.datetime.now(datetime.timezone.utc)
    first = today.year * 12 + today.month - 1 - behind
    return [datetime.date(month // 12, month % 12 + 1, 1) for month in range(first, first + count)]


VISITS = {"table": "visits", "column": "seen_at", "interval": "month", "premake": 2}
CREATE_VISITS = "CREATE TABLE visits (id bigint, seen_at timestamptz NOT NULL) PARTITION BY RANGE (seen_at)"


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
