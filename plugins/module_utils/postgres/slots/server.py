# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads, creates, alters and drops the replication slots of a server."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    PartlyApplied,
    Refused,
    ScaleoutError,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions, volume
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import APPLICATION_NAME, Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.plan import (
    Alter,
    Checkpoint,
    Create,
    Drop,
    Register,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.spec import Desired
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Disk, Slot, State

RELEASE_TIMEOUT = 10.0
"""Seconds in which a process that we end has to let go of its slot."""

RIVAL_TIMEOUT = 10.0
"""Seconds in which another session that holds the slot may turn out to be dropping it.

The drop waits for the disk, which takes milliseconds on an idle host and seconds on a busy one.
"""

_OBJECT_IN_USE = "55006"
_QUERY_CANCELED = "57014"
_UNDEFINED_FILE = "58P01"
_UNDEFINED_OBJECT = "42704"
_DUPLICATE_OBJECT = "42710"

_BY_PATRONI = [
    *("cluster_name", "hot_standby", "listen_addresses", "max_connections", "max_locks_per_transaction"),
    *("max_prepared_transactions", "max_replication_slots", "max_wal_senders", "max_worker_processes", "port"),
    *("track_commit_timestamp", "wal_level", "wal_log_hints"),
]
"""What Patroni always gives to the server on its command line, so that ALTER SYSTEM cannot change it.

All thirteen together are a certain sign: others give the few that they want to change, such as address and port, and
have no reason to give the defaults of the rest. A server that Patroni took over while it ran has none of them until its
next restart.
"""

# output_plugin_libraries came with a minor release. pg_settings shows it to those who may read it; current_setting()
# would fail for the others. No text of a query has a backslash: what it means is up to standard_conforming_strings.
_SERVER = """
SELECT pg_is_in_recovery() AS in_recovery,
       current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int AS max_replication_slots,
       (SELECT nullif(setting, '-1')::bigint * 1024 * 1024 FROM pg_settings WHERE name = 'max_slot_wal_keep_size')
           AS max_slot_wal_keep_size,
       current_setting('is_superuser')::bool AS superuser,
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS may_replicate,
       (SELECT count(*) = cardinality(%(patroni)s) FROM pg_settings
        WHERE name = ANY(%(patroni)s) AND source = 'command line') AS by_patroni,
       ARRAY(SELECT datname::text FROM pg_database WHERE datname = ANY(%(databases)s) AND datallowconn) AS databases,
       (SELECT string_to_array(regexp_replace(setting, '["[:space:]]', '', 'g'), ',')
        FROM pg_settings WHERE %(logical)s AND name = 'output_plugin_libraries') AS allowed_plugins
"""

# Of a lost slot nothing is kept, whatever its restart_lsn. A standby has replayed at most what it received, unless its
# WAL comes from an archive.
_SLOTS = """
SELECT s.slot_name AS name, s.slot_type, s.plugin, s.database, u.active,
       CASE WHEN u.active THEN s.active_pid END AS active_pid, s.temporary, s.two_phase,
       s.restart_lsn::text, s.confirmed_flush_lsn::text, s.wal_status, s.safe_wal_size,
       CASE WHEN s.wal_status <> 'lost' THEN greatest(pg_wal_lsn_diff(
           CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                ELSE pg_current_wal_lsn() END, s.restart_lsn), 0)::bigint END AS retained_bytes,
       CASE WHEN u.active THEN format('%%s %%s (pid %%s%%s)', coalesce(a.backend_type, 'a process'),
                                      coalesce(nullif(a.application_name, ''), 'without a name'), s.active_pid,
                                      coalesce(', from ' || host(a.client_addr), '')) END AS "user" {newer}
FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
-- A session of this collection holds a slot while it creates or drops it, and has no use for it.
CROSS JOIN LATERAL (SELECT s.active AND (a.backend_type, a.application_name)
                           IS DISTINCT FROM ('client backend', '{ours}') AS active) u
ORDER BY s.slot_name
"""

_CONFLICTING = ", CASE WHEN s.conflicting THEN 'conflict with recovery' END AS invalidation_reason"
_FAILOVER = """
       , s.failover, s.synced, s.invalidation_reason,
       to_char(s.inactive_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS inactive_since
"""


def read(session: Session, desired_slots: t.Sequence[Desired] = (), disk: bool = False) -> State:
    """Everything that the planner wants to know, in two queries however many slots.

    Each output plugin that no slot uses yet costs one more, as the server has
    no list of those that are installed.

    :param disk: look at the volume of the WAL as well.
    :raises Refused: we cannot look at it, as when the server is on another host.
    """
    databases = list({desired.database for desired in desired_slots if desired.database})
    asked = {"databases": databases, "logical": bool(databases), "patroni": _BY_PATRONI}
    server = session.rows(_SERVER, asked)[0]
    slots = read_slots(session)
    superuser = server.pop("superuser")
    allowed = server.pop("allowed_plugins")
    new = {desired.plugin for desired in desired_slots if desired.plugin and desired.state == "present"}
    new -= {slot.plugin for slot in slots.values()}
    return State(
        version=session.version,
        slots=slots,
        databases=frozenset(server.pop("databases")),
        allowed_plugins=None if allowed is None else frozenset(allowed),
        disk=_disk(session) if disk else None,
        missing_plugins=frozenset(plugin for plugin in new if superuser and not _installed(session, plugin)),
        **server,
    )


def read_slots(session: Session) -> dict[str, Slot]:
    """All slots of the server by name."""
    newer = ""
    if session.version >= versions.FAILOVER_SLOTS:
        newer = _FAILOVER
    elif session.version >= versions.LOGICAL_SLOTS_ON_STANDBY:
        newer = _CONFLICTING
    return {row["name"]: Slot(**row) for row in session.rows(_SLOTS.format(newer=newer, ours=APPLICATION_NAME), ())}


def _disk(session: Session) -> Disk:
    """The volume of the WAL, as this host has it."""
    found = volume.read(session, "min_free_disk", "use max_retained_bytes alone", volume.WAL)
    return Disk(free=found.free, total=found.total, segment=found.segment)


def _installed(session: Session, plugin: str) -> bool:
    """Whether the server finds a library; to load it has an effect on our session alone."""
    try:
        session.run(session.sql.SQL("LOAD {}").format(session.sql.Literal(plugin)))
    except Refused as error:
        return error.facts.get("sqlstate") != _UNDEFINED_FILE
    return True


def apply(
    session: Session,
    actions: t.Sequence[t.Any],
    timeout: int,
    register: t.Callable[[Register], None] | None = None,
) -> set[str]:
    """Carry the actions out in order.

    A logical slot is created over a connection to its database; there is one
    for each database at most. What another task has done meanwhile is done:
    a slot that is gone need not be dropped, and one that is there as it was
    to be need not be created.

    :param timeout: seconds that one slot may take, 0 for as long as it takes.
    :param register: tells Patroni of slots.
    :return: names of the slots that were to be dropped, and that a client began to use meanwhile.
    :raises PartlyApplied: naming what was done and what was not.
    """
    connections = _Connections(session)
    spared: set[str] = set()
    try:
        for position, action in enumerate(actions):
            sent = False
            try:
                # What is recreated has its connection before the slot that was there is dropped.
                if isinstance(action, Alter):
                    there = connections.walsender()
                else:
                    there = connections.to(_database_of(actions[position : position + 2]))
                sent = True
                if isinstance(action, Drop):
                    if not _drop(session, action, timeout):
                        spared.add(action.name)
                elif not (isinstance(action, Create) and action.name in spared):
                    _carry_out(there, action, timeout, register)
            except ScaleoutError as error:
                raise _stopped(error, actions, position, sent) from None
    finally:
        connections.close()
    return spared


def _carry_out(there: Session, action: t.Any, timeout: int, register: t.Callable[[Register], None] | None) -> None:
    if isinstance(action, Register):
        if register:
            register(action)
    elif isinstance(action, Checkpoint):
        _checkpoint(there, timeout)
    elif isinstance(action, Alter):
        _alter(there, action)
    else:
        _create(there, action, timeout)


def _database_of(actions: t.Sequence[t.Any]) -> str | None:
    """The database that the first action is about; a drop is about that of a slot that is created in its place."""
    for action in actions:
        if isinstance(action, Create) and action.name == getattr(actions[0], "name", None):
            return action.database
    return None


def _stopped(error: ScaleoutError, actions: t.Sequence[t.Any], position: int, sent: bool) -> ScaleoutError:
    """What to raise when an action fails: it says what was done, and which slot that was there is missing now.

    :param sent: whether the server was told of it.
    """
    failed, earlier = actions[position], actions[:position]
    message = error.message
    if isinstance(error, Unreachable) and not isinstance(error, Denied) and sent:
        message += f" Whether it did {_describe(failed)} cannot be known; the next run looks."
    if isinstance(failed, Create) and any(isinstance(one, Drop) and one.name == failed.name for one in earlier):
        message += f" The slot {failed.name} was dropped to recreate it and is missing now."
    done = [_describe(action) for action in earlier]
    not_done = [_describe(action) for action in actions[position:]]
    return PartlyApplied.stopped_by(ScaleoutError(message, code=error.code, **error.facts), done, not_done)


@dataclasses.dataclass
class _Connections:
    """The task's own connection, one to the other database that is at its turn, and one for replication."""

    session: Session
    other: Session | None = None
    _walsender: Session | None = None

    def to(self, database: str | None) -> Session:
        """The connection to a database; ``None`` where any will do."""
        if database in (None, self.session.endpoint.database):
            return self.session
        if self.other is None or self.other.endpoint.database != database:
            if self.other is not None:
                self.other.close()
            self.other = Session(self.session.endpoint.in_database(database))
        return self.other

    def walsender(self) -> Session:
        """The connection that takes the commands of the replication protocol, on slots of any database."""
        if self._walsender is None:
            self._walsender = Session(self.session.endpoint.for_replication())
        return self._walsender

    def close(self) -> None:
        for session in (self.other, self._walsender):
            if session is not None:
                session.close()


def _create(session: Session, action: Create, timeout: int) -> None:
    """Create a slot, or wait for another task, or Patroni, that makes the same one at this moment."""
    deadline = time.monotonic() + (timeout or math.inf)
    while not _made(session, action, timeout, time.monotonic() > deadline):
        time.sleep(RIVAL_TIMEOUT / 50)


def _made(session: Session, action: Create, timeout: int, last: bool) -> bool:
    """Whether a slot is there now, after an attempt to create it.

    :param last: raise when it is not.
    """
    try:
        if action.plugin:
            options = [False, action.two_phase]  # not temporary
            if session.version >= versions.FAILOVER_SLOTS:
                options.append(action.failover)
            session.run(
                f"SELECT pg_create_logical_replication_slot(%s, %s{', %s' * len(options)})",
                (action.name, action.plugin, *options),
                timeout,
            )
        else:
            parameters = (action.name, action.reserve_wal)
            session.run("SELECT pg_create_physical_replication_slot(%s, %s)", parameters, timeout)
    except Refused as error:
        if error.facts.get("sqlstate") == _DUPLICATE_OBJECT:
            slot = _there(session, action)
            # A logical one has no position until it can be used, and who makes it may give up before.
            made = slot is not None and (not action.plugin or slot.confirmed_flush_lsn is not None)
            if made or (slot and not last):
                return made
        if error.facts.get("sqlstate") != _QUERY_CANCELED:
            raise
        raise Refused(
            f"The slot {action.name} was not created within {timeout} s: a logical slot begins where no transaction is "
            "open, and one is still running. End it, or give the task a longer timeout. A standby waits for its "
            "primary to log the running transactions, which pg_log_standby_snapshot() does there.",
            code="timeout",
            slot=action.name,
        ) from None
    return True


def _there(session: Session, action: Create) -> Slot | None:
    """The same slot, if another task has created it meanwhile."""
    slot = read_slots(session).get(action.name)
    wanted = dataclasses.replace(action, reserve_wal=False)
    return slot if slot and not slot.temporary and Create.like(slot) == wanted else None


def _alter(walsender: Session, action: Alter) -> None:
    """Alter a slot: a command of the replication protocol, for which there is no function."""
    sql = walsender.sql
    walsender.run(
        sql.SQL("ALTER_REPLICATION_SLOT {} (FAILOVER {})").format(
            sql.Identifier(action.name), sql.SQL("true" if action.failover else "false")
        )
    )


def _drop(session: Session, action: Drop, timeout: int) -> bool:
    """Drop a slot; with force again and again, as a standby comes back within milliseconds.

    Without force it was not in use a moment ago. Who holds it now may be another task that drops it as well.

    :return: whether it is gone.
    """
    deadline = time.monotonic() + (RELEASE_TIMEOUT if action.force else RIVAL_TIMEOUT)
    while True:
        if action.force:
            session.run(
                "SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots "
                "WHERE slot_name = %s AND active_pid IS NOT NULL",
                (action.name,),
                timeout,
            )
        try:
            session.run("SELECT pg_drop_replication_slot(%s)", (action.name,), timeout)
        except Refused as error:
            if error.facts.get("sqlstate") == _UNDEFINED_OBJECT:
                return True
            in_use = error.facts.get("sqlstate") == _OBJECT_IN_USE
            if in_use and action.spare:
                return False
            if not in_use or time.monotonic() > deadline:
                raise
            if not action.force:
                time.sleep(RIVAL_TIMEOUT / 200)
        else:
            return True


def _checkpoint(session: Session, timeout: int) -> None:
    """Remove WAL now where we may; else it goes with the server's next checkpoint, and that is soon enough."""
    with contextlib.suppress(Refused):
        session.run("CHECKPOINT", timeout=timeout)


def _describe(action: t.Any) -> str:
    if isinstance(action, Checkpoint):
        return "checkpoint"
    if isinstance(action, Register):
        return f"tell Patroni of {', '.join(entry.name for entry in action.entries)}"
    verb = {Drop: "drop", Alter: "alter", Create: "create"}[type(action)]
    return f"{verb} {action.name}"
