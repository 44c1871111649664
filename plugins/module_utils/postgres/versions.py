# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What PostgreSQL learned in which version, and what holds in all of them.

Versions are numbers as PostgreSQL counts them: 150004 is 15.4. Code asks
these names, never a bare number, so that each fact stands in one place.
"""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused

OLDEST = 140000
"""pg_terminate_backend() can wait for the end of the backend from here on."""

PARAMETER_PRIVILEGES = 150000
"""GRANT ALTER SYSTEM ON PARAMETER, and has_parameter_privilege() to ask for it."""

CREATEROLE_NEEDS_ADMIN = 160000
"""Who has CREATEROLE changes only those roles of which it has the ADMIN option."""

LOGICAL_SLOTS_ON_STANDBY = 160000
"""Logical slots can be created on a standby; ``pg_replication_slots`` says ``conflicting`` of those lost there."""

FAILOVER_SLOTS = 170000
"""Slots have ``failover``, ``synced``, ``inactive_since`` and ``invalidation_reason``."""

NOT_BELOW_PRIMARY = frozenset(
    {
        "max_connections",
        "max_locks_per_transaction",
        "max_prepared_transactions",
        "max_wal_senders",
        "max_worker_processes",
    }
)
"""A standby does not start with less of these settings than its primary had when it wrote the WAL."""


def text(version: int) -> str:
    """``150004`` as people write it: ``15.4``."""
    return f"{version // 10000}.{version % 10000}"


def require(version: int) -> None:
    """Stop where the server is older than what our queries need.

    :raises Refused: naming both versions.
    """
    if version < OLDEST:
        raise Refused(
            f"PostgreSQL {text(version)} is too old: {OLDEST // 10000} or newer is needed.",
            code="unsupported",
            version=text(version),
        )
