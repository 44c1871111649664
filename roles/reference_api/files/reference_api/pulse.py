# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The beat that tells when this process itself is late (see ``lateness.py``)."""

from __future__ import annotations

import asyncio
import socket
import time

from .lateness import TICK, Lateness


class Pulse(Lateness):
    """
    ``watcher`` is the name of this host: what is said of a server names it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.watcher = socket.gethostname()
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._beating = asyncio.ensure_future(self._beat())

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            self.beat(time.monotonic())
            await asyncio.sleep(TICK)
