# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One database of one server: its pool of connections, its state, and one message to it within a time limit.

Whether a server is up is decided by the watch (``watch.py``) alone. A server that is down has no pool: requests that
wait for a connection fail at once, and when it is back a new pool starts from nothing, without the dead connections and
the growing back-off of the old one. Only where the server is said to be silent by a process that was late itself, a
request waits within its deadline for the watch to look again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import select
import socket
import time
import typing as t

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from . import messages
from .messages import Message, Parameters, Reply, Rows
from .pulse import Pulse
from .settings import Settings
from .shard_map import Address
from .troubles import WriteTrouble, clause

log = logging.getLogger(__name__)

#: Seconds until a deadline.
Left = t.Callable[[], float]
Connection = t.Any  # psycopg.AsyncConnection, whose type parameters differ between releases

#: Seconds that a server may be late with saying that a statement took too long, before its connection is cut.
GRACE = 0.25
#: Seconds for which a server that left the map still serves the requests that were on their way to it.
RETIREMENT = 5.0
#: Seconds after which the pool gives up connecting and waits for the next request to ask for it.
_RECONNECT = 1.0

# What a server answers when it cannot work now, though the statement is fine: nothing was changed.
_CANNOT_NOW = (
    psycopg.errors.QueryCanceled,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.OperationalError,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
)
# PgBouncer says farewell with this to a client whose message no server has taken.
_NOT_PASSED_ON = "query_wait_timeout"


class Unavailable(Exception):
    """The message was not carried out, for sure; the text is a clause such as ``pg1 cannot be reached``."""


class Lost(Exception):
    """The connection was lost while the message was under way, or a write failed at its very end."""


def connection_options(address: Address, settings: Settings) -> dict[str, t.Any]:
    """How to reach this very server, be it the leader or a replica."""
    return {
        "host": address.host,
        "port": address.transaction_port,
        "dbname": address.own_database,
        "user": settings.database_user,
        "password": settings.database_password,
        "application_name": "reference_api",
        # Whole seconds, for the driver knows no others.
        "connect_timeout": max(1, round(settings.pool_connect_timeout)),
        "autocommit": True,
        "prepare_threshold": None,
        "row_factory": dict_row,
        "cursor_factory": psycopg.AsyncClientCursor,
    }


def leader_options(members: t.Sequence[Address], settings: Settings) -> dict[str, t.Any]:
    """How to reach whoever takes writes: through the first pooler that answers, or the driver asks each server."""
    return {
        **connection_options(members[0], settings),
        "host": ",".join(member.host for member in members),
        "port": ",".join(str(member.transaction_port) for member in members),
        "dbname": members[0].database,
        "target_session_attrs": "read-write",
    }


