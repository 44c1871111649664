# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server for the tests of this room, and a table as the module's options describe it."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations import keep_summary
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_partitions import (
    OPTIONS,
    KeepPartitions,
)
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from tests.unit import postgres_server

DEFAULTS = {
    "schema": "public",
    "state": "present",
    "tables": None,
    "every": None,
    "owner": None,
    "readers": None,
    "reseed": False,
    "lock_timeout": 500,
    "lock_patience": 10.0,
}


def column(name, function, of=None, where=None):
    return {"name": name, "function": function, "column": of, "filter": where}


def table(name, group_by, *columns, schema=None):
    return {"table": name, "schema": schema, "group_by": list(group_by), "columns": list(columns)}


@pytest.fixture(scope="session")
def server():
    with postgres_server.running(wal_level="logical") as one:
        yield one


@pytest.fixture
def database(server):
    return Database(server)


class Database:
    """A database of one test, with the module's task run as the module runs it."""

    def __init__(self, server):
        self.server = server
        self.name = server.database()

    def connect(self, **options):
        return self.server.connect(self.name, **options)

    def sql(self, statement):
        with self.connect() as client:
            client.run(statement)

    def rows(self, statement):
        with self.connect() as client:
            return client.rows(statement)

    def summary(self, name=None, check_mode=False, login_user="postgres", **options):
        """Run the task; returns whether it changes anything, and its result."""
        given = {**DEFAULTS, **self.server.parameters(self.name, login_user=login_user), "name": name, **options}
        task = keep_summary.task(given)
        try:
            plan = task.plan()
            result = {**plan.result, "before": plan.before, "after": plan.after, "warnings": plan.warnings}
            if plan.changed and not check_mode:
                done = task.apply(plan)
                plan = done if isinstance(done, Plan) else plan
                result.update(done.result if isinstance(done, Plan) else done or {})
            return plan.changed, result
        finally:
            task.close()

    def partitions(self, patience=5, **options):
        """Run the task of the module partition_set for one set; returns what became of it."""
        given = {**dict.fromkeys(OPTIONS), "sets": None, "lock_timeout": 200, "lock_patience": patience}
        task = KeepPartitions.of({**given, "batch_rows": 1000, **self.server.parameters(self.name), **options})
        try:
            plan = task.plan()
            return (task.apply(plan) if plan.changed else plan).result["sets"][0]
        finally:
            task.close()

    def drift(self, name=None, **options):
        """What differs from the base tables."""
        _changed, result = self.summary(name, state="verified", **options)
        return [line for one in result["verified"] for line in one["drift"]]
