# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is counted of the events, and how it is read."""

from __future__ import annotations

import time
import typing as t
import uuid
from datetime import UTC, datetime

import pytest
from api_lab.events import EventsLab
from api_lab.lab import Lab
from api_lab.server import ApiServer
from api_lab.waiting import until
from test_worker import message


@pytest.fixture
def reader(events: EventsLab, another: t.Callable[..., ApiServer]) -> ApiServer:
    """An API server with analytics."""
    api = another(**events.variables)
    api.start()
    return api


def test_counting(events: EventsLab, reader: ApiServer, user_id: str) -> None:
    path = f"/users/{user_id}/stats"
    # Of what the user has: the events are of rows that never were.
    nothing = {"total_tasks": 0, "completed_tasks": 0, "total_habits": 0, "best_streak": 0}
    assert reader.get(path).body == {"user_id": user_id, **nothing, "events": 0, "last_event_at": None}
    before = today(reader, "task.created")
    worker = events.worker()
    ids = events.happen(user_id, number=3)
    ids += events.happen(user_id, "task.completed", number=2)
    ids += events.happen(user_id, "task.deleted")
    ids += events.happen(user_id, "habit.created")
    ids += events.happen(user_id, "habit.checked_in", payload={"streak": 12})
    ids += events.happen(user_id, "habit.checked_in", payload={"streak": 1})
    events.until_analysed(user_id, ids)
    stats = reader.get(path).body
    assert stats.pop("last_event_at")
    assert stats == {"user_id": user_id, **nothing, "events": 9}
    assert events.counts_of(user_id) == (9, 3, 2, 1, 12)
    assert today(reader, "task.created") == before + 3
    worker.kill()


def today(reader: ApiServer, kind: str) -> int:
    items = reader.get("/analytics/events/daily?days=1").body["items"]
    assert {item["day"] for item in items} <= {datetime.now(UTC).date().isoformat()}
    return sum(item["events"] for item in items if item["kind"] == kind)


def test_event_that_comes_twice_counts_once(events: EventsLab, reader: ApiServer, user_id: str) -> None:
    events.worker().stop()
    body = message(user_id=user_id, occurred_at=datetime.now(UTC).isoformat())
    before = today(reader, "task.created")
    # Together in one batch, and then once more.
    events.broker.publish(body)
    events.broker.publish(body)
    worker = events.worker()
    until(lambda: events.analysed(user_id), 15, "it is there")
    events.broker.publish(body)
    until(lambda: events.broker.depth("analytics") == 0, 5, "the queue is empty")
    assert worker.stop() == 0
    assert worker.done("analytics without effect") == 2
    assert reader.get(f"/users/{user_id}/stats").body["events"] == 1
    assert events.counts_of(user_id) == (1, 1, 0, 0, 0)
    assert today(reader, "task.created") == before + 1


def test_events_wait_for_a_lost_database(events: EventsLab, user_id: str) -> None:
    worker = events.worker()
    first = events.happen(user_id)
    events.until_analysed(user_id, first)
    events.analytics.stop()
    try:
        ids = events.happen(user_id, number=300)
        events.until_notified(user_id, first + ids)
        time.sleep(6)
        assert events.broker.depth("analytics") == 300
        # It pauses, and says so once.
        lines = [line for line in worker.log.read_text().splitlines() if " analytics: " in line]
        assert len(lines) <= 5, lines
    finally:
        events.analytics.start()
    events.until_analysed(user_id, first + ids)


def test_reading_while_the_database_is_lost(events: EventsLab, reader: ApiServer, user_id: str) -> None:
    events.analytics.stop()
    try:
        answer = reader.get("/analytics/events/daily")
        assert (answer.status, answer.code) == (503, "analytics_unavailable")
        assert answer.headers["Retry-After"]
        time.sleep(1)
        # No request waits for what is known to be lost, and everything else is served.
        assert reader.get("/analytics/events/daily").seconds < 0.2
        assert reader.get(f"/users/{user_id}").status == 200
        stats = reader.get(f"/users/{user_id}/stats")
        assert (stats.status, stats.body["total_tasks"], stats.body["events"]) == (200, 0, None)
        assert stats.seconds < 0.2
        assert reader.get("/readyz").body["status"] == "ready"
    finally:
        events.analytics.start()
    until(lambda: reader.get("/analytics/events/daily").status == 200, 5, "it is served again")


def test_reading_what_is_not_there(
    events: EventsLab, lab: Lab, api: ApiServer, reader: ApiServer, user_id: str
) -> None:
    answer = reader.get(f"/users/{uuid.uuid4()}/stats")
    assert (answer.status, answer.code) == (404, "not_found")
    for days in ("0", "367", "x"):
        assert reader.get(f"/analytics/events/daily?days={days}").status == 422
    # A server without analytics.
    answer = api.get("/analytics/events/daily")
    assert (answer.status, answer.code) == (404, "no_analytics")
    answer = api.get(f"/users/{user_id}/stats")
    assert (answer.status, answer.body["total_tasks"], answer.body["events"]) == (200, 0, None)


def test_migration_repeats_and_names_a_lost_database(events: EventsLab) -> None:
    again = events.migrate()
    assert again.returncode == 0
    assert "analytics: up to date" in again.stdout
    events.analytics.stop()
    try:
        lost = events.migrate()
    finally:
        events.analytics.start()
    assert lost.returncode == 1
    assert lost.stderr.startswith("Cannot migrate analytics at 127.0.0.1:")


def test_c4_without_an_analytics_database_no_queue_waits_for_it(events: EventsLab, user_id: str) -> None:
    events.delete_queue("analytics")
    worker = events.worker(ANALYTICS_DATABASE="")
    events.until_notified(user_id, events.happen(user_id, number=3))
    assert not events.has_queue("analytics")
    assert worker.stop() == 0

    # What is left of earlier analytics gets no more events, and loses none.
    worker = events.worker()
    (counted,) = events.happen(user_id)
    events.until_analysed(user_id, [counted])
    assert worker.stop() == 0
    events.broker.publish(message(user_id=user_id), "moon.risen")
    until(lambda: events.broker.depth("analytics") == 1, 5, "it is bound")
    worker = events.worker(ANALYTICS_DATABASE="")
    told = events.happen(user_id, number=3)
    until(lambda: set(told) <= set(events.notified(user_id)), 15, "users are told")
    assert events.broker.depth("analytics") == 1
    assert worker.stop() == 0
