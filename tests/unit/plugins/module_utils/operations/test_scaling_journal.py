# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the journal of a pool asks of Consul, who may write it (A5), and which options are refused."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul import lock
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import lease, scaling_journal

KEY, OF_ALL = "scaleout/scaling/api", "scaleout/scaling/_all"
GROWTH = {"direction": "up", "from": 3, "to": 5, "by": "rule cpu > 70", "why": "84 %", "replaced": []}
DEFAULTS = {
    "group": "api",
    "state": "shown",
    "run": None,
    "action": None,
    "outcome": None,
    "why": None,
    "by": "",
    "duration": None,
    "keep_longer": False,
    "alerts": None,
    "unsent": [],
    "prefix": "scaleout/scaling",
}


def holder(run):
    return {"run": run, "playbook": "autoscale.yml", "user": "ops", "host": f"ctl-{run}", "pid": 1, "started": "1"}


@pytest.fixture(name="does")
def _does(consul, monkeypatch):
    """A function that runs the task and returns the result, with ``changed``."""
    monkeypatch.setattr(scaling_journal.Consul, "from_options", lambda _params: consul)

    def does(acts=True, **params):
        task = scaling_journal.KeepJournal.of({**DEFAULTS, **params}, acts)
        plan = task.plan()
        if plan.changed and acts:
            plan = task.apply(plan)
        return {**plan.result, "changed": plan.changed}

    return does


def test_an_action_is_remembered_from_its_beginning_to_its_end(consul, does):
    lease.take(consul, holder("r1"), None, time.time())
    assert not does()["changed"]
    begun = does(state="begun", run="r1", action=GROWTH)
    assert (begun["running"]["to"], begun["running"]["run"]) == (5, "r1")
    assert not does(state="begun", run="r1", action=GROWTH)["changed"]
    assert does()["history"] == [{name: value for name, value in begun["running"].items() if name != "run"}]
    ended = does(state="finished", run="r1", outcome="failed", why="api5 did not start")
    assert (ended["running"], ended["ended"]["why"]) == (None, "84 %; api5 did not start")
    assert consul.held(KEY) == ended["journal"]
    assert not does(state="finished", run="r1", outcome="failed")["changed"]


def test_the_next_holder_finds_what_the_last_one_had_begun(consul, does):
    """A5."""
    lease.take(consul, holder("r1"), None, time.time())
    does(state="begun", run="r1", action=GROWTH)
    assert lease.take(consul, holder("r2"), "r1", time.time()) == holder("r1")
    found = does(state="broken_off", run="r2")
    assert (found["changed"], found["running"]) == (True, None)
    assert (found["ended"]["outcome"], found["ended"]["why"]) == ("failed", "84 %; broke off")
    assert not does(state="broken_off", run="r2")["changed"]
    # The one that was taken for dead wakes up.
    with pytest.raises(lock.LeaseLost) as raised:
        does(state="finished", run="r1", outcome="succeeded")
    assert (raised.value.code, raised.value.facts["holder"]) == ("lease_lost", holder("r2"))
    assert len(consul.held(KEY)["history"]) == 1


LOST = [
    pytest.param(lambda consul: consul.kv.pop(lease.KEY), "no run has it", id="A5-given-back"),
    pytest.param(
        lambda consul: lease.take(consul, holder("r2"), "r1", time.time()),
        "another run has it: autoscale.yml of ops on ctl-r2",
        id="A5-taken-over",
    ),
    pytest.param(
        lambda consul: lease.take(consul, holder("r1"), None, time.time() - lease.EXPIRES - 1),
        "no run may count on it after that",
        id="A5-expired",
    ),
]


@pytest.mark.parametrize(("loses", "says"), LOST)
@pytest.mark.parametrize("when", ["before it looks", "before it writes"])
def test_nothing_is_written_without_the_lease(consul, does, loses, says, when):
    """A5."""
    lease.take(consul, holder("r1"), None, time.time())
    if when == "before it looks":
        loses(consul)
    else:

        def rival():
            consul.before_commit = None
            loses(consul)

        consul.before_commit = rival
    with pytest.raises(lock.LeaseLost, match="This run has lost its lease, and nothing was written: .*" + says):
        does(state="begun", run="r1", action=GROWTH)
    assert KEY not in consul.kv


def test_a_renewal_in_the_same_moment_costs_one_more_try(consul, does):
    lease.take(consul, holder("r1"), None, time.time())

    def renewed():
        consul.before_commit = None
        lease.take(consul, holder("r1"), None, time.time())

    consul.before_commit = renewed
    assert does(state="begun", run="r1", action=GROWTH)["changed"]
    assert consul.held(KEY)["running"]["run"] == "r1"


