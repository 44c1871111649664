# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and writes the settings of a server."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import PartlyApplied, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import Entry, Set
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.plan import Reload, State
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition

RELOAD_TIMEOUT = 10.0
"""Seconds that the server has to read its files again; it takes milliseconds."""

_SERVER = """
SELECT pg_is_in_recovery() AS in_recovery,
       coalesce(current_setting('allow_alter_system', true), 'on') = 'on' AS may_alter,
       has_function_privilege('pg_reload_conf()', 'EXECUTE') AS may_reload
"""

# The server forgets to clear pending_restart when the line that set it is taken out before the restart; then nothing in
# the files asks for one.
_DEFINITIONS = """
SELECT name, vartype, context, reset_val AS setting, boot_val, source, unit, min_val, max_val,
       coalesce(enumvals, '{{}}') AS enumvals, pending, {alterable} AS alterable
FROM pg_settings, LATERAL (
    SELECT pending_restart AND (source = 'configuration file'
                                OR lower(name) IN (SELECT lower(f.name) FROM pg_file_settings f)) AS pending) p
WHERE lower(name) = ANY(%(names)s) OR pending
"""

# A line with an error and no name is a syntax error; a name that nobody knows stops a reload as well. Both leave the
# server with all its old values. Other errors concern their own line only. The server does not translate these texts.
_FILES = """
SELECT name, setting AS text, sourcefile, sourceline, error,
       sourcefile = current_setting('data_directory') || '/postgresql.auto.conf' AS automatic,
       error IS NOT NULL AND (name IS NULL OR error LIKE 'unrecognized%%') AS blocking
FROM pg_file_settings
WHERE lower(name) = ANY(%(names)s) OR error IS NOT NULL
ORDER BY seqno
"""


def read(session: Session, names: t.Iterable[str]) -> State:
    """Everything that the planner wants to know, in three queries however many names."""
    asked = {"names": [name.lower() for name in names]}
    alterable = "true"
    if session.version >= versions.PARAMETER_PRIVILEGES:
        alterable = "has_parameter_privilege(name, 'ALTER SYSTEM')"
    server = session.rows(_SERVER)[0]
    definitions = [
        Definition(**dict(row, enumvals=tuple(row["enumvals"])))
        for row in session.rows(_DEFINITIONS.format(alterable=alterable), asked)
    ]
    lines = session.rows(_FILES, asked)
    return State(
        definitions={definition.key: definition for definition in definitions},
        entries=tuple(
            Entry(line["name"], line["text"], line["automatic"])
            for line in lines
            if line["name"] and line["name"].lower() in asked["names"]
        ),
        file_errors=tuple(
            "{sourcefile} line {sourceline}: {error}".format(**line) + (f" {line['name']}" if line["name"] else "")
            for line in lines
            if line["blocking"]
        ),
        **server,
    )


def apply(session: Session, actions: t.Sequence[t.Any]) -> None:
    """Carry the actions out in order.

    The server checks some values only when they are written. When it refuses
    one, those written before it are taken back, so that nothing is changed.

    :raises Refused: the server refused a value; all is as it was.
    :raises PartlyApplied: naming what was done and what was not.
    """
    for position, action in enumerate(actions):
        try:
            _carry_out(session, action)
        except ScaleoutError as error:
            if isinstance(error, Refused) and _take_back(session, actions[:position]):
                raise Refused(f"{error.message} No setting was changed.", **error.facts) from None
            done = [_describe(action) for action in actions[:position]]
            not_done = [_describe(action) for action in actions[position:]]
            raise PartlyApplied.stopped_by(error, done, not_done) from None


def _take_back(session: Session, actions: t.Sequence[t.Any]) -> bool:
    """Whether all the actions could be undone."""
    try:
        for action in reversed(actions):
            _carry_out(session, action.undo)
    except ScaleoutError:
        return False
    return True


def _carry_out(session: Session, action: t.Any) -> None:
    sql = session.sql
    if isinstance(action, Reload):
        _reload(session)
        return
    name = sql.Identifier(*action.name.split("."))
    if isinstance(action, Set):
        values = sql.SQL(", ").join(sql.Literal(literal) for literal in action.literals)
        session.run(sql.SQL("ALTER SYSTEM SET {} = {}").format(name, values))
    else:
        session.run(sql.SQL("ALTER SYSTEM RESET {}").format(name))


def _reload(session: Session) -> None:
    """Reload and wait until our own backend has the new values.

    The postmaster reads the files before it tells its children, so when our
    backend has read them, every connection that starts later has them too.
    """
    before = session.rows("SELECT pg_conf_load_time() AS loaded, pg_reload_conf()")[0]["loaded"]
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while time.monotonic() < deadline:
        if session.rows("SELECT pg_conf_load_time() AS loaded")[0]["loaded"] > before:
            return
        time.sleep(0.005)
    raise ScaleoutError(f"The server did not read its configuration files again within {RELOAD_TIMEOUT:g} s.")


def _describe(action: t.Any) -> str:
    if isinstance(action, Reload):
        return "reload"
    return f"{'set' if isinstance(action, Set) else 'reset'} {action.name}"
