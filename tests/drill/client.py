# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An open-loop client: it writes rows at a steady rate through all poolers, whatever becomes of the ones before.

Each row carries the timeline of the server that took it. Connections have time limits of their own: a paused VM goes on
acknowledging TCP, and a client without them would wait for its answer forever.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import select
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg2
import psycopg2.extensions

from .judge import Attempt, Outcome

TABLE = "CREATE TABLE IF NOT EXISTS drill (id bigint PRIMARY KEY, timeline int NOT NULL, written timestamptz NOT NULL)"
#: The first eight digits of a segment's name are the timeline; only a leader can tell the segment.
TIMELINE = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
#: Of an id that is there already, the answer is the timeline of the server that found it.
WRITE = f"""INSERT INTO drill VALUES (%s, {TIMELINE}, now())
ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING {TIMELINE}"""
#: Seconds for one attempt, a new connection included.
LIMIT = 3.0
#: Seconds after which an attempt that was refused, or whose outcome is unknown, is made again.
AGAIN = 0.5
#: Answers by which a server or a pooler says that it did not write: no such server, none that may write, too many
#: connections, starting or stopping. Any other error leaves the outcome unknown.
REFUSALS = ("08P01", "25006", "53300", "57P03", "3D000", "28000")

_until = threading.local()


def _wait(connection: Any) -> None:
    """Wait for a connection, up to the time limit of the attempt that this thread makes."""
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        left = _until.time - time.monotonic()
        reads = [connection.fileno()] if state == psycopg2.extensions.POLL_READ else []
        writes = [connection.fileno()] if state == psycopg2.extensions.POLL_WRITE else []
        if left <= 0 or not any(select.select(reads, writes, [], left)):
            raise psycopg2.OperationalError("no answer in time")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Give all connections of this process the time limits of the client; other users of psycopg2 wait outside."""
    psycopg2.extensions.set_wait_callback(_wait)
    try:
        yield
    finally:
        psycopg2.extensions.set_wait_callback(None)


class Client:
    """Writes through poolers and reads from members, from threads of its own.

    :param poolers: where each is: the arguments of ``psycopg2.connect``.
    :param members: where each member is read, in the same form.
    :param rate: rows a second, over all poolers.
    :param connections: to each pooler.
    """

    def __init__(
        self, poolers: Mapping[str, Any], members: Mapping[str, Any], rate: float, connections: int = 8
    ) -> None:
        self._poolers, self._members, self._rate, self._connections = poolers, members, rate, connections
        self._ended = threading.Event()
        self._queues: dict[str, queue.Queue[tuple[int, float]]] = {name: queue.Queue() for name in poolers}
        self._again: list[tuple[float, int, str]] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        #: Every attempt, in no order.
        self.attempts: list[Attempt] = []
        #: Ids that readers saw on a member.
        self.sightings: set[int] = set()

    def start(self) -> None:
        """Begin to write and to read."""
        writers = [(self._write, (name,)) for name in self._poolers for _each in range(self._connections)]
        readers = [(self._read, (name,)) for name in self._members]
        for target, arguments in [(self._schedule, ()), *writers, *readers]:
            self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; attempts that are under way are waited for."""
        self._ended.set()
        for thread in self._threads:
            thread.join(2 * LIMIT + 2)

    def _schedule(self) -> None:
        names, begin = itertools.cycle(self._poolers), time.monotonic()
        for number in itertools.count(1):
            due = begin + number / self._rate
            while not self._ended.is_set() and time.monotonic() < due:
                self._ended.wait(min(0.05, max(0.0, due - time.monotonic())))
                self._retry()
            if self._ended.is_set():
                return
            self._queues[next(names)].put((number, due))

    def _retry(self) -> None:
        """Put what is due again into the queue of another pooler than the one that failed."""
        with self._lock:
            while self._again and self._again[0][0] <= time.monotonic():
                due, number, failed = heapq.heappop(self._again)
                others = [name for name in self._poolers if name != failed] or [failed]
                self._queues[others[number % len(others)]].put((number, due))

    def _write(self, pooler: str) -> None:
        connection: Any = None
        while not self._ended.is_set():
            try:
                number, due = self._queues[pooler].get(timeout=0.2)
            except queue.Empty:
                continue
            sent = time.monotonic()
            _until.time = sent + LIMIT
            outcome, timeline, reason = Outcome.REFUSED, 0, ""
            try:
                if connection is None:
                    connection = psycopg2.connect(**self._poolers[pooler])
                    connection.autocommit = True
                # From here on the server may have it.
                outcome = Outcome.UNKNOWN
                with connection.cursor() as cursor:
                    cursor.execute(WRITE, (number,))
                    timeline = cursor.fetchone()[0]
                # A commit that no longer waits for its replica is told as a warning beside the success.
                outcome = Outcome.UNKNOWN if connection.notices else Outcome.ACKNOWLEDGED
                reason = " ".join(connection.notices)
                connection.notices.clear()
            except psycopg2.Error as error:
                reason = f"{error.pgcode or ''} {' '.join(str(error).split())}".strip()
                if error.pgcode in REFUSALS:
                    outcome = Outcome.REFUSED
                if connection is not None:
                    with contextlib.suppress(psycopg2.Error):
                        connection.close()
                    connection = None
            attempt = Attempt(number, pooler, due, sent, time.monotonic(), outcome, timeline, reason)
            with self._lock:
                self.attempts.append(attempt)
                if outcome is not Outcome.ACKNOWLEDGED:
                    heapq.heappush(self._again, (attempt.ended + AGAIN, number, pooler))
        if connection is not None:
            with contextlib.suppress(psycopg2.Error):
                connection.close()

    def _read(self, member: str) -> None:
        """Note which rows a member shows, ten times a second."""
        connection: Any = None
        while not self._ended.wait(0.1):
            _until.time = time.monotonic() + LIMIT
            try:
                if connection is None:
                    connection = psycopg2.connect(**self._members[member])
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("SELECT id FROM drill WHERE written > now() - interval '5 s'")
                    seen = {row[0] for row in cursor.fetchall()}
                with self._lock:
                    self.sightings |= seen
            except psycopg2.Error:
                if connection is not None:
                    with contextlib.suppress(psycopg2.Error):
                        connection.close()
                connection = None


def rows(place: Mapping[str, Any]) -> list[int]:
    """Return the ids that a member has."""
    _until.time = time.monotonic() + 60
    connection = psycopg2.connect(**place)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM drill")
            return [row[0] for row in cursor.fetchall()]
    finally:
        connection.close()
