# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inventories that become a topology, and the sentence that each wrong one gets."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import (
    Groups,
    Inventory,
    Unevaluated,
    together,
)
from ansible_collections.scaleout.platform.plugins.module_utils.topology.platform import InvalidInventory, read

SECRETS = ("consul_gossip_key", "postgres_replicator_password")
HOSTS = {
    "lb1": {},
    "api1": {},
    "pg1": {"postgres_role": "primary", "postgres_shards": [0, 1], "platform_address": "192.0.2.11"},
    "pg1r": {"postgres_role": "standby", "postgres_primary": "pg1", "ansible_host": "192.0.2.12"},
    "pg2": {"postgres_role": "primary", "postgres_shards": ["2", 3], "postgres_port": "6432"},
    "pg2r": {"postgres_role": "standby", "postgres_primary": "pg2"},
    "consul1": {"fleet_provider": "static"},
}
GROUPS = {
    "all": list(HOSTS),
    "loadbalancer": ["lb1"],
    "api": ["api1"],
    "postgres": ["pg1", "pg1r", "pg2", "pg2r"],
    "consul_server": ["consul1"],
}


def inventory(changes=None, groups=None, **more):
    """The inventory above with changes: {host: {variable: value}}; a value of KeyError takes the variable away."""
    changes = changes or {}
    hosts = {name: dict.fromkeys(SECRETS, "secret value") for name in [*HOSTS, *changes]}
    for host, variables in hosts.items():
        variables.update(copy.deepcopy(HOSTS.get(host, {})))
        for variable, value in changes.get(host, {}).items():
            if value is KeyError:
                variables.pop(variable, None)
            else:
                variables[variable] = value
    return Inventory(hosts, {**GROUPS, **(groups or {})}, secrets=SECRETS, **more)


def endpoint(name, host, port=5432):
    return {"name": name, "host": host, "port": port}


def test_the_topology_of_a_right_inventory():
    topology = read(inventory()).document()
    pg1r, pg2 = endpoint("pg1r", "192.0.2.12"), endpoint("pg2", "pg2", 6432)
    assert topology["shards"] == [
        {"id": 0, "database": "shard_0", "cluster": "pg1"},
        {"id": 1, "database": "shard_1", "cluster": "pg1"},
        {"id": 2, "database": "shard_2", "cluster": "pg2"},
        {"id": 3, "database": "shard_3", "cluster": "pg2"},
    ]
    assert topology["primaries"]["pg2"] == {**pg2, "shards": [2, 3], "standbys": ["pg2r"]}
    assert topology["standbys"]["pg1r"] == {**pg1r, "primary": "pg1", "slot": "pg1r"}


@pytest.mark.parametrize(
    "changes",
    [
        {"pg1": {"postgres_shards": [40, 7]}},
        {"pg2": {"postgres_shards": []}},
        {"pg2": {"postgres_shards": KeyError}},
        {"pg1r": {"postgres_shards": [1]}},
        {"pg1r": {"postgres_shards": None}},
        {"lb1": {"postgres_role": "nonsense", "postgres_shards": "nonsense"}},
        {"lb1": {"ansible_host": "2001:db8::1"}},
        {"spare": {"fleet_provider": "docker"}},
        {"pg1": {"postgres_database_owner": "app", "postgres_users": [{"name": "app_ro", "password": "x"}]}},
    ],
)
def test_other_inventories_that_are_right(changes):
    read(inventory(changes))


def test_a_pooler_is_published_where_one_is_declared():
    topology = read(inventory({"pg1": {"pgbouncer_port": 6433}, "pg1r": {"pgbouncer_port": "6434"}}))
    first, second = topology.cluster_list()
    assert first["members"] == [
        {**endpoint("pg1", "192.0.2.11"), "pooler_port": 6433},
        {**endpoint("pg1r", "192.0.2.12"), "pooler_port": 6434},
    ]
    assert "pooler_port" not in second["members"][0]


def test_groups_may_have_other_names():
    groups = {"postgres": [], "consul_server": [], "db": GROUPS["postgres"], "discovery": ["consul1"]}
    names = Groups(postgres="db", consul_server="discovery")
    assert len(read(inventory(groups=groups, names=names)).clusters) == 2


def test_buckets_go_to_their_shards():
    ranges = {"0": [[0, 9], ["20", "29"]], 1: [[10, 19]], 2: [], 3: [[30, 4095]]}
    topology = read(inventory({host: {"platform_shard_buckets": ranges} for host in HOSTS}))
    assert [shard["buckets"] for shard in topology.shards()] == [[[0, 9], [20, 29]], [[10, 19]], [], [[30, 4095]]]


ALL = tuple(HOSTS)
LONG = "a" * 64


