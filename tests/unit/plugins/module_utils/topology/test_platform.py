# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inventories that become a platform, and the code and the sentence that each wrong one gets."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Unevaluated, leader_of, standbys_of
from ansible_collections.scaleout.platform.plugins.module_utils.topology import databases
from ansible_collections.scaleout.platform.plugins.module_utils.topology import platform as topology

SECRETS = ("consul_gossip_key", "postgres_replicator_password")
HOSTS = {
    "lb1": {},
    "api1": {},
    "pg1": {"postgres_cluster": "pg1", "platform_address": "192.0.2.11"},
    "pg1r": {"postgres_cluster": "pg1", "ansible_host": "192.0.2.12"},
    "pg2": {"postgres_cluster": "pg2", "postgres_port": "6432"},
    "pg2r": {"postgres_cluster": "pg2"},
    "ana1": {"postgres_cluster": "analytics"},
    "consul1": {"fleet_provider": "static"},
}
CLUSTERS = {
    "pg1": {"shards": [0, 1]},
    "pg2": {"shards": ["2", 3]},
    "analytics": {"databases": ["analytics"], "workload": "dw", "settings": {"work_mem": "64MB"}},
}
APPLICATIONS = {"shop": {"group": "api", "role": "acme.shop.deploy", "secrets": ["shop_password"]}}
GROUPS = {
    "all": list(HOSTS),
    "loadbalancer": ["lb1"],
    "api": ["api1"],
    "postgres": ["pg1", "pg1r", "pg2", "pg2r", "ana1"],
    "consul_server": ["consul1"],
}
POSTGRES = GROUPS["postgres"]


def inventory(changes=None, groups=None, **shared):
    """The inventory above with changes: {host: {variable: value}}; a value of KeyError takes the variable away."""
    changes = changes or {}
    shared = {
        "postgres_clusters": shared.get("clusters", CLUSTERS),
        "applications": shared.get("applications", APPLICATIONS),
    }
    hosts = {
        name: {
            **dict.fromkeys(SECRETS, "secret value"),
            **{key: value for key, value in shared.items() if value is not None},
        }
        for name in [*HOSTS, *changes]
    }
    for host, variables in hosts.items():
        variables.update(copy.deepcopy(HOSTS.get(host, {})))
        for variable, value in changes.get(host, {}).items():
            if value is KeyError:
                variables.pop(variable, None)
            else:
                variables[variable] = value
    return hosts, {**GROUPS, **(groups or {})}


def read(*args, **kwargs):
    """The platform and every problem, as preflight has them."""
    platform, described = topology.parse(*inventory(*args, **kwargs))
    ranges, of_buckets = databases.buckets(platform)
    problems = (
        topology.problems(platform, {secret: list(platform.hosts) for secret in SECRETS}) + described + of_buckets
    )
    return platform, databases.document(platform, ranges), problems


def test_the_topology_of_a_right_inventory():
    platform, document, problems = read()
    assert problems == []
    assert document["shards"] == [
        {"id": 0, "database": "shard_0", "cluster": "pg1"},
        {"id": 1, "database": "shard_1", "cluster": "pg1"},
        {"id": 2, "database": "shard_2", "cluster": "pg2"},
        {"id": 3, "database": "shard_3", "cluster": "pg2"},
    ]
    assert document["clusters"][0] == {
        "name": "pg1",
        "members": [
            {"name": "pg1", "host": "192.0.2.11", "port": 5432},
            {"name": "pg1r", "host": "192.0.2.12", "port": 5432},
        ],
    }
    assert document["servers"]["pg2r"] == {
        "name": "pg2r",
        "host": "pg2r",
        "port": 5432,
        "cluster": "pg2",
        "leader": "pg2",
        "leads": False,
        "shards": [2, 3],
        "databases": ["shard_2", "shard_3"],
    }
    assert document["servers"]["pg2"]["leads"]
    analytics = platform.clusters["analytics"]
    assert (analytics.all_databases, analytics.workload, analytics.settings) == (
        ("analytics",),
        "dw",
        {"work_mem": "64MB"},
    )
    shop = platform.applications["shop"]
    assert (shop.name, shop.group, shop.role, shop.secrets) == ("shop", "api", "acme.shop.deploy", ("shop_password",))