def test_a_dry_run_needs_no_lease_and_writes_nothing(consul, does):
    """A6."""
    lease.take(consul, holder("r2"), None, time.time())
    assert does(acts=False, state="begun", run="r1", action=GROWTH)["changed"]
    assert list(consul.kv) == [lease.KEY]


def test_a_pause_needs_no_lease_and_that_of_all_pools_counts(consul, does):
    """A2."""
    lease.take(consul, holder("r2"), None, time.time())
    own = does(state="paused", duration="30m", why="sale", by="ops")["paused"]
    assert (own["why"], own["by"], own["until"] - own["since"]) == ("sale", "ops", 1800)
    does(group="_all", state="paused", duration="1h", why="maintenance")
    assert does()["paused"]["why"] == "maintenance"
    does(group="_all", state="resumed")
    assert does()["paused"]["why"] == "sale"
    assert does(state="resumed")["paused"] is None
    assert not does(state="resumed")["changed"]
    assert does()["journal"]["history"] == consul.held(OF_ALL)["history"] == []


def test_what_cannot_be_is_told_until_it_is_repaired(consul, does):
    """A7."""
    document = does()["journal"]
    consul.hold(KEY, json.dumps({**document, "history": [5]}).encode())
    consul.hold(OF_ALL, json.dumps({**document, "group": "_all", "paused": 5}).encode())
    found = does()
    assert [text.split(" cannot be")[0] for text in found["faults"]] == [
        "Of all pools: The pause",
        "Entry 1 of the history",
    ]
    assert found["history"] == [{"fault": text} for text in found["faults"]]
    does(state="repaired")
    assert does(group="_all", state="repaired")["faults"] == does()["faults"] == []


@pytest.mark.parametrize("key", [KEY, OF_ALL])
@pytest.mark.parametrize("text", [b"hello", b"{}", b'{"version": 2}'])
def test_what_is_no_journal_is_left_alone(consul, does, key, text):
    consul.hold(key, text)
    with pytest.raises(
        Refused, match=f"The key {key} in Consul at 127.0.0.1:8500 holds something that is not"
    ) as raised:
        does(state="paused", duration="1h", why="sale")
    assert (raised.value.code, raised.value.facts) == ("invalid_journal", {"key": key})
    assert consul.kv[key].value == text


def test_after_a_lost_race_the_other_change_is_kept(consul, does):
    def rival():
        consul.before_commit = None
        does(state="alerted", alerts=["cpu/api1"])

    consul.before_commit = rival
    assert does(state="paused", duration="1h", why="sale")["known_alerts"] == ["cpu/api1"]
    assert (consul.held(KEY)["paused"]["why"], list(consul.held(KEY)["alerts"])) == ("sale", ["cpu/api1"])


def test_a_rival_who_is_always_faster_wins(consul, does):
    turns = iter(range(100))
    document = json.dumps(does()["journal"]).encode()
    consul.before_commit = lambda: consul.hold(KEY, document + b" " * next(turns))
    with pytest.raises(Conflict, match=f"Another client changed the key {KEY} each of the 3 times"):
        does(state="paused", duration="1h", why="sale")
    assert consul.held(KEY)["paused"] is None


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"group": "a-b"}, ["group: 'a-b' is not the name of a group"]),
        ({"prefix": "/a"}, ["prefix: '/a' is not a folder of Consul's KV."]),
        ({"state": "broken_off"}, ["run: '' is not a run, and broken_off is only for the one with the lease."]),
        ({"state": "begun", "run": "r"}, ["action: {} cannot be: it has no direction and no from and no to."]),
        (
            {"state": "begun", "run": "r", "action": {**GROWTH, "to": 3}},
            ["cannot be: it goes up from 3 to 3."],
        ),
        ({"state": "finished", "run": "r"}, ["outcome: None is not succeeded, failed or called_off."]),
        ({"state": "alerted"}, ["alerts: None is not a list of alerts, which is empty where none is out."]),
        ({"state": "paused", "duration": "1h"}, ["why: None is no reason, and a pause needs one."]),
        ({"state": "paused", "duration": "1h", "why": " "}, ["why: ' ' is no reason, and a pause needs one."]),
        (
            {"state": "paused", "group": "a-b", "duration": "-2h"},
            ["group: 'a-b'", "duration: '-2h' is negative.", "why: None is no reason"],
        ),
        (
            {"state": "finished", "group": "_all"},
            ["group: '_all' is all pools, and finished is of one.", "run: ''", "outcome: None"],
        ),
    ],
)
def test_options_that_can_never_work_are_named_all_at_once(consul, does, params, says):
    with pytest.raises(ScaleoutError) as raised:
        does(**params)
    assert raised.value.code == "invalid_input"
    assert all(text in raised.value.message for text in says)
    assert len(raised.value.facts.get("problems", says[:1])) == len(says)
    assert consul.requests == 0
