# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a process may use a cache. Pure: the times are the caller's.

- A command that fails or takes too long puts the cache out, for every request of the process at once.
- Writes tell the cache again as soon as it answers. Reads wait :data:`NOTICED` longer, by when every other process
  tells it of its writes, too.
- A write that cannot tell the cache waits until :data:`NOTICED` after the loss, by when no other process reads from it.
"""

from __future__ import annotations

#: Seconds between two pings, and the most that any command may take.
INTERVAL, LIMIT = 0.5, 0.5
#: Seconds after which every process knows that a cache is out, or is back: a ping, its limit, and some delay.
NOTICED = 1.25


class Breaker:
    """
    ``outages`` counts the losses: what was asked before one and is answered after it is worth nothing.
    ``suspect`` is true when what the cache holds may be older than this process's writes.

    :param now: monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self.up = False
        self.suspect = False
        self.outages = 0
        self._changed_at = now

    def lost(self, now: float) -> None:
        if self.up:
            self.up = False
            self.outages += 1
            self._changed_at = now
        self.suspect = True

    def back(self, now: float) -> None:
        """It answers, and the generation is a new one where :attr:`suspect` asked for it."""
        self.suspect = False
        if not self.up:
            self.up = True
            self._changed_at = now

    def may_read(self, now: float) -> bool:
        return self.up and now >= self._changed_at + NOTICED

    def wait_to_write(self, now: float) -> float:
        """Seconds that a write must still wait when it cannot tell the cache."""
        return 0.0 if self.up else max(0.0, self._changed_at + NOTICED - now)
