# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and writes the settings of a server."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import PartlyApplied, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.plan import (
    Entry,
    Reload,
    Reset,
    Set,
    State,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition

RELOAD_TIMEOUT = 10.0
"""Seconds that the server has to read its files again; it takes milliseconds."""

_DEFINITIONS = """
SELECT name, vartype, context, setting, boot_val, source, unit, min_val, max_val,
       coalesce(enumvals, '{{}}') AS enumvals, pending_restart, {alterable} AS alterable
FROM pg_settings
WHERE lower(name) = ANY(%(names)s) OR pending_restart
"""

# A line with an error and no name is a syntax error; an unknown name stops a reload as well. Both leave the server
# with all its old values. Other errors concern their own line only.
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
    definitions = [
        Definition(**dict(row, enumvals=tuple(row["enumvals"])))
        for row in session.rows(_DEFINITIONS.format(alterable=alterable), asked)
    ]
    lines = session.rows(_FILES, asked)
    rights = session.rows("SELECT has_function_privilege('pg_reload_conf()', 'EXECUTE') AS may_reload")[0]
    return State(
        definitions={definition.key: definition for definition in definitions},
        entries=tuple(
            Entry(line["name"], line["text"], line["automatic"])
            for line in lines
            if line["name"] and line["name"].lower() in asked["names"]
        ),
        file_errors=tuple(
            "{sourcefile} line {sourceline}: {error}".format(**line) for line in lines if line["blocking"]
        ),
        **rights,
    )


def apply(session: Session, actions: t.Sequence[t.Any]) -> None:
    """Carry the actions out in order.

    :raises PartlyApplied: naming what was done and what was not.
    """
    for position, action in enumerate(actions):
        try:
            _carry_out(session, action)
        except ScaleoutError as error:
            done = [_describe(action) for action in actions[:position]]
            not_done = [_describe(action) for action in actions[position:]]
            raise PartlyApplied(
                f"{error.message} Done: {', '.join(done) or 'nothing'}. Not done: {', '.join(not_done)}.",
                changed=bool(done),
                done=done,
                not_done=not_done,
                **{key: value for key, value in error.facts.items() if key not in ("changed", "done", "not_done")},
            ) from None


def _carry_out(session: Session, action: t.Any) -> None:
    sql = session.sql
    if isinstance(action, Set):
        session.run(
            sql.SQL("ALTER SYSTEM SET {} = {}").format(
                sql.Identifier(*action.name.split(".")),
                sql.SQL(", ").join(sql.Literal(literal) for literal in action.literals),
            )
        )
    elif isinstance(action, Reset):
        session.run(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(*action.name.split("."))))
    else:
        _reload(session)


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
