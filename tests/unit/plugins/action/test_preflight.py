# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preflight with a real inventory and Ansible's own templating: what it evaluates, and what it lets lie."""

from __future__ import annotations

import shutil
import types
from pathlib import Path
from unittest import mock

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.scaleout.platform.plugins.action import preflight as action_plugin
from ansible_collections.scaleout.platform.plugins.action.preflight import ActionModule
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Problem
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import map as shard_maps

TOKENS = ("management", "agent", "reader")
INVENTORY = """
all:
  vars:
    consul_gossip_key: MDEyMzQ1Njc4OWFiY2RlZg==
    consul_management_token: 00000000-0000-4000-8000-000000000001
    consul_agent_token: 00000000-0000-4000-8000-000000000002
    consul_reader_token: 00000000-0000-4000-8000-000000000003
    gossip_key: "{{ vault_gossip_key }}"
    vault_gossip_key: s3cr3t
    platform_address: "{{ ansible_host | default(inventory_hostname) }}"
    unrelated: "{{ undefined_everywhere }}"
    broken: "{{ 1 +"
    postgres_clusters: {main: {shards: "{{ range(2) | list }}"}}
    applications: {shop: {group: api, role: acme.shop.deploy, secrets: [gossip_key]}}
    nginx_sites: [{name: shop, service: shop}]
    postgres_replicator_password: only-here
    postgres_patroni_password: only-here
    pgbouncer_password: only-here
    pgbouncer_port: null
    pgbouncer_allowed_networks: [192.0.2.0/24]
  children:
    consul_server: {hosts: {consul1: {ansible_host: 192.0.2.1}}}
    loadbalancer: {hosts: {lb1: {ansible_host: 192.0.2.2}}}
    api: {hosts: {api1: {ansible_host: 192.0.2.3}}}
    postgres:
      hosts:
        pg1:
          ansible_host: 192.0.2.11
          postgres_cluster: "{{ postgres_clusters | first }}"
        pg1r:
          ansible_host: 192.0.2.12
          postgres_cluster: "{{ hostvars[groups['postgres'] | first].postgres_cluster }}"
          postgres_port: "{{ hostvars['pg1'].their_port }}"
"""


@pytest.fixture(name="preflight")
def _preflight(tmp_path, monkeypatch):
    """A function that runs preflight on an inventory, with options and the map that Consul's servers have."""

    def run(inventory=INVENTORY, published=None, **options):
        asked = []
        monkeypatch.setattr(action_plugin, "first_published", lambda servers, key: asked.extend(servers) or published)
        source = tmp_path / "hosts.yml"
        if inventory:
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
        result = action.run(task_vars={"hostvars": hostvars, "groups": hosts.get_groups_dict()})
        return {**result, "asked": asked} if published else result

    return run


def told(result):
    """What is wrong, as a person reads it."""
    return " ".join(str(Problem(**problem)) for problem in result["problems"])


def of_pg1(line):
    """The inventory with one more variable of pg1."""
    return INVENTORY.replace("ansible_host: 192.0.2.11\n", f"ansible_host: 192.0.2.11\n          {line}\n")


def test_templates_are_evaluated_for_their_host_and_the_rest_is_let_lie(preflight):
    result = preflight(of_pg1("their_port: 6432"), secrets=["gossip_key"])
    assert not result.get("failed"), result
    assert result["changed"] is False
    assert result["topology"]["shards"] == [
        {"id": shard_id, "cluster": "main", "database": f"shard_{shard_id}"} for shard_id in (0, 1)
    ]
    assert result["topology"]["clusters"] == [
        {
            "name": "main",
            "members": [
                {"name": "pg1", "host": "192.0.2.11", "port": 5432},
                {"name": "pg1r", "host": "192.0.2.12", "port": 6432},
            ],
        }
    ]
    (shop,) = result["topology"]["applications"].values()
    assert (shop["group"], shop["role"], shop["pool"]) == ("api", "acme.shop.deploy", {"min": None, "max": None})


OWN_ROLE = "{group: api, role: acme.shop.deploy, secrets: [gossip_key]}"


