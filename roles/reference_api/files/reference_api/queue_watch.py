# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether RabbitMQ is there.

The API sends nothing to it, for the worker does. So it only keeps a connection open and asks over it now and then, as
the same user and in the same vhost as the worker. (A connection for each question would fill the broker's log.)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import typing as t

import aio_pika

from .lateness import LATE
from .pulse import Pulse
from .settings import Amqp

log = logging.getLogger(__name__)

#: Seconds between questions, and for an answer.
INTERVAL, PATIENCE = 2.0, 2.0


class QueueWatch:
    """
    ``reason`` says why it is down.
    """

    def __init__(self, amqp: Amqp, pulse: Pulse) -> None:
        self.up = False
        self.reason = "has not been reached yet"
        self._amqp = amqp
        self._pulse = pulse
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            try:
                await self._ask_again_and_again()
            except TimeoutError:
                now = time.monotonic()
                # A process that was itself late has heard nothing that counts, and asks again.
                if self._pulse.lost(now - PATIENCE, now) < LATE:
                    self._decide(False, "does not answer")
            except asyncio.CancelledError:
                # The library ends its waiters like this as well.
                if t.cast("asyncio.Task[None]", asyncio.current_task()).cancelling():
                    raise
                self._decide(False, "closed the connection")
            except Exception as error:
                # The library lets through whatever the socket raises, and the watch must outlive everything.
                self._decide(False, f"cannot be used: {' '.join(str(error).split()) or type(error).__name__}")
            await asyncio.sleep(INTERVAL)

    async def _ask_again_and_again(self) -> None:
        amqp = self._amqp
        async with asyncio.timeout(PATIENCE):
            connection = await aio_pika.connect(
                host=amqp.address.host,
                port=amqp.address.port,
                login=amqp.user,
                password=amqp.password,
                virtualhost=amqp.vhost,
                client_properties={"connection_name": "reference_api watch"},
            )
        try:
            async with asyncio.timeout(PATIENCE):
                channel = await connection.channel()
            while True:
                async with asyncio.timeout(PATIENCE):
                    # It has to be answered, and sets what nothing uses.
                    await channel.set_qos(prefetch_count=1)
                self._decide(True, "is up")
                await asyncio.sleep(INTERVAL)
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(PATIENCE):
                    await connection.close()

    def _decide(self, up: bool, reason: str) -> None:
        if (up, reason) != (self.up, self.reason):
            log.log(logging.INFO if up else logging.WARNING, "the queue %s %s", self._amqp.address, reason)
        self.up, self.reason = up, reason
