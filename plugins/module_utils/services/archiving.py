# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a platform has backups, where they are kept, and what PostgreSQL is told for that; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform

#: Has the host that keeps the backups of all clusters.
GROUP = "backup"
#: Its service, which the hosts of the databases have as well.
SERVICE = "pgbackrest"
#: Of pgBackRest, as Debian has it.
PROGRAM = "/usr/bin/pgbackrest"
#: How each command of ours begins, by which one is told from another's.
_OURS = f"{PROGRAM} --stanza="
#: What :func:`settings` decides.
SETTINGS = ("archive_mode", "archive_command", "archive_timeout")


def is_on(platform: Platform) -> bool:
    """Whether the platform has a host for backups."""
    return bool(platform.members(GROUP))


def is_here(platform: Platform, service: str) -> bool:
    """Whether the platform has a service at all: pgBackRest is one only where there is a host for backups."""
    return service != SERVICE or is_on(platform)


def stanza(cluster: Cluster) -> str:
    """Return what pgBackRest calls a cluster: there is one stanza for each, under its own name."""
    return cluster.name


def settings(platform: Platform, cluster: Cluster) -> dict[str, t.Any]:
    """Return the settings by which a server archives its WAL; none where there are no backups.

    A standby has them too and archives nothing, so that it can be promoted without a restart.
    """
    if not is_on(platform):
        return {}
    # A minute is the most that is lost with all servers. An idle server completes no segment.
    return {
        "archive_mode": "on",
        "archive_command": f"{_OURS}{stanza(cluster)} archive-push %p",
        "archive_timeout": "1min",
    }


def leftovers(platform: Platform, in_force: t.Any) -> dict[str, t.Any]:
    """Return what takes our settings back, where the platform has no backups any more.

    A command that has nowhere to put its segments fails forever, and they fill the server's disk.

    :param in_force: the server's ``archive_command``.
    """
    if is_on(platform) or not str(in_force or "").startswith(_OURS):
        return {}
    return dict.fromkeys(SETTINGS)