def shop(more):
    """The inventory with an application of the role app."""
    entry = f"{{group: api, port: 8000, command: [bin/serve], source: /src, {more}}}"
    return of_pg1("their_port: 6432").replace(OWN_ROLE, entry)


@pytest.mark.parametrize("state", ["absent", "present"])
def test_s10_all_applications_at_once_are_not_taken_away(preflight, state):
    result = preflight(of_pg1("their_port: 6432").replace("  vars:\n", f"  vars:\n    app_state: {state}\n", 1))
    assert bool(result.get("failed")) == (state == "absent")
    if state == "absent":
        (problem,) = result["problems"]
        assert problem["code"] == "bad_value"
        assert all(word in problem["text"] for word in ("app_state", "(shop)", "remove.yml", "docs/removing.md"))


def test_an_application_of_the_role_app_gets_its_settings_without_its_secrets(preflight):
    result = preflight(
        shop(
            "environment: {A: '{{ platform_address }}', B: '{{ 1 + 1 }}'}, health: {path: /health},"
            "secrets: {KEY: '{{ vault_gossip_key }}'}, database: {password: '{{ vault_gossip_key }}'}"
        )
    )
    assert not result.get("failed"), result
    assert result["topology"]["applications"]["shop"]["database"] == {
        "name": "shop",
        "owner": "shop",
        "cluster": "main",
        "user": "",
        "previous_user": "",
        "one_host": False,
    }
    assert result["services"]["api1"]["applications"] == [{"name": "shop", "role": "scaleout.platform.app"}]
    settings = result["services"]["api1"]["settings"]["shop"]
    assert settings["environment"] == {
        "A": "192.0.2.3",
        "B": 2,
        "PGHOST": "192.0.2.11,192.0.2.12",
        "PGPORT": "5432,6432",
        "PGDATABASE": "shop",
        "PGUSER": "shop",
    }
    assert (settings["health_path"], settings["health_timeout"], settings["keep_releases"]) == ("/health", 60, 5)
    assert result["services"]["lb1"]["settings"] == {}
    assert "s3cr3t" not in repr(result)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "environment: {A: '{{ nothing.here }}', B: 1}",
            "api1: applications: shop: environment: A cannot be evaluated, because something in it is undefined "
            "('nothing' is undefined).",
        ),
        (
            "secrets: {KEY: '{{ stripe_key }}', OTHER: x}",
            "api1: applications: shop: secrets: KEY cannot be evaluated, because something in it is undefined "
            "('stripe_key' is undefined).",
        ),
        ("secrets: {KEY: ''}", "api1: applications: shop: secrets: KEY is empty."),
        ("database: {password: ' '}", "api1 and pg1: applications: shop: database: password is empty."),
        ("limits: {memory: 1G}", "api1: applications: shop: limits"),
    ],
)
def test_a_part_of_an_application_that_is_wrong_is_named_and_the_rest_is_read(preflight, more, message):
    assert told(preflight(shop(more))).startswith(message)


def test_a_template_that_matters_is_named_with_its_host(preflight):
    result = preflight(secrets=["gossip_key"])
    assert result["failed"]
    assert told(result).startswith("pg1r: postgres_port cannot be evaluated, because something in it is undefined")
    assert "their_port" in told(result)


def test_a_secret_is_named_and_its_value_is_not(preflight):
    inventory = of_pg1("their_port: 6432")
    missing = preflight(inventory, secrets=["gossip_key", "other_secret"])
    assert told(missing) == "consul1, lb1 and 3 more hosts: the secret other_secret is not set."
    empty = preflight(inventory.replace("s3cr3t", "''"))
    assert told(empty) == "consul1, lb1 and 3 more hosts: the secret gossip_key is empty."
    broken = preflight(inventory.replace("[gossip_key]", "[broken]"))
    assert told(broken) == "consul1, lb1 and 3 more hosts: the secret broken cannot be evaluated."
    for result in (missing, empty, broken):
        assert "s3cr3t" not in repr(result)


