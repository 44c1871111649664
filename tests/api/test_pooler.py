# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Servers that are reached through PgBouncer: the second pair of the lab."""

from __future__ import annotations

import typing as t

import pytest
from api_lab.lab import Lab
from api_lab.server import environment, run
from api_lab.waiting import until

PATIENCE, HEALING = 3.0, 4.0


@pytest.fixture
def user(lab: Lab) -> str:
    user_id, _unused = lab.user_on("2")
    lab.heal()
    return f"/users/{user_id}"


def test_requests_go_through_the_pooler_and_migrations_do_not(lab: Lab, user: str) -> None:
    assert lab.a.get(f"{user}/tasks").read_from == "pg2"
    lab.poolers["pg2"].stop()
    try:
        until(lambda: lab.a.patch(user, {"name": "x"}).code == "shard_unavailable", PATIENCE, "the loss is noticed")
        assert 'reference_api_shard_errors_total{code="shard_unavailable",shard="2"}' in lab.a.get("/metrics").body
        migration = run("reference_api.migrate", environment(lab.consul.address))
        assert (migration.returncode, migration.stderr) == (0, "")
    finally:
        lab.poolers["pg2"].start()
    until(lambda: lab.a.patch(user, {"name": "y"}).status == 200, HEALING, "the shard is served again")


@pytest.mark.parametrize("fault", ["stop", "freeze"])
def test_a_primary_that_is_lost_behind_its_pooler(lab: Lab, user: str, fault: str) -> None:
    undo: dict[str, t.Callable[[], None]] = {"stop": lab.pg2.start, "freeze": lab.pg2.thaw}
    getattr(lab.pg2, fault)()
    try:
        first = lab.a.patch(user, {"name": "x"})
        # A stopped server has taken nothing from the pooler; of a frozen one that is not known.
        assert first.code == {"stop": "shard_unavailable", "freeze": "outcome_unknown"}[fault]
        assert first.seconds < PATIENCE
        until(lambda: refused_at_once(lab, user), 5, "no request waits for the primary any more")
    finally:
        undo[fault]()
    until(lambda: lab.a.patch(user, {"name": "back"}).status == 200, HEALING, "the shard is served again")


def refused_at_once(lab: Lab, user: str) -> bool:
    answer = lab.a.patch(user, {"name": "y"})
    return answer.status == 503 and answer.code == "shard_unavailable" and answer.seconds < 0.3
