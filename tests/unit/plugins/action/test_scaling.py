# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of scale.yml where a module that they call fails."""

from __future__ import annotations

import types
from unittest import mock

import pytest

from ansible_collections.scaleout.platform.plugins.action import scaling
from ansible_collections.scaleout.platform.plugins.module_utils.members.asked import Asked
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform

PLATFORM = Platform(
    hosts={
        name: {"platform_address": f"192.0.2.{number}"} for number, name in enumerate(("consul1", "api1", "spare1"), 1)
    },
    groups={"consul_server": ["consul1"], "api": ["api1"], "fleet_spare": ["spare1"]},
    applications={"shop": Application("shop", "api", "scaleout.platform.app", "shop")},
)
API1 = {"name": "api1", "address": "192.0.2.2", "provider": "static", "provider_id": ""}
#: Consul knows a name of a host that is gone, which a new one would get.
SEEN = {
    "record": {"members": [{**API1, "state": "member"}]},
    "alive": {"api1": True, "api2": False},
    "joining": [],
    "leaving": [],
    "staying": [API1],
    "health": {"api1": "serving"},
}


@pytest.fixture(name="planned")
def _planned(monkeypatch):
    """A function that takes the step `planned`, with what consul_member answers; returns the result and all calls."""

    def step(forgotten):
        calls = []

        def module(name, options):
            calls.append((name, options.get("state")))
            return forgotten if name == "consul_member" else SEEN

        action = scaling.ActionModule(
            mock.MagicMock(async_val=0, check_mode=False, diff=False, args={}, action="scaling"),
            connection=types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None)),
            play_context=mock.MagicMock(check_mode=False),
            loader=None,
            templar=types.SimpleNamespace(template=lambda value: value),
            shared_loader_obj=None,
        )
        action._platform, action._requests, action._vars = PLATFORM, [Asked("api", ("shop",), 1)], {}
        monkeypatch.setattr(action, "_module", module)
        return action._planned(), calls

    return step


@pytest.mark.parametrize("code", ["unreachable", "denied", "no_leader", "unexpected_answer"])
def test_a_name_that_could_not_be_asked_about_ends_the_step(planned, code):
    failure = {"failed": True, "code": code, "msg": "."}
    result, calls = planned(failure)
    assert {**result, **failure} == result
    assert calls == [("members", "settled"), ("consul_member", "absent")], "the pool was recorded"


@pytest.mark.parametrize("answer", [{"forgotten": ["api2"]}, {"failed": True, "code": "still_known", "msg": "."}])
def test_a_name_that_is_free_or_whose_agent_came_back_does_not(planned, answer):
    result, calls = planned(answer)
    assert not result.get("failed")
    assert result["told"].startswith("api: 1 now, 1 wanted")
    assert calls[2:] == [("members", None), ("members", None)]


@pytest.fixture(name="action")
def _action(monkeypatch):
    """A function that makes the action with answers of modules by name and state, and all calls."""

    def make(answers, **variables):
        calls = []

        def module(name, options):
            calls.append((name, options.get("group") or options.get("names"), options.get("state")))
            answer = answers.get((name, options.get("group")), answers.get(name, {}))
            return answer(options) if callable(answer) else answer

        made = scaling.ActionModule(
            mock.MagicMock(async_val=0, check_mode=False, diff=False, args={}, action="scaling"),
            connection=types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None)),
            play_context=mock.MagicMock(check_mode=False),
            loader=None,
            templar=types.SimpleNamespace(template=lambda value: value),
            shared_loader_obj=None,
        )
        made._platform = PLATFORM
        made._vars = {"groups": {"platform_reached": ["api2"]}, **variables}
        monkeypatch.setattr(made, "_module", module)
        return made, calls

    return make


def test_a_pool_that_is_refused_does_not_keep_another_from_its_change(action):
    refused = {"failed": True, "code": "no_room", "msg": "count: the static pool has 0 hosts left."}
    made, _calls = action({"members": SEEN, ("members", "web"): refused})
    made._requests = [Asked("web", (), 3), Asked("api", ("shop",), 1)]
    result = made._planned()
    assert not result.get("failed")
    assert [pool.get("code") for pool in result["pools"]] == ["no_room", None]
    assert result["told"].splitlines() == [
        "web: count: the static pool has 0 hosts left.",
        "api: 1 now, 1 wanted; to join: none; to leave: none",
    ]
    # The summary says it, and ends red.
    made, _calls = action({"members": SEEN}, scale_plan=result)
    shown = made._shown()
    assert (shown["failed"], shown["code"]) == (True, "incomplete")
    assert shown["troubles"] == ["web: count: the static pool has 0 hosts left."]


def plan_of(request, joining=(), leaving=(), staying=("api1",)):
    def members(names):
        return [{"name": name, "address": "192.0.2.9", "provider": "docker", "provider_id": ""} for name in names]

    kinds = {"joining": members(joining), "leaving": members(leaving), "staying": members(staying)}
    return {"hosts": [], "pools": [{"request": request.document(), "health": {}, **kinds}]}


