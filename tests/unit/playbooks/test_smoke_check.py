# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the smoke run says: sound evidence passes, and each way in which it can be unsound is told."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "playbooks/files/smoke_check.py"

# Their buckets, as PostgreSQL computes them, lie in the lower and in the upper half of the 4096.
LOW, HIGH = "8e3e5bdb-6b8d-4c1d-9e0e-3d1e6a1b0001", "8e3e5bdb-6b8d-4c1d-9e0e-3d1e6a1b0002"


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("smoke_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


@pytest.fixture
def evidence():
    """Two users on two shards, each with a primary and a replica."""

    def server(name):
        return {"name": name, "host": name, "port": 5432}

    def rows(shard, user):
        return [{"item": shard, "query_result": [{"id": user, "tasks": 2, "notifications": 2}]}]

    return {
        "written": {
            "users": [LOW, HIGH],
            "wanted": 2,
            "tasks_per_user": 2,
            "requests": 12,
            "failed": 0,
            "errors": [],
            "served_by": {"api1": 6, "api2": 6},
            "cache": {"hit": 2},
        },
        "map": {
            "format": 2,
            "version": 1,
            "buckets": 4096,
            "clusters": {name: [server(name), server(f"{name}r")] for name in ("pg1", "pg2")},
            "shards": {
                "0": {"cluster": "pg1", "database": "shard_0"},
                "1": {"cluster": "pg2", "database": "shard_1"},
            },
            "ranges": [[0, 2047, "0"], [2048, 4095, "1"]],
        },
        "api_servers": ["api1", "api2"],
        "cached": {"cache1": [f"tasks:{LOW}"], "cache2": []},
        "analytics": {
            "kinds": {"user.created": 2, "task.created": 4, "task.completed": 2, "task.changed": 2},
            "stats": {"users": 2, "tasks": 4, "completed": 2},
        },
        "found": {"pg1": rows(0, LOW), "pg1r": rows(0, LOW), "pg2": rows(1, HIGH), "pg2r": rows(1, HIGH)},
    }


def test_the_users_lie_on_two_shards(check, evidence):
    assert [check.shard_of(user, evidence["map"]) for user in (LOW, HIGH)] == ["0", "1"]


def test_sound_evidence(check, evidence):
    lines, problems = check.judge(evidence)
    assert problems == []
    assert lines


def failed_request(evidence):
    evidence["written"]["errors"].append("GET /users/x: 502")
    evidence["written"]["failed"] = 1


def fewer_users(evidence):
    evidence["written"]["wanted"] = 3


def not_on_the_primary(evidence):
    evidence["found"]["pg1"][0]["query_result"].clear()


def not_on_the_replica(evidence):
    evidence["found"]["pg1r"][0]["query_result"].clear()


def on_two_shards(evidence):
    evidence["found"]["pg2"][0]["query_result"].append({"id": LOW, "tasks": 2, "notifications": 2})


def on_the_wrong_shard(evidence):
    for server in ("pg1", "pg1r", "pg2", "pg2r"):
        user = HIGH if server.startswith("pg1") else LOW
        evidence["found"][server][0]["query_result"][0]["id"] = user


def a_task_is_missing(evidence):
    evidence["found"]["pg2r"][0]["query_result"][0]["tasks"] = 1


def a_server_was_not_asked(evidence):
    del evidence["found"]["pg2r"]


def a_server_that_the_map_does_not_name(evidence):
    evidence["found"]["pg3"] = evidence["found"]["pg1"]


def an_api_server_was_silent(evidence):
    evidence["written"]["served_by"] = {"api1": 12}


def no_read_from_a_cache(evidence):
    evidence["written"]["cache"] = {"miss": 2}


def no_key_in_a_cache(evidence):
    evidence["cached"]["cache1"].clear()


def notified_twice(evidence):
    evidence["found"]["pg1"][0]["query_result"][0]["notifications"] = 3


def an_event_is_missing(evidence):
    evidence["analytics"]["kinds"]["task.created"] = 3


def an_event_was_counted_twice(evidence):
    evidence["analytics"]["stats"]["tasks"] = 5


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (failed_request, "502"),
        (fewer_users, "2 users were made, not 3"),
        (not_on_the_primary, "pg1, shard 0"),
        (not_on_the_replica, "pg1r, shard 0"),
        (on_two_shards, "pg2, shard 1"),
        (on_the_wrong_shard, "pg1, shard 0"),
        (a_task_is_missing, "pg2r, shard 1"),
        (a_server_was_not_asked, "pg2r, shard 1"),
        (a_server_that_the_map_does_not_name, "pg3, shard 0"),
        (an_api_server_was_silent, "api2"),
        (no_read_from_a_cache, "no read came from a cache"),
        (no_key_in_a_cache, "no cache has a key"),
        (notified_twice, "3 notifications"),
        (an_event_is_missing, "3 events task.created, not 4"),
        (an_event_was_counted_twice, "'tasks': 5"),
    ],
)
def test_unsound_evidence(check, evidence, spoil, told):
    spoil(evidence)
    _unused, problems = check.judge(evidence)
    assert any(told in problem for problem in problems), problems


@pytest.mark.parametrize(("spoil", "status"), [(lambda evidence: None, 0), (not_on_the_replica, 1)])
def test_status(check, evidence, monkeypatch, capsys, spoil, status):
    spoiled = copy.deepcopy(evidence)
    spoil(spoiled)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(spoiled)))
    assert check.main() == status
    assert capsys.readouterr().out


def test_a_platform_without_caches_and_events(check, evidence):
    evidence.update(cached={}, analytics=None)
    evidence["written"]["cache"] = {"none": 2}
    assert check.judge(evidence)[1] == []
