# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shard of a key in a map, as the filter, the lookup and the module return it."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import hashing, keys
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.map import ShardMap


class InvalidKey(Refused):
    """A value that no row can have as its key."""

    CODE = "invalid_key"


def shard_of(key: t.Any, shard_map: ShardMap, kind: str) -> dict[str, t.Any]:
    """Return ``id``, ``bucket``, ``cluster``, ``database`` and ``members`` of the shard of a key.

    :raises InvalidKey: the key is no value of ``kind``.
    """
    try:
        bucket = hashing.bucket_of(keys.from_template(key, kind), kind, shard_map.buckets)
    except (TypeError, ValueError) as error:
        raise InvalidKey(f"{error}.") from None
    shard = shard_map.owner(bucket)
    return {
        "id": shard.id,
        "bucket": bucket,
        "cluster": shard.cluster.name,
        "database": shard.database,
        "members": [server.document() for server in shard.cluster.members],
    }
