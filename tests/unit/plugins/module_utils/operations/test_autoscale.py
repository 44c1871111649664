# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One cycle of the control loop: what comes of what was seen; by the ids of docs/scaling-decisions.md."""

from __future__ import annotations

import dataclasses
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import autoscale, scale_pool
from ansible_collections.scaleout.platform.plugins.module_utils.operations.autoscale import Seen
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Pool

NOW = 1_767_225_600.0
CPU = {"metric": "cpu", "threshold": 70}
POLICY = {"interval": 15, "rules": [CPU], "alerts": []}
ROLE = "scaleout.platform.app"


def platform(*applications, low=1, high=6, **variables):
    """A pool `web` of vm1 to vm6 with an application for each policy: shop, then search."""
    names = [f"vm{number}" for number in range(1, 7)]
    made = {
        name: Application(name, "web", ROLE, name, 8000 + at, pool=Pool(low, high), scaling=policy)
        for at, (name, policy) in enumerate(zip(("shop", "search"), applications or (POLICY,), strict=False))
    }
    hosts = {name: {"platform_address": f"192.0.2.{at}", **variables.get(name, {})} for at, name in enumerate(names)}
    hosts["consul1"] = {"platform_address": "192.0.2.90"}
    return Platform(hosts, {"web": names, "consul_server": ["consul1"]}, applications=made)


def ago(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - seconds))


def record(text, since=None):
    """``vm1 vm2:joining``; members began to serve long ago, the others ``since`` seconds ago."""
    members = []
    for word in text.split():
        name, _colon, state = word.partition(":")
        began = ago(60 if since is None else since) if state else None
        members.append({"name": name, "state": state or "member", "since": began})
    return members


def readings(names="vm1 vm2 vm3", seconds=600, until=0, **values):
    return [
        {"instance": name, "at": NOW - age, "values": values or {"cpu": 50}}
        for age in range(seconds, until - 1, -15)
        for name in names.split()
    ]


def seen(members="vm1 vm2 vm3", cpu=50, since=None, health=None, maintenance=(), problems=(), **more):
    journal = {name: more.pop(name) for name in ("paused", "running", "history", "known_alerts") if name in more}
    listed = record(members, since)
    names = [one["name"] for one in listed if one["state"] == "member"]
    found = {
        "record": {"members": listed},
        "health": {**dict.fromkeys(names, "serving"), **(health or {})},
        "maintenance": list(maintenance),
        "staying": [],
    }
    given = {"shop": readings(" ".join(names), cpu=cpu) if cpu is not None else [], **more.pop("readings", {})}
    return Seen(found, journal, given, problems=tuple(problems), **more)


def judged(of=None, what=None):
    of = of or platform()
    return autoscale.judge(of, "web", autoscale.pools(of)["web"], what or seen(), NOW)


def asked(one):
    """The request in words: the count and who leaves by name."""
    if one.request is None:
        return None
    mark = f" by {one.request.by}" if one.request.by == "clean-up" else ""
    return " ".join([str(one.request.count), *(f"-{name}" for name in one.request.leave)]) + mark


DONE = {"direction": "up", "from": 2, "to": 3, "started": NOW - 400, "finished": NOW - 30, "outcome": "succeeded"}
FAILED = {**DONE, "outcome": "failed"}
RUNS = {"direction": "up", "from": 2, "to": 3, "started": NOW - 40}
PAUSED = {"until": NOW + 60, "why": "The sale", "by": "ops", "since": NOW - 60}


