# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the map in force means in servers: one :class:`Server` and one :class:`Watch` for each that it names.

A new map keeps what both maps have, so a change of a bucket range touches no connection.
"""

from __future__ import annotations

import asyncio
import typing as t
from dataclasses import dataclass

from .errors import NoMap
from .map_reader import MapReader
from .pulse import Pulse
from .servers import Server
from .settings import Settings
from .shard_map import Address, Shard, ShardMap
from .watch import Watch


@dataclass(frozen=True)
class InForce:
    """One map and the watches over its shards by id. A request works with one of these from beginning to end."""

    map: ShardMap
    watches: t.Mapping[str, Watch]

    def watch_of(self, shard: Shard) -> Watch:
        return self.watches[shard.id]


class Cluster:
    def __init__(self, settings: Settings, pulse: Pulse) -> None:
        self.reader = MapReader(settings, self.adopt)
        self.servers: dict[Address, Server] = {}
        self._settings = settings
        self._pulse = pulse
        self._in_force: InForce | None = None
        self._following: asyncio.Task[None] | None = None

    @property
    def map_version(self) -> int:
        """The version of the map in force; 0 while there is none."""
        return self._in_force.map.version if self._in_force else 0

    @property
    def watches(self) -> t.Mapping[str, Watch]:
        return self._in_force.watches if self._in_force else {}

    def in_force(self) -> InForce:
        """
        :raises NoMap: no map has been read yet.
        """
        if self._in_force is None:
            raise NoMap()
        return self._in_force

    def start(self) -> None:
        self._following = asyncio.ensure_future(self.reader.run())

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await asyncio.gather(*(watch.stop() for watch in self.watches.values()))
        await asyncio.gather(*(server.close() for server in self.servers.values()))

    async def adopt(self, shard_map: ShardMap) -> None:
        """Put a map in force. Requests that are on their way finish on the servers that they have chosen."""
        addresses = {address for shard in shard_map.shards.values() for address in shard.members}
        retired = [server for address, server in self.servers.items() if address not in addresses]
        servers = {address: self.servers.get(address) or self._server(address) for address in addresses}
        kept = {
            shard_id: watch for shard_id, watch in self.watches.items() if shard_map.shards.get(shard_id) == watch.shard
        }
        ended = [watch for shard_id, watch in self.watches.items() if shard_id not in kept]
        started = {shard.id: self._watch(shard, servers) for shard in shard_map.shards.values() if shard.id not in kept}

        self._in_force, self.servers = InForce(shard_map, {**kept, **started}), servers
        for watch in started.values():
            watch.start()

        await asyncio.gather(*(watch.stop() for watch in ended))
        for server in retired:
            server.retire()

    def _watch(self, shard: Shard, servers: dict[Address, Server]) -> Watch:
        return Watch(shard, [servers[address] for address in shard.members], self._settings, self._pulse)

    def _server(self, address: Address) -> Server:
        return Server(address, self._settings, self._pulse)
