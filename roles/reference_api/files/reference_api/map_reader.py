# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follows the shard map in Consul's KV, by blocking queries to the local agent.

The last good map stays in force whatever happens to Consul: a map that is gone, unreadable or out of reach is no
reason to stop serving. Versions only rise: an older map would send rows to where they were, and is refused.
"""

from __future__ import annotations

import asyncio
import logging
import typing as t

from . import consul
from .settings import Settings
from .shard_map import InvalidMap, ShardMap

log = logging.getLogger(__name__)

#: Seconds that Consul holds a query while nothing changes.
WAIT = 60
#: Seconds between attempts while Consul cannot be asked, or while there is no map.
RETRY = 1.0


class MapReader:
    """
    :param adopt: called with each map that differs from the one before.

    ``trouble`` is a sentence while the map cannot be followed, else empty.
    """

    def __init__(self, settings: Settings, adopt: t.Callable[[ShardMap], t.Awaitable[None]]) -> None:
        self._settings = settings
        self._adopt = adopt
        self._document: bytes | None = None
        self._version = 0
        self.trouble = "Consul has not been asked yet."

    async def run(self) -> None:
        index = 0
        while True:
            try:
                index = await self._follow(index)
                pause = 0.0
            except (consul.Error, InvalidMap) as error:
                self._report(str(error))
                index, pause = 0, RETRY
            except Exception as error:
                log.exception("following the shard map failed")
                self._report(f"Following the shard map failed: {type(error).__name__}.")
                index, pause = 0, RETRY
            await asyncio.sleep(pause)

    async def _follow(self, index: int) -> int:
        settings = self._settings
        entry = await consul.read_key(
            settings.consul_http_addr, settings.consul_http_token, settings.shard_map_key, index, WAIT
        )
        if entry.value is None:
            raise InvalidMap(f"There is no key {settings.shard_map_key} in Consul.")
        if entry.value != self._document:
            await self._take(entry.value)
        self.trouble = ""
        # An index that goes backwards means that Consul's state was replaced: start over.
        return entry.index if entry.index >= index else 0

    async def _take(self, document: bytes) -> None:
        shard_map = ShardMap.parse(document)
        if shard_map.version < self._version:
            raise InvalidMap(
                f"The key {self._settings.shard_map_key} in Consul holds version {shard_map.version} of the shard map, "
                f"which is older than version {self._version}."
            )
        await self._adopt(shard_map)
        log.info("shard map version %s is in force", shard_map.version)
        self._document, self._version = document, shard_map.version

    def _report(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s Version %s of the map stays in force.", trouble, self._version or "no")
        self.trouble = trouble
