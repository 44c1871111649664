# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges a smoke run: reads the evidence as JSON, prints a report, ends with status 0 only when all is as it must be.

Evidence: ``written`` (what smoke_client.py printed), ``map`` (the published shard map), ``api_servers`` (names),
``found`` (for each database server the rows of each of its databases), ``cached`` (for each cache the keys of one
user), ``analytics`` (what the analytics database counted; null where there is none).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins/module_utils/sharding"))

from hashing import bucket_of  # the one implementation, found by its path beside this playbook


def shard_of(user: str, shard_map: dict) -> str:
    """The shard that the map names for a user."""
    bucket = bucket_of(user)
    return next(str(shard) for first, last, shard in shard_map["ranges"] if first <= bucket <= last)


def expected_rows(written: dict, shard_map: dict) -> dict[tuple[str, str], dict[str, int]]:
    """For each server and shard, the users that must be there, and no others, with their number of tasks.

    Each task's event has made one notification.
    """
    expected: dict[tuple[str, str], dict[str, int]] = {}
    for name, shard in shard_map["shards"].items():
        for server in shard_map["clusters"][shard["cluster"]]:
            expected[server["name"], name] = {}
    for user in written["users"]:
        owner = shard_of(user, shard_map)
        for (_server, shard), users in expected.items():
            if shard == owner:
                users[user] = written["tasks_per_user"]
    return expected


def judge(evidence: dict) -> tuple[list[str], list[str]]:
    """The report's lines, and what is wrong."""
    written, shard_map = evidence["written"], evidence["map"]
    expected = expected_rows(written, shard_map)
    found = {
        (server, str(answer["item"])): {row["id"]: row["tasks"] for row in answer["query_result"]}
        for server, answers in evidence["found"].items()
        for answer in answers
    }
    problems = list(written["errors"])
    if len(written["users"]) != written["wanted"]:
        problems.append(f"{len(written['users'])} users were made, not {written['wanted']}")
    for place in sorted(expected.keys() | found.keys()):
        if expected.get(place) != found.get(place):
            wanted, there = expected.get(place) or {}, found.get(place) or {}
            missing, extra = wanted.keys() - there.keys(), there.keys() - wanted.keys()
            torn = [user for user in wanted.keys() & there.keys() if wanted[user] != there[user]]
            problems.append(
                f"{place[0]}, shard {place[1]}: {len(missing)} users missing, {len(extra)} too many, "
                f"{len(torn)} with another number of tasks"
            )
    if evidence["analytics"] is not None:
        problems += [
            f"{row['id']} on {server}: {row['tasks']} tasks and {row['notifications']} notifications of them"
            for server, answers in evidence["found"].items()
            for answer in answers
            for row in answer["query_result"]
            if row["notifications"] != row["tasks"]
        ]
        problems += judge_analytics(written, evidence["analytics"])
    if evidence["cached"]:
        problems += [] if written["cache"].get("hit") else [f"no read came from a cache: {written['cache']}"]
        problems += [] if any(evidence["cached"].values()) else ["no cache has a key of the user that was asked for"]
    silent = [name for name in evidence["api_servers"] if not written["served_by"].get(name)]
    problems += [f"{name} served no request" for name in silent]
    report = [f"{written['requests']} requests, {written['failed']} failed; map version {shard_map['version']}"]
    report += [f"{server} answered {count}" for server, count in sorted(written["served_by"].items())]
    report += [f"{server}, shard {shard}: {len(users)} users" for (server, shard), users in sorted(found.items())]
    if evidence["cached"]:
        report.append(f"second read of a task: {written['cache']}; keys of one user: {evidence['cached']}")
    if evidence["analytics"] is not None:
        report.append(
            f"events in the analytics database: {evidence['analytics']['kinds']}; as many notifications as tasks"
        )
    return report, problems


def judge_analytics(written: dict, counted: dict) -> list[str]:
    """What is wrong with the events that arrived: each must be there once, and counted once."""
    users = len(written["users"])
    tasks = users * written["tasks_per_user"]
    kinds = {"user.created": users, "task.created": tasks, "task.completed": users}
    problems = [
        f"the analytics database has {counted['kinds'].get(kind, 0)} events {kind}, not {number}"
        for kind, number in kinds.items()
        if counted["kinds"].get(kind, 0) != number
    ]
    stats = {"users": users, "tasks": tasks, "completed": users}
    return problems + ([f"it counts {counted['stats']}, not {stats}"] if counted["stats"] != stats else [])


def main() -> int:
    """Read, judge, print."""
    report, problems = judge(json.load(sys.stdin))
    print("\n".join(report + [f"WRONG: {problem}" for problem in problems]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