def test_the_leader_is_the_first_member_and_the_others_are_standbys():
    platform, _document, _problems = read(groups={"postgres": ["pg1r", "pg1", "pg2", "pg2r", "ana1"]})
    cluster = platform.cluster_of("pg1")
    assert leader_of(cluster).name == "pg1r"
    assert [server.name for server in standbys_of(cluster)] == ["pg1"]
    assert cluster.member("pg1").host == "192.0.2.11"
    with pytest.raises(KeyError):
        cluster.member("pg2")
    assert platform.cluster_of("lb1") is None


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {"clusters": {**CLUSTERS, "pg1": {"shards": [40, 7]}}}),
        ({}, {"clusters": {**CLUSTERS, "pg2": {"shards": []}}}),
        ({}, {"clusters": {**CLUSTERS, "pg2": None}}),
        ({}, {"clusters": {name: {"databases": ["app"]} for name in CLUSTERS}}),
        ({}, {"clusters": {}, "groups": {"postgres": []}}),
        ({}, {"clusters": None, "groups": {"postgres": []}}),
        ({}, {"applications": None}),
        ({}, {"applications": {}, "groups": {"api": [], "loadbalancer": []}}),
        ({}, {"applications": {"shop": {"group": "api", "role": "shop"}}}),
        ({"lb1": {"postgres_cluster": "nonsense"}}, {}),
        ({"lb1": {"ansible_host": "2001:db8::1"}}, {}),
        ({"spare": {"fleet_provider": "docker"}}, {}),
    ],
)
def test_other_inventories_that_are_right(changes, more):
    assert read(changes, **more)[2] == []


def test_a_pooler_is_published_where_one_is_declared():
    _platform, document, _problems = read({"pg1": {"pgbouncer_port": 6433}, "pg1r": {"pgbouncer_port": "6434"}})
    first, second, _third = document["clusters"]
    assert [member["pooler_port"] for member in first["members"]] == [6433, 6434]
    assert "pooler_port" not in second["members"][0]


def test_buckets_go_to_their_shards():
    ranges = {"0": [[0, 9], ["20", "29"]], 1: [[10, 19]], 2: [], 3: [[30, 4095]]}
    _platform, document, problems = read({host: {"platform_shard_buckets": ranges} for host in HOSTS})
    assert problems == []
    assert [shard["buckets"] for shard in document["shards"]] == [[[0, 9], [20, 29]], [[10, 19]], [], [[30, 4095]]]


ALL = tuple(HOSTS)
LONG = "a" * 64


def clusters(**changes):
    return {"clusters": {**CLUSTERS, **changes}}


def on_all(**variables):
    return dict.fromkeys(ALL, variables)


