# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What playbooks/restore.yml refuses before it reaches a host; the molecule scenario pgbackrest restores a cluster."""

from __future__ import annotations

import pytest
import yaml


def inventory(backup):
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
    groups = {"consul_server": ["pg1"], "postgres": ["pg1"], "backup": ["repo1"] if backup else []}
    children = {group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items() if names}
    return yaml.safe_dump({"all": {"vars": variables, "children": children}})


@pytest.mark.parametrize(
    ("options", "backup", "sentence"),
    [
        ((), True, "cluster: None is not set; say -e cluster=NAME, where NAME is main."),
        (("cluster=main",), True, "to: None is not set; say -e to=, with a time with its zone such as 2026-11-29T"),
        (
            ("cluster=main", "to=2026-11-29T21:24:05"),
            True,
            "has no time zone; say one, such as 2026-11-29T21:24:05+00.",
        ),
        # Ansible makes two words of it.
        (
            ("cluster=main", "to=2026-11-29 21:24:05+00"),
            True,
            "to: '2026-11-29' has no time of day; write it without a blank, as in 2026-11-29T21:24:05+00.",
        ),
        (
            ("cluster=main", "to=2026-11-29T21:24:05+00", "member=pg2"),
            True,
            "member: 'pg2' is not a member of main; its members are pg1.",
        ),
        (("cluster=main", "to=newest"), False, "There are no backups: the group backup has no host."),
    ],
)
def test_what_cannot_be_is_refused_before_a_host_is_reached(run_untouched, options, backup, sentence):
    given = [word for option in options for word in ("-e", option)]
    status, said = run_untouched(inventory(backup), "playbooks/restore.yml", *given)
    assert status == 2, said
    assert sentence in said
    assert "Traceback" not in said
