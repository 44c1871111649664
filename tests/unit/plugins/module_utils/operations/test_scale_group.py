# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operation asks of Consul, and what it does about a rival."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul.lock import LeaseLost
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import PREFIX
from ansible_collections.scaleout.platform.plugins.module_utils.operations import lease, scale_group

DEFAULTS = {
    "group": "api",
    "prefix": PREFIX,
    "state": "scaled",
    "count": 2,
    "minimum": 1,
    "maximum": None,
    "static_members": [{"name": "api1", "address": "192.0.2.1", "provider": None}],
    "provider": "static",
    "pool": [{"name": f"spare{n}", "address": f"192.0.2.9{n}"} for n in (1, 2, 3)],
    "joined": [],
    "left": [],
    "provider_ids": {},
    "consul_host": "127.0.0.1",
    "consul_port": 8500,
    "consul_scheme": "http",
    "consul_token": None,
    "consul_timeout": 1.0,
}


@pytest.fixture(name="task")
def _task(consul, monkeypatch):
    monkeypatch.setattr(scale_group.Consul, "from_options", lambda _params: consul)
    return lambda acts=True, **params: scale_group.ScaleGroup.of({**DEFAULTS, **params}, acts)


def carried_out(task):
    plan = task.plan()
    return task.apply(plan) if plan.changed else plan


def joining(plan):
    return [member["name"] for member in plan.result["joining"]]


def test_the_record_is_written_and_found_again(consul, task):
    assert joining(carried_out(task())) == ["spare1"]
    assert [member["name"] for member in consul.held("scaleout/members/api")["members"]] == ["api1", "spare1"]
    assert not carried_out(task()).changed
    settled = carried_out(task(state="settled", joined=["spare1"]))
    assert [member["name"] for member in settled.result["staying"]] == ["api1", "spare1"]


def test_after_a_lost_race_the_next_plan_is_carried_out(consul, task):
    def rival():
        consul.before_commit = None
        carried_out(task(count=3))

    consul.before_commit = rival
    plan = carried_out(task(count=4))
    assert joining(plan) == ["spare1", "spare2", "spare3"]
    assert len(consul.held("scaleout/members/api")["members"]) == 4


def test_a_rival_who_wrote_the_very_same_leaves_nothing_to_do(consul, task):
    def rival():
        consul.before_commit = None
        carried_out(task())

    consul.before_commit = rival
    assert not carried_out(task()).changed


def test_a_rival_who_is_always_faster_wins(consul, task):
    turns = iter(range(100))

    def rival():
        record = {"version": 1, "group": "api", "members": []}
        consul.hold("scaleout/members/api", json.dumps(record).encode() + b" " * next(turns))

    consul.before_commit = rival
    with pytest.raises(
        Conflict, match="Another client changed the key scaleout/members/api each of the 3 times"
    ) as lost:
        carried_out(task())
    assert (lost.value.code, lost.value.facts) == ("conflict", {"key": "scaleout/members/api"})
    assert consul.held("scaleout/members/api")["members"] == []


@pytest.mark.parametrize("key", ["scaleout/members/api", "scaleout/members/web"])
@pytest.mark.parametrize("text", [b"hello", b"{}", b'{"version": 1, "version": 1}'])
def test_what_is_no_record_is_left_alone(consul, task, key, text):
    consul.hold(key, text)
    with pytest.raises(
        Refused, match=f"The key {key} in Consul at 127.0.0.1:8500 holds something that is not"
    ) as refused:
        task().plan()
    assert (refused.value.code, refused.value.facts) == ("invalid_record", {"key": key})


def test_members_of_other_groups_are_taken(consul, task):
    carried_out(task(group="web", static_members=[]))
    assert joining(carried_out(task())) == ["spare3"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"group": "a-b"}, "group: 'a-b' is not the name of a group"),
        ({"prefix": "/a"}, "prefix: '/a' is not a folder"),
        ({"prefix": ""}, "prefix: '' is not a folder"),
    ],
)
def test_options_that_can_never_work(task, params, says):
    with pytest.raises(InvalidInput, match=says):
        task(**params)


def test_static_members_that_cannot_be(task):
    twice = DEFAULTS["static_members"] * 2
    with pytest.raises(Refused, match="static_members: The name api1 is there twice") as refused:
        task(static_members=twice)
    assert refused.value.code == "invalid_record"


RUNS = {name: {"run": name, "playbook": "scale.yml", "user": "ops", "host": "ctl", "pid": 1} for name in ("r1", "r2")}


def test_a_run_with_the_lease_records_members(consul, task):
    """A5."""
    lease.take(consul, RUNS["r1"], None, time.time())
    assert joining(carried_out(task(run="r1"))) == ["spare1"]


@pytest.mark.parametrize("when", ["before it looks", "before it writes"])
def test_a_run_without_the_lease_records_nothing(consul, task, when):
    """A5: it was paused, and another run took over."""
    lease.take(consul, RUNS["r1"], None, time.time())
    planned = task(run="r1")
    plan = planned.plan()
    lease.take(consul, RUNS["r2"], "r1", time.time())
    with pytest.raises(LeaseLost, match=r"another run has it: scale\.yml of ops on ctl") as raised:
        task(run="r1").plan() if when == "before it looks" else planned.apply(plan)
    assert (raised.value.code, raised.value.facts["holder"]) == ("lease_lost", RUNS["r2"])
    assert list(consul.kv) == [lease.KEY]


def test_a_dry_run_needs_no_lease(consul, task):
    """A6."""
    assert joining(task(acts=False, run="r1").plan()) == ["spare1"]
