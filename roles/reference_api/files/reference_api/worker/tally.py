# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the worker did, for its log: it has no port that could be asked."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from .broker import wait

log = logging.getLogger(__name__)

#: Seconds between two lines.
INTERVAL = 60


class Tally:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, what: str, number: int = 1) -> None:
        self._counts[what] += number

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await wait(stopping, INTERVAL)
            self.report()

    def report(self) -> None:
        """Say what was done since the last report, if anything."""
        counts, self._counts = +self._counts, Counter()
        if counts:
            log.info("done: %s", ", ".join(f"{number} {what}" for what, number in sorted(counts.items())))
