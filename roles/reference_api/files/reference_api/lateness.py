# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long this process was away, so that it does not take its own absence for a server's silence. Pure.

A process that gets no CPU, or whose event loop is held up, reads an answer late that came in time. So a loop that
should come round every :data:`TICK` notes when it does, and the time that it was late by counts as no silence.
"""

from __future__ import annotations

from collections import deque

#: Seconds between two beats of a loop that is on time.
TICK = 0.1
#: Seconds that a beat may be late by and still be on time.
TOLERANCE = 0.05
#: Seconds late, within :data:`LATELY`, after which what this process says of others is in doubt.
LATE, LATELY = 0.25, 5.0
#: Seconds by which a deadline is put off at the most: whoever waits for this process gives up, too.
MOST_EXTRA = 4.0

_MOST = 500


class Lateness:
    """
    All times are monotonic seconds. ``total`` is all the time that the process was late by since its first beat.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._last: float | None = None
        self._gaps: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def beat(self, now: float) -> None:
        """The loop has come round."""
        before, self._last = self._last, now
        if before is not None and (late := _late(now - before)):
            self._gaps.append((before, now))
            self.total += late

    def lost(self, since: float, now: float) -> float:
        """How much of the time from ``since`` to ``now`` the process was away, the gap that is just ending included."""
        gaps = [*self._gaps, (now if self._last is None else self._last, now)]
        return sum(_late(min(end, now) - max(begin, since)) for begin, end in gaps)

    def put_off(self, deadline: float, since: float, now: float) -> float:
        """The deadline of what began at ``since``, later by as much as the process has been away from it."""
        return deadline + min(self.lost(since, now), MOST_EXTRA)

    def lately(self, now: float) -> float:
        return self.lost(now - LATELY, now)

    def in_doubt(self, now: float) -> bool:
        """Whether what this process found out of others is better asked again."""
        return self.lately(now) >= LATE


class Silence:
    """How long a server has not answered while this process was there to hear it.

    :param most: seconds after which it counts as down.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._seconds = 0.0

    def broken(self) -> None:
        self._seconds = 0.0

    def add(self, seconds: float, lost: float) -> bool:
        """An answer stayed out so long, of which the process was away for ``lost``; return whether it is too much."""
        self._seconds += max(0.0, seconds - lost)
        return self._seconds >= self._most


def _late(gap: float) -> float:
    late = gap - TICK
    return late if late > TOLERANCE else 0.0
