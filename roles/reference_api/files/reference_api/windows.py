# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far back a page of a listing looks at once, where the table is partitioned by month. Pure.

A query without bounds on the id plans and locks every partition, and what a backend locks beyond some 16 relations
goes through a lock table that all backends share. So a page asks for the newest months first, and for more as long as
rows are missing. It judges by the rows that it has found how far back the rest may lie. An id is a UUIDv7, so a range
of time is a range of ids.

The months are the calendar's, in UTC. Where the partitions are others, or where clocks differ, pages cost more and
show the same: the newest range has no upper end, the last one has no lower end, and each begins where the one before
ended.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from .uuid7 import first_of, milliseconds_of

#: The current month and those before it that are asked for at first: with three that are made ahead, six partitions
#: with an index each, about as many relations as a backend locks by itself.
FIRST = 3
#: Months beyond which one query asks for all that is left, and the queries after which it does.
_MOST_MONTHS, _MOST_QUERIES = 24, 3


@dataclass(frozen=True)
class Window:
    """A range of ids.

    :param since: the first; None: there is no lower end.
    :param before: the first one after it; None: there is no upper end.
    """

    since: uuid.UUID | None
    before: uuid.UUID | None

    @property
    def parameters(self) -> dict[str, uuid.UUID]:
        """As SQL names them; what has no end is left out."""
        ends = {"since": self.since, "before": self.before}
        return {name: value for name, value in ends.items() if value is not None}


class Walk:
    """The windows of one page, from the newest backwards.

    :param before: the page has the rows before this id; None: the newest.
    :param now: milliseconds since 1970.
    """

    def __init__(self, before: uuid.UUID | None, now: int) -> None:
        newest = now if before is None else min(now, milliseconds_of(before))
        self._month = _month_of(newest)
        self._months = 0
        self._queries = 0
        self.window = self._back(FIRST, before)

    def further(self, found: int, missing: int) -> Window | None:
        """Return the next window, or None where the one before was the last.

        :param found: how many rows all windows so far have.
        :param missing: how many more the page could take, at least one.
        """
        if self.window.since is None:
            return None
        months = 4 * self._months
        if found:
            months = max(self._months, math.ceil(1.2 * self._months * missing / found))
        if months > _MOST_MONTHS or self._queries == _MOST_QUERIES:
            self.window = Window(None, self.window.since)
        else:
            self.window = self._back(months, self.window.since)
        return self.window

    def _back(self, months: int, before: uuid.UUID | None) -> Window:
        self._months += months
        self._queries += 1
        return Window(_first_id(self._month - self._months + 1), before)


def _month_of(milliseconds: int) -> int:
    """Months since the year 0."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.year * 12 + at.month - 1


def _first_id(month: int) -> uuid.UUID | None:
    """The least id of the month and those after it; None: every id is of those."""
    start = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
    milliseconds = int(start.timestamp()) * 1000
    return first_of(milliseconds) if milliseconds > 0 else None