@pytest.mark.parametrize(
    ("what", "outcome", "request_", "reason"),
    [
        pytest.param(seen(cpu=50), "none", None, "", id="no one asks"),
        pytest.param(seen(cpu=80), "scale", "4", "", id="J1 up"),
        pytest.param(seen(cpu=20), "scale", "2 -vm3", "", id="W4 down"),
        pytest.param(seen("vm1 vm2 vm3:joining", cpu=80), "scale", "4", "", id="A3 who joins counts"),
        pytest.param(seen(cpu=80, history=[{**DONE, "finished": NOW - 200}]), "hold", None, "cooldown", id="W2"),
        pytest.param(seen(cpu=80, history=[{**FAILED, "finished": NOW - 20}]), "hold", None, "back_off", id="A4 waits"),
        pytest.param(seen(cpu=80, history=[FAILED]), "scale", "4", "", id="A4 tries again"),
        pytest.param(seen(cpu=80, paused=PAUSED), "hold", None, "paused", id="A2"),
        pytest.param(seen(cpu=80, paused={**PAUSED, "until": NOW}), "scale", "4", "", id="A2 ends by itself"),
        pytest.param(seen(cpu=80, history=[RUNS]), "hold", None, "running", id="A4 one at a time"),
        pytest.param(seen(cpu=80, history=["nonsense"]), "hold", None, "history", id="A7"),
        pytest.param(seen("vm1 vm2 vm3 vm4 vm5 vm6", cpu=80), "hold", None, "maximum", id="A1 never above"),
        pytest.param(seen("vm1", cpu=20), "none", None, "", id="A1 never below"),
        pytest.param(seen(cpu=None), "hold", None, "missing_data", id="B4 no data"),
        pytest.param(seen(cpu=None, problems=["Dead."]), "hold", None, "missing_data", id="B4"),
        pytest.param(
            seen(cpu=20, readings={"shop": readings("vm1 vm2", cpu=20)}), "none", None, "", id="B2 one is silent"
        ),
        # A dead member goes first, and is replaced by the next growth.
        pytest.param(seen(cpu=20, health={"vm1": "dead"}), "scale", "2 -vm1", "", id="B2 down, the dead first"),
        pytest.param(
            seen(health={"vm1": "dead"}, readings={"shop": readings("vm2 vm3", cpu=80)}),
            "scale", "3 -vm1", "", id="B2 up, in its place",
        ),
    ],
)  # fmt: skip
def test_what_comes_of_a_pool(what, outcome, request_, reason):
    one = judged(what=what)
    assert (one.outcome, asked(one)) == (outcome, request_)
    assert [found.code for found in one.reasons][:1] == ([reason] if reason else [])
    assert one.line.startswith("web: ")
    assert "\n" not in one.line


def test_a1_the_bounds_are_those_of_the_pool_and_one_action_leads_to_the_minimum():
    assert asked(judged(platform(low=4), seen("vm1 vm2", cpu=50))) == "4"
    of = platform(low=2, high=3)
    # Too large a pool shrinks as far as the load allows, though no person could ask for so many.
    request = judged(of, seen("vm1 vm2 vm3 vm4 vm5", cpu=50)).request
    assert request.count == 4
    options = scale_pool.members_options(of, request, ())
    assert (options["count"], options["maximum"]) == (4, 4)


def test_the_line_says_what_and_why():
    assert judged(what=seen(cpu=80)).line.startswith("web: scale up from 3 to 4, rule cpu > 70: cpu 80 % a server")
    assert judged(what=seen(cpu=20)).line.endswith("; leaving: vm3")
    assert judged().line.startswith("web: 3, nothing to do; cpu 50 %")
    paused = judged(what=seen(cpu=80, paused=PAUSED)).line
    assert paused == "web: held at 3, up is wanted by rule cpu > 70: Paused for another 60 s: The sale."
    # The brake is shown by every decision.
    assert "paused for another 60 s: The sale" in judged(what=seen(paused=PAUSED)).line
    blind = judged(what=seen(cpu=None, problems=["Cannot reach the metric store."])).line
    assert blind == "web: held at 3: Cannot reach the metric store. (3 alerts)"


@pytest.mark.parametrize(
    ("shop", "search", "outcome", "request_"),
    [
        (80, 80, "scale", "5"),
        # Up beats down, and who asks for most wins.
        (80, 20, "scale", "4"),
        (20, 80, "scale", "5"),
        (80, 95, "scale", "5"),
        # It shrinks when all of them ask for it, by the smallest step.
        (20, 20, "scale", "2 -vm3"),
        (20, 50, "hold", None),
        (50, 50, "none", None),
        # Who does not know does not shrink.
        (20, None, "hold", None),
    ],
)
def test_w1_applications_that_share_hosts(shop, search, outcome, request_):
    of = platform(POLICY, {**POLICY, "rules": [{**CPU, "up": {"step": 2}, "down": {"step": 2}}]})
    names = "vm1 vm2 vm3"
    given = {"shop": readings(names, cpu=shop), "search": readings(names, cpu=search) if search else []}
    one = judged(of, seen(readings=given))
    assert (one.outcome, asked(one)) == (outcome, request_)


