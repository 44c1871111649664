# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The map changes, breaks and vanishes, and the API goes on."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest
from api_lab.lab import KEY, Lab
from api_lab.server import Answer
from api_lab.waiting import until


@pytest.fixture
def restored(lab: Lab) -> t.Iterator[Lab]:
    yield lab
    lab.publish_and_wait()


def test_changes_of_the_map_fail_no_request(restored: Lab) -> None:
    users = [restored.user_on(shard) for shard in "0123"]
    failures: list[Answer] = []
    count = 0
    done = threading.Event()

    def stream(user_id: str, token: str) -> None:
        nonlocal count
        path = f"/users/{user_id}"
        while not done.is_set():
            written = restored.a.patch(path, {"name": f"name {count}"}, token=token)
            token = written.token or token
            read = restored.b.get(path, token=token)
            if read.status == written.status == 200 and read.body != written.body:
                failures.append(read)
            failures.extend(answer for answer in (written, read) if answer.status != 200)
            count += 2

    threads = [threading.Thread(target=stream, args=user) for user in users]
    for thread in threads:
        thread.start()
    for number in range(8):
        # Replicas leave and return, so servers are dropped from the pools and taken in again.
        with_replica = number % 2 == 1
        shards = {str(shard): restored.shard(shard, with_replica) for shard in range(4)}
        restored.publish_and_wait(restored.document(shards=shards))
        time.sleep(0.1)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert count > 40


def test_a_user_is_looked_for_where_the_new_map_says(restored: Lab) -> None:
    user_id, token = restored.user_on("0")
    copy = "INSERT INTO users (id, name, email) VALUES (%s, 'moved', 'm@example.org')"
    restored.pg2.execute(copy, [user_id], "shard_2")
    ranges = [[0, 1023, "2"], [1024, 2047, "1"], [2048, 4095, "3"]]
    document = restored.document(ranges=ranges)
    del document["shards"]["0"]
    restored.publish_and_wait(document)
    # The token is of another map, whose positions compare with nothing here, so the primary answers.
    answer = restored.a.get(f"/users/{user_id}", token=token)
    assert (answer.shard, answer.body["name"], answer.read_from) == ("2", "moved", "pg2")
    restored.pg2.execute("DELETE FROM users WHERE id = %s", [user_id], "shard_2")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"format": 1}',
        b'{"format": 2, "version": 9}',
        b'{"format": 3, "version": 9}',
        b"\xff",
    ],
)
def test_a_map_that_cannot_be_read_changes_nothing(restored: Lab, document: bytes) -> None:
    user_id, _unused = restored.user_on("0")
    restored.consul.put(KEY, document)
    report = until(lambda: _trouble(restored), 3, "the trouble is reported")
    assert (report["version"], restored.a.get(f"/users/{user_id}").status) == (restored.version, 200)
    assert restored.a.get("/readyz").status == 200


def test_a_map_with_a_hole_changes_nothing(restored: Lab) -> None:
    in_force = restored.version
    restored.publish(restored.document(ranges=[[0, 1000, "0"], [1002, 4095, "1"]]))
    report = until(lambda: _trouble(restored), 3, "the trouble is reported")
    assert report["version"] == in_force
    assert "1001" in report["trouble"]


def test_an_older_map_changes_nothing(restored: Lab) -> None:
    in_force = restored.version
    restored.publish(restored.document(version=in_force - 1, ranges=[[0, 4095, "3"]]))
    report = until(lambda: _trouble(restored), 3, "the trouble is reported")
    assert report["version"] == in_force
    assert f"older than version {in_force}" in report["trouble"]
    for shard in "0123":
        restored.user_on(shard)


def test_a_map_that_vanishes_changes_nothing(restored: Lab) -> None:
    restored.consul.delete(KEY)
    report = until(lambda: _trouble(restored), 3, "the trouble is reported")
    assert report["version"] == restored.version
    assert KEY in report["trouble"]
    restored.user_on("0")


def test_a_lost_consul_changes_nothing_and_is_followed_again(restored: Lab) -> None:
    restored.consul.stop()
    until(lambda: _trouble(restored), 5, "the trouble is reported")
    restored.user_on("0")
    assert restored.a.get("/readyz").status == 200
    restored.consul.start()
    restored.publish_and_wait()


def _trouble(lab: Lab) -> dict[str, t.Any]:
    report = lab.a.get("/readyz").body["map"]
    return report if report["trouble"] else {}
