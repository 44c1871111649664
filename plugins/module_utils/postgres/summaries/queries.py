# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the room asks a server; text only.

A search_path, whether empty or hostile, changes nothing.
"""

from __future__ import annotations

#: The settings hold for the one message that they are in. Types are written with their schema then.
_AS_WE_READ = "SET LOCAL search_path = ''; "

#: Whose code may run with the rights of the session: its own role, superusers, and the owner of the database, beside
#: the role that the task names. SET ROLE would not hold others back, as their code can RESET it.
_TRUSTED = """trusted AS (
    SELECT oid FROM pg_roles WHERE rolsuper OR rolname IN (current_user, 'pg_database_owner')
    UNION SELECT datdba FROM pg_database WHERE datname = current_database())"""

# Of all that is run or read with summaries, what belongs to someone else or is not what it has to be. A view in place
# of a table, a trigger on it, and a function whose name begins as ours do, are code.
DISTRUST = f"""{_AS_WE_READ}
WITH RECURSIVE {_TRUSTED},
named AS (SELECT * FROM ROWS FROM (unnest(%(table_of)s::int[]), unnest(%(schemas)s::name[]), unnest(%(names)s::name[]),
                                   unnest(%(kinds)s::text[])) AS w (of, schema, name, kinds)),
stems AS (SELECT * FROM ROWS FROM (unnest(%(stem_of)s::int[]), unnest(%(stem_schemas)s::name[]),
                                   unnest(%(stems)s::text[])) AS w (of, schema, stem)),
paths AS (SELECT of, schema FROM named
          UNION SELECT * FROM ROWS FROM (unnest(%(path_of)s::int[]), unnest(%(paths)s::name[])) AS w (of, schema)),
tree AS (
    SELECT w.of, c.oid, c.relkind <> ALL (string_to_array(w.kinds, NULL)::"char"[]) AS odd FROM named w
    JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
    UNION SELECT tree.of, i.inhrelid, false FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid),
needed AS (
    SELECT tree.of, c.relowner AS owner, tree.odd, format('%%s %%I.%%I', CASE c.relkind WHEN 'v' THEN 'the view'
           ELSE 'the table' END, n.nspname, c.relname) AS what
    FROM tree JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL SELECT w.of, n.nspowner, false, format('the schema %%I', n.nspname)
    FROM paths w JOIN pg_namespace n ON n.nspname = w.schema
    UNION ALL SELECT DISTINCT w.of, p.proowner, false, format('the function %%s', p.oid::regprocedure)
    FROM stems w JOIN pg_namespace n ON n.nspname = w.schema
    JOIN pg_proc p ON p.pronamespace = n.oid AND starts_with(p.proname, w.stem || '_'))
SELECT w.of, format('%%s of %%s', w.what, pg_get_userbyid(w.owner)) AS what FROM needed w
WHERE w.odd OR (w.owner NOT IN (SELECT oid FROM trusted)
                AND pg_get_userbyid(w.owner) <> (%(owners)s::name[])[w.of + 1])
ORDER BY 1, 2
"""

# What there is of a summary: its view, and the tables of all parts, in use or left over.
_SEEN = """WITH {trusted}, me AS (SELECT coalesce(nullif({owner}, ''), current_user::text) AS owner),
seen AS (
    SELECT c.relname::text AS name, c.relkind, d.description AS comment FROM me CROSS JOIN pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
    WHERE n.nspname = {schema} AND ((c.relkind = 'v' AND c.relname = {name} AND starts_with(d.description, {mark}))
        OR (c.relkind = 'r' AND starts_with(d.description, {part})
            AND (c.relowner IN (SELECT oid FROM trusted) OR pg_get_userbyid(c.relowner) = me.owner))))"""


def seen(**given: str) -> str:
    """What there is now of a summary, as a common table expression of that name.

    :param given: ``owner``, ``schema``, ``name``, ``mark`` and ``part``, as SQL has them.
    """
    return _SEEN.format(trusted=_TRUSTED, **given)


SERVER = f"""{_AS_WE_READ}
{seen(**{name: f"%({name})s" for name in ("owner", "schema", "name", "mark", "part")})}
SELECT pg_is_in_recovery() AS in_recovery, me.owner,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY(%(readers)s)) AS roles,
       (SELECT has_schema_privilege(r.oid, n.oid, 'CREATE') FROM pg_namespace n, pg_roles r
        WHERE n.nspname = %(schema)s AND r.rolname = me.owner) AS may_create,
       coalesce((SELECT c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = %(schema)s AND c.relname = %(name)s), '') AS view,
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = %(schema)s AND c.relname = %(defining)s
                   AND (c.relkind <> 'v' OR obj_description(c.oid, 'pg_class') IS DISTINCT FROM %(counts)s))
           AS defining_taken,
       ARRAY(SELECT name FROM seen WHERE relkind = 'r' ORDER BY name) AS stems,
       (SELECT json_object_agg(name, comment)::text FROM seen) AS seen