def test_w1_a_growth_that_is_held_keeps_the_pool():
    of = platform({**POLICY, "guards": [{"metric": "pooler_wait", "condition": "gt", "threshold": 1}]}, POLICY)
    wait = [{"instance": "pg1", "at": NOW, "values": {"pooler_wait": 3.0}}]
    given = {"shop": readings(cpu=80) + wait, "search": readings(cpu=20)}
    one = judged(of, seen(readings=given))
    assert (one.outcome, [reason.code for reason in one.reasons]) == ("hold", ["guard"])


def test_connections_are_those_of_the_newest_sample_of_each_host():
    samples = [
        {"instance": "vm1", "timestamp": NOW, "metrics": {"network": {"connections": 7}}},
        {"instance": "vm1", "timestamp": NOW - 15, "metrics": {"network": {"connections": 9}}},
        {"instance": "vm2", "timestamp": NOW, "metrics": {"network": {}}},
        {"instance": "vm3", "metrics": {"network": {"connections": 0}}},
        {"instance": "vm4"},
    ]
    assert autoscale.connections(samples) == {"vm1": 7.0, "vm3": 0.0}


@pytest.mark.parametrize("members", ["vm4 vm5", "vm4 vm3:joining vm6:joining vm5"])
def test_a1_not_even_an_enforced_maximum_takes_the_last_one_that_serves(members):
    """The others are dead and protected, or only about to join."""
    of = platform({**POLICY, "enforce_maximum": True}, high=1, vm5={"scale_protected": True})
    one = judged(of, seen(members, health={"vm5": "dead"}))
    assert one.outcome == "hold"
    assert one.request is None or "vm4" not in one.request.leave


GARBAGE = [None, "7", True, -1, float("nan"), 10**400, [7], {"connections": 7}]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "place", [(), ("instance",), ("metrics",), ("metrics", "network"), ("metrics", "network", "connections")]
)
def test_what_one_host_returns_stops_no_cycle(garbage, place):
    document = {"instance": "vm1", "metrics": {"network": {"connections": 7}}}
    part = document
    for key in place[:-1]:
        part = part[key]
    if place:
        part[place[-1]] = garbage
    good = {"instance": "vm2", "metrics": {"network": {"connections": 3}}}
    found = autoscale.connections([document if place else garbage, good, {**good, "timestamp": garbage}])
    assert found.pop("vm2") == 3
    assert set(found.values()) <= {7.0}


@pytest.mark.parametrize(
    ("connections", "protected", "leaves"),
    [
        ({"vm1": 9, "vm2": 3, "vm3": 9}, "", "vm2"),
        ({"vm1": 9, "vm2": 3, "vm3": 3}, "", "vm3"),
        # Of whom nothing is known leaves last.
        ({"vm1": 9}, "", "vm1"),
        ({}, "", "vm3"),
        ({"vm1": 9, "vm2": 3, "vm3": 9}, "vm2", "vm3"),
    ],
)
def test_the_one_with_the_fewest_connections_leaves(connections, protected, leaves):
    of = platform(**({protected: {"scale_protected": True}} if protected else {}))
    one = judged(of, seen(cpu=20, connections=connections))
    assert one.request.leave == (leaves,)


def test_j1_who_is_in_maintenance_is_not_in_rotation():
    pool = autoscale.pool_of(platform(), seen(health={"vm1": "failing", "vm2": "dead"}, maintenance=["vm1"]))
    facts = {one.name: (one.healthy, one.in_rotation, one.failed, one.reached) for one in pool.members}
    assert facts == {
        "vm1": (False, False, False, False),
        "vm2": (False, True, True, False),
        "vm3": (True, True, False, True),
    }


