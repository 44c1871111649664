# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the materialized views of a database, and has PostgreSQL write down what a query would come to."""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.spec import Desired
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.state import (
    Dependent,
    Grant,
    Index,
    State,
    Statistics,
    View,
    Wanted,
)

REFRESHES = "scaleout_refreshes"
"""The table beside the views that keeps when each was refreshed: written in the refresh's own transaction, so it says
neither more nor less than what was committed; replicated, dumped and failed over with the database."""

_FORMS = 4
"""PostgreSQL writes a definition that it read back at most so often in another way, as after a dump."""

_PLACES = """
SELECT ARRAY(SELECT nspname::text FROM pg_namespace WHERE nspname = ANY(%(schemas)s)) AS schemas,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY(%(owners)s)) AS roles,
       ARRAY(SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = ANY(%(schemas)s) AND c.relname = %(refreshes)s AND c.relkind = 'r') AS kept,
       pg_backend_pid() AS pid, pg_is_in_recovery() AS standby
"""

_KIND = """CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
    WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index'
    WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'composite type' ELSE 'relation' END"""

_GRANTS = """
SELECT json_agg(json_build_array(CASE WHEN e.grantee <> 0 THEN pg_get_userbyid(e.grantee) END, e.privilege_type,
                                 e.is_grantable, e.attname))
FROM (SELECT x.*, NULL AS attname FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
      UNION ALL SELECT x.*, a.attname FROM pg_attribute a, aclexplode(a.attacl) x
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) e
"""

# With an empty search_path, PostgreSQL writes every name with its schema.
_VIEWS = f"""
SELECT n.nspname AS schema, c.relname AS name, {_KIND} AS kind, pg_get_userbyid(c.relowner) AS owner,
       c.relispopulated AS populated, coalesce(ts.spcname, '') AS tablespace, coalesce(am.amname, '') AS method,
       CASE WHEN c.relkind = 'm' THEN rtrim(pg_get_viewdef(c.oid), ';') END AS definition,
       to_json(coalesce(c.reloptions, '{{}}') || ARRAY(
           SELECT 'toast.' || o FROM pg_class st, unnest(st.reloptions) o
           WHERE st.oid = c.reltoastrelid))::text AS options,
       obj_description(c.oid, 'pg_class') AS comment,
       (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
                                         col_description(c.oid, a.attnum), nullif(a.attstattarget, -1))
                        ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns,
       (SELECT json_agg(json_build_array(
                   i.relname, x.indisunique, x.indisclustered, coalesce(its.spcname, ''),
                   obj_description(i.oid, 'pg_class'),
                   substr(pg_get_indexdef(i.oid), length('CREATE ' || CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END
                       || 'INDEX ' || quote_ident(i.relname) || ' ON ' || c.oid::regclass) + 2),
                   x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL,
                   (SELECT json_agg((SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = k.attnum)
                                    ORDER BY k.ord)
                    FROM unnest(x.indkey::int2[]) WITH ORDINALITY k (attnum, ord) WHERE k.ord <= x.indnkeyatts),
                   (SELECT json_agg(DISTINCT a.attname) FROM pg_depend d JOIN pg_attribute a
                        ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = i.oid AND d.refclassid = 'pg_class'::regclass
                        AND d.refobjid = c.oid AND d.refobjsubid > 0)) ORDER BY i.relname)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
             LEFT JOIN pg_tablespace its ON its.oid = i.reltablespace
        WHERE x.indrelid = c.oid)::text AS indexes,
       (SELECT json_agg(json_build_array(s.stxname, pg_get_statisticsobjdef(s.oid), pg_get_userbyid(s.stxowner),
                   (SELECT json_agg(DISTINCT a.attname) FROM pg_depend d JOIN pg_attribute a
                        ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
                    WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid AND d.refobjid = c.oid
                        AND d.refobjsubid > 0),
                   (SELECT nspname FROM pg_namespace WHERE oid = s.stxnamespace), nullif(s.stxstattarget, -1),
                   obj_description(s.oid, 'pg_statistic_ext')))
        FROM pg_statistic_ext s WHERE s.stxrelid = c.oid)::text AS statistics,
       (SELECT json_agg(json_build_array(vn.nspname, v.relname, rtrim(pg_get_viewdef(v.oid), ';'), v.reloptions,
                   (SELECT json_agg(DISTINCT a.attname) FROM pg_depend d JOIN pg_attribute a
                        ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
                    WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
                        AND d.refobjid = c.oid AND d.refobjsubid > 0)) ORDER BY v.oid)
        FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace vn ON vn.oid = v.relnamespace
        WHERE v.relkind = 'v' AND r.rulename = '_RETURN' AND EXISTS (
            SELECT FROM pg_depend d WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid))::text AS dependents,
       (SELECT json_agg(DISTINCT o.label) FROM (
            SELECT coalesce({_KIND.replace("c.relkind", "v.relkind")} || ' ' || vn.nspname || '.' || v.relname,
                            pg_describe_object(d.classid, d.objid, d.objsubid)) AS label
            FROM pg_depend d LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
                 LEFT JOIN pg_class v ON v.oid = r.ev_class AND r.rulename = '_RETURN'
                 LEFT JOIN pg_namespace vn ON vn.oid = v.relnamespace
            WHERE d.deptype IN ('n', 'a')
                AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                     OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
                         SELECT oid FROM pg_type WHERE oid = c.reltype OR typelem = c.reltype AND typlen = -1))
                AND NOT (d.refclassid = 'pg_class'::regclass AND v.relkind IS NOT DISTINCT FROM 'v')
                AND NOT (d.classid = 'pg_statistic_ext'::regclass)
                AND NOT (d.classid = 'pg_class'::regclass
                         AND d.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = c.oid))
                AND r.ev_class IS DISTINCT FROM c.oid) o)::text AS others,
       ({_GRANTS})::text AS grants
FROM unnest(%(schemas)s, %(names)s) AS want (schema, name)
     JOIN pg_namespace n ON n.nspname = want.schema
     JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = want.name
     LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace LEFT JOIN pg_am am ON am.oid = c.relam
"""


