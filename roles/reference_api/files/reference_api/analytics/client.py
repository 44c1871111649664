# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The API reads from the analytics database, watched as a shard is, so that its loss delays no request."""

from __future__ import annotations

import asyncio

import psycopg

from .. import messages
from ..errors import ApiError
from ..messages import Parameters, Rows
from ..pulse import Pulse
from ..servers import Lost, Server, Unavailable
from ..settings import AnalyticsDatabase, Settings
from ..shard_map import Shard
from ..watch import Watch
from . import addresses_of

#: Seconds that a request waits for an answer.
PATIENCE = 2.0


class AnalyticsUnavailable(ApiError):
    status = 503
    code = "analytics_unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The analytics are unavailable: {reason}.")


class AnalyticsClient:
    def __init__(self, setting: AnalyticsDatabase, settings: Settings, pulse: Pulse) -> None:
        addresses = addresses_of(setting)
        self._servers = [Server(address, settings, pulse) for address in addresses]
        self._watch = Watch(Shard("analytics", addresses), self._servers, settings, pulse)

    def start(self) -> None:
        self._watch.start()

    async def stop(self) -> None:
        await self._watch.stop()
        await asyncio.gather(*(server.close() for server in self._servers))

    async def read(self, statement: str, parameters: Parameters) -> Rows:
        """
        :raises AnalyticsUnavailable: the database cannot answer in time.
        """
        message = messages.read_primary([statement], parameters)
        try:
            reply = await self._watch.primary.send(message, asyncio.get_running_loop().time() + PATIENCE)
        except (Unavailable, Lost, psycopg.Error) as error:
            raise AnalyticsUnavailable(str(error)) from None
        return reply.rows[0]
