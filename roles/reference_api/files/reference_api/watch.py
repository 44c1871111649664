# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watch over one shard's servers: twice a second it learns who is up, who leads, and how far each replica is.

Who takes writes is asked of the servers themselves, so that no one has to tell when that changes. Of two that do, the
one on the newer timeline leads: the other one is a former leader that has not noticed.

It has a connection of its own to each server, so that a busy pool does not look like a dead server. A server that
refuses is down at once; one that does not answer has a second chance, since a moment's stall is no failure. While this
process was itself late, no server was silent (``lateness.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import typing as t
from dataclasses import dataclass

import psycopg

from .freshness import PrimaryHistory
from .lateness import Silence
from .messages import LOOK
from .pulse import Pulse
from .servers import Connection, Server, connection_options, cut_off, one_line, until
from .settings import Settings
from .shard_map import Shard

log = logging.getLogger(__name__)

INTERVAL = 0.5
#: Seconds for one answer.
PATIENCE = 1.0
#: Seconds without an answer, as far as this process was there to hear one, after which a server counts as down: two
#: answers that stay out, less some delay.
SILENCE = 1.8
#: Seconds after which a replica is asked, once its primary has answered: time for the log to travel.
_TRAVEL = 0.02


@dataclass(frozen=True)
class Seen:
    """What a server says of itself.

    :param standby: whether it replays another's log.
    :param timeline: of the log that it writes; 0 for a replica.
    :param lsn: where it is in its log.
    :param clock: its clock, in seconds since 1970.
    :param partitioned: whether the table of tasks is.
    :param summed: whether there is the view ``user_stats`` to read, which maintenance keeps exact.
    """

    standby: bool
    lsn: int
    timeline: int
    clock: float
    partitioned: bool
    summed: bool


class Probe:
    """One connection to one server that asks what it is and where it is."""

    def __init__(self, server: Server, settings: Settings) -> None:
        self._options = {**connection_options(server.address, settings), "application_name": "reference_api watch"}
        self._connection: Connection = None

    async def ask(self) -> Seen:
        """
        :raises TimeoutError: (asyncio's) it does not answer.
        :raises psycopg.Error: it refuses.
        """
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                return await self._query()
            # It may have closed just this connection: a fresh one tells.
            await self.close()
        try:
            async with asyncio.timeout(PATIENCE):
                self._connection = await psycopg.AsyncConnection.connect(**self._options)
        except psycopg.errors.ConnectionTimeout as error:
            raise TimeoutError from error
        return await self._query()

    async def _query(self) -> Seen:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        try:
            with cut_off(self._connection, until(deadline)):
                cursor = await self._connection.execute(LOOK)
                row = await cursor.fetchone()
        except psycopg.Error as error:
            if asyncio.get_running_loop().time() < deadline:
                raise
            await self.close()
            raise TimeoutError from error
        return Seen(**row)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class Watch:
    """Watches one shard of the map, from :meth:`start` to :meth:`stop`.

    :param members: the servers of its cluster; the first one leads until they have said who does.
    """

    def __init__(self, shard: Shard, members: t.Sequence[Server], settings: Settings, pulse: Pulse) -> None:
        self.shard = shard
        self.primary = members[0]
        #: What the primary says (see :class:`Seen`); until it has, no for both, which is right but slow.
        self.partitioned = self.summed = False
        #: Seconds by which this process's clock is ahead of the primary's, or behind if negative.
        self.ahead = 0.0
        self._members = tuple(members)
        self._timeline = 0
        self._settings = settings
        self._pulse = pulse
        self._history = PrimaryHistory()
        self._as_of = dict.fromkeys(members, float("-inf"))
        self._primary_answered = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    @property
    def replicas(self) -> tuple[Server, ...]:
        """The members that do not lead."""
        return tuple(server for server in self._members if server is not self.primary)

    def start(self) -> None:
        self._tasks = [asyncio.ensure_future(self._watch(server)) for server in self._members]

    async def stop(self) -> None:
        # The flag, because psycopg 3.1 may swallow a cancellation (its asyncio.wait_for does, before Python 3.12).
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def age(self, replica: Server) -> float:
        """How many seconds old the replica's data may be at the most; infinite when nothing is known."""
        return time.monotonic() - self._as_of[replica]

    def in_use(self, replica: Server) -> bool:
        """Whether the replica may serve callers who can prove nothing."""
        return bool(replica.up) and self.age(replica) <= self._settings.replica_max_lag

    async def _observe(self, server: Server, asked_at: float, seen: Seen) -> None:
        if seen.standby:
            if server is self.primary:
                server.mark_down("is in recovery and no primary")
                return
            self._as_of[server] = max(self._as_of[server], self._history.as_of(seen.lsn))
        elif server is not self.primary and seen.timeline <= self._timeline:
            server.mark_down(f"takes writes on timeline {seen.timeline}, and {self.primary.name} on {self._timeline}")
            return
        else:
            self._lead(server, seen.timeline)
            self._history.add(asked_at, seen.lsn)
            self.partitioned, self.summed = seen.partitioned, seen.summed
            self.ahead = _ahead(asked_at, seen.clock)
        await server.mark_up()

    def _lead(self, server: Server, timeline: int) -> None:
        """Note who leads. What was known of the former leader's log says nothing of the new one's."""
        if server is not self.primary:
            log.warning("shard %s: %s leads, %s did", self.shard.id, server.name, self.primary.name)
            former, self.primary = self.primary, server
            self._history = PrimaryHistory()
            self._as_of = dict.fromkeys(self._members, float("-inf"))
            former.mark_down("led before and is not known to follow yet")
        self._timeline = timeline

    async def _next_turn(self, server: Server) -> None:
        if server is self.primary:
            self._primary_answered.set()
            self._primary_answered.clear()
            await asyncio.sleep(INTERVAL)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL):
                await self._primary_answered.wait()
        await asyncio.sleep(_TRAVEL)

    async def _watch(self, server: Server) -> None:
        if server is not self.primary:
            await self._next_turn(server)
        probe = Probe(server, self._settings)
        silence = Silence(SILENCE)
        try:
            while not self._stopped:
                asked_at = time.monotonic()
                try:
                    seen = await probe.ask()
                    silence.broken()
                    await self._observe(server, asked_at, seen)
                except TimeoutError:
                    now = time.monotonic()
                    if silence.add(now - asked_at, self._pulse.lost(asked_at, now)):
                        server.mark_down(f"does not answer the watch of {self._pulse.watcher}", silent=True)
                except psycopg.Error as error:
                    log.debug("%s: %s", server.address, one_line(error))
                    server.mark_down(f"cannot be reached from {self._pulse.watcher}")
                except Exception:
                    # The watch must outlive everything, or its last result would stand forever.
                    log.exception("the watch over %s failed", server.address)
                await self._next_turn(server)
        finally:
            await probe.close()


def _ahead(asked_at: float, clock: float) -> float:
    """How far this process's clock is ahead of a server's that has answered just now.

    :param asked_at: monotonic seconds; the server looked at its clock between then and now.
    """
    took = time.monotonic() - asked_at
    return time.time() - took / 2 - clock
