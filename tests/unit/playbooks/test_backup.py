# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What playbooks/backup.yml refuses before it reaches a host; the molecule scenario pgbackrest takes backups."""

from __future__ import annotations

import pytest
import yaml


def inventory(*backup):
    hosts = {name: {"platform_address": f"192.0.2.{number}"} for number, name in enumerate(["pg1", "repo1"], 1)}
    hosts["pg1"]["postgres_cluster"] = "main"
    variables = {
        "consul_gossip_key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "consul_management_token": "00000000-0000-4000-8000-000000000001",
        "consul_agent_token": "00000000-0000-4000-8000-000000000002",
        "consul_reader_token": "00000000-0000-4000-8000-000000000003",
        "postgres_replicator_password": "secret",
        "postgres_patroni_password": "secret",
        "pgbouncer_password": "secret",
        "postgres_clusters": {"main": {"databases": ["shop"]}},
        "pgbackrest_cipher_pass": "correct horse battery",
        "pgbackrest_ca_certificate": "certificate",
        "pgbackrest_ca_key": "key",
    }
    groups = {"consul_server": ["pg1"], "postgres": ["pg1"], "backup": [*backup]}
    children = {group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items() if names}
    return yaml.safe_dump({"all": {"vars": variables, "children": children}})


@pytest.mark.parametrize(
    ("backup", "options", "sentence"),
    [
        ((), (), "The group backup must have a host (it has none)"),
        (("repo1",), ("-e", "backup_type=weekly"), "backup_type (weekly) must be full, incr or diff"),
        (("repo1",), ("-e", "backup_cluster=other"), "backup_cluster (other) one of main."),
    ],
)
def test_what_cannot_be_is_refused_before_a_host_is_reached(run_untouched, backup, options, sentence):
    status, said = run_untouched(inventory(*backup), "playbooks/backup.yml", *options)
    assert status == 2, said
    assert sentence in said
