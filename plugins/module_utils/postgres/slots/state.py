# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The replication slots of a server, as it has them."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Disk:
    """The volume that has the server's WAL, in bytes.

    :param segment: size of one file of WAL; the server removes whole ones.
    """

    free: int
    total: int
    segment: int = 16 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Slot:
    """A slot as the server has it: a row of ``pg_replication_slots``.

    :param retained_bytes: WAL that the slot keeps, from its ``restart_lsn`` to the server's present position.
    :param inactive_since: since when no client uses it, from PostgreSQL 17 on.
    :param synced: whether a standby keeps it as the copy of its primary's.
    :param invalidation_reason: why it is lost, as far as the server says.
    :param user: who uses an active slot, in words for people.
    :param patroni: whose it is to Patroni: ``member``, ``permanent``, ``ignored``; ``None`` where it does not know it.
    :param member: the member of Patroni's whose slot it is.
    :param spared: whether it is Patroni's to drop, unless a task names it.
    """

    name: str
    slot_type: str
    plugin: str | None = None
    database: str | None = None
    active: bool = False
    active_pid: int | None = None
    temporary: bool = False
    two_phase: bool = False
    failover: bool = False
    synced: bool = False
    restart_lsn: str | None = None
    confirmed_flush_lsn: str | None = None
    wal_status: str | None = None
    safe_wal_size: int | None = None
    retained_bytes: int | None = None
    inactive_since: str | None = None
    invalidation_reason: str | None = None
    user: str | None = None
    patroni: str | None = None
    member: str | None = None
    spared: bool = False


@dataclasses.dataclass(frozen=True)
class State:
    """What the server says, read once.

    :param version: as PostgreSQL counts, 150004 for 15.4.
    :param in_recovery: whether the server is a standby.
    :param slots: every slot by name; they all count towards ``max_replication_slots``.
    :param databases: names of those among the desired databases that exist.
    :param allowed_plugins: what ``output_plugin_libraries`` lists; ``None`` where the server has no such setting.
    :param missing_plugins: those among the desired plugins that are not installed, as far as our user can find out.
    :param may_replicate: whether our user may create and drop slots.
    :param max_slot_wal_keep_size: in bytes; ``None`` for no bound.
    :param disk: the volume of the WAL, when the guard asked for it.
    :param by_patroni: whether Patroni started the server.
    """

    version: int
    in_recovery: bool
    wal_level: str
    max_replication_slots: int
    slots: t.Mapping[str, Slot]
    databases: frozenset[str] = frozenset()
    allowed_plugins: frozenset[str] | None = None
    missing_plugins: frozenset[str] = frozenset()
    may_replicate: bool = True
    max_slot_wal_keep_size: int | None = None
    disk: Disk | None = None
    by_patroni: bool = False
