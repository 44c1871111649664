# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table that a run ends with."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations.describe import describe
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Cluster, Platform, Server

PLATFORM = Platform(
    hosts={
        "vm1": {
            "platform_address": "192.0.2.1",
            "postgres_cluster": "pg",
            "nginx_sites": [{"name": "shop", "service": "shop", "server_name": "shop.example"}],
        },
        "longer-name": {"platform_address": "192.0.2.22", "postgres_cluster": "pg"},
        "spare": {"platform_address": "192.0.2.3"},
    },
    groups={
        "all": ["vm1", "longer-name", "spare"],
        "loadbalancer": ["vm1"],
        "shop": ["vm1", "longer-name"],
        "postgres": ["vm1", "longer-name"],
        "cache": ["vm1"],
        "queue": ["longer-name"],
        "consul_server": ["vm1"],
        "fleet_idle": ["spare"],
    },
    clusters={"pg": Cluster("pg", (Server("vm1", "192.0.2.1"), Server("longer-name", "192.0.2.22")), (0, 1), ("ana",))},
    applications={"shop": Application("shop", "shop", "acme.shop.web")},
)


def test_each_host_that_works_and_the_way_in():
    assert describe(PLATFORM) == [
        "VM           address     what runs there",
        "vm1          192.0.2.1   nginx, shop, leads pg (shard_0, shard_1, ana), PgBouncer, "
        "Redis, a cache, Consul server",
        "longer-name  192.0.2.22  shop, replica in pg (shard_0, shard_1, ana), PgBouncer, RabbitMQ",
        "",
        "site shop          http://shop.example/",
        "load balancer vm1  http://192.0.2.1/",
    ]


@pytest.mark.parametrize(
    ("site", "shown"),
    [
        ({}, ["load balancer lb1  http://192.0.2.1/"]),
        (
            {"server_name": "shop.example"},
            ["site shop          http://shop.example/", "load balancer lb1  http://192.0.2.1/"],
        ),
        (
            {"server_name": ["~^x$", "*.shop.example"], "listen": ["unix:/run/x", "443 ssl"]},
            ["site shop          https://www.shop.example/", "load balancer lb1  https://192.0.2.1/"],
        ),
        (
            {"server_name": "a b", "listen": "[::]:8080"},
            ["site shop          http://a:8080/", "load balancer lb1  http://192.0.2.1:8080/"],
        ),
        ({"listen": "unix:/run/x"}, None),
    ],
)
def test_the_way_to_each_site(site, shown):
    hosts = {"lb1": {"platform_address": "192.0.2.1", "nginx_sites": [{"name": "shop", "service": "shop", **site}]}}
    table = describe(Platform(hosts, {"loadbalancer": ["lb1"]}))
    assert table[2:] == ([] if shown is None else ["", *shown])


def test_a_platform_without_a_way_in():
    assert describe(Platform(hosts={"a": {}}, groups={"all": ["a"], "consul_server": ["a"]})) == [
        "VM  address  what runs there",
        "a   a        Consul server",
    ]
