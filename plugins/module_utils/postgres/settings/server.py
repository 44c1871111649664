# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and writes the settings of a server."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import PartlyApplied, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.host import Host, look
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Endpoint, Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import Entry, Reset, Set
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.dynamic import SHARED
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.overrides import (
    Change,
    Override,
    Scope,
    ScopeState,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.plan import Reload, State
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition

RELOAD_TIMEOUT = 10.0
"""Seconds that the server has to read its files again; it takes milliseconds."""

_SERVER = """
SELECT pg_is_in_recovery() AS in_recovery,
       coalesce(current_setting('allow_alter_system', true), 'on') = 'on' AS may_alter,
       has_function_privilege('pg_reload_conf()', 'EXECUTE') AS may_reload,
       (SELECT count(*) = 2 FROM pg_settings
        WHERE name IN ('cluster_name', 'hot_standby') AND source = 'command line') AS patroni,
       pg_backend_pid() AS pid
"""

# The server forgets to clear pending_restart when the line that set it is taken out before the restart; then nothing in
# the files asks for one. Nor does a line ask for one that the server's command line overrules at each start; but
# Patroni gives what its file has on the next command line.
_DEFINITIONS = """
SELECT name, vartype, context, reset_val AS setting, boot_val, source, unit, min_val, max_val,
       coalesce(enumvals, '{{}}') AS enumvals, pending, {alterable} AS alterable,
       {settable} AS settable
FROM pg_settings, LATERAL (
    SELECT pending_restart AND (source <> 'command line' OR lower(name) = ANY(%(shared)s))
           AND (source = 'configuration file'
                OR lower(name) IN (SELECT lower(f.name) FROM pg_file_settings f)) AS pending) p
WHERE lower(name) = ANY(%(names)s) OR pending
"""

# A line with an error and no name is a syntax error; an unknown name stops a reload as well. Both leave the
# server with all its old values. Other errors concern their own line only. The server does not translate these texts.
# A setting that counts from the server's start and was taken out of its file is an error without a name and a file; a
# reload goes on, and the setting keeps its value until a restart. A file that cannot be opened may have no file either.
_FILES = """
SELECT name, setting AS text, sourcefile, sourceline, error,
       sourcefile = current_setting('data_directory') || '/postgresql.auto.conf' AS automatic,
       sourcefile = current_setting('config_file') AS main,
       error IS NOT NULL AND (name IS NULL OR error LIKE 'unrecognized%%')
           AND NOT (sourcefile IS NULL AND error LIKE '%%cannot be changed without restarting the server') AS blocking
FROM pg_file_settings
WHERE lower(name) = ANY(%(names)s) OR error IS NOT NULL
   OR lower(name) IN (SELECT lower(s.name) FROM pg_settings s WHERE s.pending_restart)
ORDER BY seqno
"""

_SCOPES = """
SELECT w.database, w.role, s.setconfig,
       array_remove(ARRAY[CASE WHEN w.database IS NOT NULL AND d.oid IS NULL THEN 'database' END,
                          CASE WHEN w.role IS NOT NULL AND r.oid IS NULL THEN 'role' END], NULL) AS missing,
       coalesce(CASE WHEN w.role IS NULL THEN pg_has_role(d.datdba, 'USAGE')
                     ELSE me.rolsuper OR r.oid = me.oid OR (me.rolcreaterole AND NOT r.rolsuper AND {admin}) END,
                false) AS changeable
FROM unnest(%(databases)s::text[], %(roles)s::text[]) AS w(database, role)
JOIN pg_roles me ON me.rolname = current_user
LEFT JOIN pg_database d ON d.datname = w.database
LEFT JOIN pg_roles r ON r.rolname = w.role
LEFT JOIN pg_db_role_setting s ON s.setdatabase = coalesce(d.oid, 0) AND s.setrole = coalesce(r.oid, 0)
"""

_ASK_RELOAD = "SELECT extract(epoch FROM clock_timestamp())::text AS asked, pg_reload_conf()"
_RELOADED = "SELECT extract(epoch FROM pg_conf_load_time()) > %(asked)s::numeric AS loaded"

#: What carries out actions that are not for the server, by their type.
Others = t.Mapping[type, t.Callable[[t.Any], None]]

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})


def read(session: Session, names: t.Iterable[str], scopes: t.Sequence[Scope] = ()) -> State:
    """Everything that the planner wants to know, in three queries however many names; one more for scopes."""
    asked = {"names": [name.lower() for name in names]}
    alterable = "true"
    settable = "context = 'user' OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
    if session.version >= versions.PARAMETER_PRIVILEGES:
        alterable = "has_parameter_privilege(name, 'ALTER SYSTEM')"
        settable = "context = 'user' OR has_parameter_privilege(name, 'SET')"
    server = session.rows(_SERVER)[0]
    pid = server.pop("pid")
    asked["shared"] = list(SHARED) if server["patroni"] else []
    definitions = [
        Definition(**dict(row, enumvals=tuple(row["enumvals"])))
        for row in session.rows(_DEFINITIONS.format(alterable=alterable, settable=settable), asked)
    ]
    known = {definition.key: definition for definition in definitions}
    lines = session.rows(_FILES, asked)
    return State(
        definitions=known,
        entries=tuple(
            Entry(line["name"], line["text"], line["automatic"], line["main"])
            for line in lines
            if line["name"] and (line["name"].lower() in asked["names"] or line["name"].lower() in known)
        ),
        file_errors=tuple(_file_error(line) for line in lines if line["blocking"]),
        scopes=_read_scopes(session, scopes) if scopes else (),
        host=_host(session.endpoint, pid),
        **server,
    )


