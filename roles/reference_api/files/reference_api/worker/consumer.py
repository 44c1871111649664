# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes the messages of one queue to somebody who stores what they lead to.

A message is acknowledged after that is committed. What cannot be stored now goes to a queue that brings it back later,
or, where there is none, back to the queue while consuming pauses. What never can be stored goes to ``events.dead``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import typing as t

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

from ..events.event import Event, NotAnEvent
from ..events.topology import DEAD
from .broker import PATIENCE, Broker
from .database import Database, Refused, Unavailable
from .tally import Tally

log = logging.getLogger(__name__)

#: Messages that are stored together, and that are on their way unacknowledged, at the most.
BATCH = 100
#: Seconds after which an idle consumer looks whether it should stop, and whether its queue is still there.
_WAKE, _LOOK = 0.5, 10.0

Pair = tuple[AbstractIncomingMessage, Event]


class Store(t.Protocol):
    queue: str
    #: The queue for what cannot be stored now; empty: consuming pauses.
    retry: str

    def place(self, event: Event) -> Database | None:
        """Where to store what the event leads to; None when that is nothing."""

    async def ready(self) -> None:
        """
        :raises Unavailable: consuming makes no sense now.
        """

    async def store(self, database: Database, events: t.Sequence[Event]) -> int:
        """Store what all these events lead to, or nothing; return how many of them were new.

        :raises Unavailable: not now.
        :raises Refused: never.
        """


class Consumer:
    def __init__(self, broker: Broker, store: Store, tally: Tally) -> None:
        self._broker = broker
        self._store = store
        self._tally = tally

    async def run(self, stopping: asyncio.Event) -> None:
        async def session(channel: AbstractChannel, _exchange: AbstractExchange) -> None:
            await self._consume(channel, stopping)

        await self._broker.keep(self._store.queue, session, stopping, self._store.ready)

    async def _consume(self, channel: AbstractChannel, stopping: asyncio.Event) -> None:
        inbox: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await channel.set_qos(BATCH)
        queue = await channel.get_queue(self._store.queue, ensure=False)
        tag = await queue.consume(inbox.put)
        looked = time.monotonic()
        while not stopping.is_set():
            batch = await _next_batch(inbox)
            if channel.is_closed:
                raise ConnectionError("the connection was lost")
            if batch:
                await self._process(channel, batch)
            elif time.monotonic() - looked > _LOOK:
                # Nobody tells a consumer that its queue was deleted, or that the server has forgotten it.
                async with asyncio.timeout(PATIENCE):
                    await channel.declare_queue(self._store.queue, passive=True)
                looked = time.monotonic()
        # What has arrived since is not acknowledged, so it goes back with the end of the connection.
        await queue.cancel(tag)

    async def _process(self, channel: AbstractChannel, messages: t.Sequence[AbstractIncomingMessage]) -> None:
        places: dict[Database, list[Pair]] = {}
        nowhere: list[Pair] = []
        for message in messages:
            try:
                event = Event.decode(message.body)
            except NotAnEvent as reason:
                await self._bury(channel, message, str(reason))
            else:
                place = self._store.place(event)
                (nowhere if place is None else places.setdefault(place, [])).append((message, event))
        await self._acknowledge(nowhere, 0)
        for database, pairs in places.items():
            try:
                await self._store_all(channel, database, pairs)
            except Unavailable as error:
                if not self._store.retry:
                    raise
                log.warning("%s: %s events wait: %s", self._store.queue, len(pairs), error)
                await asyncio.gather(*(self._postpone(channel, message) for message, _event in pairs))

    async def _store_all(self, channel: AbstractChannel, database: Database, pairs: t.Sequence[Pair]) -> None:
        try:
            new = await self._store.store(database, [event for _message, event in pairs])
        except Refused as reason:
            if len(pairs) == 1:
                await self._bury(channel, pairs[0][0], str(reason))
                return
            for pair in pairs:
                await self._store_all(channel, database, [pair])
            return
        await self._acknowledge(pairs, new)

    async def _acknowledge(self, pairs: t.Sequence[Pair], new: int) -> None:
        for message, _event in pairs:
            await message.ack()
        self._tally.count(f"{self._store.queue} stored", new)
        self._tally.count(f"{self._store.queue} without effect", len(pairs) - new)

    async def _postpone(self, channel: AbstractChannel, message: AbstractIncomingMessage) -> None:
        await _move(channel, message, self._store.retry, {})
        self._tally.count(f"{self._store.queue} postponed")

    async def _bury(self, channel: AbstractChannel, message: AbstractIncomingMessage, reason: str) -> None:
        log.error("%s: message %s goes to %s: %s", self._store.queue, message.message_id, DEAD, reason)
        await _move(channel, message, DEAD, {"reason": reason[:500], "queue": self._store.queue})
        self._tally.count(f"{self._store.queue} dead")


async def _next_batch(inbox: asyncio.Queue[AbstractIncomingMessage]) -> list[AbstractIncomingMessage]:
    """What there is, up to ``BATCH``; nothing when nothing comes for a while."""
    batch: list[AbstractIncomingMessage] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WAKE):
            batch.append(await inbox.get())
    while len(batch) < BATCH and not inbox.empty():
        batch.append(inbox.get_nowait())
    return batch


async def _move(
    channel: AbstractChannel, message: AbstractIncomingMessage, queue: str, headers: t.Mapping[str, t.Any]
) -> None:
    """Put a message into another queue, and only then take it out of its own."""
    copy = aio_pika.Message(
        message.body,
        headers=dict(headers),
        message_id=message.message_id,
        type=message.type,
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    async with asyncio.timeout(PATIENCE):
        await channel.default_exchange.publish(copy, queue, mandatory=True)
    await message.ack()
