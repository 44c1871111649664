# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a server that is up does not do the work, in words, and how long that is to be shown. Pure.

A full disk is the case in point: the server answers, reads go on, and every write fails until there is room again.
"""

from __future__ import annotations

import typing as t

#: By SQLSTATE: the cause as programs have it, and what the server does, as a clause.
CAUSES: t.Mapping[str, tuple[str, str]] = {
    "53100": ("disk_full", "has a full disk"),
    "53200": ("out_of_memory", "is out of memory"),
    "53300": ("too_many_connections", "has no connection slot left"),
    "25006": ("read_only", "takes no writes, for it is read-only"),
    "57014": ("timeout", "took too long for a statement"),
    "57P03": ("starting", "is starting up or shutting down"),
    "42P01": ("old_schema", "has not got the table yet"),
    "42703": ("old_schema", "has not got the column yet"),
}
#: The causes that last until something is done about them: they are shown, and alerts may rest on them.
LASTING = ("disk_full", "read_only")

#: Seconds for which a cause is shown after the last write that failed: at the least, though other writes succeed (some
#: find room in blocks that are there), and at the most, when no write comes.
HOLD, FORGET = 5.0, 60.0


def clause(sqlstate: str | None, otherwise: str) -> str:
    """Say what the server does.

    :param otherwise: the name of the error, for one that has no words here.
    """
    known = CAUSES.get(sqlstate or "")
    return known[1] if known else f"cannot work now ({otherwise})"


class WriteTrouble:
    """What keeps a server from writing, by the writes that it was sent. All times are monotonic seconds."""

    def __init__(self) -> None:
        self._sqlstate = ""
        self._at = 0.0

    def failed(self, sqlstate: str | None, now: float) -> None:
        if sqlstate and CAUSES.get(sqlstate, ("",))[0] in LASTING:
            self._sqlstate, self._at = sqlstate, now

    def worked(self, now: float) -> None:
        if now - self._at >= HOLD:
            self._sqlstate = ""

    def cause(self, now: float) -> str:
        """Return one of :data:`LASTING`; empty while there is none."""
        return CAUSES[self._sqlstate][0] if self._stands(now) else ""

    def words(self, now: float) -> str:
        return CAUSES[self._sqlstate][1] if self._stands(now) else ""

    def _stands(self, now: float) -> bool:
        return bool(self._sqlstate) and now - self._at <= FORGET
