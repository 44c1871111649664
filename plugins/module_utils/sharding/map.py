# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shard map: which shard owns which buckets and where its database is; its document and its text.

A :class:`ShardMap` that exists is a valid one: every bucket has exactly one owner, every owner is described, no two
shards share a database and no two clusters a server. The document is what Consul's KV and every client hold, as JSON::

    {"format": 2, "version": 7, "buckets": 4096,
     "clusters": {"pg1": [{"name": "pg1", "host": "10.0.0.1", "port": 5432},
                          {"name": "pg1r", "host": "10.0.0.2", "port": 5432}]},
     "shards": {"0": {"cluster": "pg1", "database": "shard_0"}},
     "ranges": [[0, 4095, "0"]]}

A member with a connection pooler before it has its port as well, ``"pooler_port": 6432``. Which member takes writes is
not in the map, which does not change when that does. Buckets that are on their way to another shard will stand in
``"moving"``, a list of ``[first, last, from, to, state]``; a reader that does not know the states must refuse a map
that has any.

Format 1, in which each shard named a ``primary`` and its ``replicas``, is still read, and never written.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul import strict
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import ranges
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.ranges import BucketRange

FORMAT = 2
#: Read, so that a map in force can be published again in the format of today.
FORMER_FORMAT = 1

#: Names that PostgreSQL would cut off are longer than this many bytes.
_LONGEST_NAME = 63
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
_SHARD_ID = re.compile(r"0|[1-9][0-9]{0,8}")


