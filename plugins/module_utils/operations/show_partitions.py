# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Show the partition sets of a PostgreSQL database."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import fit, report, server


class ShowPartitions(Task):
    """Reads the partitioned tables of a database in one round of queries."""

    def __init__(self, endpoint: connection.Endpoint, schema: str | None, tables: t.Sequence[str] | None) -> None:
        self.schema = schema
        self.tables = tables
        self.session = connection.Session(endpoint, sees_all=True)

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> ShowPartitions:
        """The task that the options of the module ``partition_set_info`` describe, with its connection.

        :raises InvalidInput: an option that can never work.
        """
        return cls(connection.Endpoint.of(params), params["schema"], params["tables"])

    def plan(self) -> Plan:
        found = server.find(self.session, self.schema, self.tables)
        where = f"the schema {self.schema}" if self.schema else "this database"
        fit.require_partitioned(self.tables or (), (root.name for root, _facts in found), where)
        sets = [report.describe(root, facts) for root, facts in found]
        result = {"sets": sets, "exposition": report.exposition(sets)}
        return Plan(before={}, after={}, result=result, warnings=report.warned(sets))

    def apply(self, plan: Plan) -> None:
        """Never called, as there is nothing to carry out."""

    def close(self) -> None:
        self.session.close()