def _file_error(line: t.Mapping[str, t.Any]) -> str:
    """Why a reload would apply nothing, and where, as far as the server says it."""
    place = f"{line['sourcefile']} line {line['sourceline']}: " if line["sourcefile"] else ""
    return f"{place}{line['error']}" + (f" {line['name']}" if line["name"] else "")


def _read_scopes(session: Session, scopes: t.Sequence[Scope]) -> tuple[t.Any, ...]:
    admin = "true"
    if session.version >= versions.CREATEROLE_NEEDS_ADMIN:
        admin = "pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')"
    asked = {"databases": [scope.database for scope in scopes], "roles": [scope.role for scope in scopes]}
    return tuple(
        ScopeState(
            Scope(row["database"], row["role"]),
            {name.lower(): text for name, _equals, text in (line.partition("=") for line in row["setconfig"] or ())},
            tuple(row["missing"]),
            row["changeable"],
        )
        for row in session.rows(_SCOPES.format(admin=admin), asked)
    )


def _host(endpoint: Endpoint, pid: int) -> Host | None:
    """What the server may use; ``None`` when it runs elsewhere."""
    if endpoint.host not in _LOCAL and not endpoint.host.startswith("/"):
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A forwarded port may lead to a server whose process ids mean something else here.
    return look(_text_of, cores, pid, command="postgres")


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def apply(session: Session, actions: t.Sequence[t.Any], others: Others | None = None) -> None:
    """Carry the actions out in order.

    :param others: what carries out actions that are not for the server, by their type.

    The server checks some values only when they are written. When it refuses
    one, those written before it are taken back, so that nothing is changed.

    :raises Refused: the server refused a value; all is as it was.
    :raises PartlyApplied: naming what was done and what was not.
    """
    for position, action in enumerate(actions):
        try:
            _carry_out(session, action, others or {})
        except ScaleoutError as error:
            if isinstance(error, Refused) and _take_back(session, actions[:position], others or {}):
                raise Refused(f"{error.message} No setting was changed.", code=error.code, **error.facts) from None
            done = [_describe(action) for action in actions[:position]]
            not_done = [_describe(action) for action in actions[position:]]
            raise PartlyApplied.stopped_by(error, done, not_done) from None


def _take_back(session: Session, actions: t.Sequence[t.Any], others: Others) -> bool:
    """Whether all the actions could be undone."""
    try:
        for action in reversed(actions):
            undo = getattr(action, "undo", None)
            if undo is not None:
                _carry_out(session, undo, others)
    except ScaleoutError:
        return False
    return True


def _carry_out(session: Session, action: t.Any, others: Others) -> None:
    if type(action) in others:
        others[type(action)](action)
        return
    sql = session.sql
    if isinstance(action, Reload):
        _reload(session)
        return
    if isinstance(action, Override):
        # One message to the server, so one transaction.
        session.run(sql.SQL("; ").join(_alter(sql, change) for change in action.changes))
        return
    name = sql.Identifier(*action.name.split("."))
    if isinstance(action, Set):
        values = sql.SQL(", ").join(sql.Literal(literal) for literal in action.literals)
        session.run(sql.SQL("ALTER SYSTEM SET {} = {}").format(name, values))
    else:
        session.run(sql.SQL("ALTER SYSTEM RESET {}").format(name))


def _alter(sql: t.Any, change: Change) -> t.Any:
    scope = change.scope
    if scope.role is None:
        who = sql.SQL("DATABASE {}").format(sql.Identifier(scope.database))
    else:
        who = sql.SQL("ROLE {}").format(sql.Identifier(scope.role))
        if scope.database is not None:
            who = sql.SQL("{} IN DATABASE {}").format(who, sql.Identifier(scope.database))
    name = sql.Identifier(*change.name.split("."))
    if not change.literals:
        return sql.SQL("ALTER {} RESET {}").format(who, name)
    values = sql.SQL(", ").join(sql.Literal(literal) for literal in change.literals)
    return sql.SQL("ALTER {} SET {} = {}").format(who, name, values)


def _reload(session: Session) -> None:
    """Reload and wait until our own backend has the new values.

    The postmaster reads the files before it tells its children, so when our
    backend has read them, every connection that starts later has them too.
    Behind a pooler, each question may be answered by another backend: any
    of them that has read the files since we asked for it will do. The times
    are compared by the server, as what they look like is a setting as well.
    """
    asked = session.rows(_ASK_RELOAD)[0]["asked"]
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while time.monotonic() < deadline:
        if session.rows(_RELOADED, {"asked": asked})[0]["loaded"]:
            return
        time.sleep(0.005)
    raise ScaleoutError(
        f"The server did not read its configuration files again within {RELOAD_TIMEOUT:g} s.", code="timeout"
    )


def _describe(action: t.Any) -> str:
    if isinstance(action, Reload):
        return "reload"
    if isinstance(action, Override):
        return ", ".join(
            f"{'set' if change.literals else 'reset'} {change.name} of {change.scope}" for change in action.changes
        )
    if isinstance(action, (Set, Reset)):
        return f"{'set' if isinstance(action, Set) else 'reset'} {action.name}"
    return str(action)
