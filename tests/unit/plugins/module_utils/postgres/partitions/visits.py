# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A table that the tests of the room partition, and what a query of their own finds of it."""

from __future__ import annotations

import datetime
import itertools

CHILDREN = """
SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %s::regclass ORDER BY 1
"""
VISITS = {"table": "visits", "column": "seen_at", "interval": "month", "premake": 2}
CREATE_VISITS = "CREATE TABLE visits (id bigint, seen_at timestamptz NOT NULL) PARTITION BY RANGE (seen_at)"


def months(count, behind=0):
    """Return the first days of the months from so many behind this one on."""
    today = datetime.datetime.now(datetime.UTC)
    first = today.year * 12 + today.month - 1 - behind
    return [datetime.date(month // 12, month % 12 + 1, 1) for month in range(first, first + count)]


def old(client, table, count):
    """Attach so many months before this one; returns their names, the oldest first."""
    names = []
    edges = months(count + 1, behind=count)
    for first, last in itertools.pairwise(edges):
        names.append(f"{table}_y{first.year}m{first.month:02d}")
        client.run(f"CREATE TABLE {names[-1]} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{last}')")
        client.run(f"INSERT INTO {table} SELECT n, '{first}' FROM generate_series(1, 10) n")
    return names
