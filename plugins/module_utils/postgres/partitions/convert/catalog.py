# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one query that reads all that belongs to a table and has to be kept when it becomes a partition set.

The server quotes each name and prints each definition, with an empty ``search_path`` so that all of them are
qualified. ``state.py`` reads the answer.
"""

from __future__ import annotations


def _list(row: str, rest: str, order: str) -> str:
    """A query for a list of objects, in an order that is the same in each run."""
    return f"(SELECT coalesce(jsonb_agg({row} ORDER BY {order}), '[]') {rest})"


def _grants(acl: str) -> str:
    row = (
        "jsonb_build_object('grantee', CASE WHEN a.grantee = 0 THEN 'PUBLIC' "
        "ELSE quote_ident(pg_get_userbyid(a.grantee)) END, 'privilege', a.privilege_type, 'grantable', a.is_grantable)"
    )
    return _list(row, f"FROM aclexplode({acl}) a", "a.grantee, a.privilege_type")


_FACTS = f"""jsonb_build_object(
    'oid', c.oid::bigint, 'kind', c.relkind, 'persistence', c.relpersistence, 'is_partition', c.relispartition,
    'typed', c.reloftype <> 0, 'schema', n.nspname, 'name', c.relname,
    'quoted', format('%%I.%%I', n.nspname, c.relname),
    'quoted_schema', quote_ident(n.nspname), 'owner', quote_ident(pg_get_userbyid(c.relowner)),
    'mine', pg_has_role(c.relowner, 'USAGE'), 'options', to_jsonb(coalesce(c.reloptions, '{{}}')),
    'tablespace', (SELECT quote_ident(spcname) FROM pg_tablespace WHERE oid = c.reltablespace),
    'row_security', c.relrowsecurity, 'force_row_security', c.relforcerowsecurity, 'replica_identity', c.relreplident,
    'comment', obj_description(c.oid, 'pg_class'), 'has_grants', c.relacl IS NOT NULL, 'grants', {_grants("c.relacl")},
    'inherits', EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid OR inhparent = c.oid),
    'file', pg_relation_filenode(c.oid)::bigint,
    'dependencies', (SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = c.oid))"""

_COLUMNS = _list(
    f"""jsonb_build_object('name', a.attname, 'quoted', quote_ident(a.attname),
    'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull, 'identity', a.attidentity,
    'generated', a.attgenerated, 'has_default', a.atthasdef OR a.attidentity <> '',
    'statistics', nullif(a.attstattarget, -1), 'has_grants', a.attacl IS NOT NULL,
    'options', to_jsonb(coalesce(a.attoptions, '{{}}')), 'grants', {_grants("a.attacl")})""",
    "FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped",
    "a.attnum",
)

_INDEXES = _list(
    """jsonb_build_object('name', i.relname, 'quoted', format('%%I.%%I', n.nspname, i.relname),
    'unique', x.indisunique, 'primary', x.indisprimary, 'valid', x.indisvalid AND x.indisready,
    'identity', x.indisreplident, 'definition', pg_get_indexdef(i.oid),
    'columns', (SELECT jsonb_agg(a.attname ORDER BY k.position)
                FROM unnest(x.indkey[0:x.indnkeyatts - 1]) WITH ORDINALITY k(number, position)
                LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number AND k.number > 0),
    'partial', x.indpred IS NOT NULL,
    'constraint', k.conname, 'constraint_kind', k.contype, 'deferrable', coalesce(k.condeferrable, false))""",
    """FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    LEFT JOIN pg_constraint k ON k.conindid = i.oid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')
    WHERE x.indrelid = c.oid""",
    "i.oid",
)

_CONSTRAINTS = _list(
    """jsonb_build_object('name', k.conname, 'quoted', quote_ident(k.conname), 'kind', k.contype,
    'definition', pg_get_constraintdef(k.oid), 'valid', k.convalidated, 'no_inherit', k.connoinherit,
    'comment', obj_description(k.oid, 'pg_constraint'), 'to_itself', k.confrelid = c.oid,
    'target_oid', k.confrelid::bigint,
    'target', (SELECT format('%%I.%%I', m.nspname, f.relname) FROM pg_class f JOIN pg_namespace m
               ON m.oid = f.relnamespace WHERE f.oid = k.confrelid))""",
    "FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f') AND k.conparentid = 0",
    "k.conname",
)

_INCOMING = _list(
    """jsonb_build_object('name', k.conname, 'quoted', quote_ident(k.conname),
    'definition', pg_get_constraintdef(k.oid),
    'table', format('%%I.%%I', m.nspname, r.relname), 'table_oid', r.oid::bigint,
    'table_name', m.nspname || '.' || r.relname, 'table_kind', r.relkind, 'valid', k.convalidated,
    'mine', pg_has_role(r.relowner, 'USAGE'), 'comment', obj_description(k.oid, 'pg_constraint'))""",
    """FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid JOIN pg_namespace m ON m.oid = r.relnamespace
    WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conrelid <> c.oid AND k.conparentid = 0""",
    "m.nspname, r.relname, k.conname",
)

_TRIGGERS = _list(
    """jsonb_build_object('name', g.tgname, 'quoted', quote_ident(g.tgname), 'definition', pg_get_triggerdef(g.oid),
    'enabled', g.tgenabled, 'for_each_row', g.tgtype & 1 = 1, 'before_insert', g.tgtype & 7 = 7,
    'source', (SELECT f.prosrc FROM pg_proc f WHERE f.oid = g.tgfoid),
    'transition', g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL,
    'comment', obj_description(g.oid, 'pg_trigger'))""",
    "FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal",
    "g.tgname",
)

_POLICIES = _list(
    """jsonb_build_object('name', p.polname, 'quoted', quote_ident(p.polname), 'permissive', p.polpermissive,
    'command', p.polcmd, 'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'roles', (SELECT jsonb_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END)
              FROM unnest(p.polroles) r),
    'comment', obj_description(p.oid, 'pg_policy'))""",
    "FROM pg_policy p WHERE p.polrelid = c.oid",
    "p.polname",
)

_VIEWS = _list(
    "v.view",
    """FROM (SELECT DISTINCT jsonb_build_object(
        'quoted', format('%%I.%%I', m.nspname, w.relname), 'name', m.nspname || '.' || w.relname, 'kind', w.relkind,
        'rule', r.rulename, 'definition', CASE WHEN w.relkind = 'v' THEN pg_get_viewdef(w.oid) END,
        'owner', quote_ident(pg_get_userbyid(w.relowner)), 'mine', pg_has_role(w.relowner, 'USAGE'),
        'options', to_jsonb(coalesce(w.reloptions, '{}'))) AS view
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    JOIN pg_class w ON w.oid = r.ev_class JOIN pg_namespace m ON m.oid = w.relnamespace
    WHERE d.classid = 'pg_rewrite'::regclass
        AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
             OR d.refclassid = 'pg_type'::regclass AND d.refobjid = c.reltype)) v""",
    "v.view ->> 'quoted'",
)

_PUBLICATIONS = _list(
    """jsonb_build_object('name', p.pubname, 'quoted', quote_ident(p.pubname), 'via_root', p.pubviaroot,
    'listed', r.oid IS NOT NULL, 'mine', pg_has_role(p.pubowner, 'USAGE'), 'filter', pg_get_expr(r.prqual, r.prrelid),
    'columns', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.position)
                FROM unnest(r.prattrs::int2[]) WITH ORDINALITY k(number, position)
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number))""",
    """FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid
    WHERE p.puballtables OR r.oid IS NOT NULL
        OR EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)""",
    "p.pubname",
)

_SEQUENCES = _list(
    f"""jsonb_build_object('quoted', format('%%I.%%I', m.nspname, s.relname), 'name', quote_ident(s.relname),
    'column', quote_ident(a.attname), 'identity', d.deptype = 'i', 'has_grants', s.relacl IS NOT NULL,
    'comment', obj_description(s.oid, 'pg_class'), 'grants', {_grants("s.relacl")})""",
    """FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_namespace m ON m.oid = s.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
        AND d.deptype IN ('a', 'i')""",
    "a.attnum",
)

# What no other part of this query knows how to keep: functions with a body in SQL or with a row of the table as an
# argument, columns of its row type, and what extensions and later versions think of.
_OTHERS = """(SELECT coalesce(jsonb_agg(o.name ORDER BY o.name), '[]') FROM (
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS name FROM pg_depend d
    WHERE (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
           OR d.refclassid = 'pg_type'::regclass
              AND d.refobjid IN (c.reltype, (SELECT typarray FROM pg_type WHERE oid = c.reltype)))
        AND NOT (d.classid = 'pg_type'::regclass AND d.deptype = 'i')
        AND d.classid <> ALL (ARRAY['pg_rewrite', 'pg_trigger', 'pg_policy', 'pg_attrdef', 'pg_statistic_ext',
            'pg_publication_rel', 'pg_constraint']::regclass[])
        AND NOT EXISTS (SELECT FROM pg_class o WHERE d.classid = 'pg_class'::regclass AND o.oid = d.objid
                        AND o.relkind IN ('S', 't', 'i') AND d.refclassid = 'pg_class'::regclass)) o)"""

_SUBSCRIPTIONS = _list(
    "s.subname",
    "FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE r.srrelid = c.oid",
    "s.subname",
)

_PARTS = {
    "columns": _COLUMNS,
    "indexes": _INDEXES,
    "constraints": _CONSTRAINTS,
    "incoming": _INCOMING,
    "triggers": _TRIGGERS,
    "policies": _POLICIES,
    "views": _VIEWS,
    "publications": _PUBLICATIONS,
    "sequences": _SEQUENCES,
    "others": _OTHERS,
    "subscriptions": _SUBSCRIPTIONS,
}

QUERY = (
    # One message, so one transaction, at whose end the setting goes.
    "SET LOCAL search_path = ''; SELECT ("
    + _FACTS
    + " || jsonb_build_object("
    + ", ".join(f"'{name}', {query}" for name, query in _PARTS.items())
    + "))::text AS facts FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = %(schema)s AND c.relname = %(name)s"
)
"""With the parameters ``schema`` and ``name``: one row of one JSON text, or none where there is no such relation."""
