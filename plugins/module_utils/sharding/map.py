# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shard map: which shard owns which buckets and where its database is; its document and its text.

A :class:`ShardMap` that exists is a valid one: every bucket has exactly one owner, every owner is described, and
no two shards share a database. The document is what Consul's KV and every client hold, as JSON::

    {"format": 1, "version": 7, "buckets": 4096,
     "shards": {"0": {"database": "shard_0", "primary": {"name": "pg1", "host": "10.0.0.1", "port": 5432},
                      "replicas": [{"name": "pg1r", "host": "10.0.0.2", "port": 5432}]}},
     "ranges": [[0, 4095, "0"]]}

A server with a connection pooler before it has its port as well, ``"pooler_port": 6432``.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import ranges
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.ranges import BucketRange

FORMAT = 1

#: Names that PostgreSQL would cut off are longer than this many bytes.
_LONGEST_NAME = 63
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
_SHARD_ID = re.compile(r"0|[1-9][0-9]{0,8}")


class InvalidMap(ScaleoutError):
    """A map that cannot be: the message says what is wrong with it, in one sentence."""


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

    def document(self) -> dict:
        """Return the fields that have a value."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        pooler = "" if self.pooler_port is None else f", pooler {self.pooler_port}"
        return f"{self.name} ({host}:{self.port}{pooler})"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A database that holds the rows of its buckets, and the servers that have it.

    :param id: a number from 0 on; ids need not be contiguous, and a shard keeps its id for life.
    """

    id: int
    database: str
    primary: Endpoint
    replicas: tuple[Endpoint, ...] = ()

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
        names = [server.name for server in self.servers]
        for name in names:
            if names.count(name) > 1:
                raise InvalidMap(f"Shard {self.id} names the server {name} twice.")

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        return (self.primary, *self.replicas)

    @property
    def location(self) -> tuple[str, int, str]:
        """Where the rows are written: host, port and database."""
        return (*self.primary.address, self.database)


@dataclasses.dataclass(frozen=True)
class ShardMap:
    """A version of the map.

    :param version: 1 for the first publication, one more for each that changes anything.
    :param buckets: the number of buckets, a power of two, fixed for the life of the map.
    :param shards: in the order of their ids; a shard may own no buckets.
    :param ranges: merged ranges that cover the buckets exactly once.
    :raises InvalidMap: whatever does not hold together.
    """

    version: int
    buckets: int
    shards: tuple[Shard, ...]
    ranges: tuple[BucketRange, ...]

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
        locations: dict[tuple[str, int, str], Shard] = {}
        for shard in self.shards:
            other = locations.setdefault(shard.location, shard)
            if other is not shard:
                raise InvalidMap(
                    f"Shards {other.id} and {shard.id} both claim the database {shard.database} on {shard.primary}."
                )
        object.__setattr__(self, "shards", tuple(sorted(self.shards, key=lambda shard: shard.id)))
        object.__setattr__(self, "ranges", ranges.merge(self.ranges))

    def shard(self, shard_id: int) -> Shard:
        """Return the shard with an id; KeyError where there is none."""
        for shard in self.shards:
            if shard.id == shard_id:
                return shard
        raise KeyError(shard_id)

    def owner(self, bucket: int) -> Shard:
        """Return the shard that owns a bucket from 0 to ``buckets - 1``."""
        return self.shard(ranges.owner(self.ranges, bucket))

    def document(self) -> dict:
        """Return the map as the document that clients read."""
        return {
            "format": FORMAT,
            "version": self.version,
            "buckets": self.buckets,
            "shards": {
                str(shard.id): {
                    "database": shard.database,
                    "primary": shard.primary.document(),
                    "replicas": [server.document() for server in shard.replicas],
                }
                for shard in self.shards
            },
            "ranges": [[current.first, current.last, str(current.shard)] for current in self.ranges],
        }

    def text(self) -> str:
        """Return the map as a person reads it, a line for each shard; ``--diff`` shows this."""
        lines = [f"version {self.version}, {self.buckets} buckets"]
        for shard in self.shards:
            owned = [current for current in self.ranges if current.shard == shard.id]
            lines.append(
                f"shard {shard.id}: database {shard.database}, primary {shard.primary}, "
                f"replicas {', '.join(map(str, shard.replicas)) or 'none'}, "
                f"buckets {', '.join(f'{current.first}-{current.last}' for current in owned) or 'none'}"
            )
        return "\n".join(lines) + "\n"


def decode(value: bytes | str) -> ShardMap:
    """Read a map from its JSON text.

    :raises InvalidMap: the text is not JSON, or :func:`read` refuses what it holds.
    """
    try:
        document = json.loads(value)
    except ValueError:  # of JSON or of UTF-8
        raise InvalidMap("It is not JSON.") from None
    except RecursionError:
        raise InvalidMap("It is nested too deeply.") from None
    return read(document)


def read(document: t.Any) -> ShardMap:
    """Read a map from its document, strictly: what is not understood must not be written over.

    :raises InvalidMap: the document is of another format, lacks a field, has one too many, or does not hold together.
    """
    if not isinstance(document, dict):
        raise InvalidMap(f"It is {_kind(document)}, not an object.")
    if document.get("format") != FORMAT:
        raise InvalidMap(f"Its format is {document.get('format')!r}, and {FORMAT} is the one known here.")
    _fields(document, "the map", ("format", "version", "buckets", "shards", "ranges"))
    if not isinstance(document["shards"], dict):
        raise InvalidMap(f"Its shards are {_kind(document['shards'])}, not an object.")
    return ShardMap(
        version=document["version"],
        buckets=document["buckets"],
        shards=tuple(_read_shard(shard_id, fields) for shard_id, fields in document["shards"].items()),
        ranges=tuple(_read_range(fields) for fields in _list(document["ranges"], "its ranges")),
    )


def _read_shard(shard_id: t.Any, fields: t.Any) -> Shard:
    of = f"shard {shard_id}"
    number = _read_id(shard_id)
    _fields(fields, of, ("database", "primary", "replicas"))
    return Shard(
        id=number,
        database=fields["database"],
        primary=_read_endpoint(fields["primary"], f"the primary of {of}"),
        replicas=tuple(
            _read_endpoint(server, f"a replica of {of}")
            for server in _list(fields["replicas"], f"the replicas of {of}")
        ),
    )


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


def _list(value: t.Any, of: str) -> list:
    if not isinstance(value, list):
        raise InvalidMap(f"The description of {of} is {_kind(value)}, not a list.")
    return value


def _kind(value: t.Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _is_int(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
