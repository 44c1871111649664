# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events on their way from the outbox to those whom they concern, each of them once, whatever fails meanwhile."""

from __future__ import annotations

import signal
import time

from api_lab.events import EventsLab
from api_lab.lab import Lab
from api_lab.server import ApiServer
from api_lab.waiting import until


def test_event_reaches_both_consumers(events: EventsLab, user_id: str) -> None:
    ids = events.happen(user_id)
    events.worker()
    events.until_notified(user_id, ids)
    events.until_analysed(user_id, ids)
    assert events.outbox() == 0


def test_requests_lead_to_notifications_and_counts(events: EventsLab, api: ApiServer) -> None:
    worker = events.worker()
    user_id = api.post("/users", {"name": "Ann", "email": "ann@example.org"}).body["id"]
    task_id = api.post(f"/users/{user_id}/tasks", {"title": "Write"}).body["id"]
    path = f"/users/{user_id}/tasks/{task_id}"
    assert api.patch(path, {"status": "completed"}).status == 200
    # Nothing is completed twice, and a request that changes nothing tells nothing.
    assert api.patch(path, {"status": "completed", "title": "Written"}).status == 200
    assert api.patch(path, {"status": "completed", "title": ""}).status == 422
    assert api.delete(path).status == 204
    assert api.delete(path).status == 404
    counted = {"user.created": 1, "task.created": 1, "task.changed": 2, "task.completed": 1, "task.deleted": 1}
    until(lambda: events.kinds_of(user_id) == counted, 15, f"the analytics have {counted}")
    until(lambda: events.outbox() == 0 and events.broker.depth("notifications") == 0, 5, "nothing is left")
    assert worker.stop() == 0
    items = api.get(f"/users/{user_id}/notifications").body["items"]
    assert {item["message"] for item in items} == {"Welcome: Ann", "New task: Write", "Task completed: Write"}
    assert len(items) == 3


def test_two_workers_publish_each_event_once(events: EventsLab, lab: Lab) -> None:
    users = [events.user_on(shard) for shard in "0123"]
    workers = [events.worker(), events.worker()]
    ids = {user: events.happen(user, number=500) for user in users}
    for user in users:
        events.until_notified(user, ids[user], within=40)
        events.until_analysed(user, ids[user])
    until(lambda: events.outbox() == 0, 5, "the outboxes are empty")
    assert [worker.stop() for worker in workers] == [0, 0]
    log = "".join(worker.log.read_text() for worker in workers)
    # Not just without effect the second time: nothing was published twice.
    assert sum(worker.done("published") for worker in workers) == 2000, log
    assert sum(worker.done("notifications stored") for worker in workers) == 2000, log
    assert sum(worker.done("analytics without effect") for worker in workers) == 0, log


def test_worker_killed_between_publishing_and_deleting(events: EventsLab, lab: Lab, user_id: str) -> None:
    with lab.pg1.connect("shard_0") as blocker:
        # The relay may look, but its DELETE waits.
        ids = events.happen(user_id, number=3)
        with blocker.transaction():
            blocker.execute("LOCK TABLE outbox IN SHARE MODE")
            first = events.worker()
            events.until_notified(user_id, ids)
            events.until_analysed(user_id, ids)
            first.kill()
    assert events.outbox() == 3
    second = events.worker()
    until(lambda: events.outbox() == 0, 15, "the outbox is empty")
    until(lambda: events.broker.depth("notifications") + events.broker.depth("analytics") == 0, 5, "all is consumed")
    assert second.stop() == 0
    assert (second.done("published"), second.done("notifications without effect")) == (3, 3)
    assert second.done("analytics without effect") == 3
    events.until_notified(user_id, ids)
    events.until_analysed(user_id, ids)


def test_events_wait_for_a_lost_broker(events: EventsLab, user_id: str) -> None:
    events.worker()
    first = events.happen(user_id)
    events.until_notified(user_id, first)
    events.broker.stop()
    ids = events.happen(user_id, number=300)
    time.sleep(3)
    assert events.outbox() == 300
    events.broker.start()
    events.until_notified(user_id, first + ids)
    events.until_analysed(user_id, first + ids)
    until(lambda: events.outbox() == 0, 5, "the outbox is empty")


def test_events_wait_for_a_broker_that_hangs(events: EventsLab, user_id: str) -> None:
    events.worker()
    first = events.happen(user_id)
    events.until_notified(user_id, first)
    events.broker.freeze()
    try:
        ids = events.happen(user_id, number=3)
        time.sleep(8)
        assert events.outbox() == 3
    finally:
        events.broker.thaw()
    events.until_notified(user_id, first + ids, within=30)
    events.until_analysed(user_id, first + ids)
    until(lambda: events.outbox() == 0, 5, "the outbox is empty")


def test_lost_shard_keeps_its_events_and_the_others_go_on(events: EventsLab, lab: Lab) -> None:
    lost, other = events.user_on("0"), events.user_on("2")
    worker = events.worker()
    until(lambda: "connected to RabbitMQ" in worker.log.read_text(), 15, "the worker is connected")
    ids = events.happen(lost)
    events.until_notified(lost, ids)
    waiting = events.happen(lost, number=2)
    lab.pg1.stop()
    try:
        events.until_notified(other, events.happen(other))
        time.sleep(2)
        events.until_notified(other, [*events.notified(other), *events.happen(other)])
    finally:
        lab.pg1.start()
    events.until_notified(lost, ids + waiting, within=20)


def test_relay_publishes_nothing_from_a_server_that_takes_no_writes(events: EventsLab, lab: Lab) -> None:
    """Such as a standby that a map names first by mistake: it has the events, and cannot delete them."""
    user = events.user_on("0")
    shards = {str(shard): lab.shard(shard) for shard in range(4)}
    shards["0"] = {**shards["0"], "members": shards["0"]["members"][1:]}
    lab.publish(lab.document(shards=shards))
    try:
        ids = events.happen(user)
        worker = events.worker()
        until(lambda: "takes no writes" in worker.log.read_text(), 15, "the relay says so")
        time.sleep(1)
        assert events.analysed(user) == []
    finally:
        lab.publish_and_wait()
    events.until_notified(user, ids)
    assert worker.stop() == 0
    assert worker.done("published") == 1


def test_worker_that_hangs_gives_its_shards_away(events: EventsLab, user_id: str) -> None:
    first = events.worker()
    ids = events.happen(user_id)
    events.until_notified(user_id, ids)
    events.broker.freeze()
    more = events.happen(user_id, number=2)
    time.sleep(2)
    # It waits for the broker's answer, in the transaction that holds the lock.
    first.signal(signal.SIGSTOP)
    events.broker.thaw()
    events.worker()
    until(lambda: events.outbox() == 0, 25, "another worker has published")
    first.kill()
    events.until_notified(user_id, ids + more)


def test_relays_follow_the_map(events: EventsLab, lab: Lab) -> None:
    user = events.user_on("3")
    shards = {str(shard): lab.shard(shard) for shard in range(3)}
    lab.publish(lab.document(shards=shards, ranges=[[0, 1023, "0"], [1024, 2047, "1"], [2048, 4095, "2"]]))
    try:
        worker = events.worker()
        until(lambda: "is in force" in worker.log.read_text(), 10, "the worker has a map")
        ids = events.happen(user)
        time.sleep(2)
        assert events.outbox() == 1
    finally:
        lab.publish_and_wait()
    events.until_notified(user, ids)
