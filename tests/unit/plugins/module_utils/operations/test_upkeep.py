# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What maintain.yml keeps in which database, and what preflight refuses of it."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations import upkeep
from ansible_collections.scaleout.platform.plugins.module_utils.topology import platform as topology

ORDERS = {"table": "orders", "column": "placed_at", "interval": "month"}
VIEW = {"name": "sales", "query": "SELECT 1 AS one", "state": "refreshed", "max_age": 15}
COUNTED = {
    "name": "order_stats",
    "tables": [{"table": "orders", "group_by": ["customer"], "columns": [{"name": "n", "function": "count"}]}],
}


def platform(clusters=None, shop=None, **variables):
    """A platform of two clusters, each with a leader and a replica, and an application."""
    clusters = {"pg1": {"shards": [0, 1]}, "pg2": {"shards": [2]}} if clusters is None else clusters
    entry = {"group": "api", "port": 8000, **(shop or {})}
    common = {"postgres_clusters": clusters, "applications": {"shop": entry}, **variables}
    names = [f"{cluster}{which}" for cluster in clusters for which in ("", "r")]
    hosts = {name: {**common, "postgres_cluster": name[:3]} for name in names}
    hosts["api1"] = common
    parsed, problems = topology.parse(hosts, {"all": list(hosts), "postgres": names, "api": ["api1"]})
    assert problems == []
    return parsed


DATABASE = {"cluster": "pg2", "password": "p", "partition_sets": [ORDERS], "materialized_views": [VIEW]}


def test_a_database_is_kept_on_the_leader_of_its_cluster():
    found = upkeep.of(platform(shop={"database": DATABASE}))
    assert found == {
        "pg2": [
            {
                "database": "shop",
                "partition_sets": [ORDERS],
                "summaries": [],
                "materialized_views": [{"owner": "shop", **VIEW}],
            }
        ]
    }
    assert upkeep.problems(platform(shop={"database": DATABASE})) == []


def test_each_shard_is_kept_and_belongs_to_the_owner_of_databases():
    shop = {"shards": {"summaries": [COUNTED, {**COUNTED, "name": "other", "owner": "else"}]}}
    found = upkeep.of(platform(shop=shop, postgres_database_owner="shop"))
    assert {host: [one["database"] for one in kept] for host, kept in found.items()} == {
        "pg1": ["shard_0", "shard_1"],
        "pg2": ["shard_2"],
    }
    assert [one["owner"] for one in found["pg2"][0]["summaries"]] == ["shop", "else"]


def test_nothing_is_kept_where_nothing_is_said():
    assert upkeep.of(platform(shop={"database": {"cluster": "pg1", "password": "p"}})) == {}
    assert upkeep.of(platform(clusters={})) == {}


@pytest.mark.parametrize(
    ("variables", "sets"),
    [
        ({}, {"premake": 3}),
        ({"reference_api_tasks_premake": "6", "reference_api_tasks_retention": ""}, {"premake": 6}),
        ({"reference_api_tasks_retention": "24 months"}, {"premake": 3, "retention": "24 months"}),
    ],
)
def test_the_reference_api_has_an_upkeep_of_its_own(variables, sets):
    made = platform(shop={"role": upkeep.REFERENCE_API}, **variables)
    kept = upkeep.of(made)["pg1"][0]
    wanted = {"table": "tasks", "column": "id", "interval": "month", "convert": True}
    assert kept["partition_sets"] == [{**wanted, **sets}]
    assert [one["name"] for one in kept["summaries"]] == ["user_stats"]
    assert upkeep.problems(made) == []
    # What its entry says counts instead.
    made = platform(shop={"role": upkeep.REFERENCE_API, "shards": {"partition_sets": [], "summaries": []}})
    assert upkeep.of(made)["pg1"] == [
        {"database": f"shard_{shard}", "partition_sets": [], "summaries": [], "materialized_views": []}
        for shard in (0, 1)
    ]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"partition_sets": ORDERS}, "partition_sets is not a list of mappings"),
        ({"partition_sets": ["orders"]}, "partition_sets is not a list of mappings"),
        ({"partition_sets": [{**ORDERS, "colour": "x"}]}, "partition_sets has 'colour', which is not known here"),
        ({"partition_sets": [{**ORDERS, "interval": "fortnight"}]}, "partition_sets: interval: 'fortnight' is"),
        ({"partition_sets": [{**ORDERS, "premake": "many"}]}, "partition_sets has a value of another type"),
        ({"partition_sets": [{"table": "orders"}]}, "partition_sets: column: '' is needed for public.orders"),
        ({"summaries": [{**COUNTED, "tables": []}]}, "summaries: tables: []"),
        (
            {"summaries": [{"name": "x", "tables": [{"tables": "x", "columns": []}]}]},
            "summaries: tables: 'x' is not known",
        ),
        ({"materialized_views": [{"name": "x"}]}, "materialized_views: query: None is required for state: present"),
        ({"materialized_views": [VIEW, VIEW]}, "materialized_views: views: 'public.sales' is named twice"),
    ],
)
def test_what_no_module_could_make_is_refused(said, text):
    (problem,) = upkeep.problems(platform(shop={"shards": said}))
    assert problem.code == "invalid_upkeep"
    assert problem.text.startswith(f"applications: shop: shards: {text}")
    (problem,) = upkeep.problems(platform(shop={"database": {"cluster": "pg1", "password": "p", **said}}))
    assert problem.text.startswith(f"applications: shop: database: {text}")


def test_shards_need_a_platform_that_has_some():
    (problem,) = upkeep.problems(platform(clusters={"pg1": {}}, shop={"shards": {"summaries": [COUNTED]}}))
    assert problem.text == "applications: shop: shards: the platform has no shards"
