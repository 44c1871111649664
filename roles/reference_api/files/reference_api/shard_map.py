# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shard map: which shard owns a bucket, and where a shard's servers are. Pure: no I/O.

The document is what the module ``scaleout.platform.shard_map`` publishes::

    {"format": 2, "version": 7, "buckets": 4096,
     "clusters": {"pg1": [{"name": "pg1", "host": "10.0.0.1", "port": 5432},
                          {"name": "pg1r", "host": "10.0.0.2", "port": 5432}]},
     "shards": {"0": {"cluster": "pg1", "database": "shard_0"}},
     "ranges": [[0, 4095, "0"]]}

A member with a connection pooler before it has its port as well, ``"pooler_port": 6432``. Who takes writes is not in
the map, which does not change when that does: each member is asked (``watch.py``). A map of format 1, whose shards name
a ``primary`` and its ``replicas``, is read until the next publication replaces it.

The reader checks everything that it relies on: a map that does not cover every bucket once would send
rows to the wrong place.
"""

from __future__ import annotations

import json
import typing as t
import uuid
from dataclasses import dataclass

from .hashing import bucket_of

FORMAT = 2
#: What an earlier release published.
FORMER_FORMAT = 1


class InvalidMap(Exception):
    """A document that is not a shard map; the message is one sentence."""


@dataclass(frozen=True)
class Address:
    """One database of one server: what a pool is for.

    :param name: the server's name in the inventory.
    :param port: of PostgreSQL itself.
    :param pooler_port: of the transaction pooler before it; None where there is none.
    """

    name: str
    host: str
    port: int
    database: str
    pooler_port: int | None = None

    @property
    def transaction_port(self) -> int:
        """For whoever needs no session that outlives a transaction."""
        return self.pooler_port or self.port

    @property
    def own_database(self) -> str:
        """The database on this very server: a pooler sends clients of the plain name to the leader, wherever it is."""
        return f"{self.database}_local" if self.pooler_port else self.database

    def __str__(self) -> str:
        return f"{self.name}/{self.database}"


@dataclass(frozen=True)
class Shard:
    """A database, and the servers of the cluster that has it."""

    id: str
    members: tuple[Address, ...]


class ShardMap:
    """A complete map; every bucket has exactly one owner.

    :param owners: the shard of each bucket, by bucket number.
    """

    def __init__(self, version: int, shards: t.Iterable[Shard], owners: t.Sequence[Shard]) -> None:
        self.version = version
        #: The shards by id, in the numeric order of their ids.
        self.shards = {shard.id: shard for shard in sorted(shards, key=lambda shard: int(shard.id))}
        self._owners = tuple(owners)

    @property
    def buckets(self) -> int:
        return len(self._owners)

    def shard_of(self, user_id: uuid.UUID) -> Shard:
        return self._owners[bucket_of(user_id, "uuid", len(self._owners))]

    @classmethod
    def parse(cls, document: str | bytes) -> ShardMap:
        """
        :raises InvalidMap: it is not JSON, has another format or does not give every bucket one owner.
        """
        try:
            data = json.loads(document)
            if data["format"] not in (FORMER_FORMAT, FORMAT):
                raise InvalidMap(f"The shard map has format {data['format']!r}; this release reads format {FORMAT}.")
            if data.get("moving"):
                raise InvalidMap("The shard map has buckets that are moving, which this release cannot follow.")
            members = _members_before if data["format"] == FORMER_FORMAT else _members
            shards = {
                shard_id: _shard(shard_id, entry["database"], members(data, entry))
                for shard_id, entry in data["shards"].items()
            }
            owners = _owners(int(data["buckets"]), data["ranges"], shards)
            return cls(int(data["version"]), shards.values(), owners)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InvalidMap(f"The shard map cannot be read: {type(error).__name__}: {error}.") from error


def _members(data: t.Mapping[str, t.Any], entry: t.Mapping[str, t.Any]) -> list[t.Any]:
    return list(data["clusters"][entry["cluster"]])


def _members_before(_data: t.Mapping[str, t.Any], entry: t.Mapping[str, t.Any]) -> list[t.Any]:
    return [entry["primary"], *entry["replicas"]]


def _shard(shard_id: str, database: str, members: t.Sequence[t.Mapping[str, t.Any]]) -> Shard:
    int(shard_id)  # The ids have a numeric order, which the listing of users walks along.
    if not members:
        raise InvalidMap(f"The shard map names no server for shard {shard_id}.")

    def address(server: t.Mapping[str, t.Any]) -> Address:
        pooler_port = server.get("pooler_port")
        return Address(
            name=str(server["name"]),
            host=str(server["host"]),
            port=int(server["port"]),
            database=str(database),
            pooler_port=None if pooler_port is None else int(pooler_port),
        )

    return Shard(shard_id, tuple(address(server) for server in members))


def _owners(buckets: int, ranges: t.Iterable[t.Sequence[t.Any]], shards: t.Mapping[str, Shard]) -> list[Shard]:
    owners: list[Shard] = []
    for first, last, shard_id in ranges:
        if first != len(owners) or not first <= last < buckets:
            raise InvalidMap(f"The shard map has a range from {first} to {last} where one from {len(owners)} belongs.")
        if shard_id not in shards:
            raise InvalidMap(f"The shard map gives buckets to shard {shard_id!r}, which it does not describe.")
        owners.extend([shards[shard_id]] * (last - first + 1))
    if len(owners) != buckets or not owners:
        raise InvalidMap(f"The shard map has {buckets} buckets and owners for {len(owners)}.")
    return owners
