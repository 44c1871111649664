# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which ports of a host answer to whom, how nftables is told, and what would lock someone out."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Cluster, Platform, Server
from ansible_collections.scaleout.platform.plugins.module_utils.services import firewall
from ansible_collections.scaleout.platform.plugins.module_utils.services.firewall import Rule, lines

ROLE = pathlib.Path(__file__).parents[5] / "roles/firewall"
NAMES = ["lb1", "api1", "api2", "pg1", "pg2", "cache1", "mq1", "consul1", "mon1", "spare1"]
ADDRESS = {name: f"192.0.2.{number}" for number, name in enumerate(NAMES, start=1)}
APPS = (ADDRESS["api1"], ADDRESS["api2"])
ALL = tuple(ADDRESS[name] for name in NAMES if name != "spare1")
SSH = Rule("SSH", (22,), None)
AGENT = Rule("Consul", (8301,), ALL, ("tcp", "udp"))


def platform(host="", groups=None, **variables):
    """A platform with one host for each service; the variables are those of one host, or of all."""
    hosts = {
        name: {
            "platform_address": address,
            "firewall_enabled": True,
            "rabbitmq_plugins": ["rabbitmq_prometheus"],
            "redis_instances": {"cache": {}} if name == "cache1" else {"metrics": {"port": 6380}},
            **({"postgres_cluster": "main"} if name.startswith("pg") else {}),
            **(variables if host in ("", name) else {}),
        }
        for name, address in ADDRESS.items()
    }
    members = {
        "loadbalancer": ["lb1"],
        "api": ["api1", "api2"],
        "postgres": ["pg1", "pg2"],
        "cache": ["cache1"],
        "queue": ["mq1"],
        "consul_server": ["consul1"],
        "monitoring": ["mon1"],
        "fleet_spare": ["spare1"],
        "fleet_idle": ["spare1"],
        **(groups or {}),
    }
    servers = tuple(Server(name, ADDRESS[name]) for name in ("pg1", "pg2"))
    shop = Application("shop", "api", "scaleout.platform.app", "shop", 8000)
    return Platform(hosts, members, {"main": Cluster("main", servers)}, {"shop": shop})


def rules_of(asked, /, **variables):
    return firewall.rules(platform(**variables), asked)


CLIENTS = (*APPS, ADDRESS["pg1"], ADDRESS["pg2"])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("lb1", [SSH, AGENT, Rule("sites", (80,), None)]),
        # X1: an API server answers its load balancers, and its metrics the monitoring.
        ("api1", [SSH, AGENT, Rule("shop", (8000,), (ADDRESS["lb1"], ADDRESS["mon1"]))]),
        (
            "pg1",
            [
                SSH,
                AGENT,
                Rule("PostgreSQL", (5432,), CLIENTS),
                Rule("Patroni", (8008,), (ADDRESS["pg1"], ADDRESS["pg2"], ADDRESS["mon1"])),
                Rule("PgBouncer", (6432,), CLIENTS),
            ],
        ),
        ("cache1", [SSH, AGENT, Rule("Redis", (6379,), (*APPS, ADDRESS["mon1"]))]),
        (
            "mq1",
            [
                SSH,
                AGENT,
                Rule("RabbitMQ", (5672,), APPS),
                Rule("RabbitMQ's metrics", (15692,), (ADDRESS["mon1"],)),
            ],
        ),
        ("consul1", [SSH, Rule("Consul", (8300, 8301, 8302), ALL, ("tcp", "udp"))]),
        ("mon1", [SSH, AGENT, Rule("Redis", (6380,), (*APPS, ADDRESS["mon1"]))]),
    ],
)
def test_x1_each_port_answers_to_those_who_use_it(host, expected):
    sites = {"nginx_sites": [{"name": "shop", "service": "shop"}]} if host == "lb1" else {}
    assert rules_of(host, host=host, **sites) == expected


@pytest.mark.parametrize(
    ("host", "variables", "expected"),
    [
        ("cache1", {"firewall_ssh_from": ["10.0.0.0/8"]}, Rule("SSH", (22,), ("10.0.0.0/8",))),
        ("cache1", {"firewall_ssh_ports": [2222, "22"]}, Rule("SSH", (2222, 22), None)),
        (
            "consul1",
            {"consul_http_addresses": ["192.0.2.8"], "firewall_ssh_from": ["198.51.100.7"]},
            Rule("Consul's HTTP", (8500,), (*ALL, "198.51.100.7")),
        ),
        ("api1", {"consul_settings": {"ports": {"serf_lan": 9301}}}, Rule("Consul", (9301,), ALL, ("tcp", "udp"))),
        ("mq1", {"firewall_networks": ["192.0.2.0/24"]}, Rule("RabbitMQ", (5672,), (*APPS, "192.0.2.0/24"))),
        # X1: a network for hosts to come is no monitoring.
        ("mq1", {"firewall_networks": ["192.0.2.0/24"]}, Rule("RabbitMQ's metrics", (15692,), (ADDRESS["mon1"],))),
        ("mq1", {"rabbitmq_prometheus_port": 9419}, Rule("RabbitMQ's metrics", (9419,), (ADDRESS["mon1"],))),
        (
            "pg1",
            {"postgres_allowed_networks": ["10.1.0.0/16"], "pgbouncer_port": 5433},
            Rule("PgBouncer", (5433,), (*CLIENTS, "10.1.0.0/16")),
        ),
        (
            "pg1",
            {"postgres_allowed_networks": ["10.1.0.0/16"], "pgbouncer_allowed_networks": ["10.2.0.0/16"]},
            Rule("PgBouncer", (6432,), (*CLIENTS, "10.2.0.0/16")),
        ),
        (
            "lb1",
            {"nginx_sites": [{"name": "shop", "service": "shop", "tls": {"self_signed": True}}]},
            Rule("sites", (443, 80), None),
        ),
    ],
)
def test_what_variables_change(host, variables, expected):
    assert expected in rules_of(host, host=host, **variables)