FROM me
"""

# Rules of a view go with it, and triggers with their functions.
DEPENDENTS = f"""{_AS_WE_READ}
WITH own AS (
    SELECT c.oid, c.reltype, CASE WHEN c.relname = ANY(%(views)s) THEN c.relname::text ELSE s.stem END AS of
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN unnest(%(stems)s::text[]) AS s (stem) ON c.relname IN (s.stem, s.stem || '_pending')
    WHERE n.nspname = %(schema)s AND (c.relname = ANY(%(views)s) OR s.stem IS NOT NULL)),
needed AS (
    SELECT 'pg_class'::regclass AS class, oid, of FROM own
    UNION ALL SELECT 'pg_type'::regclass, y.oid, of FROM own
    JOIN pg_type y ON own.reltype IN (y.oid, y.typelem) AND own.reltype <> 0
    UNION ALL SELECT 'pg_proc'::regclass, p.oid, s.stem FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN unnest(%(stems)s::text[]) AS s (stem)
        ON regexp_replace(p.proname, '_(count|filter[0-9]+|insert|update|delete|row|truncate)$', '') = s.stem
    WHERE n.nspname = %(schema)s)
SELECT DISTINCT w.of, obj_description(v.oid, 'pg_class') AS description,
       coalesce(CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || vn.nspname || '.' || v.relname,
                pg_describe_object(d.classid, d.objid, d.objsubid)) AS what
FROM needed w JOIN pg_depend d ON d.refclassid = w.class AND d.refobjid = w.oid AND d.deptype = 'n'
LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_class v ON v.oid = r.ev_class AND r.rulename = '_RETURN'
LEFT JOIN pg_namespace vn ON vn.oid = v.relnamespace
WHERE d.classid <> 'pg_trigger'::regclass AND (r.ev_class IS NULL OR r.ev_class NOT IN (SELECT oid FROM own))
ORDER BY 1, 3
"""

# Where triggers fire. A table that a conversion fills does not count yet: its root has them disabled.
FIRING = f"""{_AS_WE_READ}
SELECT DISTINCT s.stem, c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name,
       EXISTS (SELECT FROM pg_roles r WHERE r.rolname = %(owner)s AND pg_has_role(r.oid, c.relowner, 'USAGE')) AS owned
FROM unnest(%(stems)s::text[]) AS s (stem) JOIN pg_namespace pn ON pn.nspname = %(schema)s
JOIN pg_proc p ON p.pronamespace = pn.oid AND p.proname IN (SELECT s.stem || x FROM unnest(%(suffixes)s::text[]) x)
JOIN pg_trigger g ON g.tgfoid = p.oid AND g.tgenabled <> 'D' AND g.tgparentid = 0
JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT EXISTS (SELECT FROM pg_trigger o
                  WHERE o.tgrelid = pg_partition_root(c.oid) AND o.tgname = s.stem || '_row' AND o.tgenabled = 'D')
"""

# Views follow their tables and their columns, whatever they are called by now.
COUNTED = f"""{_AS_WE_READ}
SELECT n.nspname::text AS schema, v.relname::text AS name, tn.nspname || '.' || t.relname AS label,
       array_agg(DISTINCT a.attname::text) AS columns
FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace
JOIN pg_rewrite r ON r.ev_class = v.oid
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN ROWS FROM (unnest(%(schemas)s::name[]), unnest(%(names)s::name[]), unnest(%(counts)s::text[]))
    AS w (schema, name, counts)
    ON n.nspname = w.schema AND v.relname = w.name AND obj_description(v.oid, 'pg_class') = w.counts