def test_buckets_are_judged_by_the_planner_of_the_map(preflight):
    inventory = of_pg1("their_port: 6432").replace(
        "    unrelated:", "    platform_shard_buckets: {0: [[0, 99]], 1: [[90, 4000]]}\n    unrelated:"
    )
    assert told(preflight(inventory)) == (
        "platform_shard_buckets: The map does not cover each bucket once: "
        "buckets 90-99 belong to shards 0 and 1; buckets 4001-4095 belong to no shard."
    )


#: The map of the inventory above.
PUBLISHED = {
    "format": 2,
    "version": 3,
    "buckets": 4096,
    "clusters": {
        "main": [
            {"name": "pg1", "host": "192.0.2.11", "port": 5432},
            {"name": "pg1r", "host": "192.0.2.12", "port": 6432},
        ]
    },
    "shards": {str(shard): {"cluster": "main", "database": f"shard_{shard}"} for shard in (0, 1)},
    "ranges": [[0, 2047, "0"], [2048, 4095, "1"]],
}
SHARDS = '{shards: "{{ range(2) | list }}"}'


@pytest.mark.parametrize(
    ("entry", "moves"),
    [
        (SHARDS, None),
        ("{shards: [0, 1], empty_shards: [4]}", None),
        ("{shards: [0, 1, 4]}", "buckets 1366-2047 from shard 0 to shard 4"),
        ("{shards: [0]}", "buckets 2048-4095 from shard 1 to shard 0"),
    ],
)
def test_s5_a_map_in_force_is_asked_before_databases_are_made(preflight, entry, moves):
    inventory = of_pg1("their_port: 6432").replace(SHARDS, entry)
    result = preflight(inventory, shard_maps.read(PUBLISHED))
    (server,) = result["asked"]
    assert (server["consul_host"], server["consul_token"][-1]) == ("192.0.2.1", "1")
    if moves is None:
        assert not result.get("failed"), result
        return
    assert [problem["code"] for problem in result["problems"]] == ["moves_rows"]
    assert told(result).startswith("The shard map of version 3 stays as it is, because rows would have to move first")
    assert moves in told(result)
    hint = "; to add shard 4 without rows, name it in empty_shards of its cluster."
    assert told(result).endswith(hint) is ("4" in entry)
    # Before the first map, and where Consul does not say, nothing can be told.
    assert not preflight(inventory).get("failed")


def test_s5_an_empty_shard_has_no_weight_and_what_fills_it_is_said(preflight):
    result = preflight(of_pg1("their_port: 6432").replace(SHARDS, "{shards: [0, 1], empty_shards: [4]}"))
    assert result["topology"]["shards"][2] == {"id": 4, "cluster": "main", "database": "shard_4", "weight": 0}
    assert result["topology"]["servers"]["pg1"]["databases"] == ["shard_0", "shard_1", "shard_4"]
    (warning,) = result["warnings"]
    assert warning.startswith("empty_shards has 4: ")


def test_providers_are_an_option(preflight):
    inventory = of_pg1("fleet_provider: mine").replace("postgres_port:", "other:")
    assert "fleet_provider is 'mine', which is not a provider" in told(preflight(inventory))
    assert "topology" in preflight(inventory, fleet_providers=["mine", "docker"])


def test_h7_all_problems_are_named_once_and_each_has_its_code(preflight):
    inventory = of_pg1("their_port: 99999").replace("consul_server:", "discovery:").replace("[gossip_key]", "[absent]")
    result = preflight(inventory)
    assert result["code"] == "invalid_inventory"
    assert [problem["code"] for problem in result["problems"]] == ["empty_group", "missing_secret", "invalid_port"]
    assert result["problems"][2] == {
        "code": "invalid_port",
        "host": "pg1r",
        "text": "postgres_port is 99999, which is not a port",
    }
    assert told(result) == (
        "the group consul_server has no host; Consul needs at least one server. "
        "consul1, lb1 and 3 more hosts: the secret absent is not set. "
        "pg1r: postgres_port is 99999, which is not a port."
    )
    assert result["msg"] == "3 problems with the inventory, each named in problems. Nothing was changed."


