# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens after a request: ``python3 -m reference_api.worker``.

    relay.py           takes the events of one shard from its outbox to RabbitMQ
    shards.py          one relay and one database for each shard of the map in force
    consumer.py        takes the messages of one queue to what stores them; lanes.py keeps the databases apart
    notifications.py   stores one notification for an event, in the shard of its user; notices.py says which and what
    broker.py          the connections to RabbitMQ, made again whenever they are lost
    database.py        one connection to one database, made again whenever it is lost

What the consumer ``analytics`` stores, and where, is in the folder ``analytics`` beside this one.

Every step may be repeated: an event leaves the outbox only after RabbitMQ has confirmed it, a message leaves its queue
only after what it led to is committed, and whoever stores knows by the event's id whether it is there already. So a
worker may be killed at any time, and any number of them may run.
"""

from __future__ import annotations
