# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a request reaches its rows: which shard, which of its servers, and what happens when one of them fails.

- A write goes to the primary.
- A read goes to a replica that is in use (see ``watch.py``) and has the caller's own writes, else to the primary. What
  a replica does not have, the primary is asked for.
- With the primary out of reach a replica answers only callers whose token proves that it has all their writes.
- What a cache holds may answer in place of both (see ``cache/``), and each write tells the caches before and after.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
import typing as t
import uuid
from dataclasses import dataclass, replace

import psycopg
from fastapi.encoders import jsonable_encoder

from . import messages
from .cache.caches import Caches, Entry
from .cluster import Cluster
from .errors import IdOutOfRange, OutcomeUnknown, ShardUnavailable
from .exchange import Exchange
from .freshness import PRIMARY, RecentWrites
from .messages import Message, Parameters, Reply, Rows, Step
from .metrics import Metrics
from .outbox import Event, parameters_of, with_events
from .servers import Lost, Server, Unavailable
from .shard_map import Shard, ShardMap
from .uuid7 import Uuid7, milliseconds_of

log = logging.getLogger(__name__)

#: Seconds that a request waits for a shard, apart from ``servers.GRACE``.
PATIENCE = 2.0
#: Seconds that a replica gets: of these, so that some are left for the primary, or after them, in the primary's place.
REPLICA_PATIENCE = 0.75

Found = t.Callable[[list[Rows]], bool]
#: What to read beside the rows that were read so far; None at the end.
Further = t.Callable[[list[Rows]], Step | None]
Content = t.TypeVar("Content")


@dataclass(frozen=True)
class _Reading:
    """
    :param lsn: see :class:`messages.Reply`.
    :param source: ``primary``, ``replica``, or ``proved`` for a replica that may be too old for all but this caller.
    """

    rows: list[Rows]
    lsn: int
    source: str


@dataclass(frozen=True)
class Shared:
    """What all requests of the process have in common."""

    cluster: Cluster
    caches: Caches
    metrics: Metrics
    recent: RecentWrites
    new_id: Uuid7


