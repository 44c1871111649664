# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens when the process has no file descriptor left for another connection.

asyncio then reports each connection that it cannot accept, thousands in a minute, with a traceback. The log gets one
line in ten seconds instead; connections wait until others end.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import time
import typing as t

log = logging.getLogger(__name__)

#: Seconds between two lines about the same.
INTERVAL = 10.0

_NONE_LEFT = (errno.EMFILE, errno.ENFILE)


class Seldom:
    """Says of something that happens often when it is worth a line. Pure; times are monotonic seconds."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._said_at = float("-inf")
        self._unsaid = 0

    def count(self, now: float) -> int:
        """It has happened; return how often since the last line, or 0 when it is too early for another."""
        self._unsaid += 1
        if now - self._said_at < self._interval:
            return 0
        number, self._unsaid, self._said_at = self._unsaid, 0, now
        return number


def install(loop: asyncio.AbstractEventLoop, seldom: Seldom) -> None:
    """Have the loop report the lack of descriptors seldom, and all else as ever."""

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, t.Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _NONE_LEFT:
            loop.default_exception_handler(context)
            return
        number = seldom.count(time.monotonic())
        if number:
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            log.error(
                "no file descriptor is left of %s, so connections wait (noticed %s times); the limit open_files of the"
                " application raises it",
                most,
                number,
            )

    loop.set_exception_handler(handle)
