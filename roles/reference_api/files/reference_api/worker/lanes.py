# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What waits for one database, and how long it is worth waiting, so that a database that hangs delays no other. Pure.

Messages of one queue go to many databases. Each database has a lane of its own and stores one batch at a time. Behind a
batch that takes too long nothing waits: it goes back to the broker, which brings it again later. A lane that has failed
is tried with one message at a time until that is stored.
"""

from __future__ import annotations

import typing as t
from collections import deque

Item = t.TypeVar("Item")

#: Items that are stored together at the most.
BATCH = 100
#: Seconds that a batch may take before what waits behind it is better brought again later.
PATIENCE = 1.0


class Lane(t.Generic[Item]):
    """
    :param patient: whether everything waits, however long it takes, because nothing would bring it again.

    All times are monotonic seconds.
    """

    def __init__(self, patient: bool = False) -> None:
        self._patient = patient
        self._waiting: deque[Item] = deque()
        self._busy_since: float | None = None
        self._failed = False

    @property
    def busy(self) -> bool:
        return self._busy_since is not None

    @property
    def forgettable(self) -> bool:
        """Whether a new lane would be as good."""
        return not (self.busy or self._failed or self._waiting)

    def add(self, item: Item) -> None:
        self._waiting.append(item)

    def take(self, now: float) -> list[Item]:
        """Begin with the next batch and return it; empty: there is nothing to do."""
        most = 1 if self._failed else BATCH
        batch = [self._waiting.popleft() for _item in range(min(most, len(self._waiting)))]
        self._busy_since = now if batch else None
        return batch

    def ended(self, stored: bool) -> bool:
        """The batch was stored or was not; return whether that is news."""
        news = self._failed is stored
        self._busy_since, self._failed = None, not stored
        return news

    def give_up(self, now: float) -> list[Item]:
        """Return what is not worth waiting any longer, and forget it."""
        if self._patient or self._busy_since is None:
            return []
        if not self._failed and now - self._busy_since < PATIENCE:
            return []
        late = list(self._waiting)
        self._waiting.clear()
        return late
