# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads, creates and drops the replication slots of a server."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import PartlyApplied, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.plan import Create, Drop, Slot, State

RELEASE_TIMEOUT = 10.0
"""Seconds in which a process that we end has to let go of its slot."""

_OBJECT_IN_USE = "55006"

_SERVER = """
SELECT pg_is_in_recovery() AS in_recovery,
       current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int AS max_replication_slots,
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS may_replicate,
       ARRAY(SELECT datname::text FROM pg_database WHERE datname = ANY(%(databases)s)) AS databases
"""

_SLOTS = """
SELECT s.slot_name AS name, s.slot_type, s.plugin, s.database, s.active, s.active_pid, s.temporary,
       s.restart_lsn::text, s.wal_status, s.safe_wal_size,
       CASE WHEN s.active THEN format('%%s %%s (pid %%s%%s)', coalesce(a.backend_type, 'a process'),
                                      coalesce(nullif(a.application_name, ''), '?'), s.active_pid,
                                      coalesce(', from ' || host(a.client_addr), '')) END AS "user"
FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
"""


def read(session: Session, databases: t.Iterable[str] = ()) -> State:
    """Everything that the planner wants to know, in two queries however many slots."""
    facts = session.rows(_SERVER, {"databases": list(databases)})[0]
    return State(
        version=session.version, slots=read_slots(session), **dict(facts, databases=frozenset(facts["databases"]))
    )


def read_slots(session: Session) -> dict[str, Slot]:
    """All slots of the server by name."""
    return {row["name"]: Slot(**row) for row in session.rows(_SLOTS, ())}


def apply(session: Session, actions: t.Sequence[t.Any]) -> None:
    """Carry the actions out in order.

    A logical slot is created over a connection to its database; there is one
    for each database at most.

    :raises PartlyApplied: naming what was done and what was not.
    """
    other: Session | None = None
    try:
        for position, action in enumerate(actions):
            try:
                if isinstance(action, Drop):
                    _drop(session, action)
                    continue
                database = action.database or session.endpoint.database
                if database == session.endpoint.database:
                    _create(session, action)
                    continue
                if other is None or other.endpoint.database != database:
                    if other is not None:
                        other.close()
                    other = Session(session.endpoint.in_database(database))
                _create(other, action)
            except ScaleoutError as error:
                raise _partly(actions, position, error) from None
    finally:
        if other is not None:
            other.close()


def _create(session: Session, action: Create) -> None:
    if action.plugin:
        session.run("SELECT pg_create_logical_replication_slot(%s, %s)", (action.name, action.plugin))
    else:
        session.run("SELECT pg_create_physical_replication_slot(%s, %s)", (action.name, action.reserve_wal))


def _drop(session: Session, action: Drop) -> None:
    """Drop a slot; with force again and again, as a standby comes back within milliseconds."""
    deadline = time.monotonic() + RELEASE_TIMEOUT
    while True:
        if action.force:
            session.run(
                "SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots "
                "WHERE slot_name = %s AND active_pid IS NOT NULL",
                (action.name,),
            )
        try:
            session.run("SELECT pg_drop_replication_slot(%s)", (action.name,))
        except Refused as error:
            if not action.force or error.facts.get("sqlstate") != _OBJECT_IN_USE or time.monotonic() > deadline:
                raise
        else:
            return


def _partly(actions: t.Sequence[t.Any], position: int, error: ScaleoutError) -> PartlyApplied:
    done = [_describe(action) for action in actions[:position]]
    not_done = [_describe(action) for action in actions[position:]]
    return PartlyApplied(
        f"{error.message} Done: {', '.join(done) or 'nothing'}. Not done: {', '.join(not_done)}.",
        **dict(error.facts, changed=bool(done), done=done, not_done=not_done),
    )


def _describe(action: t.Any) -> str:
    return f"{'drop' if isinstance(action, Drop) else 'create'} {action.name}"
