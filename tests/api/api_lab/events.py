# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What events need beside the lab: RabbitMQ, the analytics database, and workers; and the means to look at it all."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
import typing as t
import uuid
from concurrent.futures import ThreadPoolExecutor

import aio_pika
import pytest

from .lab import Lab
from .postgres import Postgres
from .rabbitmq import RabbitMQ
from .server import environment, run
from .waiting import until
from .worker import Worker


class EventsLab:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.broker = RabbitMQ(lab.directory)
        self.analytics = Postgres("ana1", lab.directory)
        self._workers: list[Worker] = []
        self._numbers = itertools.count(1)

    @property
    def variables(self) -> dict[str, str]:
        return {**self.broker.variables, "ANALYTICS_DATABASE": f"127.0.0.1:{self.analytics.port}/analytics"}

    def start(self) -> None:
        with ThreadPoolExecutor() as executor:
            jobs = [executor.submit(self.broker.start), executor.submit(self.analytics.create_primary, ["analytics"])]
            for job in jobs:
                job.result()
        migration = self.migrate()
        assert migration.returncode == 0, migration.stderr

    def migrate(self) -> subprocess.CompletedProcess[str]:
        return run("reference_api.migrate", environment(self.lab.consul.address, **self.variables))

    def stop(self) -> None:
        self.kill_workers()
        self.broker.stop()
        self.analytics.stop()

    def worker(self, **variables: str) -> Worker:
        """Start another worker; the test's end kills it."""
        log = self.lab.directory / f"worker-{next(self._numbers)}.log"
        worker = Worker(self.lab.consul.address, log, **{**self.variables, **variables})
        self._workers.append(worker)
        worker.start()
        return worker

    def kill_workers(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def user_on(self, shard: str) -> str:
        """Make a user on this shard, without events."""
        user_id, _token = self.lab.user_on(shard)
        self.forget()
        return user_id

    def forget(self) -> None:
        """Empty every outbox."""
        for shard in "0123":
            self.lab.primary_of(shard).execute("DELETE FROM outbox", [], f"shard_{shard}")

    def happen(
        self, user_id: str, kind: str = "task.created", number: int = 1, payload: t.Mapping[str, t.Any] | None = None
    ) -> list[str]:
        """Write events into the outbox of the user's shard, in one transaction; return their ids."""
        shard = self.lab.shard_of(user_id)
        ids = [_uuid7() for _unused in range(number)]
        content = {"id": str(uuid.uuid4()), "title": "Write", **(payload or {})}
        self.lab.primary_of(shard).execute(
            "INSERT INTO outbox (user_id, id, kind, payload) SELECT %s, unnest(%s::uuid[]), %s, %s::jsonb",
            [user_id, ids, kind, json.dumps(content)],
            f"shard_{shard}",
        )
        return ids

    def outbox(self) -> int:
        """How many events wait, in all shards."""
        return sum(
            int(self.lab.primary_of(shard).execute("SELECT count(*) FROM outbox", [], f"shard_{shard}")[0][0])
            for shard in "0123"
        )

    def notified(self, user_id: str) -> list[str]:
        """The events that the user was told of, in the order of the telling."""
        shard = self.lab.shard_of(user_id)
        query = "SELECT event_id::text FROM notifications WHERE user_id = %s ORDER BY id"
        return [row[0] for row in self.lab.primary_of(shard).execute(query, [user_id], f"shard_{shard}")]

    def until_notified(self, user_id: str, ids: t.Iterable[str], within: float = 15) -> None:
        """Wait until the user was told of these events, each once and nothing else."""
        wanted = sorted(ids)
        until(lambda: sorted(self.notified(user_id)) == wanted, within, f"{len(wanted)} notifications")

    def analysed(self, user_id: str) -> list[str]:
        """The events of the user that the analytics have."""
        query = "SELECT event_id::text FROM events WHERE user_id = %s ORDER BY event_id"
        return [row[0] for row in self.analytics.execute(query, [user_id], "analytics")]

    def counts_of(self, user_id: str) -> tuple[int, ...]:
        """What the analytics count of the user: events, tasks, completed tasks, habits, and the best streak."""
        query = (
            "SELECT events, total_tasks, completed_tasks, total_habits, best_streak FROM user_stats WHERE user_id = %s"
        )
        return self.analytics.execute(query, [user_id], "analytics")[0]

    def kinds_of(self, user_id: str) -> dict[str, int]:
        """How many events of each kind the analytics have of the user."""
        query = "SELECT kind, count(*) FROM events WHERE user_id = %s GROUP BY kind"
        return dict(self.analytics.execute(query, [user_id], "analytics"))

    def until_analysed(self, user_id: str, ids: t.Iterable[str], within: float = 15) -> None:
        """Wait until the analytics have these events of the user and no others."""
        wanted = sorted(ids)
        until(lambda: self.analysed(user_id) == wanted, within, f"{len(wanted)} events in the analytics")

    def has_queue(self, name: str) -> bool:
        try:
            self.broker.depth(name)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False
        return True

    def delete_queue(self, name: str) -> None:
        async def delete(channel: t.Any) -> None:
            await channel.queue_delete(name)

        self.broker.on_channel(delete)

    def drain(self) -> None:
        """Empty every queue that is there."""
        for queue in filter(self.has_queue, ("notifications", "notifications.retry", "analytics", "events.dead")):
            self.broker.on_channel(lambda channel, queue=queue: _purge(channel, queue))


async def _purge(channel: t.Any, queue: str) -> None:
    await (await channel.get_queue(queue)).purge()


def _uuid7() -> str:
    value = (time.time_ns() // 1_000_000) << 80 | uuid.uuid4().int & ((1 << 80) - 1)
    return str(uuid.UUID(int=value & ~(0xF << 76) | 7 << 76))


@pytest.fixture(scope="session")
def running_events(running_lab: Lab) -> t.Iterator[EventsLab]:
    events = EventsLab(running_lab)
    try:
        events.start()
        yield events
    finally:
        events.stop()


@pytest.fixture
def events(lab: Lab, running_events: EventsLab) -> t.Iterator[EventsLab]:
    """The lab with RabbitMQ and no event on its way; without a worker yet."""
    running_events.forget()
    running_events.drain()
    yield running_events
    running_events.kill_workers()


@pytest.fixture
def user_id(events: EventsLab) -> str:
    return events.user_on("0")
