# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One Redis: its connections, the time limit of each command, and the ping that finds out whether it is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
import typing as t
from collections import deque

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ..settings import Endpoint
from .breaker import INTERVAL, LIMIT, Breaker

log = logging.getLogger(__name__)

GENERATION = "generation"
_CONNECTIONS = 32
_MOST_OWED = 1000


class CacheOut(Exception):
    """The cache cannot be used now; whether the command was carried out is not known."""


class CacheServer:
    """
    :param scripts: by name (see ``scripts.py``).
    """

    def __init__(self, address: Endpoint, password: str, scripts: t.Mapping[str, str]) -> None:
        self.address = address
        self.reason = "has not been reached yet"
        self._password = password
        self._texts = scripts
        self._breaker = Breaker(time.monotonic())
        self._back = asyncio.Event()
        self._pinging: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Future[t.Any]] = set()
        self._owed: deque[tuple[str, str, tuple[str | bytes, ...]]] = deque(maxlen=_MOST_OWED)
        self._connect()

    @property
    def up(self) -> bool:
        return self._breaker.up

    @property
    def may_read(self) -> bool:
        return self._breaker.may_read(time.monotonic())

    def start(self) -> None:
        self._pinging = asyncio.ensure_future(self._ping())

    async def stop(self) -> None:
        if self._pinging is not None:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)
        await asyncio.gather(self._client.connection_pool.disconnect(), *self._closing, return_exceptions=True)

    async def run(self, script: str, key: str, *arguments: str | bytes) -> t.Any:
        """
        :raises CacheOut: it is out, or was at any time since the command was sent.
        """
        if not self.up:
            raise CacheOut
        return await self._limited(self._scripts[script](keys=[key, GENERATION], args=arguments))

    def owe(self, script: str, key: str, *arguments: str | bytes) -> None:
        """Let it catch up with this, if not too much comes together, before it is used again."""
        self._owed.append((script, key, arguments))

    async def wait_until_it_is_back(self) -> None:
        """Wait until it can be told of a write, or until a write may happen that it is not told of."""
        wait = self._breaker.wait_to_write(time.monotonic())
        if wait:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._back.wait()

    async def _ping(self) -> None:
        while True:
            try:
                await (self._recover() if self._breaker.suspect else self._limited(self._client.ping()))
                self._found()
            except CacheOut:
                pass
            except Exception:
                # It must outlive everything, or its last result would stand forever.
                log.exception("the ping of the cache %s failed", self.address)
            await asyncio.sleep(INTERVAL)

    async def _recover(self) -> None:
        await self._limited(self._client.set(GENERATION, secrets.token_hex(8)))
        while self._owed:
            script, key, arguments = self._owed[0]
            await self._limited(self._scripts[script](keys=[key, GENERATION], args=arguments))
            self._owed.popleft()

    async def _limited(self, command: t.Awaitable[t.Any]) -> t.Any:
        """Wait for a command no longer than it may take.

        It is never cancelled: a cancelled command would leave its answer in the connection, for the next one to read.
        """
        client, outages = self._client, self._breaker.outages
        running = asyncio.ensure_future(command)
        await asyncio.wait({running}, timeout=LIMIT)
        if not running.done():
            running.add_done_callback(_look_at)
            self._lose(client, "does not answer")
            raise CacheOut
        try:
            result = running.result()
        except Exception as error:
            # Not only RedisError: a client whose connections are closed under a command raises what it stumbles over,
            # such as ValueError for a closed buffer.
            self._lose(client, f"cannot be used: {' '.join(str(error).split()) or type(error).__name__}")
            raise CacheOut from error
        if self._breaker.outages != outages:
            raise CacheOut
        return result

    def _found(self) -> None:
        if not self.up:
            log.info("the cache %s is up", self.address)
        self._breaker.back(time.monotonic())
        self._back.set()
        self.reason = "is up"

    def _lose(self, client: redis.asyncio.Redis, reason: str) -> None:
        if client is not self._client:
            return  # Of a loss that is known already.
        if self.up or reason != self.reason:
            log.warning("the cache %s %s", self.address, reason)
        self.reason = reason
        self._breaker.lost(time.monotonic())
        self._back.clear()
        # Fresh connections: those of before the loss may still have something to say.
        self._connect()
        closing = asyncio.ensure_future(client.connection_pool.disconnect())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        closing.add_done_callback(_look_at)

    def _connect(self) -> None:
        pool = redis.asyncio.BlockingConnectionPool(
            host=self.address.host,
            port=self.address.port,
            password=self._password or None,
            max_connections=_CONNECTIONS,
            timeout=LIMIT,
            socket_timeout=LIMIT,
            socket_connect_timeout=LIMIT,
            # Newer releases would try again by themselves, behind the back of the time limit.
            retry=Retry(NoBackoff(), 0),
        )
        self._client = redis.asyncio.Redis(connection_pool=pool)
        self._scripts = {name: self._client.register_script(text) for name, text in self._texts.items()}


def _look_at(future: asyncio.Future[t.Any]) -> None:
    """Take note of an exception that no longer matters."""
    if not future.cancelled():
        future.exception()
