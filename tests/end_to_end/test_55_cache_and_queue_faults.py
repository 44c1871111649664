# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cache and the queue lost: no client is told anything wrong, no request fails, no event is lost or told twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable

from tests.end_to_end import lab, load

CACHES = lab.hosts("cache")
BROKER = lab.hosts("queue")[0]
LASTS = 12
HEALS_WITHIN = 40


def shards(query: str) -> list[list[str]]:
    """Ask every shard's leader, and return all rows."""
    return [
        row
        for host in lab.hosts("postgres")
        if lab.leads(host)
        for shard in lab.shards(host)
        for row in lab.sql(host, f"shard_{shard}", query)
    ]


def waiting() -> int:
    """How many events no queue has taken yet."""
    return sum(int(count) for (count,) in shards("SELECT count(*) FROM outbox"))


def untold(since: float) -> str:
    """Say what is wrong: each task is in the analytics database once, and its owner was notified of it once."""
    made = shards("SELECT id, extract(epoch FROM created_at) FROM tasks")
    tasks = {task for task, at in made if float(at) > since}
    created = lab.sql(
        lab.hosts("analytics")[0],
        "analytics",
        "SELECT payload->>'id', event_id FROM events WHERE kind = 'task.created'",
    )
    times = Counter(task for task, _unused in created)
    notified = Counter(event for (event,) in shards("SELECT event_id FROM notifications WHERE kind = 'task.created'"))
    once = {task for task, event in created if times[task] == 1 and notified[event] == 1}
    return "" if tasks and tasks <= once else f"{len(tasks - once)} of {len(tasks)} tasks were not told of exactly once"


def hit() -> bool:
    """Whether a read that is repeated comes from the cache."""
    user = json.loads(lab.ask("POST", "/users", {"name": "Asked twice", "email": "twice@example.org"}).body)
    path = f"/users/{user['id']}"
    try:
        task = json.loads(lab.ask("POST", f"{path}/tasks", {"title": "Be read"}).body)
        # The server that wrote it may ask the database once more, until the next write of any client.
        return "hit" in [lab.get(f"{path}/tasks/{task['id']}").headers.get("X-Cache") for _unused in range(3)]
    finally:
        lab.ask("DELETE", path)


def lose(what: str, strike: Callable[[], object], heal: Callable[[], object]) -> None:
    """Lose caches under load for a while: no request fails, no client is told anything wrong, and they serve again."""
    with load.ledger(f"cache-{what}") as ledger:
        time.sleep(3)
        try:
            strike()
            assert not hit(), "the fault did not bite"
            time.sleep(LASTS)
        finally:
            heal()
        healed = lab.wait_for(hit, HEALS_WITHIN)
        time.sleep(3)
        told = ledger.report()

    load.tell(f"cache {what}", told)
    print(f"  reads come from the cache again {healed or -1:.1f} s after the fault ended")
    load.assert_right(told)
    assert told["failed"]["total"] == 0
    assert healed is not None


def test_a_stopped_cache_only_slows_reads(platform):
    def stop() -> None:
        lab.ssh(CACHES[0], "systemctl stop redis-server@cache")
        assert lab.ssh(CACHES[0], "systemctl is-active redis-server@cache", check=False) == "inactive"

    assert lab.wait_for(hit, 10) is not None, "the cache does not work in the first place"
    lose("stopped", stop, lambda: lab.ssh(CACHES[0], "systemctl start redis-server@cache"))


def test_frozen_caches_come_back_without_what_they_had(platform):
    """Their kernels still accept connections, as those of VMs that are paused."""

    def send(signal: str) -> None:
        lab.everywhere(f"systemctl kill --signal={signal} redis-server@cache", CACHES)

    lose("frozen", lambda: send("SIGSTOP"), lambda: send("SIGCONT"))


def test_a_lost_queue_delays_events_and_loses_none(platform):
    assert lab.wait_for(lambda: waiting() == 0, HEALS_WITHIN) is not None
    begin = time.time()
    with load.ledger("queue") as ledger:
        time.sleep(3)
        lab.ssh(BROKER, "systemctl stop rabbitmq-server")
        try:
            time.sleep(LASTS)
            delayed = waiting()
            assert delayed > 0, "the fault did not bite: events still go somewhere"
        finally:
            lab.ssh(BROKER, "systemctl start rabbitmq-server")
        told = ledger.report()
    drained = lab.wait_for(lambda: waiting() == 0, HEALS_WITHIN)
    arrived = lab.wait_for(lambda: not untold(begin), HEALS_WITHIN)

    load.tell(f"{BROKER} stopped", told)
    print(f"  {delayed} events waited; the last was taken {drained or -1:.1f} s after the load ended, and told")
    print(f"  {arrived or -1:.1f} s later")
    load.assert_right(told)
    assert told["failed"]["total"] == 0
    assert drained is not None
    assert arrived is not None, untold(begin)
