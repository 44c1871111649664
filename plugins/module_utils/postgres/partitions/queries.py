# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the room asks a server, for all sets at once; text only.

A search_path, whether empty or hostile, changes nothing.
"""

from __future__ import annotations

#: Bounds are printed in the session's time zone and style. The settings hold for the one message that they are in.
_AS_WE_READ = "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL search_path = ''; "

SERVER = f"""{_AS_WE_READ}
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock,
       pg_is_in_recovery() AS in_recovery, current_user::text AS "user",
       (SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout') AS deadlock_timeout
"""

SCHEMAS = f"""{_AS_WE_READ}
SELECT nspname::text AS name, has_schema_privilege(oid, 'CREATE') AS may_create
FROM pg_namespace WHERE nspname::text = ANY(%(schemas)s)
"""

_COLUMNS = """(SELECT json_object_agg(a.attname, format_type(a.atttypid, NULL)) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text"""

# Lists of lists come as JSON, since the driver knows no arrays of them.
ROOTS = f"""{_AS_WE_READ}
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       p.partstrat::text AS strategy, coalesce(p.partdefid::bigint, 0) AS "default",
       (SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(p.partattrs::int2[]) WITH ORDINALITY k (number, place)
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number)::text AS partitioned_by,
       {_COLUMNS} AS columns,
       pg_get_userbyid(c.relowner)::text AS owner,
       pg_has_role(c.relowner, 'USAGE') AS may_own,
       has_schema_privilege(n.oid, 'CREATE') AS may_create,
       coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
       (SELECT json_agg(json_build_array(i.relname, (
            SELECT json_agg(a.attname) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum = ANY((x.indkey::int2[])[0:x.indnkeyatts - 1])))
            ORDER BY i.relname)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid AND (x.indisunique OR x.indisexclusion))::text AS keys,
       ARRAY(SELECT DISTINCT f.confrelid::bigint FROM pg_constraint f
             WHERE f.contype = 'f' AND f.conrelid = c.oid AND f.confrelid <> c.oid ORDER BY 1) AS referenced,
       ARRAY(SELECT DISTINCT f.conrelid::bigint FROM pg_constraint f
             WHERE f.contype = 'f' AND f.confrelid = c.oid AND f.conrelid <> c.oid ORDER BY 1) AS referencing,
       c.relispartition AS is_partition,
       coalesce((SELECT s.spcname::text FROM pg_tablespace s WHERE s.oid = c.reltablespace), '')
           AS tablespace,
       c.relreplident::text AS replica_identity,
       coalesce((SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                 WHERE x.indrelid = c.oid AND x.indisreplident), '') AS replica_index,
       ARRAY(SELECT h.oid::regclass::text FROM pg_class h
             WHERE h.relrowsecurity AND (h.oid = c.oid OR h.oid IN (SELECT relid FROM pg_partition_tree(c.oid)))
               AND row_security_active(h.oid) ORDER BY 1) AS hidden,
       c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security,
       coalesce((SELECT m.amname::text FROM pg_am m WHERE m.oid = c.relam AND c.relkind = 'p'), '')
           AS access_method
FROM ROWS FROM (unnest(%(schemas)s::name[]), unnest(%(tables)s::name[])) AS w (schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
WHERE c.relkind NOT IN ('i', 'I', 't', 'c')
"""

# Rows are estimated as the planner does it: by the statistics, and by how much a partition has grown since.
# One that was analyzed while it was empty says nothing of what it has now.
# Sizes are asked for only where they are wanted, as that waits for locks; elsewhere the counters of writes have to do.
PARTITIONS = f"""{_AS_WE_READ}
SELECT i.inhparent::bigint AS root, c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name,
       pg_get_expr(c.relpartbound, c.oid) AS bound, i.inhdetachpending AS pending,
       CASE WHEN i.inhparent = ANY(%(sized)s::oid[]) THEN
           (SELECT CASE WHEN bool_or(l.reltuples < 0 OR (l.reltuples = 0 AND b.blocks > 0)) THEN -1
                   ELSE coalesce(sum(CASE WHEN l.relkind = 'f' THEN l.reltuples
                                     ELSE l.reltuples * b.blocks / greatest(l.relpages, 1) END), 0) END
            FROM pg_partition_tree(c.oid) e JOIN pg_class l ON l.oid = e.relid AND l.relkind <> 'p'
            CROSS JOIN LATERAL (SELECT coalesce(pg_relation_size(l.oid), 0) / current_setting('block_size')::int8)
                AS b (blocks))
       WHEN c.relkind = 'p' THEN
           (SELECT coalesce(sum(greatest(l.reltuples, pg_stat_get_live_tuples(l.oid))), 0)
            FROM pg_inherits h JOIN pg_class l ON l.oid = h.inhrelid WHERE h.inhparent = c.oid)
       ELSE greatest(c.reltuples, pg_stat_get_live_tuples(c.oid)) END::float8 AS rows,
       c.relkind = 'p' AS is_divided, c.relkind = 'f' AS is_foreign,
       CASE WHEN i.inhparent = ANY(%(sized)s::oid[]) THEN
           (SELECT coalesce(sum(pg_total_relation_size(e.relid)), 0)
            FROM pg_partition_tree(c.oid) e)::bigint
       ELSE 0 END AS size
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = ANY(%(roots)s::oid[])
ORDER BY c.relname
"""

# Tables that were detached to be dropped or moved say so in their comment; see state.Leftover. Whoever may create a
# table may write such a comment, so it counts for nothing but what belongs to the same roles as the set.
LEFTOVERS = f"""{_AS_WE_READ}
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, d.description AS comment,
       pg_get_userbyid(c.relowner)::text AS owner, current_user::text AS "user", c.relkind = 'f' AS is_foreign
FROM pg_description d
JOIN pg_class c ON c.oid = d.objoid AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0
  AND position(%(mark)s IN d.description) > 0
ORDER BY c.relname
"""

# Who owns what leftovers would have removed: tables, and functions of their own names.
OWNERS = f"""{_AS_WE_READ}
WITH w AS (SELECT * FROM ROWS FROM (unnest(%(of)s::int[]), unnest(%(schemas)s::name[]), unnest(%(names)s::name[]),
                                    unnest(%(functions)s::bool[])) AS w (of, schema, name, function))
SELECT w.of, pg_get_userbyid(c.relowner)::text AS owner
FROM w JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
WHERE NOT w.function
UNION
SELECT w.of, pg_get_userbyid(p.proowner)::text
FROM w JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = w.name
WHERE w.function
"""

TAKEN = f"""{_AS_WE_READ}
SELECT n.nspname::text AS schema, c.relname::text AS name,
       {_COLUMNS} AS columns
FROM ROWS FROM (unnest(%(schemas)s::name[]), unnest(%(names)s::name[])) AS w (schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
"""

PENDING = f"""{_AS_WE_READ}
SELECT inhdetachpending AS pending FROM pg_inherits
WHERE inhparent = %(root)s AND inhrelid = %(partition)s
"""

# What would have to go with tables that are dropped, beside what is theirs. What leads to a partition as it does to its
# table, such as a part of a foreign key, goes as it is detached.
DEPENDENTS = f"""{_AS_WE_READ}
WITH tree AS (SELECT top, top AS oid FROM unnest(%(oids)s::oid[]) u (top)
              UNION SELECT top, e.relid FROM unnest(%(oids)s::oid[]) u (top), pg_partition_tree(top) e),
     rows AS (SELECT t.top, y.oid, y.typarray FROM tree t JOIN pg_type y ON y.typrelid = t.oid),
     own AS (SELECT top, 'pg_class'::regclass AS class, oid FROM tree
             UNION ALL SELECT top, 'pg_type'::regclass, oid FROM rows
             UNION ALL SELECT top, 'pg_type'::regclass, typarray FROM rows)
SELECT own.top::bigint AS oid, array_agg(DISTINCT coalesce(pg_describe_object('pg_class'::regclass, r.ev_class, 0),
                                                           pg_describe_object(d.classid, d.objid, d.objsubid))) AS names
FROM own
JOIN pg_depend d ON d.refclassid = own.class AND d.refobjid = own.oid AND d.deptype = 'n'
LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
WHERE coalesce(k.conparentid, 0) = 0
  AND NOT EXISTS (SELECT FROM tree t WHERE t.top = own.top AND t.oid = r.ev_class)
  AND NOT EXISTS (SELECT FROM pg_depend o JOIN own n ON n.class = o.refclassid AND n.oid = o.refobjid
                  WHERE o.classid = d.classid AND o.objid = d.objid AND o.deptype IN ('a', 'i') AND n.top = own.top)
GROUP BY own.top
"""

REFERENCING = f"""{_AS_WE_READ}
SELECT k.conrelid::regclass::text AS name,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY c (number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.number ORDER BY c.place) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY c (number, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.number ORDER BY c.place) AS keys
FROM pg_constraint k WHERE k.confrelid = %(root)s AND k.contype = 'f' AND k.conparentid = 0 ORDER BY 1, k.oid
"""

# Whether rows refer to partitions. The key has the column that divides the table, so most often few rows are looked at.
REFERRED = "EXISTS (SELECT FROM (SELECT * FROM {table} WHERE {condition}) f JOIN {partition} p ON {same})"
ALL_REFERRED = f"{_AS_WE_READ} SET LOCAL statement_timeout = '10s'; SELECT ARRAY[{{}}] AS found"

# The values of a list as the server prints them, or as those equal to them are printed that partitions have.
TYPE = f"""{_AS_WE_READ}
SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute
WHERE attrelid = %(oid)s AND attname = %(column)s AND NOT attisdropped
"""
SPELLED = f"""{_AS_WE_READ}
SELECT w.text, coalesce((SELECT e.text FROM unnest({{there}}::text[]) e (text)
                         WHERE e.text::{{type}} = w.text::{{type}} LIMIT 1), (w.text::{{type}})::text) AS spelled
FROM unnest({{wanted}}::text[]) w (text)
"""

COMMENT = "SELECT coalesce(pg_catalog.obj_description(%(oid)s, 'pg_class'), '') AS comment"

# Tables that are partitions themselves belong to the set of the table above them.
SETS = f"""{_AS_WE_READ}
SELECT n.nspname::text AS schema, c.relname::text AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'p' AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (%(schema)s::text IS NULL OR n.nspname = %(schema)s)
  AND (%(tables)s::text[] IS NULL OR c.relname::text = ANY(%(tables)s))
ORDER BY 1, 2
"""

# More rows than this in a default partition are not counted.
MOST_COUNTED = 1_000_000

SIZE = "SELECT pg_catalog.pg_relation_size(%(oid)s::pg_catalog.oid) AS size"

# Constraints that an interrupted run has left; they would refuse rows.
ASIDES = f"""{_AS_WE_READ}
SELECT conname::text AS name FROM pg_constraint
WHERE conrelid = %(oid)s AND contype = 'c' AND position(%(prefix)s IN conname::text) = 1 ORDER BY 1
"""