@contextlib.contextmanager
def transaction(session: Session, lock_timeout: int, keep: bool) -> t.Iterator[None]:
    """Run statements in one transaction in which every name that PostgreSQL writes has its schema.

    :param lock_timeout: milliseconds that a statement waits for a lock.
    :param keep: whether to commit at the end; else nothing is left of it.
    """
    session.run("BEGIN")
    try:
        session.run(f"SET LOCAL search_path = ''; SET LOCAL lock_timeout = '{lock_timeout:d}ms'")
        yield
    except BaseException:
        with contextlib.suppress(ScaleoutError):
            session.run("ROLLBACK")
        raise
    session.run("COMMIT" if keep else "ROLLBACK")


def qualified(session: Session, schema: str, name: str) -> t.Any:
    """A name with its schema, quoted."""
    return session.sql.Identifier(schema, name)


def find_in(session: Session, desired: Desired) -> None:
    """Have the names of a query found in the schema of its view, and nowhere else."""
    session.run(session.sql.SQL("SET LOCAL search_path = {}, pg_temp").format(session.sql.Identifier(desired.schema)))


def read(session: Session, desired: t.Sequence[Desired], lock_timeout: int) -> State:
    """Everything that the planner wants to know, in one transaction of which nothing is left.

    :param lock_timeout: milliseconds; to read a query is to lock its tables as their readers do.
    :raises Refused: PostgreSQL takes a query not, or takes no writes.
    """
    with transaction(session, lock_timeout, keep=False):
        found = session.rows(
            _PLACES,
            {
                "schemas": [one.schema for one in desired],
                "owners": [one.owner for one in desired if one.owner],
                "refreshes": REFRESHES,
            },
        )[0]
        if found["standby"]:
            raise Refused(
                "This server is a standby, where no materialized view can be changed; do it on the leader.",
                code="standby",
            )
        views = _views(session, desired, frozenset(found["kept"]))
        probe = _Probe(session, found["pid"])
        wanted = {}
        for one in desired:
            if one.query is None or one.schema not in found["schemas"]:
                continue
            view = views.get(one.label)
            if view and not view.is_materialized:
                continue
            wanted[one.label] = probe.wanted(one, view)
            if view:
                views[one.label] = probe.compared(one, view, wanted[one.label])
            else:
                # Those that follow may read it.
                probe.create(one, one.name, one.query)
        return State(frozenset(found["schemas"]), frozenset(found["roles"]), views, wanted)


