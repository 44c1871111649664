# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The room while others hold locks, against a real server."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import threading

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import server as reading
from tests.unit.plugins.module_utils.postgres.partitions.visits import CHILDREN, CREATE_VISITS, VISITS, old


def test_what_was_interrupted_is_finished(keep, client, server, database):
    client.run(CREATE_VISITS)
    names = old(client, "visits", 4)
    moving = {**VISITS, "retention": "1 month", "retention_action": "drop", "confirm": "visits"}
    with server.connect(database) as reader:
        reader.run("BEGIN")
        reader.rows("SELECT count(*) FROM visits")
        with pytest.raises(ScaleoutError) as locked:
            keep(moving)
        assert locked.value.code == "locked"
        row = locked.value.facts["sets"][0]
        assert len(row["created"]) == 3, "creation is not undone by what happens to retention"
        assert {holder["pid"] for holder in row["holders"]} == {reader.connection.info.backend_pid}
        assert client.one("SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 1
        # Only the one whose detaching has begun says what is to become of it.
        marked = "SELECT count(*) FROM pg_description WHERE description ~ 'partition_set: ..action'"
        assert client.one(marked) == 1
        reader.run("ROLLBACK")
    row = keep(moving).result["sets"][0]
    assert names[0] in [one["name"] for one in row["retired"]]
    assert client.one("SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 0
    assert client.one("SELECT to_regclass(%s)", (names[0],)) is None


def test_who_holds_the_lock_is_named(keep, client, server, database):
    client.run(CREATE_VISITS)
    with server.connect(database) as maintenance:
        maintenance.run("BEGIN")
        maintenance.run("LOCK TABLE visits IN SHARE UPDATE EXCLUSIVE MODE")
        timer = threading.Timer(1.5, lambda: maintenance.run("COMMIT"))
        timer.start()
        row = keep(VISITS, patience=60).result["sets"][0]
        timer.join()
    assert row["outcome"] == "changed"
    assert row["attempts"] >= 1
    assert row["holders"][0]["mode"] == "ShareUpdateExclusiveLock"
    assert row["holders"][0]["relation"] == "public.visits"


def test_two_tasks_at_once(keep, client):
    client.run(CREATE_VISITS)
    plans, many = [], {**VISITS, "interval": "day", "premake": 60}
    threads = [threading.Thread(target=lambda: plans.append(keep(many, patience=120))) for _number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(plans) == 3
    assert [plan.result["sets"][0]["partitions"] for plan in plans] == [61] * 3
    assert len(client.rows(CHILDREN, ("visits",))) == 61


def test_foreign_keys_are_counted_in_the_locks(keep, client, server, database):
    client.run("CREATE TABLE places (id bigint PRIMARY KEY)")
    client.run("CREATE TABLE visits (id bigint, seen_at timestamptz, place bigint REFERENCES places,"
               " PRIMARY KEY (id, seen_at)) PARTITION BY RANGE (seen_at)")  # fmt: skip
    client.run("CREATE TABLE notes (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES visits)")
    for table in ("places", "notes"):
        with server.connect(database) as writer:
            writer.run("BEGIN")
            writer.run(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
            with pytest.raises(ScaleoutError) as locked:
                keep(VISITS)
            writer.run("ROLLBACK")
        assert locked.value.code == "locked"
        assert locked.value.facts["sets"][0]["holders"][0]["relation"] == f"public.{table}"
    assert len(keep(VISITS).result["sets"][0]["created"]) == 3
    # One that rows of others refer to is not put away.
    names = old(client, "visits", 2)
    client.run("INSERT INTO notes SELECT id, seen_at FROM visits LIMIT 1")
    with pytest.raises(ScaleoutError) as refused:
        keep({**VISITS, "premake": 3, "retention": "1 day"})
    assert refused.value.code == "referenced"
    assert len(refused.value.facts["sets"][0]["created"]) == 1
    assert names[0] in [name for name, _bound in client.rows(CHILDREN, ("visits",))]


def test_a_month_of_nights_with_locks_at_the_wrong_moment(keep, client, server, database, monkeypatch):
    """Some nights all locks are held: what is ahead never runs out, whatever becomes of retention."""
    client.run(CREATE_VISITS)
    daily = {**VISITS, "interval": "day", "premake": 5, "retention": "7 days", "retention_action": "drop"}
    daily["confirm"] = "visits"
    start = datetime.datetime(2031, 2, 20, 3, tzinfo=datetime.UTC)
    night, read = start, reading.read

    def read_at_night(session, sets):
        return dataclasses.replace(read(session, sets), clock=int(night.timestamp()) * 1_000_000)

    monkeypatch.setattr(reading, "read", read_at_night)
    outcomes = collections.Counter()
    for number in range(30):
        night = start + datetime.timedelta(days=number)
        with server.connect(database) as other:
            other.run("BEGIN")
            # A maintenance job, a backup that reads all, or no one.
            strong = "SHARE UPDATE EXCLUSIVE"
            mode = (None, strong, strong, None, "ACCESS SHARE", None)[number % 6]
            if mode:
                other.run(f"LOCK TABLE visits IN {mode} MODE")
            try:
                plan = keep(daily, lock_timeout=20, clock=night.timestamp)
                outcomes[mode, "done", bool(plan.result["sets"][0]["created"])] += 1
            except ScaleoutError as error:
                outcomes[mode, error.code, bool(error.facts["sets"][0]["created"])] += 1
            other.run("ROLLBACK")
        client.run("INSERT INTO visits VALUES (1, %s), (1, %s)", (night, night + datetime.timedelta(days=2)))
    # Who reads holds up retention and never creation; who holds the stronger lock holds up both.
    assert set(outcomes) == {
        (None, "done", True),
        ("ACCESS SHARE", "done", True),  # before anything is old
        ("ACCESS SHARE", "locked", True),
        ("SHARE UPDATE EXCLUSIVE", "locked", False),
    }
    # The first night that is free puts away what was left.
    keep(daily, clock=night.timestamp)
    assert len(client.rows(CHILDREN, ("visits",))) == 5 + 1 + 7
    assert client.one("SELECT count(*) FROM pg_class WHERE relname ~ '^visits_y' AND relkind = 'r'") == 13
