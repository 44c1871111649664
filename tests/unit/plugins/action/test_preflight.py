# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight with a real inventory and Ansible's own templating: what it evaluates, and what it lets lie."""

from __future__ import annotations

import types
from unittest import mock

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.scaleout.platform.plugins.action.preflight import ActionModule

INVENTORY = """
all:
  vars:
    gossip_key: "{{ vault_gossip_key }}"
    vault_gossip_key: s3cr3t
    platform_address: "{{ ansible_host | default(inventory_hostname) }}"
    unrelated: "{{ undefined_everywhere }}"
    broken: "{{ 1 +"
  children:
    consul_server: {hosts: {consul1: }}
    loadbalancer: {hosts: {lb1: }}
    api: {hosts: {api1: }}
    postgres:
      vars: {shards_of: {pg1: [0, 1]}}
      hosts:
        pg1:
          ansible_host: 192.0.2.11
          postgres_role: "{{ 'standby' if postgres_primary is defined else 'primary' }}"
          postgres_shards: "{{ shards_of[inventory_hostname] }}"
        pg1r:
          ansible_host: 192.0.2.12
          postgres_role: standby
          postgres_primary: "{{ groups['postgres'] | first }}"
          postgres_port: "{{ hostvars['pg1'].their_port }}"
"""


@pytest.fixture(name="preflight")
def _preflight(tmp_path):
    """A function that runs preflight on an inventory, with options."""

    def run(inventory=INVENTORY, **options):
        source = tmp_path / "hosts.yml"
        source.write_text(inventory, encoding="utf-8")
        loader = DataLoader()
        hosts = InventoryManager(loader=loader, sources=[str(source)])
        variables = VariableManager(loader=loader, inventory=hosts)
        hostvars = HostVars(inventory=hosts, variable_manager=variables, loader=loader)
        task = mock.MagicMock(async_val=0, check_mode=False, diff=False, args=options, action="preflight")
        action = ActionModule(
            task,
            connection=types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None)),
            play_context=mock.MagicMock(check_mode=False),
            loader=loader,
            templar=Templar(loader=loader, variables={}),
            shared_loader_obj=None,
        )
        return action.run(task_vars={"hostvars": hostvars, "groups": hosts.get_groups_dict()})

    return run


def of_pg1(line):
    """The inventory with one more variable of pg1."""
    return INVENTORY.replace("ansible_host: 192.0.2.11\n", f"ansible_host: 192.0.2.11\n          {line}\n")


def test_templates_are_evaluated_for_their_host_and_the_rest_is_let_lie(preflight):
    result = preflight(of_pg1("their_port: 6432"), secrets=["gossip_key"])
    assert not result.get("failed"), result
    assert result["changed"] is False
    assert result["topology"]["shards"] == [
        {"id": shard_id, "cluster": "pg1", "database": f"shard_{shard_id}"} for shard_id in (0, 1)
    ]
    assert result["topology"]["clusters"] == [
        {
            "name": "pg1",
            "members": [
                {"name": "pg1", "host": "192.0.2.11", "port": 5432},
                {"name": "pg1r", "host": "192.0.2.12", "port": 6432},
            ],
        }
    ]


def test_a_template_that_matters_is_named_with_its_host(preflight):
    result = preflight(secrets=["gossip_key"])
    assert result["failed"]
    assert result["msg"].startswith("postgres_port of pg1r cannot be evaluated, because something in it is undefined")
    assert "their_port" in result["msg"]


def test_a_secret_is_named_and_its_value_is_not(preflight):
    inventory = of_pg1("their_port: 6432")
    missing = preflight(inventory, secrets=["gossip_key", "other_secret"])
    assert missing["msg"] == "The secret other_secret of consul1, lb1 and 3 more hosts is not set."
    empty = preflight(inventory.replace("s3cr3t", "''"), secrets=["gossip_key"])
    assert empty["msg"] == "The secret gossip_key of consul1, lb1 and 3 more hosts is empty."
    broken = preflight(inventory.replace("vault_gossip_key }}", "vault_gossip_key | int.x }}"), secrets=["broken"])
    assert broken["msg"] == "The secret broken of consul1, lb1 and 3 more hosts cannot be evaluated."
    for result in (missing, empty, broken):
        assert "s3cr3t" not in repr(result)


def test_buckets_are_judged_by_the_planner_of_the_map(preflight):
    inventory = of_pg1("their_port: 6432").replace(
        "vars: {shards_of:", "vars: {platform_shard_buckets: {0: [[0, 99]], 1: [[90, 4000]]}, shards_of:"
    )
    assert preflight(inventory)["msg"] == (
        "platform_shard_buckets: The map does not cover each bucket once: "
        "buckets 90-99 belong to shards 0 and 1; buckets 4001-4095 belong to no shard."
    )


def test_groups_and_providers_are_options(preflight):
    inventory = of_pg1("their_port: 6432").replace("consul_server:", "discovery:")
    assert preflight(inventory)["msg"].startswith("The group consul_server has no host")
    assert "topology" in preflight(inventory, consul_server_group="discovery")
    inventory = of_pg1("fleet_provider: mine").replace("postgres_port:", "other:")
    assert "fleet_provider of pg1: 'mine' is not a provider" in preflight(inventory)["msg"]
    assert "topology" in preflight(inventory, fleet_providers=["mine", "docker"])
