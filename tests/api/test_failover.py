# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Another member takes writes: the API follows it without a new map, and never writes to a former leader."""

from __future__ import annotations

import re
import time
import typing as t

import pytest
from api_lab.lab import Lab
from api_lab.postgres import Postgres
from api_lab.server import ApiServer
from api_lab.waiting import until

#: A new leader is used within this time, and so is a former one that became a replica.
FOLLOWS = 4.0


@pytest.fixture
def failing(lab: Lab) -> t.Iterator[Lab]:
    """The first cluster may lose its leader; afterwards it is as it was."""
    yield lab
    if lab.pg1r.execute("SELECT pg_is_in_recovery()") == [(False,)]:
        copy(lab.pg1, lab.pg1r)
        lab.pg1r.stop()
        lab.pg1.promote()
    copy(lab.pg1r, lab.pg1)
    lab.heal()


def copy(replica: Postgres, leader: Postgres) -> None:
    """Make a server the other one's replica, whatever it was."""
    replica.remove()
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
    left = "SELECT count(*) FROM pg_replication_slots"
    until(lambda: leader.execute(drop) == [] and leader.execute(left) == [(0,)], 5, "no slot is left")
    replica.create_standby(leader)
    replica.wait_for_replay_of(leader)


def leader(api: ApiServer) -> str:
    """Who leads the first shard, by what a server says of itself."""
    return t.cast(str, api.get("/readyz").body["shards"]["0"]["primary"]["server"])


def test_a_replica_that_was_promoted_takes_the_writes(failing: Lab) -> None:
    user_id, _unused = failing.user_on("0")
    other, _unused = failing.user_on("2")
    path = f"/users/{user_id}"
    failing.heal()
    failing.pg1.stop()
    failing.pg1r.promote()
    promoted = time.monotonic()
    for api in (failing.a, failing.b):
        until(lambda api=api: api.patch(path, {"name": "after"}).status == 200, FOLLOWS, "the new leader takes writes")
        assert leader(api) == "pg1r"
        answer = api.get(path)
        assert (answer.status, answer.body["name"], answer.read_from) == (200, "after", "pg1r")
        assert api.get(f"{path}/tasks").read_from == "pg1r"
    assert failing.a.patch(f"/users/{other}", {"name": "y"}).status == 200
    assert failing.user_on("1")
    print(f"both follow {time.monotonic() - promoted:.1f} s after the promotion")


def test_a_former_leader_that_does_not_know_is_neither_written_to_nor_read(failing: Lab) -> None:
    user_id, _unused = failing.user_on("0", name="before")
    path = f"/users/{user_id}"
    failing.heal()
    failing.pg1r.promote()
    # Both take writes now. That one of them has the newer timeline is all that tells them apart.
    for api in (failing.a, failing.b):
        until(lambda api=api: leader(api) == "pg1r", FOLLOWS, "the new leader is seen")
    ends = time.monotonic() + 2
    number = 0
    while time.monotonic() < ends:
        number += 1
        for api in (failing.a, failing.b):
            answer = api.patch(path, {"name": f"after {number}"})
            assert answer.status == 200, answer.body
            assert api.get(path).read_from == "pg1r"
    (former,) = failing.a.get("/readyz").body["shards"]["0"]["replicas"]
    assert (former["server"], former["up"]) == ("pg1", False)
    assert re.fullmatch(r"takes writes on timeline \d+, and pg1r on \d+", former["reason"])
    assert failing.row(failing.pg1, "0", user_id)[0][0] == "before"
    assert failing.row(failing.pg1r, "0", user_id)[0][0] == f"after {number}"


def test_a_former_leader_is_read_from_once_it_follows(failing: Lab) -> None:
    user_id, _unused = failing.user_on("0")
    path = f"/users/{user_id}"
    failing.heal()
    failing.pg1.stop()
    failing.pg1r.promote()
    until(lambda: failing.a.patch(path, {"name": "after"}).status == 200, FOLLOWS, "the new leader takes writes")
    copy(failing.pg1, failing.pg1r)
    until(lambda: failing.a.get(path).read_from == "pg1", FOLLOWS, "the former leader is read from")
    assert failing.a.get(path).body["name"] == "after"
    until(lambda: failing.a.get("/readyz").body["status"] == "ready", FOLLOWS, "all is well again")
