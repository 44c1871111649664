# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the partitioned tables of a database, analyzes them and freezes partitions, without waiting for a lock."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import is_busy
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.upkeep.decide import Analyze, Freeze
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.upkeep.state import Leaf, Root, State

#: Milliseconds that a statement waits for a lock at most.
LOCK_TIMEOUT = 500

#: Bounds are printed in the session's time zone and style; names have their schemas.
_AS_WE_READ = "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL search_path = ''; "

_SERVER = (
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock, pg_is_in_recovery() AS in_recovery"
)

_ROOTS = f"""{_AS_WE_READ}
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name,
       CASE p.partstrat WHEN 'r' THEN 'range' WHEN 'h' THEN 'hash' ELSE 'list' END AS strategy,
       CASE WHEN p.partnatts = 1 THEN coalesce((
           SELECT format_type(a.atttypid, NULL) FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum = p.partattrs[0]), '') ELSE '' END AS column_type,
       coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
       (extract(epoch FROM pg_stat_get_last_analyze_time(c.oid)) * 1000000)::bigint AS analyzed
FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (%(everything)s OR (n.nspname || '.' || c.relname) = ANY(%(tables)s))
    AND pg_has_role(c.relowner, 'USAGE')
ORDER BY 2, 3
"""

# Of each direct partition those that hold rows: itself, or the parts that it is divided into. What would look into a
# table, such as pg_partition_tree() and pg_relation_size(), waits where that is locked; the catalog does not.
_LEAVES = f"""{_AS_WE_READ}
WITH RECURSIVE below AS (
    SELECT i.inhparent AS root, i.inhrelid AS direct, i.inhrelid AS oid FROM pg_inherits i
    WHERE i.inhparent = ANY(%(roots)s::bigint[]::oid[])
    UNION ALL SELECT b.root, b.direct, i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
)
SELECT b.root::bigint AS root, pg_get_expr(d.relpartbound, d.oid) AS bound, n.nspname::text AS schema,
       l.relname::text AS name, age(l.relfrozenxid) AS age,
       CASE WHEN l.reltuples < 0 THEN 1 ELSE l.relpages END AS pages,
       (extract(epoch FROM pg_stat_get_last_vacuum_time(l.oid)) * 1000000)::bigint AS vacuumed
FROM below b JOIN pg_class d ON d.oid = b.direct JOIN pg_class l ON l.oid = b.oid
JOIN pg_namespace n ON n.oid = l.relnamespace
WHERE l.relkind = 'r'
ORDER BY 3, 4
"""


def read(session: Session, tables: t.Sequence[str]) -> State:
    """What there is to look after, in three queries.

    :param tables: names with their schemas; all partitioned tables of ours where there are none.
    """
    server = session.rows(_SERVER)[0]
    roots = session.rows(_ROOTS, {"everything": not tables, "tables": list(tables)})
    leaves: dict[int, list[Leaf]] = {row["oid"]: [] for row in roots}
    for row in session.rows(_LEAVES, {"roots": list(leaves)}) if leaves else ():
        leaves[row.pop("root")].append(Leaf(**row))
    return State(**server, roots=tuple(Root(leaves=tuple(leaves[row.pop("oid")]), **row) for row in roots))


def carry_out(session: Session, action: Analyze | Freeze) -> bool:
    """Analyze or freeze one table; one that another session has locked is left to the next run.

    The end of a table is not given back to the disk, since readers would have to wait for that. What SKIP_LOCKED does
    not pass over is a partition that ANALYZE samples, so there is a bound beside it.

    :return: whether it was done, as far as the server says.
    """
    sql = session.sql
    if isinstance(action, Analyze):
        name = sql.Identifier(action.root.schema, action.root.name)
        statement = sql.SQL("ANALYZE (SKIP_LOCKED) {}").format(name)
    else:
        name = sql.Identifier(action.leaf.schema, action.leaf.name)
        statement = sql.SQL("VACUUM (FREEZE, SKIP_LOCKED, TRUNCATE false) {}").format(name)
    try:
        patience.run(session, statement, LOCK_TIMEOUT, alone=True)
    except Refused as error:
        if not is_busy(error):
            raise
        return False
    return True