class Session:
    """The shards as one request sees them.

    :raises NoMap: there is no shard map yet.
    """

    def __init__(self, shared: Shared, exchange: Exchange) -> None:
        self.new_id = shared.new_id
        self._exchange = exchange
        self._in_force = shared.cluster.in_force()
        self._caches = shared.caches
        self._metrics = shared.metrics
        self._recent = shared.recent

    @property
    def map(self) -> ShardMap:
        return self._in_force.map

    async def write(
        self,
        user_id: uuid.UUID,
        statement: str,
        parameters: Parameters,
        row_id: uuid.UUID,
        *,
        events: t.Sequence[Event] = (),
        before: t.Sequence[str] = (),
        cached: t.Collection[str] = (),
    ) -> Rows:
        """Run a statement for one user on the primary, with its events, and return its rows once it is committed.

        :param row_id: what to look for when the outcome is unknown.
        :param events: written to the outbox for the rows that the statement returns.
        :param before: statements that come first in the same transaction, such as one that takes a lock.
        :param cached: the kinds of rows whose caches are told.
        :raises ShardUnavailable: it did not happen.
        :raises IdOutOfRange: it did not happen, for ``row_id`` is of a time for which there is no partition.
        :raises OutcomeUnknown: it is not known whether it happened.
        :raises psycopg.Error: PostgreSQL refuses it, such as for a foreign key.
        """
        shard = self._shard_of(user_id)
        version = self.map.version
        statements = (*before, with_events(statement, events))
        message = messages.write(statements, {**parameters, **parameters_of(events, user_id, self.new_id)})
        told = await self._caches.begin(cached, user_id, version)
        try:
            reply = await self._send(shard, self._in_force.watch_of(shard).primary, message, _deadline(PATIENCE))
        except (ShardUnavailable, psycopg.Error) as error:
            await told.end(None)
            # Of this state only a row without a partition names no constraint.
            if isinstance(error, psycopg.errors.CheckViolation) and not error.diag.constraint_name:
                watch = self._in_force.watch_of(shard)
                raise IdOutOfRange(shard.id, milliseconds_of(row_id), watch.ahead) from None
            raise
        except Lost:
            # The caches take the write for one that is still under way.
            self._recent.note(user_id, shard.id, version, PRIMARY, time.monotonic())
            self._exchange.write_in_doubt(shard.id)
            raise OutcomeUnknown(shard.id, row_id) from None
        self._recent.note(user_id, shard.id, version, reply.lsn, time.monotonic())
        self._exchange.wrote(shard.id, version, reply.lsn)
        await told.end(reply.lsn)
        return reply.rows[-1]

    def is_partitioned(self, user_id: uuid.UUID) -> bool:
        """Whether the table of tasks is, in the user's shard."""
        return self._in_force.watch_of(self._shard_of(user_id)).partitioned

    def is_summed(self, user_id: uuid.UUID) -> bool:
        """Whether the user's shard has the view ``user_stats``."""
        return self._in_force.watch_of(self._shard_of(user_id)).summed

    async def read_primary(
        self, user_id: uuid.UUID, statements: t.Sequence[str], parameters: Parameters, further: Further = lambda _: None
    ) -> list[Rows]:
        """
        :param further: what more to read. Each time is a transaction of its own, so a row that was read first may have
            changed since.
        :raises ShardUnavailable: the primary cannot answer.
        """
        reading = await self._in_steps(self._shard_of(user_id), statements, parameters, further)
        return reading.rows

    async def read_user(self, user_id: uuid.UUID, statement: str, parameters: Parameters) -> Rows:
        """Read a user's row from wherever it is fresh enough; no rows means that the primary has none.

        :raises ShardUnavailable: no server can answer correctly.
        """
        (rows,) = await self.read(user_id, [statement], parameters)
        return rows

    async def read(self, user_id: uuid.UUID, statements: t.Sequence[str], parameters: Parameters) -> list[Rows]:
        """Read a user's rows from wherever they are fresh enough; that the first statement has none, the primary says.

        :raises ShardUnavailable: no server can answer correctly.
        """
        shard = self._shard_of(user_id)
        reading = await self._read(shard, statements, parameters, self._need_of_process(user_id), found=_a_row)
        return reading.rows

    async def read_cached(
        self,
        entry: Entry,
        statements: t.Sequence[str],
        parameters: Parameters,
        content_of: t.Callable[[list[Rows]], Content],
        from_replicas: bool,
        further: Further = lambda _: None,
    ) -> Content:
        """Read something of a user from the cache, else as :meth:`read_primary` or :meth:`read` would.

        :param content_of: makes of the rows what is kept and returned; an error that it raises is not kept. What comes
            from the cache has been JSON: of times and ids only the text.
        :param further: see :meth:`read_primary`; not with ``from_replicas``.
        :raises ShardUnavailable: no server can answer correctly.
        """
        shard, version = self._shard_of(entry.user_id), self.map.version
        need_of_process = self._need_of_process(entry.user_id)
        need = max(self._exchange.token.need(shard.id, version), need_of_process)
        found = await self._caches.get(entry, version, need)
        self._exchange.cache = found.outcome
        self._metrics.cache_reads.labels(entry.kind, found.outcome).inc()
        if found.outcome == "hit":
            return t.cast(Content, json.loads(found.body))

        if from_replicas:
            reading = await self._read(shard, statements, parameters, need_of_process, found=_a_row)
        else:
            reading = await self._in_steps(shard, statements, parameters, further)
        content = content_of(reading.rows)
        if found.lease and reading.source != "proved":
            body = json.dumps(jsonable_encoder(content), separators=(",", ":")).encode()
            lsn = reading.lsn if reading.source == "replica" else _shown_by_primary(reading.lsn, need)
            kept = await self._caches.fill(entry, found.lease, version, lsn, reading.source, body)
            self._metrics.cache_fills.labels(entry.kind, "kept" if kept else "refused").inc()
        return content

    async def read_page(self, shard: Shard, statement: str, parameters: Parameters) -> Rows:
        """Read rows of many users from one shard, from wherever they are fresh enough.

        :raises ShardUnavailable: no server can answer correctly.
        """
        self._exchange.uses(shard.id)
        need = self._recent.need_of_shard(shard.id, self.map.version, time.monotonic())
        reading = await self._read(shard, [statement], parameters, need, found=_anything)
        return reading.rows[0]

    def _need_of_process(self, user_id: uuid.UUID) -> float:
        return self._recent.need_of_user(user_id, self.map.version, time.monotonic())

    def _shard_of(self, user_id: uuid.UUID) -> Shard:
        shard = self.map.shard_of(user_id)
        self._exchange.uses(shard.id)
        return shard

    async def _read(
        self, shard: Shard, statements: t.Sequence[str], parameters: Parameters, need_of_process: float, found: Found
    ) -> _Reading:
        deadline = _deadline(PATIENCE)
        watch = self._in_force.watch_of(shard)
        need_of_caller = self._exchange.token.need(shard.id, self.map.version)
        need = max(need_of_caller, need_of_process)

        in_use = [replica for replica in watch.replicas if watch.in_use(replica)]
        if in_use and need < PRIMARY:
            reading = await self._from_replica(shard, random.choice(in_use), statements, parameters, need, "replica")
            if reading and found(reading.rows):
                return reading
        try:
            return await self._from_primary(shard, statements, parameters, deadline)
        except ShardUnavailable:
            # Only the caller's own token is a proof: what this process wrote says nothing of the other processes.
            if not 0 < need_of_caller < PRIMARY:
                raise
            for replica in watch.replicas:
                if replica.up:
                    reading = await self._from_replica(shard, replica, statements, parameters, need_of_caller, "proved")
                    if reading and found(reading.rows):
                        return reading
            raise

    async def _in_steps(
        self, shard: Shard, statements: t.Sequence[str], parameters: Parameters, further: Further
    ) -> _Reading:
        """What is read later shows at least what the first position shows, so that one stands for all."""
        reading = await self._from_primary(shard, statements, parameters, _deadline(PATIENCE))
        while (step := further(reading.rows)) is not None:
            # A server that has just answered gets its full time again; the old deadline may have passed while this
            # process was late.
            more = await self._from_primary(shard, *step, _deadline(PATIENCE))
            reading = replace(reading, rows=[*reading.rows, *more.rows])
        return reading

    async def _from_primary(
        self, shard: Shard, statements: t.Sequence[str], parameters: Parameters, deadline: float
    ) -> _Reading:
        primary = self._in_force.watch_of(shard).primary
        message = messages.read_primary(statements, parameters)
        try:
            reply = await self._send(shard, primary, message, deadline)
        except Lost as error:
            raise ShardUnavailable(shard.id, str(error)) from None
        if not reply.guard:
            raise ShardUnavailable(shard.id, f"{primary.name} is in recovery and no primary")
        self._served(primary, "primary")
        return _Reading(reply.rows, reply.lsn, "primary")

    async def _from_replica(
        self,
        shard: Shard,
        replica: Server,
        statements: t.Sequence[str],
        parameters: Parameters,
        need: float,
        source: str,
    ) -> _Reading | None:
        """Return None when the replica cannot answer or has not got that far."""
        message = messages.read_replica(statements, parameters, int(need))
        try:
            reply = await replica.send(message, _deadline(REPLICA_PATIENCE))
        except (Unavailable, Lost, psycopg.Error) as error:
            log.warning("shard %s: replica %s: %s", shard.id, replica.name, error)
            return None
        if not reply.guard:
            return None
        self._served(replica, "replica")
        return _Reading(reply.rows, reply.lsn, source)

    async def _send(self, shard: Shard, server: Server, message: Message, deadline: float) -> Reply:
        try:
            return await server.send(message, deadline)
        except Unavailable as error:
            raise ShardUnavailable(shard.id, f"its primary {error}") from None

    def _served(self, server: Server, role: str) -> None:
        self._exchange.read_from = server.name
        self._metrics.reads.labels(role).inc()


def _a_row(rows: list[Rows]) -> bool:
    return bool(rows[0])


def _anything(_rows: list[Rows]) -> bool:
    return True


def _shown_by_primary(lsn: int, need: float) -> int:
    """The position up to which a row of the primary shows everything, where ``lsn`` was passed before it was read.

    A commit is in the log a moment before others see it, so the one that ended just at ``lsn`` may be missing. Not so
    when the caller knows that commit from a caller that saw it.
    """
    return lsn if need == lsn else lsn - 1


def _deadline(patience: float) -> float:
    return asyncio.get_running_loop().time() + patience
