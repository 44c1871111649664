# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts have a token, what they may register with it, and which server gives it to them."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_hosts

SHOP = Application("shop", "api", "scaleout.platform.app", "shop-service")
ALL = {"nginx_consul": True, "nginx_service_name": "nginx", "redis_consul_service": False}


def platform(groups, playing=(), **variables):
    """One host, ``vm1``, with what is said, beside two servers."""
    hosts = {"c1": {}, "c2": {}, "vm1": {**ALL, **variables}}
    return Platform(hosts, {"consul_server": ["c1", "c2"], **groups}, applications={"shop": SHOP}, playing=playing)


@pytest.mark.parametrize(
    ("groups", "variables", "services"),
    [
        pytest.param((), {}, [], id="nothing"),
        pytest.param(("api",), {}, ["shop-service"], id="an application"),
        pytest.param(
            (),
            {"fleet_static_members": {"api": [{"name": "vm1"}]}},
            ["shop-service"],
            id="the pool's own, which has left",
        ),
        pytest.param(("loadbalancer",), {}, ["nginx"], id="nginx"),
        pytest.param(("loadbalancer",), {"nginx_service_name": "edge"}, ["edge"], id="nginx by another name"),
        pytest.param(("loadbalancer",), {"nginx_consul": False}, [], id="not registered"),
        pytest.param(("loadbalancer",), {"nginx_consul": "no"}, [], id="not registered, in a word"),
        pytest.param(
            ("postgres", "queue"),
            {"postgres_consul_service": True, "pgbouncer_consul_service": True, "rabbitmq_consul_service": True},
            ["pgbouncer", "postgres", "rabbitmq"],
            id="databases and a broker",
        ),
        pytest.param(
            ("cache",),
            {"redis_consul_service": True, "redis_instances": {"cache": {}, "m": {"consul_service_name": "metrics"}}},
            ["cache", "metrics"],
            id="instances of Redis",
        ),
        pytest.param((), {"consul_services": ["hello", "hello"]}, ["hello"], id="what the user registers"),
    ],
)
def test_a_host_may_register_what_it_runs(groups, variables, services):
    told = platform({group: ["vm1"] for group in groups}, **variables)
    assert consul_hosts.declared(told, "vm1") == services


@pytest.mark.parametrize(
    ("groups", "there"),
    [
        pytest.param({}, True, id="it works"),
        pytest.param({"fleet_idle": ["vm1"]}, False, id="it waits"),
        pytest.param({"fleet_lost": ["vm1"]}, False, id="it was written off"),
        pytest.param({"fleet_lost": ["vm1"], "platform_reached": ["vm1"]}, True, id="it is back, for other work"),
    ],
)
def test_l3_a_host_that_was_written_off_gets_no_token(groups, there):
    assert ("vm1" in [host["name"] for host in consul_hosts.hosts_of(platform(groups))]) == there


def test_a_host_is_called_as_consul_calls_it():
    told = platform({}, consul_node_name="vm1.example.com", app_name="hello")
    (described,) = (host for host in consul_hosts.hosts_of(told) if host["name"] == "vm1")
    assert described == {"name": "vm1", "node": "vm1.example.com", "services": ["hello"]}


@pytest.mark.parametrize(
    ("groups", "playing", "asked"),
    [
        pytest.param({"platform_reached": ["c2"]}, ("vm1",), ["c2"], id="one that answers"),
        pytest.param({"platform_reached": ["c1", "c2"]}, ("vm1",), ["c1"], id="one of those that answer"),
        pytest.param({}, ("vm1", "c2"), ["c2"], id="one that takes part"),
        pytest.param({}, ("vm1",), ["c1", "c2"], id="each where nothing is known of any"),
    ],
)
def test_a_server_that_is_lost_is_not_the_one_that_is_asked(groups, playing, asked):
    assert consul_hosts.answering(platform(groups, playing)) == asked


@pytest.mark.parametrize(
    ("service", "present", "hosts"),
    [
        pytest.param("shop-service", True, None, id="the inventory knows it"),
        pytest.param("hello", True, ["hello", "shop-service"], id="of a play of one's own"),
        pytest.param("hello", False, ["shop-service"], id="removed by it"),
    ],
)
def test_an_application_of_a_play_of_ones_own_is_allowed_for(service, present, hosts):
    told = consul_hosts.of_application(platform({"api": ["vm1"]}), "vm1", service, present)
    expected = {"servers": ["c1", "c2"], "hosts": [{"name": "vm1", "node": "vm1", "services": hosts}]} if hosts else {}
    assert told == expected