@pytest.mark.parametrize("manual", [True, False])
def test_what_a_decision_wanted_and_does_not_serve_leaves_again(action, manual):
    request = Asked("api", ("shop",), 3, by="manual" if manual else "rule cpu > 70")
    groups = {"platform_reached": ["api2"], "scale_joining": ["api2", "api3"]}
    gone = {"leaving": [{"name": "api3", "address": "192.0.2.9", "provider": "docker"}], "staying": [], "health": {}}
    seen = []

    def members(options):
        seen.append(options)
        return gone

    plan = plan_of(request, ["api2", "api3"])
    made, _calls = action({"members": members}, scale_plan=plan, groups=groups)
    joined = made._joined()
    assert seen[0]["joined"] == ["api2"]
    if manual:
        assert (joined, len(seen)) == ({"returned": {}, "hosts": []}, 1)
        return
    assert (seen[1]["count"], seen[1]["leave"], seen[1]["minimum"]) == (2, ["api3"], 1)
    assert joined["returned"] == {"api": ["api3"]}
    assert [host["name"] for host in joined["hosts"]] == ["api3"]
    # The later steps clean it, release it and have it forgotten.
    made, calls = action({}, scale_plan=plan, scale_joined=joined, groups={**groups, "scale_unneeded": ["api3"]})
    lost = made._lost()
    assert ([one["name"] for one in lost["released"]], calls) == (
        ["api3"],
        [("consul_member", ["api3"], "deregistered")],
    )


def test_who_stays_after_all_is_not_released(action):
    request = Asked("api", ("shop",), 1, ("api2",), by="rule cpu > 70")
    made, calls = action(
        {},
        scale_plan=plan_of(request, (), ["api2"]),
        scale_watch={"kept": {"api": ["api2"]}},
        groups={"scale_leaving": ["api2"], "scale_unneeded": ["api2"], "platform_reached": ["api2"]},
    )
    assert (made._lost()["released"], calls) == ([], [])
    assert (made._left(), calls) == ({}, [])


RUNS = {"failed": True, "code": "action_runs", "msg": "."}


def changed(calls):
    return [call for call in calls if call[0] in ("scaling_journal", "members") and call[2] != "settled"]


def test_a2_a_manual_change_is_remembered_and_pauses_its_pool(action):
    made, calls = action({"members": SEEN})
    made._requests = [Asked("api", ("shop",), 2)]
    assert made._planned()["pools"][0]["action"]["by"] == "manual"
    # What begins is written before the record is.
    states = [call[::2] for call in changed(calls)]
    assert states == [
        ("members", None),
        ("scaling_journal", "begun"),
        ("scaling_journal", "paused"),
        ("members", None),
    ]


@pytest.mark.parametrize(
    ("request_", "states"),
    [
        # It only finishes what an earlier run began.
        (Asked("api", ("shop",), 1), []),
        # The size does not change.
        (Asked("api", ("shop",), 1, ("api1",)), ["begun"]),
        (Asked("api", ("shop",), 2, by="rule cpu > 70"), ["begun"]),
        (Asked("api", ("shop",), 2, ("api9",), by="clean-up"), []),
    ],
)
def test_a2_what_pauses_no_pool(action, request_, states):
    made, calls = action({"members": SEEN})
    made._requests = [request_]
    made._planned()
    assert [call[2] for call in calls if call[0] == "scaling_journal"] == states


def test_a5_what_another_run_left_running_has_broken_off(action):
    answers = iter([RUNS, {}, {}, {}])
    made, calls = action({"members": SEEN, "scaling_journal": lambda options: next(answers)})
    made._requests = [Asked("api", ("shop",), 2)]
    assert not made._planned().get("failed")
    journal = [call[2] for call in calls if call[0] == "scaling_journal"]
    assert journal == ["begun", "broken_off", "begun", "paused"]


def test_a5_without_the_lease_nothing_begins(action):
    lost = {"failed": True, "code": "lease_lost", "msg": "This run has lost its lease."}
    made, calls = action({"members": SEEN, "scaling_journal": lost})
    made._requests = [Asked("api", ("shop",), 2)]
    assert made._planned()["code"] == "lease_lost"
    # The two that only looked.
    assert [call[0] for call in calls if call[0] == "members"] == ["members", "members"]


@pytest.mark.parametrize(
    ("state", "outcome"), [("member", "succeeded"), ("joining", "failed")], ids=["it serves", "it does not"]
)
def test_a4_what_became_of_it_is_written_at_the_end(action, state, outcome):
    said = {}
    record = {"members": [{"name": "api2", "state": state}]}
    plan = plan_of(Asked("api", ("shop",), 2), ["api2"])
    plan["pools"][0]["action"] = {"direction": "up"}
    made, _calls = action({"members": {"record": record}, "scaling_journal": said.update}, scale_plan=plan)
    made._journal = lambda group, state, **options: said.update(options, group=group, state=state) or {}
    made._left()
    assert (said["group"], said["state"], said["outcome"]) == ("api", "finished", outcome)