def read_views(session: Session, desired: t.Sequence[Desired], lock_timeout: int) -> dict[str, View]:
    """What is there now, without what the queries come to."""
    with transaction(session, lock_timeout, keep=False):
        parameters = {"schemas": [one.schema for one in desired], "owners": [], "refreshes": REFRESHES}
        found = session.rows(_PLACES, parameters)[0]
        return _views(session, desired, frozenset(found["kept"]))


def read_grants(session: Session, schema: str, name: str) -> frozenset[Grant]:
    """The privileges on a view."""
    rows = session.rows(
        f"SELECT ({_GRANTS})::text AS grants FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        (schema, name),
    )
    return frozenset(Grant(*entry) for row in rows for entry in _json(row["grants"]))


def read_columns(session: Session, schema: str, name: str) -> frozenset[str]:
    """The columns of a view."""
    rows = session.rows(
        "SELECT a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped",
        (schema, name),
    )
    return frozenset(row["name"] for row in rows)


def locks_on(session: Session, desired: Desired) -> dict[int, str]:
    """The strongest lock that a change takes on a view and on what reads it, by their oids; what others have of it."""
    rows = session.rows(
        "SELECT c.oid::int8 AS oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s UNION SELECT r.ev_class FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_depend d ON d.refobjid = c.oid "
        "AND d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_rewrite'::regclass "
        "JOIN pg_rewrite r ON r.oid = d.objid WHERE n.nspname = %s AND c.relname = %s",
        (desired.schema, desired.name) * 2,
    )
    return {row["oid"]: "AccessExclusiveLock" for row in rows}


def refreshes_kept(session: Session, schema: str) -> bool:
    """Whether a schema has the table of refreshes."""
    parameters = {"schemas": [schema], "owners": [], "refreshes": REFRESHES}
    return bool(session.rows(_PLACES, parameters)[0]["kept"])


def owner_of_schema(session: Session, schema: str) -> str | None:
    """Who owns a schema, as long as we may give something to that role."""
    rows = session.rows(
        "SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = %s "
        "AND nspowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) "
        "AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)",
        (schema,),
    )
    return rows[0]["owner"] if rows else None


def _views(session: Session, desired: t.Sequence[Desired], kept: frozenset[str]) -> dict[str, View]:
    parameters = {"schemas": [one.schema for one in desired], "names": [one.name for one in desired]}
    ages = _ages(session, [one for one in desired if one.schema in kept])
    return {
        f"{row['schema']}.{row['name']}": _view(row, *ages.get((row["schema"], row["name"]), (None, None)))
        for row in session.rows(_VIEWS, parameters)
    }


