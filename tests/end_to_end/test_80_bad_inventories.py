# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A wrong inventory stops in preflight, with one sentence that names what is wrong, before any host is spoken to."""

from __future__ import annotations

import shutil

import pytest
import yaml

from tests.end_to_end import lab, playbooks
from tools.lab.labs import LABS

pytestmark = lab.any_size


class Inventory:
    """A copy of the lab's inventory, to be broken. None of its VMs has to exist."""

    def __init__(self, path):
        self.path = path
        shutil.copytree(LABS["lab"].inventory, path)
        self._hosts = yaml.safe_load((path / "hosts.yml").read_text())

    def host(self, name):
        groups = [group.get("hosts", {}) for group in self._hosts["all"]["children"].values()]
        return next(hosts[name] for hosts in groups if name in hosts)

    def group(self, name):
        return self._hosts["all"]["children"][name]["hosts"]

    def every(self, **variables):
        # The last file of the folder wins over the others, and all of them over the variables in hosts.yml.
        (self.path / "group_vars/all/zz_broken.yml").write_text(yaml.safe_dump(variables))

    def forget_secret(self, name):
        file = self.path / "group_vars/all/secrets.yml"
        file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith(f"{name}:")))

    def save(self):
        (self.path / "hosts.yml").write_text(yaml.safe_dump(self._hosts))


def a_cluster_without_servers(inventory):
    for name in ("pg1", "pg1r"):
        inventory.host(name)["postgres_cluster"] = "pg2"


def no_database_servers(inventory):
    inventory.group("postgres").clear()


def two_clusters_for_a_shard(inventory):
    inventory.every(postgres_clusters={"pg1": {"shards": [0, 1]}, "pg2": {"shards": [1, 2]}, "analytics": {}})


def a_server_without_a_cluster(inventory):
    del inventory.host("pg2r")["postgres_cluster"]


def a_gap_in_the_buckets(inventory):
    inventory.every(platform_shard_buckets={0: [[0, 1023]], 1: [[1024, 2047]], 2: [[2049, 3071]], 3: [[3072, 4095]]})


def an_unknown_provider(inventory):
    inventory.host("api2")["fleet_provider"] = "cloud"


def a_missing_secret(inventory):
    inventory.forget_secret("postgres_replicator_password")


def a_missing_secret_of_patroni(inventory):
    inventory.forget_secret("postgres_patroni_password")


def a_missing_secret_of_the_poolers(inventory):
    inventory.forget_secret("pgbouncer_password")


def no_member_may_lead(inventory):
    for name in ("pg1", "pg1r"):
        inventory.host(name)["postgres_nofailover"] = True


def a_timing_that_patroni_would_not_take(inventory):
    inventory.host("pg2")["postgres_patroni_settings"] = {"ttl": 20, "retry_timeout": 10}


def an_unknown_durability(inventory):
    clusters = {"pg1": {"shards": [0, 1], "durability": "always"}, "pg2": {"shards": [2, 3]}}
    inventory.every(postgres_clusters={**clusters, "analytics": {"databases": ["analytics"]}})


def a_missing_secret_of_the_caches(inventory):
    inventory.forget_secret("redis_password")


def a_missing_secret_of_the_application(inventory):
    inventory.forget_secret("reference_api_queue_password")


def an_empty_secret(inventory):
    inventory.host("lb1")["consul_gossip_key"] = ""


def a_hostile_host(inventory):
    inventory.group("api")['api"; DROP TABLE users; --'] = {"ansible_host": "172.29.84.24"}


def a_hostile_owner(inventory):
    inventory.host("pg1")["postgres_database_owner"] = 'a"; DROP ROLE postgres; --'


def a_long_owner(inventory):
    inventory.host("pg1")["postgres_database_owner"] = "a" * 64


def two_hosts_with_one_address(inventory):
    inventory.host("pg1r")["ansible_host"] = inventory.host("pg1")["ansible_host"]


def a_misspelled_variable(inventory):
    inventory.host("pg2")["posgres_shards"] = [2, 3]


def all_applications_absent_s10(inventory):
    inventory.every(app_state="absent")


CASES = [
    (a_cluster_without_servers, ["postgres_cluster", "pg1"]),
    (no_database_servers, ["postgres", "no member"]),
    (two_clusters_for_a_shard, ["pg1", "pg2", "shard 1"]),
    (a_server_without_a_cluster, ["postgres_cluster", "pg2r"]),
    (a_gap_in_the_buckets, ["bucket", "2048"]),
    (an_unknown_provider, ["fleet_provider", "api2", "cloud"]),
    (a_missing_secret, ["postgres_replicator_password"]),
    (a_missing_secret_of_patroni, ["postgres_patroni_password"]),
    (a_missing_secret_of_the_poolers, ["pgbouncer_password"]),
    (no_member_may_lead, ["postgres_nofailover", "pg1"]),
    (a_timing_that_patroni_would_not_take, ["postgres_patroni_settings", "pg2", "ttl"]),
    (an_unknown_durability, ["durability", "pg1", "always"]),
    (a_missing_secret_of_the_caches, ["redis_password"]),
    (a_missing_secret_of_the_application, ["reference_api_queue_password"]),
    (an_empty_secret, ["consul_gossip_key", "lb1"]),
    (a_hostile_host, ["DROP TABLE"]),
    (a_hostile_owner, ["postgres_database_owner", "pg1"]),
    (a_long_owner, ["postgres_database_owner", "pg1", "63"]),
    (two_hosts_with_one_address, ["pg1", "pg1r"]),
    (all_applications_absent_s10, ["app_state", "remove.yml"]),
    (a_misspelled_variable, ["pg2", "posgres_shards", "postgres_clusters"]),
]


@pytest.mark.parametrize(("spoil", "named"), CASES, ids=[spoil.__name__ for spoil, _unused in CASES])
def test_it_stops_in_preflight(spoil, named, tmp_path):
    inventory = Inventory(tmp_path / "inventory")
    spoil(inventory)
    inventory.save()
    # Instead of SSH: whoever is called leaves a mark.
    mark = tmp_path / "called"
    trap = tmp_path / "ssh"
    trap.write_text(f"#!/bin/sh\necho \"$@\" >> '{mark}'\nexit 255\n")
    trap.chmod(0o755)

    run = playbooks.playbook(
        "site.yml",
        "-i",
        str(inventory.path / "hosts.yml"),
        f"--extra-vars=ansible_ssh_executable={trap}",
        log=f"80-{spoil.__name__}",
    )

    assert run.status != 0
    assert not mark.exists(), mark.read_text()
    assert '"name":"Reach every host"' not in run.text.replace('": "', '":"')
    assert len(run.failures) == 1, run.tail()
    sentence = run.failures[0].split(": ", 2)[2]
    print(f"\n{spoil.__name__}: {sentence}")
    assert "\n" not in sentence
    assert "Traceback" not in run.text
    for name in named:
        assert name in sentence
    assert not run.changes
