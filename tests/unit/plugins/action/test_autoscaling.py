# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of autoscale.yml with a Consul that is a dict, and what they ask of it."""

from __future__ import annotations

import json
import time
import types
from unittest import mock

import pytest

from ansible_collections.scaleout.platform.plugins.action import autoscaling, scaling
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError, Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.operations import lease, scale_group, scaling_journal
from ansible_collections.scaleout.platform.plugins.module_utils.operations.autoscale_verbs import Verb
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Pool
from ansible_collections.scaleout.platform.plugins.plugin_utils import groups, run

NAMES = ("vm1", "vm2", "vm3", "vm4")
POLICY = {"interval": 15, "rules": [{"metric": "cpu", "threshold": 70}], "alerts": []}
ALERT = {"metric": "cpu", "condition": "gt", "threshold": 90}
RECORD, JOURNAL = "scaleout/members/web", "scaleout/scaling/web"
MEMBERS = {"group": "web", "state": "scaled", "count": None, "leave": None, "minimum": 1, "maximum": None}
MEMBERS |= {"static_members": [], "pool": [], "address_range": None, "name_pattern": None, "reserved_names": []}
MEMBERS |= {"reserved_addresses": [], "joined": [], "left": [], "kept": [], "provider_ids": {}, "provider": "static"}
MEMBERS |= {"prefix": "scaleout/members", "services": None, "run": None}
REMEMBERED = {"state": "shown", "run": None, "action": None, "outcome": None, "why": None, "by": "", "duration": None}
REMEMBERED |= {"keep_longer": False, "alerts": None, "unsent": [], "prefix": "scaleout/scaling"}


def holder(name):
    return {"run": name, "playbook": "autoscale.yml", "user": "ops", "host": "ctl", "pid": 1, "started": "1"}


class World:
    """A pool of vm1 to vm3 with vm4 to spare, under a load; all of it may be changed by a test."""

    def __init__(self, consul, monkeypatch):
        self.consul, self.monkeypatch = consul, monkeypatch
        self.policy, self.cpu, self.problems = POLICY, 80, []
        self.dead: set[str] = set()
        self.said: list[str] = []
        self.variables: dict[str, object] = {}
        self.check = False
        consul.ask = self._ask
        for room in (scale_group, scaling_journal):
            monkeypatch.setattr(room.Consul, "from_options", lambda _params: consul)
        self.record(*(f"{name}:member" for name in NAMES[:3]))

    def record(self, *members):
        found = []
        for number, member in enumerate(members):
            name, _colon, state = member.partition(":")
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600))
            fields = {"name": name, "address": f"192.0.2.{number + 1}", "provider": "static", "provider_id": ""}
            found.append({**fields, "state": state, "since": since if state != "member" else None})
        document = {"version": 1, "group": "web", "members": found}
        self.consul.hold(RECORD, json.dumps(document).encode())

    def states(self):
        return {one["name"]: one["state"] for one in self.consul.held(RECORD)["members"]}

    def journal(self):
        return self.consul.held(JOURNAL) if JOURNAL in self.consul.kv else None

    def take(self, name=run.ID):
        lease.take(self.consul, holder(name), None, time.time())

    def _ask(self, path):
        if path == "/v1/agent/members":
            return [{"Name": name, "Status": 4 if name in self.dead else 1} for name in (*NAMES, "consul1")]
        if path == "/v1/catalog/nodes":
            return [{"Node": name} for name in (*NAMES, "consul1")]
        checks = [{"CheckID": "service:shop", "Status": "passing"}]
        return [{"Node": {"Node": name}, "Checks": checks} for name in self.states() if name not in self.dead]

    def _platform(self):
        hosts = {name: {"platform_address": f"192.0.2.{at}"} for at, name in enumerate((*NAMES, "consul1"), 1)}
        hosts["consul1"].update(self.variables)
        groups = {"web": list(NAMES[:3]), "fleet_spare": ["vm4"], "consul_server": ["consul1"]}
        shop = Application("shop", "web", "scaleout.platform.app", "shop", 8000, pool=Pool(2, 4), scaling=self.policy)
        return Platform(hosts, groups, applications={"shop": shop})

    def _measured(self, _pools):
        now = time.time()
        found = [
            {"instance": name, "at": now - age, "values": {"cpu": self.cpu}}
            for age in range(600, -1, -15)
            for name in NAMES[:3]
            if self.cpu is not None and name not in self.dead
        ]
        return autoscaling.Measured({"shop": found}, {}, tuple(self.problems))

    def _module(self, made):
        def module(name, options):
            check = made._task.check_mode
            try:
                if name == "members":
                    task = scale_group.ScaleGroup.of({**MEMBERS, **options}, not check)
                elif name == "scaling_journal":
                    task = scaling_journal.KeepJournal.of({**REMEMBERED, **options}, not check)
                else:
                    return {}
                plan = task.plan()
                if plan.changed and not check:
                    plan = task.apply(plan)
            except ScaleoutError as error:
                return {"failed": True, **error.result()}
            return {**plan.result, "changed": plan.changed}

        return module

    def step(self, kind, state, verb=None, **variables):
        """Take a step, and return its result."""
        task = mock.MagicMock(async_val=0, check_mode=self.check, diff=False, args={}, action=kind.__name__)
        made = kind.ActionModule(
            task,
            connection=types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None)),
            play_context=mock.MagicMock(check_mode=self.check),
            loader=None,
            templar=types.SimpleNamespace(template=lambda value: value),
            shared_loader_obj=None,
        )
        made._platform, made._now, made._verb = self._platform(), time.time(), verb or Verb("cycle")
        made._vars = {"groups": {"all": list(NAMES)}, "inventory_hostname": "consul1", **variables}
        self.monkeypatch.setattr(made, "_module", self._module(made))
        self.monkeypatch.setattr(made, "_measure", self._measured, raising=False)
        self.monkeypatch.setattr(made, "_say", self.said.append, raising=False)
        # Only a real run has an inventory that a host can join a group of; tests/unit/playbooks has one.
        self.monkeypatch.setattr(groups, "join", lambda _action, group, _vars: {"add_group": group})
        return getattr(made, f"_{state}")()

    def cycle(self, **variables):
        """Look, take the lease where it is needed, and decide with it."""
        looked = self.step(autoscaling, "looked")
        if not looked["writes"]:
            return looked
        self.take()
        return self.step(autoscaling, "decided", autoscale_look=looked, autoscale_lease={}, **variables)


