# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Holds a long move of rows up while a replica, the archive, a slot or the disk is behind."""

from __future__ import annotations

import json
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import volume
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.pauses import (
    Limits,
    Reading,
    reasons,
)

LOOK_EVERY = 0.5
"""Seconds between two looks at the server while rows move."""

_PAUSE = 1.0
"""Seconds between two looks while they wait."""

# A replica's positions are visible to members of pg_monitor; to others it is as if it were not behind. Of a file of
# the archive, the last 16 digits are its number: 8 for the upper half of the position, 8 for the segment in it.
_READING = """
SELECT (SELECT jsonb_object_agg(coalesce(nullif(application_name, ''), 'pid ' || pid) || ' ' || pid,
                                pg_wal_lsn_diff(here.lsn, replay_lsn)::bigint)
        FROM pg_stat_replication WHERE replay_lsn IS NOT NULL AND state IN ('streaming', 'catchup'))::text AS replicas,
       (SELECT jsonb_object_agg(slot_name, pg_wal_lsn_diff(here.lsn, restart_lsn)::bigint)
        FROM pg_replication_slots WHERE restart_lsn IS NOT NULL AND wal_status <> 'lost')::text AS slots,
       CASE WHEN current_setting('archive_mode') <> 'off' AND a.wal ~ '^[0-9A-F]{24}' THEN greatest(0,
           pg_wal_lsn_diff(here.lsn, '0/0') - size.bytes
           - ('x' || substr(a.wal, 9, 8))::bit(32)::bigint * 4294967296
           - ('x' || substr(a.wal, 17, 8))::bit(32)::bigint * size.bytes)::bigint END AS archive
FROM (SELECT coalesce(last_archived_wal, last_failed_wal) AS wal FROM pg_stat_archiver) a,
     (SELECT pg_current_wal_lsn() AS lsn) here,
     (SELECT setting::bigint AS bytes FROM pg_settings WHERE name = 'wal_segment_size') size
"""


class Gate:
    """Waits where it has to; one for a task."""

    def __init__(self, session: Session, limits: Limits) -> None:
        self.session = session
        self.limits = limits
        self.seconds = 0.0
        self.reasons: list[str] = []
        self._looked = float("-inf")

    @property
    def result(self) -> dict[str, t.Any]:
        """How long it waited, and why."""
        return {"seconds": round(self.seconds, 3), "reasons": list(self.reasons)}

    def wait(self) -> None:
        """Return once nothing is behind; at once, most of the time. To be called outside of a transaction.

        :raises Refused: something has been behind for longer than the limits' patience.
        """
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        started = time.monotonic()
        before = list(self.reasons)
        while True:
            why = reasons(self.limits, self._read())
            self._looked = time.monotonic()
            waited = self._looked - started
            if not why:
                self.seconds += waited if waited >= _PAUSE else 0.0
                return
            # Sizes change from look to look; what a pause was for is said once, as it was seen last.
            self.reasons = [*before, *why]
            if waited >= self.limits.patience:
                self.seconds += waited
                raise Refused(
                    f"Rows wait to be moved, since {'; '.join(why)}, and have done so for {waited:.0f} s "
                    "(pauses.patience). What is done stays; run again once that is over.",
                    code="paused",
                    reasons=list(why),
                )
            time.sleep(min(_PAUSE, max(self.limits.patience - waited, 0.01)))

    def _read(self) -> Reading:
        row: dict[str, t.Any] = {}
        if self.limits.needs_server:
            row = self.session.rows(_READING)[0]
        disk = None
        if self.limits.needs_disk:
            disk = volume.read(self.session, "pauses.free_disk", "leave it out")
        return Reading(
            replicas=_by_name(row.get("replicas")),
            archive=row.get("archive"),
            slots=_by_name(row.get("slots")),
            free=disk.free if disk else None,
            total=disk.total if disk else None,
        )


def _by_name(text: str | None) -> dict[str, int | None]:
    found: dict[str, int | None] = json.loads(text) if text else {}
    return found