def test_without_a_record_the_inventory_s_hosts_are_the_members():
    found = {"record": None, "staying": [{"name": "vm1"}, {"name": "vm2"}], "health": {"vm1": "serving"}}
    pool = autoscale.pool_of(platform(), Seen(found, {}, {}))
    assert (pool.desired, [one.name for one in pool.members]) == (2, ["vm1", "vm2"])


@pytest.mark.parametrize(
    ("members", "since", "more", "expected"),
    [
        ("vm1 vm2 vm3:joining", 60, {}, "2 -vm3 by clean-up"),
        ("vm1 vm2 vm3:leaving", 60, {}, "2 by clean-up"),
        ("vm1 vm2 vm3:joining vm4:leaving", 60, {}, "2 -vm3 by clean-up"),
        # Who has been leaving for long is waited for no more, and is an alert.
        ("vm1 vm2 vm3:leaving", 901, {}, None),
        ("vm1 vm2 vm3:joining", 901, {}, "2 -vm3 by clean-up"),
        ("vm1 vm2 vm3:lost", 60, {}, None),
        # Nothing is left to carry on with.
        ("vm1:joining vm2:joining", 60, {}, None),
        # A person who paused the pool may be working on it, and so may another run.
        ("vm1 vm2 vm3:joining", 60, {"paused": PAUSED}, None),
        ("vm1 vm2 vm3:joining", 60, {"history": [RUNS]}, None),
    ],
)
def test_a4_what_an_action_that_broke_off_has_left_is_cleaned_up(members, since, more, expected):
    one = judged(what=seen(members, since=since, **more))
    assert asked(one) == expected
    if expected:
        assert "of an action that broke off" in one.line
        assert one.request.action(3) is None, "a clean-up is no action"
    leaving = [alert["key"] for alert in one.alerts if alert["kind"] == "leaving"]
    assert leaving == (["leaving:vm3"] if since > 900 and ":leaving" in members else [])


def test_a5_an_action_that_runs_wants_the_lease_to_find_out_whose_it_is():
    one = judged(what=seen(history=[RUNS], running={**RUNS, "run": "ansible-local-1"}))
    assert (one.writes, one.request) == (True, None)
    assert not judged().writes


ALERTS = {**POLICY, "alerts": [{"metric": "cpu", "condition": "gt", "threshold": 90}]}


@pytest.mark.parametrize(
    ("cpu", "known", "news", "cleared", "remain"),
    [
        (95, [], ["shop:metric:cpu > 90:vm1"], [], []),
        (95, ["shop:metric:cpu > 90:vm1"], [], [], []),
        (50, ["shop:metric:cpu > 90:vm1"], [], ["shop:metric:cpu > 90:vm1"], []),
        # One whose data are missing has not cleared.
        (None, ["shop:metric:cpu > 90:vm1"], None, [], ["shop:metric:cpu > 90:vm1"]),
    ],
)
def test_b3_an_alert_is_news_once(cpu, known, news, cleared, remain):
    given = readings("vm1", cpu=cpu) if cpu else []
    one = judged(platform(ALERTS), seen(readings={"shop": given + readings("vm2 vm3", cpu=50)}, known_alerts=known))
    if news is not None:
        assert list(one.news) == news
    assert (list(one.cleared), list(one.remain)) == (cleared, remain)
    assert one.writes == bool(one.news or one.cleared)
    assert all(alert["group"] == "web" and alert["text"] for alert in one.alerts)


@pytest.mark.parametrize(
    ("cpu", "more", "back"),
    [
        (50, {}, []),
        (80, {}, ["shop: cpu > 70: 80 % on 2 servers is not clear of > 70"]),
        (70, {}, ["shop: cpu > 70: 70 % on 2 servers is not clear of > 70"]),
        (50, {"paused": PAUSED}, ["the pool is paused: The sale"]),
        # The action that runs is our own.
        (50, {"history": [RUNS]}, []),
    ],
)
def test_w4_a_drain_is_called_off_when_the_load_comes_back(cpu, more, back):
    given = {"shop": readings("vm1 vm2", until=15, cpu=30) + readings("vm1 vm2", 0, cpu=cpu)}
    of, what = platform(), seen("vm1 vm2 vm3:leaving", readings=given, **more)
    found = autoscale.comes_back(of, autoscale.pools(of)["web"], what, NOW)
    assert found == back