@pytest.mark.parametrize(
    ("changes", "more", "code", "text"),
    [
        # clusters
        (
            {},
            {"groups": {"postgres": POSTGRES[:4]}},
            "cluster_without_member",
            "postgres_clusters: analytics has no member; no host of the group postgres has postgres_cluster: "
            "analytics.",
        ),
        (
            {"pg1": {"postgres_cluster": KeyError}},
            {},
            "no_cluster",
            "pg1: postgres_cluster is not set; name one of postgres_clusters.",
        ),
        (
            {"pg1": {"postgres_cluster": "pg3"}},
            {},
            "unknown_cluster",
            "pg1: postgres_cluster is 'pg3', which postgres_clusters does not have (it has pg1, pg2, analytics).",
        ),
        (
            {"pg1": {"postgres_cluster": ["pg1"]}},
            {},
            "unknown_cluster",
            "pg1: postgres_cluster is ['pg1'], which postgres_clusters does not have (it has pg1, pg2, analytics).",
        ),
        (
            {},
            {"clusters": None, "groups": {"postgres": ["pg1"]}},
            "unknown_cluster",
            "pg1: postgres_cluster is 'pg1', which postgres_clusters does not have (it has none).",
        ),
        (
            {},
            {"clusters": ["pg1"], "groups": {"postgres": []}},
            "invalid_clusters",
            "postgres_clusters is ['pg1'], not a mapping such as {pg1: {shards: [0, 1]}}.",
        ),
        (
            {"pg1r": {"postgres_clusters": {"pg1": {}}}},
            {},
            "different_values",
            "pg1r: postgres_clusters is not what it is on lb1; put it into group_vars/all.",
        ),
        (
            {},
            clusters(pg1=[0, 1]),
            "invalid_clusters",
            "postgres_clusters: pg1 is [0, 1], not a mapping with shards, empty_shards, databases, workload, settings, "
            "durability.",
        ),
        (
            {},
            clusters(pg1={"shard": [0, 1]}),
            "unknown_key",
            "postgres_clusters: pg1 has 'shard', which is not known here; did you mean shards; it may have shards, "
            "empty_shards, databases, workload, settings, durability.",
        ),
        (
            {"pg1": {"postgres_cluster": "a b"}, "pg1r": {"postgres_cluster": "a b"}},
            {"clusters": {"a b": {"shards": [0]}, "pg2": {}, "analytics": {}}},
            "invalid_name",
            "postgres_clusters has a cluster 'a b', which is not a host name of letters, digits, dots, hyphens and "
            "underscores.",
        ),
        (
            {},
            clusters(pg1={"workload": "fast"}),
            "unknown_workload",
            "postgres_clusters: pg1: workload is 'fast'; choose one of web, oltp, dw, desktop, mixed.",
        ),
        (
            {},
            clusters(pg1={"settings": ["work_mem"]}),
            "invalid_settings",
            "postgres_clusters: pg1: settings is ['work_mem'], not a mapping from settings to values.",
        ),
        # shards
        (
            {},
            clusters(pg2={"shards": [1, 2]}),
            "shard_taken",
            "postgres_clusters: pg1 and pg2 claim the same shard 1; one cluster can hold it.",
        ),
        (
            {},
            clusters(pg1={"shards": [0, 1], "empty_shards": [1]}),
            "shard_taken",
            "postgres_clusters: pg1 names shard 1 in shards and in empty_shards.",
        ),
        ({}, clusters(pg1={"shards": [1, "1"]}), "shard_taken", "postgres_clusters: pg1 names shard 1 twice."),
        *(
            (
                {},
                clusters(pg1={"shards": value}),
                "invalid_shards",
                f"postgres_clusters: pg1: shards is {value!r}, not a list of shard ids, which are numbers from 0 on.",
            )
            for value in ("0", 0, [-1], ["a"], [1.5], [True], [None], [[0]], {"0": 1}, [10**9])
        ),
        # databases
        (
            {},
            clusters(pg1={"databases": "analytics"}),
            "invalid_databases",
            "postgres_clusters: pg1: databases is 'analytics', not a list of names such as [analytics].",
        ),
        *(
            (
                {},
                clusters(pg1={"databases": [name]}),
                "invalid_name",
                f"postgres_clusters: pg1 has a database {name!r}, which is not a name of letters, digits, underscores "
                "and hyphens.",
            )
            for name in ('a"b', "a'b", "a;b", "a b", "", 7, "1a")
        ),
        (
            {},
            clusters(pg1={"databases": [LONG]}),
            "invalid_name",
            f"postgres_clusters: pg1 has a database {LONG!r}, which has 64 bytes, and PostgreSQL keeps 63 of a name.",
        ),
        *(
            (
                {},
                clusters(pg1={"databases": [name]}),
                "reserved_name",
                f"postgres_clusters: pg1 has a database {name}, which every server has already.",
            )
            for name in ("postgres", "template0", "template1")
        ),
        *(
            (
                {},
                clusters(pg1={"shards": [0], "databases": names}),
                "database_taken",
                f"postgres_clusters: pg1 has the database {names[-1]} twice.",
            )
            for names in (["app", "app"], ["shard_0"])
        ),
        # addresses
        (
            {"lb1": {"ansible_host": "a;b"}},
            {},
            "invalid_address",
            "lb1: ansible_host is 'a;b', which is not an address or a host name.",
        ),
        *(
            (
                {"lb1": {"platform_address": value}},
                {},
                "invalid_address",
                f"lb1: platform_address is {value!r}, which is not an address or a host name.",
            )
            for value in ("", 7)
        ),
        *(
            ({"pg1": {variable: port}}, {}, "invalid_port", f"pg1: {variable} is {port!r}, which is not a port.")
            for variable in ("postgres_port", "pgbouncer_port")
            for port in (0, 65536, "x", -1, True, 5432.0)
        ),
        (
            {"pg1": {"pgbouncer_port": 5432}},
            {},
            "port_taken",
            "pg1: pgbouncer_port is 5432, which is the port of PostgreSQL already.",
        ),
        # names
        *(
            (
                {name: {}},
                {},
                "invalid_name",
                f"the inventory name {name!r} is not a host name of letters, digits, dots, hyphens and underscores.",
            )
            for name in ("pg'1", "pg;1", 'pg"1', "pg 1", "-pg1", "pg1\n", "pg$(id)", "a" * 254)
        ),
        # buckets
        (
            on_all(platform_shard_buckets={0: [[0, 9]], 9: [[10, 4095]]}),
            {},
            "unknown_shard",
            "platform_shard_buckets names the shard 9, which no cluster holds.",
        ),
        (
            on_all(platform_shard_buckets={0: [0, 9]}),
            {},
            "invalid_buckets",
            "platform_shard_buckets of shard 0 is [0, 9], not a list of ranges [first, last].",
        ),
        (
            on_all(platform_shard_buckets=[[0, 9]]),
            {},
            "invalid_buckets",
            "platform_shard_buckets is [[0, 9]], not a mapping from shards to ranges.",
        ),
        (
            {"pg1": {"platform_shard_buckets": {0: [[0, 4095]]}}},
            {},
            "different_values",
            "pg1r: platform_shard_buckets is not what it is on pg1; put it into group_vars/all.",
        ),
        # groups
        (
            {},
            {"groups": {"consul_server": []}},
            "empty_group",
            "the group consul_server has no host; Consul needs at least one server.",
        ),
        # providers
        (
            {"lb1": {"fleet_provider": "aws"}},
            {},
            "unknown_provider",
            "lb1: fleet_provider is 'aws', which is not a provider; choose docker or static.",
        ),
        (
            on_all(fleet_provider=["aws"]),
            {},
            "unknown_provider",
            "lb1, api1 and 6 more hosts: fleet_provider is ['aws'], which is not a provider; choose docker or static.",
        ),
        # secrets
        (
            {"pg1": {SECRETS[1]: KeyError}},
            {},
            "missing_secret",
            "pg1: the secret postgres_replicator_password is not set.",
        ),
        *(
            (
                {"pg1": {SECRETS[1]: value}},
                {},
                "missing_secret",
                "pg1: the secret postgres_replicator_password is empty.",
            )
            for value in ("", " \n", None)
        ),
        (
            {host: {SECRETS[0]: Unevaluated("cannot be evaluated")} for host in ("pg1", "pg1r", "pg2")},
            {},
            "missing_secret",
            "pg1, pg1r and pg2: the secret consul_gossip_key cannot be evaluated.",
        ),
        # templates
        *(
            (
                {"pg1": {variable: Unevaluated("cannot be evaluated")}},
                {},
                "not_evaluated",
                f"pg1: {variable} cannot be evaluated.",
            )
            for variable in ("postgres_cluster", "postgres_port", "platform_address")
        ),
    ],
)
def test_a_wrong_inventory_gets_a_code_and_a_sentence(changes, more, code, text):
    _platform, _document, problems = read(changes, **more)
    assert (code, text) in [(problem.code, str(problem)) for problem in problems]


def test_all_problems_are_listed():
    _platform, _document, problems = read(
        {"pg1": {"postgres_port": 0, SECRETS[0]: ""}, "pg1r": {"postgres_cluster": "x"}}
    )
    assert [problem.code for problem in problems] == ["missing_secret", "invalid_port", "unknown_cluster"]


def test_no_problem_tells_a_secret():
    values = dict.fromkeys(SECRETS, "s3cr3t value")
    changes = {host: {**values, "postgres_cluster": "x", "fleet_provider": "y"} for host in ALL}
    _platform, _document, problems = read(changes, groups={"consul_server": []})
    assert problems
    assert "s3cr3t" not in repr(problems)
