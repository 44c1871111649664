# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much data the buckets that would have to move hold, as far as the statistics of their databases tell."""

from __future__ import annotations

import typing as t

#: Asked of the database that holds the rows. The density of the last ANALYZE times today's pages is how PostgreSQL's
#: own planner counts; a table that was never analyzed has the counter of its living rows.
QUERY = """
SELECT coalesce(sum(
           CASE WHEN c.relpages > 0
                THEN c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int)
                ELSE pg_stat_get_live_tuples(c.oid) END), 0)::bigint AS rows,
       coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


class Size(t.NamedTuple):
    """The rows of a database's tables, and their bytes with indexes and TOAST."""

    rows: int
    bytes: int

    def part(self, buckets: int, owned: int) -> Size:
        """The part that some of the buckets have, of those that the database owns; keys spread evenly over them."""
        return Size(round(self.rows * buckets / owned), round(self.bytes * buckets / owned))

    def __str__(self) -> str:
        return f"about {self.rows} row{'' if self.rows == 1 else 's'}, {pretty(self.bytes)}"


def pretty(count: int) -> str:
    """Write a number of bytes as ``pg_size_pretty`` does."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 10240:
            return f"{count} {unit}"
        count = (count + 512) // 1024
    return f"{count} TB"