class InvalidMap(ScaleoutError):
    """A map that cannot be: the message says what is wrong with it, in one sentence."""

    CODE = "invalid_map"


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A PostgreSQL server as clients reach it.

    :param name: its name in the inventory.
    :param port: of PostgreSQL itself.
    :param pooler_port: of the connection pooler on the same host, for clients whose transactions are short.
    """

    name: str
    host: str
    port: int = 5432
    pooler_port: int | None = None

    def __post_init__(self) -> None:
        for field, value in (("name", self.name), ("host", self.host)):
            if not isinstance(value, str) or not _HOST.fullmatch(value):
                raise InvalidMap(f"{value!r} is not the {field} of a server.")
        if not _is_int(self.port) or not 1 <= self.port <= 65535:
            raise InvalidMap(f"{self.port!r} is not a port of the server {self.name}.")
        if self.pooler_port is not None and (not _is_int(self.pooler_port) or not 1 <= self.pooler_port <= 65535):
            raise InvalidMap(f"{self.pooler_port!r} is not a port of the pooler of the server {self.name}.")
        if self.pooler_port == self.port:
            raise InvalidMap(f"{self.port} cannot be the port of the server {self.name} and of its pooler.")

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def document(self) -> dict[str, t.Any]:
        """Return the fields that have a value."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}

    def __str__(self) -> str:
        pooler = "" if self.pooler_port is None else f", pooler {self.pooler_port}"
        return f"{self.name} ({bracketed(self.host)}:{self.port}{pooler})"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """PostgreSQL servers that hold the same databases.

    :param members: one of them takes writes, the others follow it.
    """

    name: str
    members: tuple[Endpoint, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _HOST.fullmatch(self.name):
            raise InvalidMap(f"{self.name!r} is not the name of a cluster.")
        if not self.members:
            raise InvalidMap(f"The cluster {self.name} has no member.")
        names = [server.name for server in self.members]
        for name in names:
            if names.count(name) > 1:
                raise InvalidMap(f"The cluster {self.name} names the server {name} twice.")

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(map(str, self.members))})"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A database that holds the rows of its buckets, and the cluster that has it.

    :param id: a number from 0 on; ids need not be contiguous, and a shard keeps its id for life.
    """

    id: int
    database: str
    cluster: Cluster

    def __post_init__(self) -> None:
        if not _is_int(self.id) or not 0 <= self.id < 10**9:
            raise InvalidMap(f"{self.id!r} is not the id of a shard, which is a number from 0 on.")
        if not isinstance(self.database, str) or not self.database.isprintable() or not self.database:
            raise InvalidMap(f"{self.database!r} is not the name of a database for shard {self.id}.")
        if len(self.database.encode("utf-8", "replace")) > _LONGEST_NAME:
            raise InvalidMap(
                f"{self.database!r} is not the name of a database for shard {self.id}: "
                f"PostgreSQL keeps {_LONGEST_NAME} bytes of a name."
            )

    @property
    def location(self) -> tuple[str, str]:
        """Where the rows are: cluster and database."""
        return self.cluster.name, self.database


@dataclasses.dataclass(frozen=True)
class ShardMap:
    """A version of the map.

    :param version: 1 for the first publication, one more for each that changes anything.
    :param buckets: the number of buckets, a power of two, fixed for the life of the map.
    :param shards: in the order of their ids; a shard may own no buckets.
    :param ranges: merged ranges that cover the buckets exactly once.
    :param format: of the document that it was read from.
    :raises InvalidMap: whatever does not hold together.
    """

    version: int
    buckets: int
    shards: tuple[Shard, ...]
    ranges: tuple[BucketRange, ...]
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not _is_int(self.version) or self.version < 1:
            raise InvalidMap(f"{self.version!r} is not a version, which is a number from 1 on.")
        if not _is_int(self.buckets) or self.buckets < 1 or self.buckets & (self.buckets - 1):
            raise InvalidMap(f"{self.buckets!r} is not a number of buckets, which is a power of two.")
        ids = [shard.id for shard in self.shards]
        for shard_id in ids:
            if ids.count(shard_id) > 1:
                raise InvalidMap(f"Shard {shard_id} is described twice.")
        for current in self.ranges:
            if current.shard not in ids:
                raise InvalidMap(
                    f"{ranges.span(current.first, current.last).capitalize()} belong to shard {current.shard}, "
                    "which is not described."
                )
        faults = ranges.faults(self.ranges, self.buckets)
        if faults:
            raise InvalidMap(f"The map does not cover each bucket once: {'; '.join(faults)}.")
        locations: dict[tuple[str, str], Shard] = {}
        for shard in self.shards:
            other = locations.setdefault(shard.location, shard)
            if other is not shard:
                raise InvalidMap(
                    f"Shards {other.id} and {shard.id} both claim the database {shard.database} of the cluster "
                    f"{shard.cluster.name}."
                )
        self._check_clusters()
        object.__setattr__(self, "shards", tuple(sorted(self.shards, key=lambda shard: shard.id)))
        object.__setattr__(self, "ranges", ranges.merge(self.ranges))

    def _check_clusters(self) -> None:
        clusters: dict[str, Cluster] = {}
        owners: dict[tuple[str, int], Cluster] = {}
        for shard in self.shards:
            cluster = shard.cluster
            if clusters.setdefault(cluster.name, cluster) != cluster:
                raise InvalidMap(f"The cluster {cluster.name} is described twice.")
            for server in cluster.members:
                other = owners.setdefault(server.address, cluster)
                if other != cluster:
                    raise InvalidMap(f"The clusters {other.name} and {cluster.name} both claim the server {server}.")

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """The clusters that hold a shard, in the order of their names."""
        clusters = {shard.cluster.name: shard.cluster for shard in self.shards}
        return tuple(clusters[name] for name in sorted(clusters))

    def shard(self, shard_id: int) -> Shard:
        """Return the shard with an id; KeyError where there is none."""
        for shard in self.shards:
            if shard.id == shard_id:
                return shard
        raise KeyError(shard_id)

    def owner(self, bucket: int) -> Shard:
        """Return the shard that owns a bucket from 0 to ``buckets - 1``."""
        return self.shard(ranges.owner(self.ranges, bucket))

    def document(self) -> dict[str, t.Any]:
        """Return the map as the document that clients read."""
        return {
            "format": FORMAT,
            "version": self.version,
            "buckets": self.buckets,
            "clusters": {cluster.name: [server.document() for server in cluster.members] for cluster in self.clusters},
            "shards": {
                str(shard.id): {"cluster": shard.cluster.name, "database": shard.database} for shard in self.shards
            },
            "ranges": [[current.first, current.last, str(current.shard)] for current in self.ranges],
        }

    def text(self) -> str:
        """Return the map as a person reads it, a line for each cluster and each shard; ``--diff`` shows this."""
        former = "" if self.format == FORMAT else f", format {self.format}"
        lines = [f"version {self.version}, {self.buckets} buckets{former}"]
        for cluster in self.clusters:
            lines.append(f"cluster {cluster.name}: {', '.join(map(str, cluster.members))}")
        for shard in self.shards:
            owned = [current for current in self.ranges if current.shard == shard.id]
            lines.append(
                f"shard {shard.id}: database {shard.database} of {shard.cluster.name}, "
                f"buckets {', '.join(f'{current.first}-{current.last}' for current in owned) or 'none'}"
            )
        return "\n".join(lines) + "\n"


def decode(value: bytes | str) -> ShardMap:
    """Read a map from its JSON text.

    :raises InvalidMap: the text is not JSON, or :func:`read` refuses what it holds.
    """
    try:
        document = strict.parse(value)
    except strict.NotJson as error:
        raise InvalidMap(error.message) from None
    return read(document)


def read(document: t.Any) -> ShardMap:
    """Read a map from its document, strictly: what is not understood must not be written over.

    :raises InvalidMap: the document is of another format, lacks a field, has one too many, or does not hold together.
    """
    if not isinstance(document, dict):
        raise InvalidMap(f"It is {_kind(document)}, not an object.")
    document_format = document.get("format")
    if document_format == FORMER_FORMAT and _is_int(document_format):
        document = _upgraded(document)
    elif document_format != FORMAT or not _is_int(document_format):
        raise InvalidMap(f"Its format is {document_format!r}, and {FORMAT} is the one known here.")
    names = ("format", "version", "buckets", "clusters", "shards", "ranges")
    _fields(document, "the map", names, optional=("moving",))
    for name in ("clusters", "shards"):
        if not isinstance(document[name], dict):
            raise InvalidMap(f"Its {name} are {_kind(document[name])}, not an object.")
    if _list(document.get("moving", []), "its moving buckets"):
        raise InvalidMap("It has buckets that are moving, and this release cannot read such a map.")
    clusters = {name: _read_cluster(name, members) for name, members in document["clusters"].items()}
    shards = tuple(_read_shard(shard_id, fields, clusters) for shard_id, fields in document["shards"].items())
    unused = sorted(set(clusters) - {shard.cluster.name for shard in shards})
    if unused:
        raise InvalidMap(f"The cluster {unused[0]} holds no shard.")
    return ShardMap(
        version=document["version"],
        buckets=document["buckets"],
        shards=shards,
        ranges=tuple(_read_range(fields) for fields in _list(document["ranges"], "its ranges")),
        format=document_format,
    )


def _upgraded(document: dict[str, t.Any]) -> dict[str, t.Any]:
    """Turn a document of format 1 into one of format 2, whose clusters have the names of their primaries."""
    _fields(document, "the map", ("format", "version", "buckets", "shards", "ranges"))
    if not isinstance(document["shards"], dict):
        raise InvalidMap(f"Its shards are {_kind(document['shards'])}, not an object.")
    clusters: dict[str, list[t.Any]] = {}
    shards: dict[str, t.Any] = {}
    for shard_id, fields in document["shards"].items():
        of = f"shard {shard_id}"
        _fields(fields, of, ("database", "primary", "replicas"))
        primary = _read_endpoint(fields["primary"], f"the primary of {of}")
        members = [fields["primary"], *_list(fields["replicas"], f"the replicas of {of}")]
        clusters.setdefault(primary.name, [])
        # Format 1 let two shards of one primary have different replicas.
        clusters[primary.name] += [server for server in members if server not in clusters[primary.name]]
        shards[shard_id] = {"cluster": primary.name, "database": fields["database"]}
    return {**document, "clusters": clusters, "shards": shards}


def _read_cluster(name: t.Any, members: t.Any) -> Cluster:
    of = f"the cluster {name}"
    return Cluster(name, tuple(_read_endpoint(server, f"a member of {of}") for server in _list(members, of)))


def _read_shard(shard_id: t.Any, fields: t.Any, clusters: t.Mapping[str, Cluster]) -> Shard:
    number = _read_id(shard_id)
    _fields(fields, f"shard {shard_id}", ("cluster", "database"))
    cluster = clusters.get(fields["cluster"]) if isinstance(fields["cluster"], str) else None
    if cluster is None:
        raise InvalidMap(f"Shard {shard_id} is in the cluster {fields['cluster']!r}, which is not described.")
    return Shard(id=number, database=fields["database"], cluster=cluster)


def _read_endpoint(fields: t.Any, of: str) -> Endpoint:
    _fields(fields, of, ("name", "host", "port"), optional=("pooler_port",))
    return Endpoint(**fields)


def _read_range(fields: t.Any) -> BucketRange:
    if not isinstance(fields, list) or len(fields) != 3 or not _is_int(fields[0]) or not _is_int(fields[1]):
        raise InvalidMap(f'{fields!r} is not a range of buckets, such as [0, 1023, "0"].')
    return BucketRange(fields[0], fields[1], _read_id(fields[2]))


def _read_id(value: t.Any) -> int:
    if not isinstance(value, str) or not _SHARD_ID.fullmatch(value):
        raise InvalidMap(f"{value!r} is not the id of a shard, which is a number from 0 on, written as text.")
    return int(value)


def _fields(value: t.Any, of: str, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    if not isinstance(value, dict):
        raise InvalidMap(f"The description of {of} is {_kind(value)}, not an object.")
    for name in names:
        if name not in value:
            raise InvalidMap(f"The description of {of} lacks the field {name}.")
    for name in value:
        if name not in names + optional:
            raise InvalidMap(f"The description of {of} has a field that is not known here: {name!r}.")


def _list(value: t.Any, of: str) -> list[t.Any]:
    if not isinstance(value, list):
        raise InvalidMap(f"The description of {of} is {_kind(value)}, not a list.")
    return value


def _kind(value: t.Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _is_int(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
