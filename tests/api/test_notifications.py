# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What users are told of, and how they read it."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from api_lab.events import EventsLab
from api_lab.lab import Lab
from api_lab.server import ApiServer
from api_lab.waiting import until
from test_worker import message


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("task.created", {"title": "Write"}, "New task: Write"),
        ("task.completed", {"title": "Write"}, "Task completed: Write"),
        ("habit.checked_in", {"name": "Run", "streak": 7}, "Habit: Run, 7 days in a row"),
        ("goal.completed", {"title": "Ship"}, "Goal reached: Ship"),
        ("user.created", {"name": "Ann"}, "Welcome: Ann"),
    ],
)
def test_telling(
    events: EventsLab, api: ApiServer, user_id: str, kind: str, payload: dict[str, object], said: str
) -> None:
    events.worker()
    # An ordinary day and an unknown kind are not told of.
    events.happen(user_id, "habit.checked_in", payload={"name": "Run", "streak": 8})
    events.happen(user_id, "moon.risen")
    (event_id,) = events.happen(user_id, kind, payload=payload)
    events.until_notified(user_id, [event_id])
    (item,) = api.get(f"/users/{user_id}/notifications").body["items"]
    assert (item["event_id"], item["kind"], item["message"], item["read_at"]) == (event_id, kind, said, None)


def test_reading(events: EventsLab, api: ApiServer, user_id: str) -> None:
    worker = events.worker()
    ids = events.happen(user_id, number=5)
    events.until_notified(user_id, ids)
    worker.kill()
    path = f"/users/{user_id}/notifications"
    first = api.get(f"{path}?limit=3").body
    second = api.get(f"{path}?limit=3&cursor={first['next_cursor']}").body
    items = first["items"] + second["items"]
    assert [item["event_id"] for item in items] == list(reversed(events.notified(user_id)))
    assert second["next_cursor"] is None

    one = f"{path}/{items[0]['id']}"
    read = api.patch(one, {"read": True})
    assert read.status == 200
    assert read.body["read_at"]
    time.sleep(0.01)
    assert api.patch(one, {"read": True}).body["read_at"] == read.body["read_at"]
    assert [item["read_at"] is None for item in api.get(path).body["items"]] == [False, True, True, True, True]
    assert api.patch(one, {"read": False}).body["read_at"] is None


def test_reading_what_is_not_there(api: ApiServer, lab: Lab, user_id: str) -> None:
    stranger, nothing = uuid.uuid4(), uuid.uuid4()
    path = f"/users/{user_id}/notifications"
    assert api.get(path).body == {"items": [], "next_cursor": None}
    for answer in (
        api.get(f"/users/{stranger}/notifications"),
        api.patch(f"/users/{stranger}/notifications/{nothing}", {"read": True}),
        api.patch(f"{path}/{nothing}", {"read": True}),
    ):
        assert (answer.status, answer.code) == (404, "not_found")
    for body in ({}, {"read": None}, {"read": "yes"}, {"read": True, "more": 1}):
        assert api.patch(f"{path}/{nothing}", body).status == 422
    cursor_of_users = api.get("/users?limit=1").body["next_cursor"]
    assert api.get(f"{path}?cursor={cursor_of_users}").status == 422


def test_user_who_is_gone_is_told_nothing(events: EventsLab, lab: Lab, api: ApiServer, user_id: str) -> None:
    assert api.delete(f"/users/{user_id}").status == 204
    events.forget()
    worker = events.worker()
    ids = events.happen(user_id, number=3)
    events.until_analysed(user_id, ids)
    until(lambda: events.broker.depth("notifications") == 0, 5, "the queue is empty")
    assert worker.stop() == 0
    assert worker.done("notifications without effect") >= 3
    assert events.notified(user_id) == []
    assert events.broker.depth("events.dead") == 0


def test_event_waits_for_its_shard_and_others_pass_it(events: EventsLab, lab: Lab) -> None:
    lost, other = events.user_on("0"), events.user_on("2")
    worker = events.worker()
    until(lambda: "notifications: connected" in worker.log.read_text(), 15, "the worker is connected")
    bodies = {user: message(user_id=user) for user in (lost, other)}
    ids = {user: [json.loads(body)["id"]] for user, body in bodies.items()}
    lab.pg1.stop()
    try:
        # The lost one is first in the queue.
        for user in (lost, other):
            events.broker.publish(bodies[user])
        events.until_notified(other, ids[other], within=4)
        until(lambda: events.broker.depth("notifications.retry") == 1, 5, "it waits for another try")
        # And after that try again.
        time.sleep(7)
        until(lambda: events.broker.depth("notifications.retry") == 1, 5, "it waits again")
        events.until_analysed(lost, ids[lost])
    finally:
        lab.pg1.start()
    events.until_notified(lost, ids[lost])
    assert worker.stop() == 0
    assert worker.done("notifications postponed") >= 2


def test_c5_a_database_that_hangs_delays_no_other(events: EventsLab, lab: Lab) -> None:
    """Also when its events fill whole batches, and when they come again and again."""
    hung, other = events.user_on("0"), events.user_on("2")
    worker = events.worker()
    until(lambda: "notifications: connected" in worker.log.read_text(), 15, "the worker is connected")
    warm = [message(user_id=user) for user in (hung, other)]
    for body in warm:
        events.broker.publish(body)
    ids = {user: [json.loads(body)["id"]] for user, body in zip((hung, other), warm, strict=True)}
    for user in (hung, other):
        events.until_notified(user, ids[user])
    lab.pg1.freeze()
    delays = []
    try:
        for _round in range(8):
            for _message in range(30):
                body = message(user_id=hung)
                ids[hung].append(json.loads(body)["id"])
                events.broker.publish(body)
            body = message(user_id=other)
            ids[other].append(json.loads(body)["id"])
            began = time.monotonic()
            events.broker.publish(body)
            events.until_notified(other, ids[other], within=10)
            delays.append(time.monotonic() - began)
    finally:
        lab.pg1.thaw()
    assert max(delays) < 2, delays
    events.until_notified(hung, ids[hung], within=40)
    assert worker.stop() == 0
    assert worker.done("notifications postponed") >= 100
    assert events.broker.depth("events.dead") == 0
