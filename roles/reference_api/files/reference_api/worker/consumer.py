# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes the messages of one queue to a function that stores what they lead to.

A message is acknowledged after that is committed. What cannot be stored now goes to a queue that brings it back later,
or, where there is none, back to the queue while consuming pauses. What never can be stored goes to ``events.dead``.

The databases do not wait for each other (``lanes.py``): a batch for one of them is stored beside those for the others.
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
from .lanes import BATCH, Lane
from .tally import Tally

log = logging.getLogger(__name__)

#: Messages that are on their way unacknowledged at the most: room for the others while some databases hang.
PREFETCH = 5 * BATCH
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
            await _Session(self._store, self._tally, channel).consume(stopping)

        await self._broker.keep(self._store.queue, session, stopping, self._store.ready)


class _Session:
    """What holds while one channel does."""

    def __init__(self, store: Store, tally: Tally, channel: AbstractChannel) -> None:
        self._store = store
        self._tally = tally
        self._channel = channel
        self._lanes: dict[Database, Lane[Pair]] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def consume(self, stopping: asyncio.Event) -> None:
        inbox: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await self._channel.set_qos(PREFETCH)
        queue = await self._channel.get_queue(self._store.queue, ensure=False)
        tag = await queue.consume(inbox.put)
        looked = time.monotonic()
        while not stopping.is_set():
            batch = await _next_batch(inbox)
            if self._channel.is_closed:
                raise ConnectionError("the connection was lost")
            if self._failed.done():
                self._failed.result()
            await self._distribute(batch)
            if not batch and time.monotonic() - looked > _LOOK:
                # Nothing tells a consumer that its queue was deleted, or that the server has forgotten it.
                async with asyncio.timeout(PATIENCE):
                    await self._channel.declare_queue(self._store.queue, passive=True)
                looked = time.monotonic()
        self._lanes.clear()
        await asyncio.gather(*self._at_work)
        # What has arrived since is not acknowledged, so it goes back with the end of the connection. The broker answers
        # this after it has taken all acknowledgements that were sent before; a connection that ends does not wait.
        await queue.cancel(tag)

    async def _distribute(self, messages: t.Sequence[AbstractIncomingMessage]) -> None:
        """Put messages into the lanes of their databases, see that each lane works, and give up what waits too long."""
        nowhere: list[Pair] = []
        for message in messages:
            try:
                event = Event.decode(message.body)
            except NotAnEvent as reason:
                await self._bury(message, str(reason))
                continue
            place = self._store.place(event)
            if place is None:
                nowhere.append((message, event))
            else:
                self._lanes.setdefault(place, Lane(patient=not self._store.retry)).add((message, event))
        await self._acknowledge(nowhere, 0)
        for database, lane in list(self._lanes.items()):
            if lane.forgettable:
                del self._lanes[database]
            elif not lane.busy:
                self._begin(database, lane)
            await self._postpone(lane.give_up(time.monotonic()))

    def _begin(self, database: Database, lane: Lane[Pair]) -> None:
        batch = lane.take(time.monotonic())
        if batch:
            task = asyncio.ensure_future(self._work(database, lane, batch))
            self._at_work.add(task)
            task.add_done_callback(self._look_at)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)
            # It is raised by whoever consumes, if that goes on at all.
            self._failed.exception()

    async def _work(self, database: Database, lane: Lane[Pair], batch: list[Pair]) -> None:
        while batch:
            try:
                await self._store_all(database, batch)
                if lane.ended(stored=True):
                    log.info("%s: %s works again", self._store.queue, database.name)
            except Unavailable as error:
                if not self._store.retry:
                    raise
                await self._postpone([pair for pair in batch if not pair[0].processed])
                if lane.ended(stored=False):
                    log.warning("%s: events wait: %s", self._store.queue, error)
            # Whoever ends has cleared the lanes: no more is begun.
            batch = lane.take(time.monotonic()) if database in self._lanes else []

    async def _store_all(self, database: Database, pairs: t.Sequence[Pair]) -> None:
        try:
            new = await self._store.store(database, [event for _message, event in pairs])
        except Refused as reason:
            if len(pairs) == 1:
                await self._bury(pairs[0][0], str(reason))
                return
            for pair in pairs:
                await self._store_all(database, [pair])
            return
        await self._acknowledge(pairs, new)

    async def _acknowledge(self, pairs: t.Sequence[Pair], new: int) -> None:
        for message, _event in pairs:
            await message.ack()
        self._tally.count(f"{self._store.queue} stored", new)
        self._tally.count(f"{self._store.queue} without effect", len(pairs) - new)

    async def _postpone(self, pairs: t.Sequence[Pair]) -> None:
        await asyncio.gather(*(_move(self._channel, message, self._store.retry, {}) for message, _event in pairs))
        self._tally.count(f"{self._store.queue} postponed", len(pairs))

    async def _bury(self, message: AbstractIncomingMessage, reason: str) -> None:
        log.error("%s: message %s goes to %s: %s", self._store.queue, message.message_id, DEAD, reason)
        await _move(self._channel, message, DEAD, {"reason": reason[:500], "queue": self._store.queue})
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