def test_w4_a_drain_is_called_off_when_one_of_the_others_is_silent():
    of, what = platform(), seen("vm1 vm2 vm3:leaving", readings={"shop": readings("vm1", cpu=30)})
    assert autoscale.comes_back(of, autoscale.pools(of)["web"], what, NOW)[0] == "shop: vm2 has no fresh sample"


def test_only_pools_with_a_policy_are_looked_at_and_sampled():
    of = platform(POLICY, None)
    pools = autoscale.pools(of)
    assert list(pools["web"]) == ["shop"]
    assert autoscale.sampled(of, pools)["vm1"] == [
        {"name": "shop", "port": 8000, "pooler_port": None, "pooler_databases": []}
    ]
    assert list(autoscale.pools(of, "search")) == ["web"], "its hosts are scaled by the other's policy"
    assert autoscale.pools(platform(None)) == {}
    with pytest.raises(ScaleoutError, match="interval: is required"):
        autoscale.pools(platform({}))


def test_a_name_means_the_pool_of_the_application_before_a_group_of_that_name():
    of = platform(POLICY, POLICY)
    search = dataclasses.replace(of.applications["search"], group="shop")
    of = dataclasses.replace(of, applications={**of.applications, "search": search})
    assert list(autoscale.pools(of)) == ["web", "shop"]
    assert list(autoscale.pools(of, "shop")) == ["web"]
    assert list(autoscale.pools(of, "search")) == ["shop"]


def case_of(draw):
    states = draw(st.lists(st.sampled_from(["", ":joining", ":leaving"]), min_size=1, max_size=6))
    members = " ".join(f"vm{at}{state}" for at, state in enumerate(states, 1))
    health = {f"vm{at}": draw(st.sampled_from(["serving", "failing", "dead"])) for at in range(1, len(states) + 1)}
    cpu = draw(st.sampled_from([None, 5, 20, 50, 69, 71, 80, 100]))
    history = draw(st.lists(st.sampled_from([DONE, FAILED, RUNS, {**DONE, "direction": "down", "from": 3, "to": 2}])))
    paused = draw(st.sampled_from([None, PAUSED, {**PAUSED, "until": NOW - 1}]))
    silent = draw(st.booleans())
    of = platform(low=draw(st.integers(1, 3)), high=draw(st.integers(3, 6)))
    what = seen(members, cpu=cpu, health=health, history=history, paused=paused)
    if silent:
        what = dataclasses.replace(
            what, readings={"shop": [one for one in what.readings["shop"] if one["instance"] != "vm1"]}
        )
    return of, what


@settings(max_examples=150, deadline=None)
@given(st.composite(case_of)())
def test_no_request_is_outside_the_bounds_or_without_data_or_held(case):
    of, what = case
    one = judged(of, what)
    size = len(what.names("joining", "member"))
    policy = autoscale.pools(of)["web"]["shop"]
    if one.request is None:
        return
    assert what.journal.get("paused") is None or what.journal["paused"]["until"] <= NOW, "a paused pool is changed"
    assert RUNS not in what.journal["history"], "two actions at a time"
    if one.request.by == "clean-up":
        assert one.request.count == len(what.names("member"))
        return
    low, high = policy.bounds.minimum, policy.bounds.maximum
    assert low <= one.request.count <= max(high, size - 1)
    assert one.request.count > 0
    by_bound = one.request.by.startswith("bound")
    assert by_bound or what.readings["shop"], "an action without the data to justify it"
    assert set(one.request.leave) <= set(what.names("member"))
    # What the plan makes of it is that size.
    gone = len(one.request.leave)
    assert one.request.count == size - gone or (one.request.count >= size and one.request.replaced == one.request.leave)
