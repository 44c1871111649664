# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much of a server's disk is free, which only its own host can say."""

from __future__ import annotations

import dataclasses
import os

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session

# A tunnel ends at a local address as well; so the data directory is asked in turn whether it is this server's.
_PLACE = """
SELECT (inet_server_addr() IS NULL OR host(inet_server_addr()) IN (host(inet_client_addr()), '::1')
        OR inet_server_addr() <<= inet '127.0.0.0/8') AS local,
       (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS data_directory,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') AS segment,
       current_setting('port')::int AS port,
       extract(epoch FROM pg_postmaster_start_time())::bigint AS started
"""

START_TOLERANCE = 60
"""Seconds between the moment that postmaster.pid names and the one that the server calls its start."""

WAL = "pg_wal"
"""The folder of the WAL, which may be a volume of its own."""


@dataclasses.dataclass(frozen=True)
class Volume:
    """A volume of a server; all in bytes.

    :param segment: the size of a file of WAL.
    """

    free: int
    total: int
    segment: int


def read(session: Session, option: str, otherwise: str, folder: str = "") -> Volume:
    """The volume of a folder of the server's data, as this host has it.

    :param option: which option needs it, for messages.
    :param otherwise: what to do where it cannot be seen, as the end of a sentence.
    :param folder: below the data directory.
    :raises Refused: we cannot look at it, as when the server is on another host.
    """
    where = session.rows(_PLACE)[0]
    if not where["local"]:
        raise Refused(
            f"{option} needs the module to run on the server's own host, and {session.endpoint.place} is another "
            f"one: its disk cannot be seen from here. Run the task there, or {otherwise}.",
            code="not_local",
            option=option,
        )
    data = where["data_directory"]
    if not data:
        raise Refused(
            f"{option} needs a user who may read the setting data_directory: a superuser or a member of pg_monitor.",
            code="denied",
        )
    try:
        with open(os.path.join(data, "postmaster.pid"), encoding="utf-8", errors="replace") as lines:
            started, port = (int(line) for line in lines.read().split("\n")[2:4])
        volume = os.statvfs(os.path.join(data, folder))
    except (OSError, ValueError) as error:
        raise Refused(
            f"{option} cannot look at {data} on this host: {getattr(error, 'strerror', None) or error}. The "
            "module has to run on the server's own host, as the user who runs the server or as root.",
            code="not_local",
            option=option,
        ) from None
    if port != where["port"] or abs(started - where["started"]) > START_TOLERANCE:
        raise Refused(
            f"{option} needs the module to run on the server's own host; {data} on this host belongs to another "
            "server.",
            code="not_local",
            option=option,
        )
    block = volume.f_frsize
    return Volume(free=volume.f_bavail * block, total=volume.f_blocks * block, segment=where["segment"])
