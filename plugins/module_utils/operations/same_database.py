# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a Patroni runs the PostgreSQL cluster that a connection leads to."""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session


def is_run_by(patroni: Patroni, session: Session) -> bool:
    """Whether they are one; a Patroni without a server does not say."""
    its = patroni.itself().get("database_system_identifier")
    return not its or str(its) == identifier(session)


def identifier(session: Session) -> str:
    """Return the number that a server has in common with its copies alone."""
    return str(session.rows("SELECT system_identifier::text AS found FROM pg_control_system()")[0]["found"])