@pytest.fixture(name="world")
def _world(consul, monkeypatch):
    return World(consul, monkeypatch)


def planned(world, decided):
    def plan(state):
        kind = scaling
        made = world.step  # the same Consul
        return made(kind, state)

    asked = [scaling.requests.of(one) for one in decided["requests"]]
    original = scaling.ActionModule._planned

    def with_requests(self):
        self._requests = asked
        return original(self)

    world.monkeypatch.setattr(scaling.ActionModule, "_planned", with_requests)
    return plan("planned")


def test_a_pool_that_is_calm_is_looked_at_once_and_nothing_is_written(world):
    world.cpu = 50
    before = dict(world.consul.kv)
    found = world.cycle()
    assert (found["writes"], world.consul.kv) == (False, before)
    assert world.said == found["lines"]
    assert found["lines"][0].startswith("web: 3, nothing to do; cpu 50 %")


def test_a_growth_is_remembered_before_anything_is_made(world):
    found = world.cycle()
    (request,) = found["requests"]
    assert (request["count"], request["by"], found["add_group"]) == (4, "rule cpu > 70", "scale_acting")
    plan = planned(world, found)
    assert world.states()["vm4"] == "joining"
    assert world.journal()["running"]["by"] == "rule cpu > 70"
    # The other cycle that was started by the same event finds it, and starts nothing.
    again = world.cycle()
    assert again["requests"] in ([], None) or world.said[-1].startswith("web: held")
    assert plan["pools"][0]["action"]["to"] == 4


def test_a5_what_broke_off_has_failed_and_is_cleaned_up_before_the_next_decision(world):
    world.take("run-that-was-killed")
    world.record("vm1:member", "vm2:member", "vm3:member", "vm4:joining")
    begun = {"group": "web", "state": "begun", "run": "run-that-was-killed"}
    begun["action"] = {"direction": "up", "from": 3, "to": 4, "by": "rule cpu > 70", "why": "", "replaced": []}
    task = scaling_journal.KeepJournal.of({**REMEMBERED, **begun}, True)
    task.apply(task.plan())
    lease.release(world.consul, holder("run-that-was-killed"))
    world.cpu = 50
    found = world.cycle()
    (ended,) = world.journal()["history"]
    assert (ended["outcome"], world.journal()["running"]) == ("failed", None)
    (request,) = found["requests"]
    assert (request["by"], request["count"], request["leave"]) == ("clean-up", 3, ("vm4",))
    planned(world, found)
    assert world.states()["vm4"] == "leaving"
    assert len(world.journal()["history"]) == 1, "a clean-up is no action"


def test_a4_it_is_tried_again_after_a_back_off(world):
    test_a5_what_broke_off_has_failed_and_is_cleaned_up_before_the_next_decision(world)
    world.record("vm1:member", "vm2:member", "vm3:member")
    world.cpu = 80
    assert world.cycle()["lines"][0].startswith("web: held at 3, up is wanted by rule cpu > 70: The last growth failed")


def test_another_run_that_changes_the_platform_is_waited_for(world):
    looked = world.step(autoscaling, "looked")
    held = {"failed": False, "code": "held", "msg": "Another run changes this platform: site.yml of ops."}
    found = world.step(autoscaling, "decided", autoscale_look=looked, autoscale_lease=held)
    assert found["requests"] == []
    assert world.said[-1] == "nothing is done. Another run changes this platform: site.yml of ops."
    assert "add_group" not in found
    assert world.journal() is None