def test_h5_a_secret_under_a_name_that_is_not_quite_right_is_told_both_ways(preflight):
    inventory = of_pg1("their_port: 6432").replace(
        "postgres_replicator_password: only", "postgres_replicator_pasword: only"
    )
    result = preflight(inventory)
    assert told(result) == "pg1 and pg1r: the secret postgres_replicator_password is missing."
    assert result["warnings"] == [
        "consul1, lb1 and 3 more hosts: postgres_replicator_pasword is not known here; did you mean "
        "postgres_replicator_password; platform_own_variables takes names of your own."
    ]
    assert "only-here" not in repr(result)


def test_h5_a_right_inventory_has_no_warning(preflight):
    assert preflight(of_pg1("their_port: 6432"))["warnings"] == []


def test_what_several_hosts_share_is_told_once(preflight):
    inventory = of_pg1("their_port: 6432").replace("postgres_replicator_password: only-here", "unused: true")
    result = preflight(inventory)
    assert [problem["host"] for problem in result["problems"]] == [""]
    assert result["msg"] == "1 problem with the inventory, named in problems. Nothing was changed."
    assert told(result) == "pg1 and pg1r: the secret postgres_replicator_password is missing."


def test_a_server_without_a_cluster_is_told_once(preflight):
    inventory = of_pg1("their_port: 6432").replace('postgres_cluster: "{{ hostvars', 'other: "{{ hostvars')
    assert [problem["code"] for problem in preflight(inventory)["problems"]] == ["no_cluster"]


INVENTORIES = Path(__file__).resolve().parents[4] / "inventories"
SECRETS = {
    "consul_gossip_key": "MDEyMzQ1Njc4OWFiY2RlZg==",
    **{f"consul_{name}_token": f"00000000-0000-4000-8000-00000000000{index}" for index, name in enumerate(TOKENS)},
    "postgres_replicator_password": "hidden",
    "postgres_patroni_password": "hidden",
    "pgbouncer_password": "hidden",
}


@pytest.fixture(name="example")
def _example(preflight, tmp_path):
    """A function that runs preflight on a copy of an inventory of the collection, with the secrets that are given."""

    def run(name, **secrets):
        ignored = shutil.ignore_patterns("secrets.yml")
        shutil.copytree(INVENTORIES / name, tmp_path, dirs_exist_ok=True, ignore=ignored)
        written = yaml.safe_dump({**SECRETS, **secrets})
        (tmp_path / "group_vars/all/secrets.yml").write_text(written, encoding="utf-8")
        return preflight(None)

    return run


def test_h11_the_secrets_of_the_reference_api_are_asked_for_where_it_runs(example):
    assert "reference_api_database_password is not set" in told(example("lab", redis_password="hidden"))
    passwords = ("redis_password", "reference_api_database_password", "reference_api_queue_password")
    result = example("lab", **dict.fromkeys(passwords, "hidden"))
    assert not result.get("failed"), told(result)
    assert result["topology"]["applications"]["reference_api"]["service"] == "api"


def test_h10_h11_the_production_example_asks_for_nothing_of_the_reference_api(example):
    assert "shop_database_password" in told(example("production"))
    result = example("production", shop_database_password="hidden")
    assert not result.get("failed"), told(result)
    assert not result.get("warnings")
    assert (result["topology"]["shards"], list(result["topology"]["applications"])) == ([], ["shop"])
    assert "hidden" not in repr(result)


def test_all_that_is_wrong_with_an_application_is_told_at_once(preflight):
    entry = "group: api, command: [/usr/bin/python3, server.py], source: book, port: 9000"
    bad = f"{{{entry}, database: {{cluster: other, password: x}}, site: {{tls: {{}}}}, pool: {{min: 3, max: 2}}}}"
    both = f"{{shop: {{{entry}}}, book: {bad}}}"
    given = INVENTORY.replace("{shop: {group: api, role: acme.shop.deploy, secrets: [gossip_key]}}", both)
    texts = [one["text"] for one in preflight(given)["problems"]]
    for says in ("cluster is 'other'", "min is 3 and max is 2", "the port of book and the port of shop both want"):
        assert [text for text in texts if says in text], texts
    assert len(set(texts)) == len(texts)
