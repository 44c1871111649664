# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One relay and one database for each shard of the map in force."""

from __future__ import annotations

import asyncio
import logging
import typing as t
import uuid
from dataclasses import dataclass

from ..map_reader import MapReader
from ..settings import Settings
from ..shard_map import Shard, ShardMap
from .database import Database
from .relay import Relay

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Part:
    """What works for one shard. The relay has a connection of its own, since it waits for RabbitMQ in a transaction."""

    shard: Shard
    database: Database
    stopping: asyncio.Event
    relay: asyncio.Task[None]

    async def end(self) -> None:
        self.stopping.set()
        await asyncio.gather(self.relay, return_exceptions=True)
        await self.database.close()


class Shards:
    """
    :param relay: makes the relay for a database.
    """

    def __init__(self, settings: Settings, relay: t.Callable[[Database], Relay]) -> None:
        self._settings = settings
        self._relay = relay
        self._parts: dict[str, _Part] = {}
        self._map: ShardMap | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        #: Set once there is a map.
        self.known = asyncio.Event()

    def start(self) -> None:
        self._following = asyncio.ensure_future(MapReader(self._settings, self.adopt).run())

    async def stop(self) -> None:
        """Let the relays finish their rounds."""
        if self._following is not None:
            self._following.cancel()
        for part in self._parts.values():
            self._end(part)
        await asyncio.gather(*self._ending)

    async def adopt(self, shard_map: ShardMap) -> None:
        before = self._parts
        self._parts = {}
        for shard in shard_map.shards.values():
            part = before.get(shard.id)
            kept = part is not None and part.shard.members == shard.members
            self._parts[shard.id] = part if part is not None and kept else self._start(shard)
        self._map = shard_map
        self.known.set()
        for part in before.values():
            if part not in self._parts.values():
                self._end(part)

    def database_of(self, user_id: uuid.UUID) -> Database:
        """The database of the user's shard, once a map is known."""
        assert self._map is not None
        return self._parts[self._map.shard_of(user_id).id].database

    def _start(self, shard: Shard) -> _Part:
        def connect() -> Database:
            return Database(f"shard {shard.id}", shard.members, self._settings)

        stopping = asyncio.Event()
        relay = asyncio.ensure_future(self._relay(connect()).run(stopping))
        return _Part(shard, connect(), stopping, relay)

    def _end(self, part: _Part) -> None:
        # A relay may need its while when its server is lost; the new map need not wait for that.
        task = asyncio.ensure_future(part.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