class Server:
    """
    ``up`` is None until the watch has judged it once; ``reason`` says why it is down.
    """

    def __init__(self, address: Address, settings: Settings, pulse: Pulse) -> None:
        self.address = address
        self.up: bool | None = None
        self.reason = "has not been reached yet"
        self._settings = settings
        self._pulse = pulse
        self._trouble = WriteTrouble()
        self._silent = False
        self._opened = asyncio.Event()
        self._pool: AsyncConnectionPool | None = None
        self._judged = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._retired = False

    @property
    def name(self) -> str:
        return self.address.name

    @property
    def trouble(self) -> str:
        """What keeps it from writing, such as ``disk_full``; empty while nothing does."""
        return self._trouble.cause(time.monotonic())

    @property
    def state(self) -> str:
        """Its state as a clause: why it is down, or else what keeps it from writing."""
        return (self.up and self._trouble.words(time.monotonic())) or self.reason

    async def mark_up(self) -> None:
        if self.up or self._retired:
            return
        self._pool = AsyncConnectionPool(
            kwargs=connection_options(self.address, self._settings),
            min_size=self._settings.pool_min,
            max_size=self._settings.pool_max,
            max_idle=self._settings.pool_idle_timeout,
            timeout=self._settings.pool_connect_timeout,
            reconnect_timeout=_RECONNECT,
            name=str(self.address),
            open=False,
        )
        await self._pool.open()
        self._decide(True, "is up")
        self._opened.set()

    def mark_down(self, reason: str, silent: bool = False) -> None:
        """
        :param silent: it has said nothing, which may be the watch's own fault, rather than something.
        """
        self._silent = silent
        self._opened.clear()
        if self.up is not False or reason != self.reason:
            self._decide(False, reason)
        self._close_pool(after=0.0)

    def retire(self) -> None:
        """The map names this server no longer."""
        self._retired = True
        self._close_pool(after=RETIREMENT)

    async def close(self) -> None:
        self._close_pool(after=0.0)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def pool_stats(self) -> dict[str, int]:
        return self._pool.get_stats() if self._pool else {}

    async def send(self, message: Message, deadline: float) -> Reply:
        """Send a message and take its reply apart.

        :param deadline: when to give up, on the event loop's clock; put off while this process is late.
        :raises Unavailable: nothing was changed.
        :raises Lost: the connection was lost under way.
        :raises psycopg.Error: the server refuses the statement itself; nothing was changed.
        """
        since = time.monotonic()

        def left() -> float:
            now = time.monotonic()
            return self._pulse.put_off(deadline, since, now) - now

        pool, connection = await self._connection(left)
        try:
            limit = min(left(), self._settings.statement_timeout)
            if limit <= 0:
                raise Unavailable(f"{self.name} has no connection free")
            with cut_off(connection, lambda: left() + GRACE):
                results = await self._exchange(connection, message, {"milliseconds": math.ceil(limit * 1000)})
        finally:
            if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                await connection.close()
            await pool.putconn(connection)
        if message.is_write:
            self._trouble.worked(time.monotonic())
        return messages.parse_reply(message, results)

    async def _connection(self, left: Left) -> tuple[AsyncConnectionPool, Connection]:
        await _wait_for(self._judged, left)
        asked_at = time.monotonic()
        while True:
            pool = await self._open_pool(left)
            now = time.monotonic()
            most = self._pulse.put_off(asked_at + self._settings.pool_connect_timeout, asked_at, now) - now
            wait = min(left(), most)
            try:
                connection = await pool.getconn(timeout=max(wait, 0.001))
            except PoolClosed:
                if pool is self._pool:
                    raise Unavailable(self._why()) from None
            except (PoolTimeout, TooManyRequests):
                # It gets what is left when it was not only others that had the connections.
                if wait <= 0 or not self._pulse.lost(now, time.monotonic()):
                    raise Unavailable(f"{self.name} has no connection free") from None
            else:
                if _is_quiet(connection):
                    return pool, connection
                await connection.close()
                await pool.putconn(connection)

    async def _open_pool(self, left: Left) -> AsyncConnectionPool:
        while self._pool is None:
            in_doubt = self._silent and self._pulse.in_doubt(time.monotonic())
            if not in_doubt or not await _wait_for(self._opened, left):
                raise Unavailable(self._why())
        return self._pool

    def _why(self) -> str:
        now = time.monotonic()
        also = ""
        if self._silent and self._pulse.in_doubt(now):
            also = f", which was late itself by {self._pulse.lately(now):.1f} s"
        return f"{self.name} {self.reason}{also}"

    async def _exchange(self, connection: Connection, message: Message, limits: Parameters) -> list[Rows]:
        try:
            cursor = await connection.execute(message.text, {**message.parameters, **limits})
            results: list[Rows] = []
            while True:
                results.append(await cursor.fetchall() if cursor.description else [])
                if not cursor.nextset():
                    return results
        except psycopg.Error as error:
            self._trouble.failed(error.sqlstate, time.monotonic())
            if _is_broken(connection):
                log.warning("lost a connection to %s: %s", self.address, one_line(error))
                if _NOT_PASSED_ON in str(error):
                    raise Unavailable(f"{self.name} cannot be reached by its pooler") from error
                raise Lost(f"the connection to {self.name} was lost") from error
            # A transaction that the server failed is still open. Where none is, it failed with or after the COMMIT.
            ended = error.sqlstate and connection.pgconn.transaction_status != TransactionStatus.INERROR
            if ended and message.is_write:
                log.warning("%s failed at the end of a write: %s", self.address, one_line(error))
                raise Lost(f"{self.name} failed at the end of the write") from error
            with contextlib.suppress(psycopg.Error):
                await connection.rollback()
            if isinstance(error, _CANNOT_NOW):
                log.warning("%s cannot work now: %s", self.address, one_line(error))
                raise Unavailable(f"{self.name} {clause(error.sqlstate, type(error).__name__)}") from error
            raise

    def _decide(self, up: bool, reason: str) -> None:
        self.up, self.reason = up, reason
        self._judged.set()
        log.log(logging.INFO if up else logging.WARNING, "%s %s", self.address, reason)

    def _close_pool(self, after: float) -> None:
        pool, self._pool = self._pool, None if after == 0 else self._pool
        if pool is not None and not pool.closed:
            task = asyncio.ensure_future(_close(pool, after))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _close(pool: AsyncConnectionPool, after: float) -> None:
    try:
        await asyncio.sleep(after)
    finally:
        await pool.close(timeout=1.0)


@contextlib.contextmanager
def cut_off(connection: Connection, left: Left) -> t.Iterator[None]:
    """Cut the connection when no time is left, so that whoever waits on it gets an ordinary error.

    Cancelling the waiting task instead would leave a half-read connection behind, and psycopg 3.2 answers a
    cancellation by talking to the server, which is just what does not answer.
    """

    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def cut(may_wait: bool) -> None:
        nonlocal timer
        with contextlib.suppress(OSError, psycopg.Error):
            if (more := left()) > 0:
                timer = loop.call_later(more, cut, may_wait)
                return
            if may_wait and not _is_quiet(connection):
                # The answer has come, and it is this process that was too late to read it.
                timer = loop.call_later(GRACE, cut, False)
                return
            with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)

    timer = loop.call_later(left(), cut, True)
    try:
        yield
    finally:
        timer.cancel()


def _is_quiet(connection: Connection) -> bool:
    """Look, without a round trip, whether the server has left an idle connection alone, as it should.

    A server that has something to say to an idle connection says farewell. Its farewell can be read a moment before the
    end of the stream, so what counts is that there is anything to read at all.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


async def _wait_for(event: asyncio.Event, left: Left) -> bool:
    """Wait for the event as long as there is time; return whether it has come."""
    while not event.is_set() and (seconds := left()) > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
    return event.is_set()


def until(deadline: float) -> Left:
    """The time until a deadline on the event loop's clock."""
    loop = asyncio.get_running_loop()
    return lambda: deadline - loop.time()


def _is_broken(connection: Connection) -> bool:
    return bool(connection.closed or connection.pgconn.transaction_status == TransactionStatus.UNKNOWN)


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
