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
    "record": {"members": [API1]},
    "alive": {"api1": True, "api2": False},
    "joining": [],
    "leaving": [],
    "staying": [API1],
    "health": {"api1": "passing"},
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
        action._platform, action._request, action._vars = PLATFORM, Asked("api", ("shop",), 1), {}
        monkeypatch.setattr(action, "_module", module)
        return action._planned(), calls

    return step


@pytest.mark.parametrize("code", ["unreachable", "denied", "no_leader", "unexpected_answer"])
def test_a_name_that_could_not_be_asked_about_ends_the_step(planned, code):
    failure = {"failed": True, "code": code, "msg": "."}
    result, calls = planned(failure)
    assert result == failure
    assert calls == [("members", "settled"), ("consul_member", "absent")], "the pool was recorded"


@pytest.mark.parametrize("answer", [{"forgotten": ["api2"]}, {"failed": True, "code": "still_known", "msg": "."}])
def test_a_name_that_is_free_or_whose_agent_came_back_does_not(planned, answer):
    result, calls = planned(answer)
    assert not result.get("failed")
    assert result["told"].startswith("api: 1 now, 1 wanted")
    assert calls[2:] == [("members", None), ("members", None)]