@pytest.mark.parametrize(
    ("host", "users"),
    [("mon1", ("pg1", "pg2")), ("pg1", ("mon1",)), ("api1", None)],
)
def test_the_hosts_of_the_backups_come_to_each_other(host, users):
    found = [rule for rule in rules_of(host, groups={"backup": ["mon1"]}) if rule.what == "pgBackRest"]
    assert found == ([Rule("pgBackRest", (8432,), tuple(ADDRESS[name] for name in users))] if users else [])
    assert not [rule for rule in rules_of(host) if rule.what == "pgBackRest"]


@pytest.mark.parametrize(
    ("variables", "sources"),
    [({"firewall_ssh_from": ["10.0.0.0/8"]}, ("10.0.0.0/8", ADDRESS["mon1"])), ({}, None)],
)
def test_the_control_node_is_admitted_where_ssh_does_not_answer_to_everywhere(variables, sources):
    assert Rule("SSH", (22,), sources) in rules_of("pg1", groups={"control": ["mon1"]}, **variables)


@pytest.mark.parametrize(
    ("host", "variables", "port"),
    [
        ("cache1", {"redis_bind": ["127.0.0.1", "-::1"]}, 6379),
        ("mq1", {"rabbitmq_plugins": []}, 15692),
        ("mq1", {"rabbitmq_address": "127.0.0.1"}, 5672),
        ("consul1", {}, 8500),
        ("lb1", {}, 8081),
        ("mq1", {"groups": {"monitoring": []}}, 15692),
        ("spare1", {}, 8000),
    ],
)
def test_what_no_other_host_uses_has_no_rule(host, variables, port):
    groups = variables.pop("groups", None)
    assert port not in [each for rule in rules_of(host, host=host, groups=groups, **variables) for each in rule.ports]


@pytest.mark.parametrize(
    ("groups", "admitted"),
    [
        ({}, False),
        ({"scale_joining": ["spare1"]}, True),
        ({"fleet_spare": [], "fleet_leaving": ["spare1"]}, True),
        ({"fleet_spare": [], "fleet_released": ["spare1"]}, False),
    ],
)
def test_a_host_that_joins_or_leaves_is_admitted_and_a_spare_one_is_not(groups, admitted):
    (consul,) = [rule for rule in rules_of("api1", groups=groups) if rule.what == "Consul"]
    assert (ADDRESS["spare1"] in consul.sources) is admitted


LEAVES = {"platform_reached": ["api1", "api2"], "scale_leaving": ["api2"], "scale_unneeded": ["api2"]}


@pytest.mark.parametrize(
    ("closes", "groups", "at_consul", "at_cache"),
    [
        # While it drains it is a client as before.
        (False, LEAVES, True, True),
        (True, LEAVES, False, False),
        # A service beside the pool's still needs it.
        (True, {**LEAVES, "scale_unneeded": []}, True, False),
        # Whoever stays after all, could not be taken off, or was not reached, may still serve.
        (True, {**LEAVES, "scale_staying": ["api2"]}, True, True),
        (True, {**LEAVES, "platform_failed": ["api2"]}, True, True),
        (True, {**LEAVES, "platform_reached": ["api1"]}, True, True),
    ],
)
def test_a_host_that_has_left_is_admitted_nowhere(closes, groups, at_consul, at_cache):
    variables = {"scale_closes": closes, "scale_applications": ["shop"]}
    sources = {rule.what: rule.sources for rule in rules_of("cache1", groups=groups, **variables)}
    assert (ADDRESS["api2"] in sources["Consul"], ADDRESS["api2"] in sources["Redis"]) == (at_consul, at_cache)
    assert ADDRESS["api1"] in sources["Redis"]


