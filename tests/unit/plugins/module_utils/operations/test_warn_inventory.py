# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight warns of, and where it is silent."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations.warn_inventory import warnings
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Cluster, Platform, Server


def said(platform):
    return [str(warning) for warning in warnings(platform)]


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        (None, []),
        ({}, []),
        (
            {"api": ["api9"]},
            [
                "api9 is in the group api of the inventory and is no member of it, because the record in Consul does "
                "not name it; playbooks/scale.yml -e api=<count> makes members of hosts of the inventory first."
            ],
        ),
        (
            {"shop": ["shop8", "shop9"]},
            [
                "shop8 and shop9 are in the group shop of the inventory and are no members of it, because the record "
                "in Consul does not name them; playbooks/scale.yml -e shop=<count> makes members of hosts of the "
                "inventory first."
            ],
        ),
    ],
)
def test_l4_hosts_that_a_run_leaves_out_are_told(left_out, told):
    variables = {"fleet_not_members": left_out}
    assert said(Platform({"lb1": variables, "api1": variables})) == told


def of_domains(**domains):
    """A cluster of pg1 and pg1r, one of pg2 alone, and three servers of Consul; a host without a domain says none."""
    names = ("pg1", "pg1r", "pg2", "consul1", "consul2", "consul3")
    hosts = {name: {"platform_failure_domain": domains.get(name)} for name in names}
    clusters = {
        "pg1": Cluster("pg1", (Server("pg1", "a"), Server("pg1r", "b"))),
        "pg2": Cluster("pg2", (Server("pg2", "c"),)),
    }
    return said(Platform(hosts, {"consul_server": ["consul1", "consul2", "consul3"]}, clusters))


PG1 = (
    "all servers of the cluster pg1 (pg1, pg1r) are in one failure domain, a (platform_failure_domain); whatever ends "
    "one of them ends all."
)
CONSUL = (
    "all servers of Consul (consul1, consul2, consul3) are in one failure domain, 1 (platform_failure_domain); "
    "whatever ends one of them ends all."
)


@pytest.mark.parametrize(
    ("domains", "told"),
    [
        ({}, []),
        ({"pg1": "a", "pg1r": "b", "pg2": "a"}, []),
        ({"pg1": "a"}, []),
        ({"pg1": "a", "pg1r": "a"}, [PG1]),
        ({"consul1": "a", "consul2": "a", "consul3": "b"}, []),
        ({"consul1": 1, "consul2": "1", "consul3": 1}, [CONSUL]),
        (dict.fromkeys(("pg1", "pg1r"), "a") | dict.fromkeys(("consul1", "consul2", "consul3"), 1), [PG1, CONSUL]),
    ],
)
def test_servers_that_would_fail_together_are_told(domains, told):
    assert of_domains(**domains) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, []),
        (1, []),
        (
            2,
            [
                "the group consul_server has 2 hosts, an even number: 2 of them have to live, so that it survives the "
                "loss of none, as 1 would; make it 1 or 3."
            ],
        ),
        (3, []),
        (
            4,
            [
                "the group consul_server has 4 hosts, an even number: 3 of them have to live, so that it survives the "
                "loss of 1, as 3 would; make it 3 or 5."
            ],
        ),
        (5, []),
    ],
)
def test_an_even_number_of_consul_servers_is_told_with_its_reason(count, told):
    hosts = [f"consul{number}" for number in range(count)]
    assert said(Platform({host: {} for host in ["pg1", *hosts]}, {"consul_server": hosts})) == told


@pytest.mark.parametrize(
    ("members", "durability", "told"),
    [
        (1, "available", []),
        (2, "durable", []),
        (
            1,
            "durable",
            [
                "postgres_clusters: main: durability is durable, and pg0 is its only member: no replica confirms a "
                "commit, so what it loses with its disk is lost."
            ],
        ),
    ],
)
def test_a_commit_that_no_replica_could_confirm_is_told(members, durability, told):
    servers = tuple(Server(f"pg{number}", f"192.0.2.{number}") for number in range(members))
    cluster = Cluster("main", servers, durability=durability)
    assert said(Platform({server.name: {} for server in servers}, {}, {"main": cluster})) == told


@pytest.mark.parametrize(
    ("governed", "told"),
    [
        (None, []),
        ({"shop": []}, []),
        (
            {"web": [], "api": []},
            [
                "applications: shop runs on the group shop, which the inventory plugin does not look up in Consul (its "
                "groups are api, web), so what playbooks/scale.yml makes of it would be forgotten; add shop to groups "
                "in members.yml."
            ],
        ),
    ],
)
def test_l4_a_pool_that_the_inventory_plugin_does_not_look_up_is_told(governed, told):
    applications = {"shop": Application("shop", "shop", "scaleout.platform.app")}
    platform = Platform({"shop1": {"fleet_static_members": governed}}, {"shop": ["shop1"]}, {}, applications)
    assert said(platform) == told
