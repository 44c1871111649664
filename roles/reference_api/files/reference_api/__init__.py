# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The reference API of scaleout.platform: users, their tasks, habits and goals on a sharded PostgreSQL.

How a request travels, and where to read about each step:

    envelope.py      the outermost layer: request id, the headers of every response, metrics
    routers/         HTTP: what is asked for, what is answered
    tables.py        SQL for rows that belong to a user (pure); outbox.py adds the events to it, streaks.py counts days
    pages.py         a page of a listing (pure); windows.py says how far back it looks where a table is in months
    shards.py        which shard, which of its servers, what to do when one fails
    cache/           what Redis keeps of the rows, and why it never shows too little
    freshness.py     whether a replica has the caller's own writes (pure)
    servers.py       one server of the map: its pool, its state, one message to it
    watch.py         finds out every half second who is up and how far the replicas are
    lateness.py      how long this process was away, which is no server's fault (pure); pulse.py keeps its beat
    queue_watch.py   whether RabbitMQ is there
    shard_map.py     the map (pure); map_reader.py follows it in Consul; hashing.py finds the bucket of a key

Beside the requests: migrate.py keeps the schemas, worker/ carries the events of events/ to their consumers, analytics/
counts them.

Everything is asyncio in one process; nothing here is made for threads.
"""

from __future__ import annotations

__version__ = "0.1.0"
