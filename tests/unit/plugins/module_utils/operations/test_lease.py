# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lease of a run: who is told of whom, and what a dry run says (A6)."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul import lock
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.operations import lease
from ansible_collections.scaleout.platform.plugins.modules import run_lease

NOW = 1_767_225_600.0
ANNE = {"run": "r1", "playbook": "site.yml", "user": "anne", "host": "ctl1", "pid": 4711, "started": "5"}
BOB = {**ANNE, "run": "r2", "user": "bob"}
HELD = "Another run changes this platform: site.yml of anne on ctl1 (process 4711), since 2026-01-01 00:00:00 UTC. "


@pytest.mark.parametrize("ask", [lease.take, lease.look])
def test_a_lease_is_respected_until_it_expires(consul, ask):
    """A6."""
    lease.take(consul, ANNE, None, NOW)
    with pytest.raises(lock.Held) as raised:
        ask(consul, BOB, None, NOW + lease.EXPIRES)
    assert raised.value.message == HELD + "Wait for its end, or stop it there."
    ask(consul, ANNE, None, NOW + 1)
    ask(consul, BOB, "r1", NOW + 2)


def test_an_expired_lease_is_taken_over_and_the_other_is_named(consul):
    """A6."""
    lease.take(consul, ANNE, None, NOW)
    before = consul.kv[lease.KEY].modify_index
    assert lease.take(consul, BOB, None, NOW + lease.EXPIRES + 1) == ANNE
    assert consul.kv[lease.KEY].modify_index > before, "the fencing token does not rise"


@pytest.mark.parametrize("ask", [lease.take, lease.look])
@pytest.mark.parametrize(
    ("renewed", "patience", "until"),
    [
        pytest.param(NOW + 86400, lease.EXPIRES, "2026-01-02 01:00:00 UTC", id="A6-a-clock-is-a-day-ahead"),
        pytest.param(NOW, 9e9, "2311-03-15 16:00:00 UTC", id="A6-patient-for-centuries"),
        pytest.param(1e300, 1, "1e+300 s after 1970", id="A6-no-clock-shows-it"),
    ],
)
def test_a_lease_that_ends_absurdly_late_is_respected_and_said(consul, ask, renewed, patience, until):
    value = {"holder": ANNE, "since": NOW, "renewed": renewed, "patience": patience}
    consul.hold(lease.KEY, json.dumps(value).encode())
    with pytest.raises(lock.Held) as raised:
        ask(consul, BOB, None, NOW)
    assert raised.value.message == HELD + (
        f"Its lease ends as late as {until}, so a clock is wrong, or something else wrote the lease. It is respected. "
        "If no such run works any more, delete the key scaleout/run in Consul."
    )
    assert consul.held(lease.KEY) == value


def task(consul, monkeypatch, acts, **params):
    monkeypatch.setattr(run_lease.Consul, "from_options", lambda _params: consul)
    return run_lease.KeepLease({"state": "held", "holder": BOB, "gone": None, "expires": 3600.0, **params}, acts)


@pytest.mark.parametrize("state", ["held", "released"])
def test_a_dry_run_takes_nothing_and_gives_nothing_back(consul, monkeypatch, state):
    """A6."""
    known = {"ansible_facts": {"postgres_leaders": {}}} if state == "held" else {}
    assert task(consul, monkeypatch, acts=False, state=state).plan().result == {"mode": "check", **known}
    assert consul.kv == {}
    lease.take(consul, BOB, None, time.time())
    assert task(consul, monkeypatch, acts=False, state=state).plan().result == {"mode": "check", **known}
    assert consul.held(lease.KEY)["holder"] == BOB


def test_a_dry_run_reports_the_holder(consul, monkeypatch):
    """A6."""
    lease.take(consul, ANNE, None, time.time())
    result = task(consul, monkeypatch, acts=False).plan().result
    assert (result["mode"], result["holder"]) == ("check", ANNE)
    assert result["said"].startswith("Another run changes this platform: site.yml of anne on ctl1 (process 4711)")
    with pytest.raises(lock.Held):
        task(consul, monkeypatch, acts=True).plan()


def test_an_unreadable_lease_stops_a_run_and_is_said_in_a_dry_run(consul, monkeypatch):
    """A6."""
    consul.hold(lease.KEY, b"mine")
    with pytest.raises(Refused, match="The key scaleout/run holds something that is not a lock: It is not JSON"):
        task(consul, monkeypatch, acts=True).plan()
    assert "is not a lock" in task(consul, monkeypatch, acts=False).plan().result["said"]
    assert consul.kv[lease.KEY].value == b"mine"


def test_a_dry_run_before_the_first_run_has_no_consul_to_ask(consul, monkeypatch):
    def refuse(_key):
        raise Unreachable("Consul", "127.0.0.1", 8500, "Connection refused")

    monkeypatch.setattr(consul, "get", refuse)
    monkeypatch.setattr(consul, "entries", refuse)
    assert task(consul, monkeypatch, acts=False).plan().result == {"mode": "check"}


@pytest.mark.parametrize("acts", [True, False])
def test_a_run_learns_who_leads_which_cluster(consul, monkeypatch, acts):
    for key, value in {
        "service/pg1/leader": b"vm2",
        "service/pg2/leader": b"",
        "service/pg3/config": b"{}",
        "service/pg4/members/leader": b"no",
        "service/pg-5.a/leader": b"vm5",
    }.items():
        consul.hold(key, value)
    found = task(consul, monkeypatch, acts=acts).plan().result["ansible_facts"]
    assert found == {"postgres_leaders": {"pg1": "vm2", "pg-5.a": "vm5"}}
