# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server, a database of each test's own, and the task as the module runs it."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_partitions import (
    OPTIONS,
    KeepPartitions,
)
from tests.unit import postgres_server


@pytest.fixture(scope="session")
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

    def run(*sets, check=False, user="postgres", patience=0, companion=None, clock=None, **options):
        given = {**dict.fromkeys(OPTIONS), "sets": None, "lock_timeout": 200, "lock_patience": patience}
        given = {**given, "batch_rows": 1000, **server.parameters(database, login_user=user)}
        if len(sets) == 1:
            given.update(sets[0])
        else:
            given["sets"] = [{**dict.fromkeys(OPTIONS), **one} for one in sets]
        task = KeepPartitions.of({**given, **options}, check)
        task.companion = companion or task.companion
        task.clock = clock or task.clock
        try:
            plan = task.plan()
            if plan.changed and not check:
                plan = task.apply(plan)
            return plan
        finally:
            task.close()

    return run
