# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The worker as a process, and the messages that no worker can use."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from api_lab.events import EventsLab
from api_lab.lab import Lab
from api_lab.server import environment, run
from api_lab.waiting import until


def test_worker_without_a_broker_in_its_environment(lab: Lab) -> None:
    ended = run("reference_api.worker", environment(lab.consul.address))
    assert ended.returncode == 78
    assert "AMQP_ADDRESS is missing" in ended.stderr


def test_worker_ends_cleanly_in_the_midst_of_work(events: EventsLab, lab: Lab) -> None:
    users = [events.user_on(shard) for shard in "02"]
    ids = {user: events.happen(user, number=1500) for user in users}
    worker = events.worker()
    until(lambda: events.notified(users[0]), 15, "it has begun")
    began = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - began < 5
    done = worker.done("published")
    assert done < 3000, "it was through before it was asked to end"
    assert events.outbox() == 3000 - done
    # What it stored it acknowledged, and what it did not store is there for the next.
    another = events.worker()
    for user in users:
        events.until_notified(user, ids[user], within=40)
        events.until_analysed(user, ids[user])
    assert another.stop() == 0
    for what in ("notifications", "analytics"):
        assert worker.done(f"{what} stored") + another.done(f"{what} stored") == 3000
        assert worker.done(f"{what} without effect") + another.done(f"{what} without effect") == 0


def test_worker_ends_while_everything_is_lost(events: EventsLab, lab: Lab) -> None:
    worker = events.worker()
    until(lambda: "notifications: connected" in worker.log.read_text(), 15, "the worker is connected")
    lab.pg1.stop()
    events.broker.stop()
    try:
        time.sleep(1)
        began = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - began < 10
    finally:
        lab.pg1.start()
        events.broker.start()


def message(**changes: object) -> bytes:
    event = {
        "id": str(uuid.uuid4()),
        "kind": "task.created",
        "user_id": str(uuid.uuid4()),
        "occurred_at": "2026-11-24T16:00:00+00:00",
        "payload": {"id": str(uuid.uuid4()), "title": "Write"},
    }
    return json.dumps({**event, **changes}).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"no event", "it cannot be read (JSONDecodeError)"),
        (message(payload=[]), "its payload is not an object"),
        (message(occurred_at="2026-11-24T16:00:00"), "its time has no zone"),
    ],
    ids=["no JSON", "no payload", "no zone"],
)
def test_message_that_is_no_event(events: EventsLab, body: bytes, reason: str) -> None:
    events.worker()
    until(lambda: events.has_queue("events.dead"), 15, "the queues are there")
    events.broker.publish(body, message_id="the poison")
    dead = until(
        lambda: events.broker.depth("events.dead") == 2 and events.broker.take("events.dead"), 10, "it is dead"
    )
    assert {each.headers["queue"] for each in dead} == {"notifications", "analytics"}
    assert {each.headers["reason"] for each in dead} == {reason}
    assert {(each.body, each.message_id) for each in dead} == {(body, "the poison")}


def test_event_that_a_database_refuses_hinders_no_other(events: EventsLab, user_id: str) -> None:
    """PostgreSQL's text holds no U+0000, which JSON does."""
    ids = [str(uuid.uuid4()) for _unused in range(5)]
    events.worker().stop()
    for number, event_id in enumerate(ids):
        payload = {"id": event_id, "title": "Wri\0te" if number == 2 else "Write"}
        events.broker.publish(message(id=event_id, user_id=user_id, payload=payload), message_id=event_id)
    events.worker()
    dead = until(
        lambda: events.broker.depth("events.dead") == 2 and events.broker.take("events.dead"), 15, "it is dead"
    )
    assert {each.message_id for each in dead} == {ids[2]}
    assert all(each.headers["reason"] for each in dead)
    good = [event_id for event_id in ids if event_id != ids[2]]
    events.until_notified(user_id, good)
    events.until_analysed(user_id, good)


def test_deleted_queue_comes_back(events: EventsLab, user_id: str) -> None:
    """What is published until then is lost to it, as whoever deletes a queue wants it."""
    worker = events.worker()
    ids = events.happen(user_id)
    events.until_notified(user_id, ids)
    events.delete_queue("notifications")
    until(lambda: worker.log.read_text().count("notifications: connected") == 2, 30, "the consumer is back")
    ids += events.happen(user_id)
    events.until_notified(user_id, ids)
