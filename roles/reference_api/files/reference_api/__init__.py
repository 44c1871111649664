# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The reference API of scaleout.platform: users and their tasks on a sharded PostgreSQL.

How a request travels, and where to read about each step:

    envelope.py      the outermost layer: request id, the headers of every response, metrics
    routers/         HTTP: what is asked for, what is answered
    shards.py        which shard, which of its servers, what to do when one fails
    freshness.py     whether a replica has the caller's own writes (pure)
    servers.py       one server of the map: its pool, its state, one message to it
    watch.py         finds out every half second who is up and how far the replicas are
    shard_map.py     the map (pure); map_reader.py follows it in Consul; hashing.py finds the bucket of a key

Everything is asyncio in one process; nothing here is made for threads.
"""

from __future__ import annotations

__version__ = "0.1.0"