@pytest.mark.parametrize(
    ("changes", "groups", "message"),
    [
        # primaries
        (
            {
                "pg1": {"postgres_role": "standby", "postgres_primary": "pg2", "postgres_shards": []},
                "pg1r": {"postgres_primary": "pg2"},
            },
            {},
            None,
        ),
        (
            {
                host: {"postgres_role": "standby", "postgres_primary": "pg1", "postgres_shards": []}
                for host in ("pg1", "pg2")
            },
            {},
            "postgres_primary of pg1: pg1 is not a primary, but a standby itself.",
        ),
        ({}, {"postgres": []}, "The group postgres has no primary: no host has postgres_role: primary."),
        (
            {"pg2": {"postgres_shards": [1, 2]}},
            {},
            "postgres_shards of pg1 and pg2 claim the same shard 1; one primary can hold it.",
        ),
        ({"pg1": {"postgres_shards": [1, "1"]}}, {}, "postgres_shards of pg1 names shard 1 twice."),
        ({"pg1": {"postgres_role": KeyError}}, {}, "postgres_role of pg1 is not set; say primary or standby."),
        ({"pg1": {"postgres_role": None}}, {}, "postgres_role of pg1 is not set; say primary or standby."),
        (
            {"pg1": {"postgres_role": "master"}},
            {},
            "postgres_role of pg1: 'master' is not a role; say primary or standby.",
        ),
        (
            {"pg1": {"postgres_role": ["primary"]}},
            {},
            "postgres_role of pg1: ['primary'] is not a role; say primary or standby.",
        ),
        ({"pg1": {"postgres_primary": "pg2"}}, {}, "postgres_primary of pg1 is set, but the host is a primary itself."),
        (
            {"pg1": {"postgres_shards": []}, "pg2": {"postgres_shards": KeyError}},
            {},
            "postgres_shards of pg1 and pg2 names no shard, and a platform needs one.",
        ),
        *(
            (
                {"pg1": {"postgres_shards": value}},
                {},
                f"postgres_shards of pg1: {value!r} is not a list of shard ids, which are numbers from 0 on.",
            )
            for value in ("0", 0, [-1], ["a"], [1.5], [True], [None], [[0]], {"0": 1}, [10**9])
        ),
        # standbys
        (
            {"pg1r": {"postgres_primary": KeyError}},
            {},
            "postgres_primary of pg1r is not set, and a standby needs the name of its primary.",
        ),
        (
            {"pg1r": {"postgres_primary": ""}},
            {},
            "postgres_primary of pg1r is not set, and a standby needs the name of its primary.",
        ),
        (
            {"pg1r": {"postgres_primary": "lb1"}},
            {},
            "postgres_primary of pg1r: 'lb1' is not a host of the group postgres.",
        ),
        (
            {"pg1r": {"postgres_primary": "pg9"}},
            {},
            "postgres_primary of pg1r: 'pg9' is not a host of the group postgres.",
        ),
        (
            {"pg1r": {"postgres_primary": ["pg1"]}},
            {},
            "postgres_primary of pg1r: ['pg1'] is not a host of the group postgres.",
        ),
        (
            {"pg1r": {"postgres_primary": "pg2r"}},
            {},
            "postgres_primary of pg1r: pg2r is not a primary, but a standby itself.",
        ),
        (
            {"pg1r": {"postgres_primary": "pg1r"}},
            {},
            "postgres_primary of pg1r: pg1r is not a primary, but a standby itself.",
        ),
        (
            {"pg1r": {"postgres_shards": [0, 2]}},
            {},
            "postgres_shards of pg1r names shard 2, which its primary pg1 does not hold.",
        ),
        (
            {name: {"postgres_role": "standby", "postgres_primary": "pg1"} for name in ("pg-3", "PG_3")},
            {"postgres": [*GROUPS["postgres"], "pg-3", "PG_3"]},
            "The standbys pg-3 and PG_3 would share the replication slot pg_3; rename one.",
        ),
        (
            {LONG: {"postgres_role": "standby", "postgres_primary": "pg1"}},
            {"postgres": [*GROUPS["postgres"], LONG]},
            f"The replication slot {LONG} of the standby {LONG} has 64 bytes, and PostgreSQL keeps 63 of a name.",
        ),
        # addresses
        (
            {"pg1r": {"ansible_host": "192.0.2.11"}},
            {},
            "platform_address of pg1 and pg1r is the same: 192.0.2.11, port 5432.",
        ),
        ({"lb1": {"ansible_host": "a;b"}}, {}, "ansible_host of lb1: 'a;b' is not an address or a host name."),
        ({"lb1": {"platform_address": ""}}, {}, "platform_address of lb1: '' is not an address or a host name."),
        ({"lb1": {"platform_address": 7}}, {}, "platform_address of lb1: 7 is not an address or a host name."),
        *(
            ({"pg1": {variable: port}}, {}, f"{variable} of pg1: {port!r} is not a port.")
            for variable in ("postgres_port", "pgbouncer_port")
            for port in (0, 65536, "x", -1, True, 5432.0)
        ),
        (
            {"pg1": {"pgbouncer_port": 5432}},
            {},
            "pgbouncer_port of pg1: 5432 is the port of PostgreSQL already.",
        ),
        # names
        *(
            (
                {name: {}},
                {},
                f"The inventory name {name!r} is not a host name of letters, digits, dots, hyphens and underscores.",
            )
            for name in ("pg'1", "pg;1", 'pg"1', "pg 1", "-pg1", "pg1\n", "pg$(id)", "a" * 254)
        ),
        *(
            (
                {"pg1": {"postgres_database_owner": name}},
                {},
                f"postgres_database_owner of pg1: {name!r} is not a name of letters, digits, underscores and hyphens.",
            )
            for name in ('a"b', "a'b", "a;b", "a b", "", 7, "1a")
        ),
        (
            {"pg1": {"postgres_database_owner": LONG}},
            {},
            f"postgres_database_owner of pg1: {LONG!r} has 64 bytes, and PostgreSQL keeps 63 of a name.",
        ),
        (
            {"pg1": {"postgres_users": [{"name": "a;b", "password": "hidden"}]}},
            {},
            "postgres_users of pg1: 'a;b' is not a name of letters, digits, underscores and hyphens.",
        ),
        (
            {"pg1": {"postgres_users": [{"password": "hidden"}]}},
            {},
            "postgres_users of pg1: None is not a name of letters, digits, underscores and hyphens.",
        ),
        # buckets
        (
            {host: {"platform_shard_buckets": {0: [[0, 9]], 9: [[10, 4095]]}} for host in ALL},
            {},
            "platform_shard_buckets names the shard 9, which no primary holds.",
        ),
        (
            {host: {"platform_shard_buckets": {0: [0, 9]}} for host in ALL},
            {},
            "platform_shard_buckets of shard 0: [0, 9] is not a list of ranges [first, last].",
        ),
        (
            {host: {"platform_shard_buckets": [[0, 9]]} for host in ALL},
            {},
            "platform_shard_buckets of pg1: [[0, 9]] is not a mapping from shard ids to ranges.",
        ),
        (
            {"pg1": {"platform_shard_buckets": {0: [[0, 4095]]}}},
            {},
            "platform_shard_buckets of pg1r is not what it is on pg1; all hosts share one map.",
        ),
        # groups
        ({}, {"consul_server": []}, "The group consul_server has no host: Consul needs at least one server."),
        ({}, {"loadbalancer": []}, "The group loadbalancer has no host, but the group api has some to put behind it."),
        # providers
        (
            {"lb1": {"fleet_provider": "aws"}},
            {},
            "fleet_provider of lb1: 'aws' is not a provider; choose docker or static.",
        ),
        (
            {host: {"fleet_provider": ["aws"]} for host in ALL},
            {},
            "fleet_provider of lb1, api1 and 5 more hosts: ['aws'] is not a provider; choose docker or static.",
        ),
        # secrets
        ({"pg1": {SECRETS[1]: KeyError}}, {}, "The secret postgres_replicator_password of pg1 is not set."),
        ({"pg1": {SECRETS[1]: ""}}, {}, "The secret postgres_replicator_password of pg1 is empty."),
        ({"pg1": {SECRETS[1]: " \n"}}, {}, "The secret postgres_replicator_password of pg1 is empty."),
        ({"pg1": {SECRETS[1]: None}}, {}, "The secret postgres_replicator_password of pg1 is empty."),
        (
            {host: {SECRETS[0]: Unevaluated("cannot be evaluated")} for host in ("pg1", "pg1r", "pg2")},
            {},
            "The secret consul_gossip_key of pg1, pg1r and pg2 cannot be evaluated.",
        ),
        # templates
        (
            {"pg1": {"postgres_role": Unevaluated("cannot be evaluated")}},
            {},
            "postgres_role of pg1 cannot be evaluated.",
        ),
        (
            {"pg1": {"postgres_shards": Unevaluated("cannot be evaluated")}},
            {},
            "postgres_shards of pg1 cannot be evaluated.",
        ),
    ],
)
def test_a_wrong_inventory_gets_one_sentence(changes, groups, message):
    if message is None:
        read(inventory(changes, groups))
        return
    with pytest.raises(InvalidInventory) as raised:
        read(inventory(changes, groups))
    assert raised.value.message == message
    assert raised.value.facts["faults"][0] == message


def test_all_faults_are_listed():
    with pytest.raises(InvalidInventory) as raised:
        read(inventory({"pg1": {"postgres_port": 0, SECRETS[0]: ""}, "pg1r": {"postgres_primary": "pg9"}}))
    assert raised.value.facts["faults"] == [
        "The secret consul_gossip_key of pg1 is empty.",
        "postgres_port of pg1: 0 is not a port.",
        "postgres_primary of pg1r: 'pg9' is not a host of the group postgres.",
    ]


def test_no_fault_tells_a_secret():
    values = dict.fromkeys(SECRETS, "s3cr3t value")
    changes = {host: {**values, "postgres_role": "x", "fleet_provider": "y"} for host in ALL}
    with pytest.raises(InvalidInventory) as raised:
        read(inventory(changes, {"consul_server": []}))
    assert "s3cr3t" not in repr(raised.value.facts)


def test_hosts_are_named_together():
    assert [together(list("abcde")[:count]) for count in range(1, 6)] == [
        "a",
        "a and b",
        "a, b and c",
        "a, b and 2 more hosts",
        "a, b and 3 more hosts",
    ]