def test_a_host_that_has_left_a_pool_closes_its_port():
    given = {"scale_closes": True, "scale_applications": ["shop"], "groups": {**LEAVES, "scale_unneeded": []}}
    assert "shop" not in [rule.what for rule in rules_of("api2", **given)]
    assert "shop" in [rule.what for rule in rules_of("api1", **given)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("x", (80,), None), ["tcp dport 80 accept"]),
        (Rule("x", (443, 80, 80), None), ["tcp dport { 80, 443 } accept"]),
        (Rule("x", (22,), ("192.0.2.1",)), ["ip saddr 192.0.2.1 tcp dport 22 accept"]),
        (
            Rule("x", (22,), ("2001:db8::1", "192.0.2.1", "2001:db8:0::1", "fd00::/64")),
            [
                "ip saddr 192.0.2.1 tcp dport 22 accept",
                "ip6 saddr { 2001:db8::1, fd00::/64 } tcp dport 22 accept",
            ],
        ),
        # What lies within a network is not named again: nftables would refuse the set.
        (Rule("x", (22,), ("192.0.2.7", "192.0.2.0/24")), ["ip saddr 192.0.2.0/24 tcp dport 22 accept"]),
        (
            Rule("x", (8301,), ("::1",), ("tcp", "udp")),
            ["ip6 saddr ::1 tcp dport 8301 accept", "ip6 saddr ::1 udp dport 8301 accept"],
        ),
    ],
)
def test_a_rule_in_the_words_of_nftables(rule, expected):
    assert lines(rule) == expected


@pytest.mark.parametrize(
    ("variables", "code", "text"),
    [
        ({"firewall_ssh_ports": []}, "bad_port", "firewall_ssh_ports is []"),
        ({"firewall_ssh_ports": ["ssh"]}, "bad_port", "firewall_ssh_ports is ['ssh']"),
        ({"firewall_ssh_from": ["office"]}, "bad_network", "firewall_ssh_from has 'office', which is no network"),
        ({"firewall_ssh_from": "10.0.0.0/8"}, "bad_network", "firewall_ssh_from has '10.0.0.0/8'"),
        ({"firewall_networks": ["192.0.2.1/24"]}, "bad_network", "firewall_networks has '192.0.2.1/24'"),
        ({"postgres_allowed_networks": ["bi.example.com"]}, "bad_network", "postgres_allowed_networks has"),
        ({"platform_address": "pg1.example.com"}, "bad_network", "pg1 has 'pg1.example.com'; set its platform_address"),
        ({"consul_http_addresses": ["192.0.2.4"]}, "no_controllers", "name their networks in firewall_ssh_from"),
        ({"_firewall_session": "203.0.113.9 5000 192.0.2.4 2222"}, "locked_out", "on port 2222"),
        (
            {"_firewall_session": "203.0.113.9 5000 192.0.2.4 22", "firewall_ssh_from": ["10.0.0.0/8", "fd00::/8"]},
            "locked_out",
            "from 203.0.113.9, which firewall_ssh_from does not have",
        ),
        (
            {"_firewall_session": "2001:db8::9 5000 fd00::4 22", "firewall_ssh_from": ["10.0.0.0/8", "fd00::/8"]},
            "locked_out",
            "from 2001:db8::9",
        ),
    ],
)
def test_what_is_refused(variables, code, text):
    found = firewall.problems(platform(host="pg1", **variables), "pg1")
    assert [one.code for one in found] == [code]
    assert text in found[0].text


def test_an_application_whose_port_is_not_known_is_refused():
    made = platform()
    shop = dataclasses.replace(made.applications["shop"], port=None)
    made = dataclasses.replace(made, applications={"shop": shop})
    assert [one.code for one in firewall.problems(made, "api1")] == ["bad_port"]
    assert firewall.problems(made, "pg1") == []


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"_firewall_session": ""},
        {"_firewall_session": "203.0.113.9 5000 192.0.2.4 22"},
        {"_firewall_session": "10.9.9.9 5000 192.0.2.4 22", "firewall_ssh_from": ["fd00::/8", "10.0.0.0/8"]},
        {"_firewall_session": "::ffff:10.9.9.9 5000 ::ffff:192.0.2.4 22", "firewall_ssh_from": ["10.0.0.0/8"]},
        {"_firewall_session": "fe80::1%eth0 5000 fe80::2%eth0 22", "firewall_ssh_from": ["fe80::/10"]},
        {"firewall_enabled": False, "firewall_ssh_ports": [], "platform_address": "pg1.example.com"},
        {"firewall_enabled": "false", "firewall_ssh_from": ["office"]},
    ],
)
def test_what_is_right(variables):
    assert firewall.problems(platform(host="pg1", **variables), "pg1") == []


def test_without_a_firewall_there_are_no_rules():
    assert firewall.wanted(platform(firewall_enabled=False), "pg1", None) == {"rules": []}
    wanted = firewall.wanted(platform(), "pg1", None)
    assert wanted["rules"][0] == {"what": "SSH", "lines": ["tcp dport 22 accept"]}


def test_the_role_passes_on_how_the_run_comes_in():
    """The action reads it by its name among the variables of the task."""
    tasks = yaml.safe_load((ROLE / "tasks/check.yml").read_text())
    assert [list(task["vars"]) for task in tasks if "vars" in task] == [[firewall.SESSION]]