def test_a6_a_dry_run_shows_what_it_would_do_and_starts_nothing(world):
    world.check = True
    before = dict(world.consul.kv)
    looked = world.step(autoscaling, "looked")
    found = world.step(autoscaling, "decided", autoscale_look=looked, autoscale_lease={"mode": "check"})
    assert (found["requests"], world.consul.kv) == ([], before)
    assert world.said[0].startswith("web: scale up from 3 to 4")
    assert world.said[-1] == "nothing is done, since this is a dry run."


@pytest.mark.parametrize("everywhere", [True, False])
def test_a2_the_brake_holds_is_shown_and_ends(world, everywhere):
    of = {"application": "", "group": "_all"} if everywhere else {"application": "shop", "group": "web"}
    world.step(autoscaling, "looked", Verb("pause", duration="2h", why="The sale", **of))
    assert "paused for another 7200 s" in world.said[-1]
    held = world.cycle()
    assert held["lines"][0].startswith("web: held at 3, up is wanted by rule cpu > 70: Paused for another 7")
    assert held["lines"][0].endswith("The sale.")
    world.step(autoscaling, "looked", Verb("resume", **of))
    assert world.said[-1].endswith("not paused")
    assert world.cycle()["requests"]


def test_b4_without_data_the_pool_is_held_with_the_reason(world):
    world.cpu, world.problems = None, ["Cannot reach the metric store at 192.0.2.41:6380: Connection refused."]
    world.policy = {**POLICY, "alerts": []}
    found = world.step(autoscaling, "looked")
    assert found["lines"][0].startswith("web: held at 3: Cannot reach the metric store at 192.0.2.41:6380")


def test_a_record_that_cannot_be_read_is_a_failure_with_its_code(world):
    world.consul.hold(RECORD, b"[]")
    found = world.step(autoscaling, "looked")
    assert (found["failed"], found["code"], found["writes"]) == (True, "invalid_record", False)
    assert world.said[0].startswith("web: held: The key scaleout/members/web")


def test_b3_an_alert_is_told_once_until_it_has_cleared(world):
    sent = []
    world.monkeypatch.setattr(autoscaling.alert_sink, "send", lambda *given: sent.append(given[1:3]))
    world.variables = {"autoscale_alerts": {"url": "http://127.0.0.1:9/"}, "autoscale_alerts_secret": "s"}
    world.policy, world.cpu = {**POLICY, "rules": [], "alerts": [ALERT]}, 95
    world.cycle()
    world.cycle()
    world.cpu = 50
    world.cycle()
    world.cycle()
    told = [([alert["key"] for alert in firing], list(cleared)) for firing, cleared in sent]
    keys = [f"shop:metric:cpu > 90:{name}" for name in NAMES[:3]]
    assert told == [(keys, []), ([], keys)]


def test_b3_a_receiver_that_is_dead_is_a_warning_and_tried_again(world):
    def fails(*_given):
        raise Unreachable("the receiver of alerts", "127.0.0.1", 9, "Connection refused")

    world.monkeypatch.setattr(autoscaling.alert_sink, "send", fails)
    world.variables = {"autoscale_alerts": {"url": "http://127.0.0.1:9/"}, "autoscale_alerts_secret": "s"}
    world.policy = {**POLICY, "rules": [], "alerts": [{**ALERT, "threshold": 70}]}
    for _cycle in range(2):
        found = world.cycle()
        assert found["warnings"] == [
            "[unreachable] Cannot reach the receiver of alerts at 127.0.0.1:9: Connection refused."
        ]
        assert not found.get("failed")
    sent = []
    world.monkeypatch.setattr(autoscaling.alert_sink, "send", lambda *given: sent.append(len(given[1])))
    world.cycle()
    assert sent == [3]


def watched(world, cpu):
    """What the last look comes to while vm3 drains."""
    world.record("vm1:member", "vm2:member", "vm3:leaving")
    world.cpu = cpu
    request = {"group": "web", "applications": ["shop"], "count": 2, "leave": ["vm3"], "by": "rule cpu > 70", "why": ""}
    plan = {"pools": [{"request": {**request, "replaced": []}, "joining": [], "leaving": []}]}
    world.take()
    groups = {"all": list(NAMES), "scale_draining": ["vm3"]}
    return world.step(autoscaling, "watched", scale_plan=plan, groups=groups)


def test_w4_who_drains_stays_when_the_load_comes_back(world):
    found = watched(world, 80)
    assert found["kept"] == {"web": ["vm3"]}
    assert found["hosts"] == [{"name": "vm3", "groups": ["scale_staying"]}]
    assert world.states()["vm3"] == "member"
    assert world.said[-1].startswith("web: vm3 stay after all: shop: cpu > 70: 80 % on 2 servers is not clear")


def test_w4_who_drains_leaves_while_it_is_calm(world):
    assert watched(world, 40) == {"kept": {}, "hosts": []}
    assert world.states()["vm3"] == "leaving"
