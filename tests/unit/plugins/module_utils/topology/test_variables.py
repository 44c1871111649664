# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which variables are taken for misspelled ones, which of them are refused, and which are the operator's own."""

from __future__ import annotations

import pathlib

import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.topology import renamed, variables
from ansible_collections.scaleout.platform.plugins.plugin_utils.inventory import names

ROOT = pathlib.Path(__file__).parents[5]
#: The public variables of each release: arguments of roles, and what the inventories of that release set.
RELEASED = pathlib.Path(__file__).parent / "released"
KNOWN = names()
OWN = "platform_own_variables takes names of your own"
RIGHT = {"applications": {}, "postgres_clusters": {}, "platform_address": "192.0.2.1", "postgres_cluster": "pg1"}


def judged(**given):
    refused, doubtful = variables.judge(Platform({"pg1": given}), KNOWN)
    return [str(problem) for problem in refused], [str(problem) for problem in doubtful]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("redis_pasword", "; did you mean redis_password"),
        ("nginx_site", "; did you mean nginx_sites"),
        ("postgres_setings", "; did you mean postgres_settings"),
        ("posgres_settings", "; did you mean postgres_settings"),
        ("consul_managment_token", "; did you mean consul_management_token"),
        ("platfrom_failure_domain", "; did you mean platform_failure_domain"),
        ("scale_maximun", "; did you mean scale_maximum"),
        ("reference_api_chaches", "; did you mean reference_api_caches"),
        ("app_keep_release", "; did you mean app_keep_releases"),
        ("rabbitmq_zzz", ""),
    ],
)
def test_h5_a_name_that_looks_like_ours_is_a_warning_with_the_nearest(name, meant):
    assert judged(**RIGHT, **{name: 1}) == ([], [f"pg1: {name} is not known here{meant}; {OWN}."])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("postgres_clusterss", "postgres_clusters"),
        ("posgres_cluster", "postgres_cluster"),
        ("aplications", "applications"),
        ("platform_adress", "platform_address"),
        ("platform_shard_bucket", "platform_shard_buckets"),
    ],
)
def test_h5_a_slip_that_takes_data_out_of_the_topology_is_refused(name, meant):
    others = {key: value for key, value in RIGHT.items() if key != meant}
    assert judged(**others, **{name: 1}) == (
        [f"pg1: {name} is not known here; did you mean {meant}, which is not set."],
        [],
    )


def test_words_of_the_command_line_that_belong_to_no_variable_are_refused_and_not_repeated():
    # What Ansible makes of -e why=The sale begins.
    assert judged(**RIGHT, why="The", _raw_params="sale begins") == (
        [
            "-e has words that belong to no variable, such as those behind the first space of a value; put the value "
            """into quotes of its own, as in -e "why='The sale begins'\"."""
        ],
        [],
    )


def test_h5_a_slip_of_a_variable_of_an_earlier_release_is_refused():
    assert judged(**RIGHT, posgres_shards=[0]) == (
        ["pg1: posgres_shards is not known here, and postgres_shards is no longer read; use postgres_clusters."],
        [],
    )


def test_h5_beside_the_right_name_a_slip_is_a_warning():
    assert judged(**RIGHT, platform_adress=1) == (
        [],
        [f"pg1: platform_adress is not known here; did you mean platform_address; {OWN}."],
    )


@pytest.mark.parametrize("name", sorted(renamed.VARIABLES))
def test_h5_a_variable_of_an_earlier_release_is_refused_with_what_says_it_now(name):
    (refused,), doubtful = judged(**RIGHT, **{name: 1})
    assert refused == f"pg1: {name} is no longer read; use {renamed.VARIABLES[name]}."
    assert doubtful == []


@pytest.mark.parametrize("name", sorted(renamed.REMOVED))
def test_a_variable_that_nothing_replaces_is_refused_with_the_reason(name):
    (refused,), doubtful = judged(**RIGHT, **{name: False})
    assert refused == f"pg1: {name} is no longer read: {renamed.REMOVED[name]}; remove it from the inventory."
    assert doubtful == []


@pytest.mark.parametrize(("old", "new"), sorted(renamed.GROUPS.items()))
def test_a_group_of_an_earlier_release_is_refused_with_its_name_now(old, new):
    refused, _doubtful = variables.judge(Platform({"pg1": RIGHT}, {"all": ["pg1"], old: []}), KNOWN)
    assert [str(one) for one in refused] == [f"the group {old} is called {new} now; rename it in the inventory."]


@pytest.mark.parametrize("path", sorted(RELEASED.glob("*.txt")), ids=lambda path: path.stem)
def test_each_variable_of_a_release_is_known_still_or_refused(path):
    released = path.read_text(encoding="utf-8").split()
    assert len(released) > 100
    known = {*KNOWN.known, *variables.DECLARED, *renamed.VARIABLES, *renamed.REMOVED}
    assert [name for name in released if name not in known] == []


def test_no_name_in_use_is_called_gone():
    known = {*KNOWN.known, *variables.DECLARED}
    assert known & {*renamed.VARIABLES, *renamed.REMOVED} == set()
    for new in renamed.VARIABLES.values():
        assert new in known


@pytest.mark.parametrize(
    "name",
    [
        "database_url",
        "app_shop_colour",
        "base_domain",
        "applicant",
        "redistribute",
        "console_url",
        "scaleway_token",
        "cons_x",
        "ansible_user",
        "ansible_host",
        "group_names",
        "inventory_hostname",
        "platform_of_mine",
        "nginx_amplify_key",
    ],
)
def test_h5_names_of_ones_own_are_let_be(name):
    own = ["platform_of_*", "nginx_amplify_key"]
    assert judged(**RIGHT, platform_own_variables=own, **{name: 1}) == ([], [])


def test_h5_hosts_share_a_sentence():
    hosts = {name: {**RIGHT, "redis_pasword": 1} for name in ("a", "b", "c", "d")}
    _refused, doubtful = variables.judge(Platform(hosts), KNOWN)
    assert [str(one) for one in doubtful] == [
        f"a, b and 2 more hosts: redis_pasword is not known here; did you mean redis_password; {OWN}."
    ]


@pytest.mark.parametrize("folder", sorted(path.name for path in (ROOT / "inventories").iterdir()))
def test_h5_the_inventories_that_we_ship_are_spelled_right(folder):
    found = {}
    for path in (ROOT / "inventories" / folder).glob("group_vars/**/*.yml"):
        found.update(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    assert found
    refused, doubtful = variables.judge(Platform({"all": {**RIGHT, **found}}), KNOWN)
    assert [str(problem) for problem in (*refused, *doubtful)] == []
