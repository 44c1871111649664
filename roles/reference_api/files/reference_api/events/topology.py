# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The exchange and the queues in RabbitMQ, and their declaration, which every client repeats when it connects::

    events (topic) ──#──> notifications ──> notifications.retry ──after RETRY_AFTER──> notifications
                  └──#──> analytics

The queue ``analytics`` is there only where it is consumed, which is where there is an analytics database: else it
would fill the broker.

A message goes to ``notifications.retry`` when the shard of its user is lost, so that the events of other shards pass
it. To ``events.dead`` goes what can never be processed, with the reason in a header; no program consumes it.

All queues are quorum queues, and arguments of a queue can never be changed: another value takes another name.
"""

from __future__ import annotations

import typing as t

EXCHANGE = "events"
NOTIFICATIONS = "notifications"
RETRY = "notifications.retry"
ANALYTICS = "analytics"
DEAD = "events.dead"

#: Seconds that an event waits for its shard before it is tried again.
RETRY_AFTER = 5

_QUORUM = {"x-queue-type": "quorum"}
# A redelivery says that a consumer or its database was lost, which is no fault of the message. RabbitMQ 4.0 drops it
# after 20; earlier releases know no word for "never".
_CONSUMED = {**_QUORUM, "x-delivery-limit": 1_000_000_000}
# At least once: the default moves an expired message without looking whether it arrives. It asks for reject-publish.
_RETRY = {
    **_QUORUM,
    "x-message-ttl": RETRY_AFTER * 1000,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": NOTIFICATIONS,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}

#: The arguments of each queue; :data:`ANALYTICS` may be left out.
QUEUES: t.Mapping[str, t.Mapping[str, t.Any]] = {
    NOTIFICATIONS: _CONSUMED,
    ANALYTICS: _CONSUMED,
    RETRY: _RETRY,
    DEAD: _QUORUM,
}
#: The queues that get a copy of every event.
BOUND = (NOTIFICATIONS, ANALYTICS)


def wanted(analytics: bool) -> tuple[str, ...]:
    """The queues that there have to be."""
    return tuple(name for name in QUEUES if analytics or name != ANALYTICS)


async def declare(channel: t.Any, analytics: bool) -> t.Any:
    """Make sure that everything is there, and return the exchange.

    :param channel: of aio-pika.
    :param analytics: whether the queue of the analytics has a consumer. Else it gets no more events; those that it
        has stay, for people to judge.
    :raises aio_pika.exceptions.AMQPError: RabbitMQ is lost, or something is there in another form.
    """
    exchange = await channel.declare_exchange(EXCHANGE, "topic", durable=True)
    queues = wanted(analytics)
    for name in queues:
        queue = await channel.declare_queue(name, durable=True, arguments=dict(QUEUES[name]))
        if name in BOUND:
            await queue.bind(exchange, "#")
    for name in set(BOUND) - set(queues):
        # From a time when there were analytics. RabbitMQ takes it as done where there is no such queue.
        await (await channel.get_queue(name, ensure=False)).unbind(exchange, "#")
    return exchange