def _ages(session: Session, desired: t.Sequence[Desired]) -> dict[tuple[str, str], tuple[float, str]]:
    """When each view was refreshed: how many seconds ago by the server's clock, and the time."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for schema in sorted({one.schema for one in desired}):
        statement = session.sql.SQL(
            "SELECT view, extract(epoch FROM clock_timestamp() - refreshed_at)::float8 AS age, "
            "to_char(refreshed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS at "
            "FROM {} WHERE view = ANY(%s)"
        ).format(qualified(session, schema, REFRESHES))
        names = [one.name for one in desired if one.schema == schema]
        found.update({(schema, row["view"]): (row["age"], row["at"]) for row in session.rows(statement, (names,))})
    return found


def _view(row: dict[str, t.Any], age: float | None, refreshed: str | None) -> View:
    columns = _json(row["columns"])
    return View(
        kind=row["kind"],
        owner=row["owner"],
        populated=row["populated"],
        forms=(row["definition"],) if row["definition"] else (),
        columns={name: kind for name, kind, _comment, _target in columns},
        options=tuple(_json(row["options"])),
        tablespace=row["tablespace"],
        method=row["method"],
        comment=row["comment"],
        column_comments={name: comment for name, _kind, comment, _target in columns if comment is not None},
        targets={name: target for name, _kind, _comment, target in columns if target is not None},
        grants=frozenset(Grant(*entry) for entry in _json(row["grants"])),
        indexes=tuple(
            Index(name, tail, unique, usable, tuple(keys), frozenset(uses or ()), tablespace, comment, clustered)
            for name, unique, clustered, tablespace, comment, tail, usable, keys, uses in _json(row["indexes"])
        ),
        statistics=tuple(
            Statistics(name, text, owner, frozenset(uses or ()), *more)
            for name, text, owner, uses, *more in _json(row["statistics"])
        ),
        dependents=tuple(
            Dependent(schema, name, text, tuple(options or ()), frozenset(uses or ()))
            for schema, name, text, options, uses in _json(row["dependents"])
        ),
        others=tuple(_json(row["others"])),
        age=age,
        refreshed=refreshed,
    )


def _json(text: str | None) -> list[t.Any]:
    return json.loads(text) if text else []


class _Probe:
    """Has PostgreSQL write down what a query comes to, by a view that is made and never committed."""

    def __init__(self, session: Session, pid: int) -> None:
        self.session = session
        self.name = f"scaleout_probe_{pid}"
        self.made = 0

    def create(self, desired: Desired, name: str, query: str) -> None:
        """Create a view without rows.

        :raises Refused: PostgreSQL does not take the query.
        """
        sql = self.session.sql
        find_in(self.session, desired)
        try:
            self.session.run(create_statement(self.session, desired.schema, name, query))
        except Refused as error:
            raise _of_query(desired, error) from None
        self.session.run(sql.SQL("SET LOCAL search_path = ''"))

    def wanted(self, desired: Desired, view: View | None) -> Wanted:
        """What a query comes to; with a view to compare to, in every form that PostgreSQL gives it."""
        form, columns = self._form(desired, desired.query or "")
        wanted = Wanted((form,), columns)
        if view is None or wanted.same(view):
            return wanted
        return Wanted(self._forms(desired, form), columns)

    def compared(self, desired: Desired, view: View, wanted: Wanted) -> View:
        """A view with every form of its definition, where the first one does not do."""
        if wanted.same(view) or wanted.columns != view.columns:
            return view
        return View(**{**vars(view), "forms": self._forms(desired, view.forms[0])})

    def _forms(self, desired: Desired, form: str) -> tuple[str, ...]:
        forms = [form]
        while len(forms) < _FORMS:
            form, _columns = self._form(desired, form)
            if form in forms:
                break
            forms.append(form)
        return tuple(forms)

    def _form(self, desired: Desired, query: str) -> tuple[str, dict[str, str]]:
        self.made += 1
        name = f"{self.name}_{self.made}"
        self.create(desired, name, query)
        row = self.session.rows(
            "SELECT rtrim(pg_get_viewdef(c.oid), ';') AS definition, (SELECT json_agg(json_build_array(a.attname, "
            "format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) FROM pg_attribute a "
            "WHERE a.attrelid = c.oid AND a.attnum > 0)::text AS columns FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            (desired.schema, name),
        )[0]
        return row["definition"], dict(_json(row["columns"]))


def create_statement(session: Session, schema: str, name: str, query: str, options: t.Sequence[str] = ()) -> t.Any:
    """Compose the statement that creates a view without rows; the query is in brackets, so that it stays one."""
    sql = session.sql
    return sql.SQL("CREATE MATERIALIZED VIEW {}{} AS (\n{}\n) WITH NO DATA").format(
        qualified(session, schema, name), with_options(session, options), sql.SQL(query)
    )


def with_options(session: Session, options: t.Sequence[str]) -> t.Any:
    """Compose a WITH of storage parameters or of a view's options; empty without any."""
    sql = session.sql
    if not options:
        return sql.SQL("")
    pairs = (option.partition("=") for option in options)
    return sql.SQL(" WITH ({})").format(
        sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(*name.split(".", 1)), sql.Literal(value))
            for name, _equals, value in pairs
        )
    )


def _of_query(desired: Desired, error: Refused) -> Refused:
    """What PostgreSQL has against a query, as a fault of the task where it is one."""
    state = str(error.facts.get("sqlstate"))
    code = "invalid_input" if state.startswith(("42", "0A")) and state != "42501" else error.code
    return Refused(f"query of {desired.label}: {error.message}", code=code, **error.facts)
