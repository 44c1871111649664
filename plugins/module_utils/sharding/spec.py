# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the options ``clusters`` and ``shards`` of a module to the shards that are wanted."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.map import (
    Cluster,
    Endpoint,
    InvalidMap,
    Shard,
)
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.plan import Wanted


def wanted_shards(
    clusters: t.Sequence[t.Mapping[str, t.Any]], shards: t.Sequence[t.Mapping[str, t.Any]]
) -> list[Wanted]:
    """Read the options, once Ansible has checked their types.

    :raises InvalidInput: a range that is no pair of numbers.
    :raises InvalidMap: a cluster or a shard that cannot be.
    """
    if not shards:
        raise InvalidMap("A shard map needs at least one shard.")
    known: dict[str, Cluster] = {}
    for fields in clusters:
        cluster = Cluster(fields["name"], tuple(_endpoint(server) for server in fields["members"]))
        if cluster.name in known:
            raise InvalidMap(f"The cluster {cluster.name} is described twice.")
        known[cluster.name] = cluster
    return [_wanted(shard, known) for shard in shards]


def _wanted(fields: t.Mapping[str, t.Any], clusters: t.Mapping[str, Cluster]) -> Wanted:
    cluster = clusters.get(fields["cluster"])
    if cluster is None:
        raise InvalidMap(f"Shard {fields['id']} is in the cluster {fields['cluster']!r}, which is not described.")
    shard = Shard(
        id=fields["id"],
        database=f"shard_{fields['id']}" if fields.get("database") is None else fields["database"],
        cluster=cluster,
    )
    buckets = fields.get("buckets")
    weight = fields.get("weight")
    return Wanted(
        shard,
        None if buckets is None else tuple(_pair(pair) for pair in buckets),
        1 if weight is None else weight,
    )


def _endpoint(fields: t.Mapping[str, t.Any]) -> Endpoint:
    name = fields.get("name")
    return Endpoint(fields["host"] if name is None else name, fields["host"], fields["port"], fields.get("pooler_port"))


def _pair(pair: t.Any) -> tuple[int, int]:
    # Ansible does not look into a list in a list, and a template may have made text of its numbers.
    try:
        first, last = (int(str(bound)) for bound in pair)
    except (TypeError, ValueError):
        raise InvalidInput("shards.buckets", pair, "is not a pair of the first and the last bucket") from None
    return first, last
