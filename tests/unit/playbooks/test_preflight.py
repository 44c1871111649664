# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/preflight.yml on inventories whose hosts are not there."""

from __future__ import annotations

import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[3]
INVENTORY = """
all:
  vars:
    consul_gossip_key: MDEyMzQ1Njc4OWFiY2RlZg==
    consul_management_token: 00000000-0000-4000-8000-000000000001
    consul_agent_token: 00000000-0000-4000-8000-000000000002
    consul_reader_token: 00000000-0000-4000-8000-000000000003
    postgres_replicator_password: hidden
    postgres_patroni_password: hidden
    pgbouncer_password: hidden
    postgres_clusters: {main: {databases: [shop]}}
    MORE
  children:
    consul_server: {hosts: {consul1: {ansible_host: 192.0.2.1}}}
    postgres: {hosts: {pg1: {ansible_host: 192.0.2.11, postgres_cluster: main}}}
"""


@pytest.fixture(name="preflight")
def _preflight(run_untouched):
    """A function that runs the playbook with one more variable of all hosts, and returns its status and its output."""
    return lambda more: run_untouched(INVENTORY.replace("MORE", more), "playbooks/preflight.yml")


def test_the_inventory_is_described_and_warned_of(preflight):
    status, said = preflight("redis_maxmemmory: 1gb")
    assert status == 0, said
    assert "[WARNING]: consul1 and pg1: redis_maxmemmory is not known here; did you mean redis_maxmemory;" in said
    assert "pg1 192.0.2.11 leads main (shop), PgBouncer" in said
    assert "changed=0" in said
    assert "hidden" not in said


def test_what_is_wrong_fails_with_all_of_it(preflight):
    status, said = preflight("postgres_shards: [0]")
    assert status == 2, said
    assert said.count("consul1 and pg1: postgres_shards is no longer read; use postgres_clusters") == 1


def test_each_of_several_faults_is_printed_once(preflight):
    status, said = preflight("postgres_shards: [0]\n    postgres_role: primary\n    fleet_provider: mine")
    assert status == 2, said
    assert "3 problems with the inventory, each named in problems. Nothing was changed." in said
    for fault in ("postgres_shards is no longer read", "postgres_role is no longer read", "fleet_provider is 'mine'"):
        assert said.replace("''", "'").count(fault) == 1, said


@pytest.mark.parametrize("source", ["shpo", "examples/shop"])
def test_what_is_deployed_has_to_be_on_the_controller(preflight, source):
    entry = f"{{group: postgres, source: {source}, command: [./serve], port: 8000}}"
    status, said = preflight(f"applications: {{shop: {entry}}}")
    assert (status == 2) is (source == "shpo"), said
    told = f"applications: shop: source is {ROOT}/shpo, which does not exist on the controller"
    assert said.replace("''", "'").count(told) == (source == "shpo")