GROUP BY 1, 2, 3
"""

# Lists of lists come as JSON, since the driver knows no arrays of them. Row security is that of the summary's owner.
TABLES = f"""{_AS_WE_READ}
WITH owner AS (SELECT oid, rolsuper OR rolbypassrls AS sees_all FROM pg_roles WHERE rolname = %(owner)s)
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind, c.relispartition AS is_partition,
       pg_get_userbyid(c.relowner)::text AS owner,
       EXISTS (SELECT FROM pg_inherits i JOIN pg_class o ON o.oid = i.inhrelid
               WHERE c.oid IN (i.inhrelid, i.inhparent) AND NOT o.relispartition) AS inherits,
       (SELECT json_agg(json_build_object(
            'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'base', b.typname,
            'type_schema', s.nspname, 'not_null', a.attnotnull,
            'extremes', (
                SELECT h.nspname FROM pg_proc p JOIN pg_namespace h ON h.oid = p.pronamespace
                WHERE h.nspname IN ('pg_catalog', s.nspname) AND p.proname = 'max' AND p.prokind = 'a'
                    AND p.pronargs = 1
                    AND p.proargtypes[0] IN (b.oid, CASE WHEN b.typname = 'varchar' AND s.nspname = 'pg_catalog'
                        THEN 'pg_catalog.text'::regtype WHEN b.typtype = 'e' THEN 'pg_catalog.anyenum'::regtype
                        WHEN b.typcategory = 'A' THEN 'pg_catalog.anyarray'::regtype END)
                ORDER BY h.nspname <> 'pg_catalog' LIMIT 1),
            'ordered', EXISTS (
                SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
                WHERE o.opcdefault AND (o.opcintype IN (e.oid, CASE e.typtype
                        WHEN 'e' THEN 'pg_catalog.anyenum'::regtype WHEN 'r' THEN 'pg_catalog.anyrange'::regtype
                        WHEN 'm' THEN 'pg_catalog.anymultirange'::regtype
                        WHEN 'c' THEN 'pg_catalog.record'::regtype END)
                    OR EXISTS (SELECT FROM pg_cast k WHERE k.castsource = e.oid AND k.casttarget = o.opcintype
                               AND k.castmethod = 'b' AND k.castcontext = 'i')))) ORDER BY a.attnum)
        FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
        JOIN pg_type b ON b.oid = coalesce(nullif(y.typbasetype, 0), y.oid)
        JOIN pg_type v ON v.oid = CASE WHEN b.typcategory = 'A' THEN b.typelem ELSE b.oid END
        JOIN pg_type e ON e.oid = coalesce(nullif(v.typbasetype, 0), v.oid)
        JOIN pg_namespace s ON s.oid = b.typnamespace
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns,
       (SELECT json_agg((SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(x.indkey::int2[]) WITH ORDINALITY
                         k (number, place) LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number))
        FROM pg_index x WHERE x.indrelid = c.oid AND x.indisvalid AND x.indpred IS NULL)::text AS indexes,
       (SELECT json_agg(json_build_object(
            'oid', r.oid::bigint, 'schema', rn.nspname, 'name', r.relname, 'kind', r.relkind,
            'persistence', r.relpersistence, 'leaf', r.relkind <> 'p',
            'filtered', r.relrowsecurity AND NOT o.sees_all
                AND (r.relforcerowsecurity OR NOT pg_has_role(o.oid, r.relowner, 'USAGE')),
            'owned', pg_has_role(o.oid, r.relowner, 'USAGE'),
            'readable', has_table_privilege(o.oid, r.oid, 'SELECT'),
            'triggers', coalesce((SELECT json_object_agg(g.tgname, g.tgenabled) FROM pg_trigger g
                                  WHERE g.tgrelid = r.oid), '{{}}')) ORDER BY q.level, r.oid)
        FROM (SELECT c.oid AS relid, 0 AS level WHERE c.relkind <> 'p'
              UNION ALL SELECT p.relid, p.level FROM pg_partition_tree(c.oid) p WHERE c.relkind = 'p') q
        JOIN pg_class r ON r.oid = q.relid JOIN pg_namespace rn ON rn.oid = r.relnamespace
        CROSS JOIN owner o)::text AS tree
FROM ROWS FROM (unnest(%(schemas)s::name[]), unnest(%(tables)s::name[])) AS w (schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
WHERE c.relkind NOT IN ('i', 'I', 't', 'c')
"""

# By their functions, since a summary that is being made has triggers and no view.
STANDING = f"""{_AS_WE_READ}
SELECT n.nspname::text AS schema, k.relname::text AS stem, d.description, pg_get_userbyid(b.relowner)::text AS owner,
       bn.nspname::text AS base_schema, b.relname::text AS base_name,
       json_object_agg(g.tgname, g.tgenabled)::text AS triggers
FROM pg_description d JOIN pg_class k ON k.oid = d.objoid AND k.relkind = 'r'
JOIN pg_namespace n ON n.oid = k.relnamespace
JOIN pg_proc p ON p.pronamespace = k.relnamespace
    AND p.proname IN (SELECT k.relname || suffix FROM unnest(%(suffixes)s::text[]) suffix)
JOIN pg_trigger g ON g.tgfoid = p.oid
JOIN pg_class b ON b.oid = g.tgrelid AND NOT b.relispartition JOIN pg_namespace bn ON bn.oid = b.relnamespace
WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND starts_with(d.description, %(mark)s)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, 2, 5, 6
"""

OWNERS = f"""{_AS_WE_READ}
SELECT n.nspname::text AS schema, c.relname::text AS name, pg_get_userbyid(c.relowner)::text AS owner
FROM ROWS FROM (unnest(%(schemas)s::name[]), unnest(%(names)s::name[])) AS w (schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
"""

# Also where no name is given: all summaries of the database.
SUMMARIES = f"""{_AS_WE_READ}
SELECT n.nspname::text AS schema, c.relname::text AS name, pg_get_userbyid(c.relowner)::text AS owner, d.description,
       pg_has_role(c.relowner, 'MEMBER') AS may_be,
       ARRAY(SELECT DISTINCT CASE WHEN x.grantee = 0 THEN 'public' ELSE pg_get_userbyid(x.grantee)::text END
             FROM aclexplode(c.relacl) x WHERE x.privilege_type = 'SELECT' AND x.grantee <> c.relowner) AS readers
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
WHERE c.relkind = 'v' AND starts_with(d.description, %(mark)s)
    AND (%(name)s::text IS NULL OR (n.nspname = %(schema)s AND c.relname = %(name)s))
ORDER BY 1, 2
"""
