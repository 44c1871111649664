# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The caches as requests see them."""

from __future__ import annotations

import asyncio
import secrets
import typing as t
import uuid
from dataclasses import dataclass

from ..settings import Endpoint, Settings
from .scripts import scripts
from .server import CacheOut, CacheServer

#: Seconds that a replica in use may be behind beyond its limit: its age is measured some time before it is read.
_LATE = 1.0


@dataclass(frozen=True)
class Entry:
    """
    :param kind: one of ``CACHED_KINDS``.
    :param name: tells the entries of one user and kind apart.
    """

    kind: str
    user_id: uuid.UUID
    name: str


@dataclass(frozen=True)
class Found:
    """
    :param outcome: ``hit``, ``miss`` or ``off``.
    :param body: of a hit.
    :param lease: of a miss: what a fill must show; empty when there is no use in one.
    """

    outcome: str
    body: bytes = b""
    lease: str = ""


_OFF = Found("off")


class Cache:
    """One kind of rows."""

    def __init__(self, kind: str, server: CacheServer) -> None:
        self._kind = kind
        self._server = server

    async def get(self, entry: Entry, version: int, need: float) -> Found:
        """
        :param version: of the reader's shard map.
        :param need: the position in the log that the reader must be shown; infinity: no entry will do.
        """
        if not self._server.may_read:
            return _OFF
        try:
            word, value = await self._run("get", entry.user_id, entry.name, str(version), str(need), _random())
        except CacheOut:
            return _OFF
        return Found("hit", body=value) if word == b"hit" else Found("miss", lease=value.decode())

    async def fill(self, entry: Entry, lease: str, version: int, lsn: int, source: str, body: bytes) -> bool:
        """Return whether it is kept.

        :param lsn: what is shown by the row: every write up to it.
        :param source: ``primary``, or ``replica`` for one that is in use.
        """
        try:
            return bool(await self._run("fill", entry.user_id, entry.name, lease, str(version), str(lsn), source, body))
        except CacheOut:
            return False

    async def begin(self, user_id: uuid.UUID, token: str) -> None:
        """Tell of a write before it happens. Without the cache: wait until no process reads from it any more."""
        for _attempt in range(2):
            try:
                await self._run("begin", user_id, token, _random())
                return
            except CacheOut:
                await self._server.wait_until_it_is_back()

    async def end(self, user_id: uuid.UUID, token: str, version: int, lsn: int | None) -> None:
        """Tell that a write is over.

        :param lsn: what it lies before; None when it did not happen.
        """
        arguments = (token, _random(), str(version), "" if lsn is None else str(lsn))
        try:
            await self._run("end", user_id, *arguments)
        except CacheOut:
            # Whoever has noticed reads nothing from it, and this process sets a new generation. But its begin may have
            # arrived, or arrive yet, and would count for a while.
            self._server.owe("end", self._key(user_id), *arguments)

    async def _run(self, script: str, user_id: uuid.UUID, *arguments: str | bytes) -> t.Any:
        return await self._server.run(script, self._key(user_id), *arguments)

    def _key(self, user_id: uuid.UUID) -> str:
        return f"{self._kind}:{user_id}"


@dataclass(frozen=True)
class Write:
    """A write that the caches were told of. One that is never ended counts as under way for a while."""

    user_id: uuid.UUID
    version: int
    token: str
    caches: tuple[Cache, ...]

    async def end(self, lsn: int | None) -> None:
        """
        :param lsn: see :meth:`Cache.end`.
        """
        await asyncio.gather(*(cache.end(self.user_id, self.token, self.version, lsn) for cache in self.caches))


class Caches:
    def __init__(self, settings: Settings) -> None:
        texts = scripts(settings.cache_ttl, settings.replica_max_lag + _LATE)
        self.servers: dict[Endpoint, CacheServer] = {
            address: CacheServer(address, settings.cache_password, texts) for address in set(settings.caches.values())
        }
        self._of = {kind: Cache(kind, self.servers[address]) for kind, address in settings.caches.items()}

    def start(self) -> None:
        for server in self.servers.values():
            server.start()

    async def stop(self) -> None:
        await asyncio.gather(*(server.stop() for server in self.servers.values()))

    async def get(self, entry: Entry, version: int, need: float) -> Found:
        cache = self._of.get(entry.kind)
        return await cache.get(entry, version, need) if cache else _OFF

    async def fill(self, entry: Entry, lease: str, version: int, lsn: int, source: str, body: bytes) -> bool:
        return await self._of[entry.kind].fill(entry, lease, version, lsn, source, body)

    async def begin(self, kinds: t.Iterable[str], user_id: uuid.UUID, version: int) -> Write:
        """Tell the caches of these kinds that a write of the user is about to go to the database."""
        caches = tuple(self._of[kind] for kind in kinds if kind in self._of)
        write = Write(user_id, version, _random(), caches)
        await asyncio.gather(*(cache.begin(user_id, write.token) for cache in caches))
        return write


def _random() -> str:
    return secrets.token_hex(8)
