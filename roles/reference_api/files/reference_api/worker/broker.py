# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connections to RabbitMQ, each made again whenever it is lost, and what is sent through them.

The library's own reconnecting connection is not used: it hides a loss from whoever holds unacknowledged messages, and
does not notice a queue that was deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import typing as t

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange

from ..events.event import Event
from ..events.topology import declare
from ..settings import Amqp
from .database import Unavailable

log = logging.getLogger(__name__)

#: Seconds between attempts to connect: at first, and at the most.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
#: Seconds for connecting and declaring, and for a message to be confirmed.
PATIENCE = 5.0
_HEARTBEAT = 10

# What the library raises for a connection that is lost is as it comes from the socket.
_LOST = (aio_pika.exceptions.AMQPError, OSError, EOFError, RuntimeError, Unavailable)

Session = t.Callable[[AbstractChannel, AbstractExchange], t.Awaitable[None]]


class BrokerLost(Exception):
    """Nothing can be sent now."""


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Broker:
    """
    :param analytics: see :func:`declare`.
    """

    def __init__(self, amqp: Amqp, analytics: bool) -> None:
        self._amqp = amqp
        self._analytics = analytics

    async def keep(
        self,
        purpose: str,
        session: Session,
        stopping: asyncio.Event,
        ready: t.Callable[[], t.Awaitable[None]] | None = None,
    ) -> None:
        """Run the session on a connection of its own, and again on another whenever it has failed, until ``stopping``.

        :param purpose: for people, such as ``relay``.
        :param ready: what has to succeed before it is worth while to connect.
        """
        pause, trouble = FIRST_PAUSE, ""
        while not stopping.is_set():
            began = time.monotonic()
            try:
                if ready is not None:
                    await ready()
                async with self._connection(purpose) as (channel, exchange):
                    log.info("%s: connected to RabbitMQ at %s", purpose, self._amqp.address)
                    trouble = ""
                    await session(channel, exchange)
            except asyncio.CancelledError:
                # The library ends its waiters like this as well.
                if t.cast("asyncio.Task[None]", asyncio.current_task()).cancelling():
                    raise
                error: BaseException = ConnectionError("the connection was closed")
            except _LOST as lost:
                error = lost
            except Exception as unforeseen:
                log.exception("%s failed", purpose)
                error = unforeseen
            else:
                continue
            text = str(error) or type(error).__name__
            if text != trouble:
                log.warning("%s: %s; trying again", purpose, text)
            trouble = text
            await wait(stopping, pause)
            # A session that lasted is no failure in a row.
            lasted = time.monotonic() - began > 2 * LONGEST_PAUSE
            pause = FIRST_PAUSE if lasted else min(2 * pause, LONGEST_PAUSE)

    @contextlib.asynccontextmanager
    async def _connection(self, purpose: str) -> t.AsyncIterator[tuple[AbstractChannel, AbstractExchange]]:
        amqp = self._amqp
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await aio_pika.connect(
                    host=amqp.address.host,
                    port=amqp.address.port,
                    login=amqp.user,
                    password=amqp.password,
                    virtualhost=amqp.vhost,
                    heartbeat=_HEARTBEAT,
                    client_properties={"connection_name": f"reference_api {purpose}"},
                )
        except TimeoutError:
            raise TimeoutError(f"RabbitMQ at {amqp.address} does not answer") from None
        try:
            async with asyncio.timeout(PATIENCE):
                channel = await connection.channel(on_return_raises=True)
                exchange = await declare(channel, self._analytics)
            yield channel, exchange
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(PATIENCE):
                    await connection.close()


class Publisher:
    """Sends events to the exchange, for all relays."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._exchange: AbstractExchange | None = None
        self._connected = asyncio.Event()
        self._failed = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._exchange is not None

    async def run(self, stopping: asyncio.Event) -> None:
        async def session(channel: AbstractChannel, exchange: AbstractExchange) -> None:
            self._failed.clear()
            self._exchange = exchange
            try:
                while not stopping.is_set() and not channel.is_closed and not self._failed.is_set():
                    await wait(self._failed, 0.2)
            finally:
                self._exchange = None
            if not stopping.is_set():
                raise ConnectionError("the connection was lost, or an event was not confirmed")

        await self._broker.keep("relay", session, stopping)

    async def publish(self, events: t.Sequence[Event]) -> list[Event]:
        """Send events, and return those that RabbitMQ has confirmed to have in every queue that they belong to.

        :raises BrokerLost: there is no connection.
        """
        exchange = self._exchange
        if exchange is None:
            raise BrokerLost
        sending = {asyncio.ensure_future(exchange.publish(_message(e), e.kind, mandatory=True)): e for e in events}
        done, late = await asyncio.wait(sending, timeout=PATIENCE)
        for task in late:
            task.cancel()
        confirmed = [sending[task] for task in done if not task.cancelled() and task.exception() is None]
        if len(confirmed) < len(events):
            self._failed.set()
        return confirmed


def _message(event: Event) -> aio_pika.Message:
    return aio_pika.Message(
        event.encode(),
        message_id=str(event.id),
        type=event.kind,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
