# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each module hands its options to its operation, and a failure has its code."""

from __future__ import annotations

import importlib
import json

import pytest
from ansible.module_utils.testing import patch_module_args

MODULES = "ansible_collections.scaleout.platform.plugins.modules."
SHARDS = {
    "clusters": [{"name": "main", "members": [{"host": "pg1"}]}],
    "shards": [{"id": 0, "cluster": "main"}],
}
GROUP = {"group": "api", "count": 1, "provider": "static"}
RELEASE = {"name": "shop", "version": "1", "digest": "d", "unit": "u"}
SAMPLED = {"service": "shop", "instance": "shop1", "look": 0}
TOKENS = {"agent_token": "6f1c2a54-93c0-4d57-8a58-0f6f0c7f1f02", "consul_port": 1}
MEMBER = {"cluster": "main", "member": "a", "data": "/nowhere/main", "programs": "/n", "patroni_host": "127.0.0.1"}
NOWHERE = {"login_host": "127.0.0.1", "login_port": 1}


@pytest.mark.parametrize(
    ("module", "options", "code", "says"),
    [
        (
            "consul_tokens",
            {"hosts": [{"name": "a"}], **TOKENS, "consul_port": 0},
            "invalid_input",
            "consul_port: 0 is not",
        ),
        ("consul_tokens", {"hosts": [{"name": "a"}], **TOKENS}, "unreachable", "Cannot reach Consul at 127.0.0.1:1: "),
        ("health_gate", {"unit": "a.service", "port": 0}, "invalid_input", "port: 0 must be between 1 and 65535."),
        ("members", {**GROUP, "group": "a-b"}, "invalid_input", "group: 'a-b' is not the name of a group"),
        ("members", {**GROUP, "consul_port": 1}, "unreachable", "Cannot reach Consul at 127.0.0.1:1: "),
        ("release", {**RELEASE, "name": "A"}, "invalid_input", "name: 'A' must be 1 to 31 of a-z"),
        ("release", {**RELEASE, "environment": {"A": 1}, "secrets": {"A": 1}}, "invalid_input", "A is in both"),
        ("release", {**RELEASE, "limits": {"memory": 1}}, "invalid_input", "limits: memory is not a limit"),
        ("release_archive", {"src": "/none", "dest": "/none"}, "invalid_input", "src: '/none' does not exist."),
        ("release_archive", {"src": "/none", "dest": "/"}, "invalid_input", "dest: '/' is a directory"),
        ("replication_slot", {"name": "A", **NOWHERE}, "invalid_input", "name: 'A' is not a slot name"),
        ("replication_slot", {"name": "a", **NOWHERE}, "unreachable", "Cannot reach PostgreSQL at 127.0.0.1:1: "),
        ("replication_slot_info", {"pattern": "A", **NOWHERE}, "invalid_input", "pattern: 'A' is not a pattern"),
        ("package_updates_info", {"packages": ["("]}, "invalid_input", "packages: '(' is no regular expression: "),
        ("partition_set", {"table": "a", **NOWHERE}, "invalid_input", "column: '' is needed for public.a"),
        ("partition_set_info", NOWHERE, "unreachable", "Cannot reach PostgreSQL at 127.0.0.1:1: "),
        ("replication_slot_info", NOWHERE, "unreachable", "Cannot reach PostgreSQL at 127.0.0.1:1: "),
        (
            "scaling_replay",
            {"policy": {"min": 1, "max": 2}, "trace": {"kind": "saw", "hours": 1}, "member": {"capacity": 100}},
            "invalid_input",
            "policy.interval: is required.",
        ),
        ("cluster_restart", {"patroni_host": "127.0.0.1", "timeout": 0}, "invalid_input", "timeout: 0 is less than"),
        (
            "cluster_restart",
            {"patroni_host": "127.0.0.1", "patroni_port": 1},
            "unreachable",
            "Cannot reach Patroni at 127.0.0.1:1: ",
        ),
        (
            "cluster_restart",
            {"patroni_host": "127.0.0.1", "unit": "patroni.service", "members": ["a"]},
            "invalid_input",
            "unit: 'patroni.service' restarts the member of this host: members has to name it alone, and only_pending",
        ),
        (
            "cluster_switchover",
            {"patroni_host": "127.0.0.1", "hold": 60},
            "invalid_input",
            "hold: 60.0 is not a number",
        ),
        (
            "cluster_switchover",
            {"patroni_host": "127.0.0.1", "patroni_port": 1},
            "unreachable",
            "Cannot reach Patroni at 127.0.0.1:1: ",
        ),
        (
            "cluster_reinit",
            {"patroni_host": "127.0.0.1", "member": "a", "wait": -1},
            "invalid_input",
            "wait: -1 is less",
        ),
        (
            "cluster_reinit",
            {"patroni_host": "127.0.0.1", "patroni_port": 1, "member": "a"},
            "unreachable",
            "Cannot reach Patroni at 127.0.0.1:1: ",
        ),
        ("restore_aside", {"cluster": "main", "programs": "/n"}, "invalid_input", "restore: {} lacks told, command"),
        ("restore_member", {**MEMBER, "state": "led"}, "invalid_input", "restore: {} lacks id, member, asked"),
        ("restore_member", {**MEMBER, "wait": -1}, "invalid_input", "wait: -1.0 is less than 0."),
        ("restore_member", {**MEMBER, "consul_port": 1}, "unreachable", "Cannot reach Consul at 127.0.0.1:1: "),
        (
            "server_settings",
            {"patroni_host": "127.0.0.1", "reload": False, **NOWHERE},
            "invalid_input",
            "reload: False does not go with patroni_host",
        ),
        ("server_settings", {"cores": 0, **NOWHERE}, "invalid_input", "cores: 0 is less than 1."),
        ("server_settings", {"memory": "8", **NOWHERE}, "invalid_input", "memory: '8' has no unit"),
        ("server_settings", NOWHERE, "unreachable", "Cannot reach PostgreSQL at 127.0.0.1:1: "),
        ("scaling_journal", {"group": "a-b"}, "invalid_input", "group: 'a-b' is not the name of a group"),
        (
            "scaling_journal",
            {"group": "api", "state": "begun", "run": "r", "action": {"direction": "up", "from": 3, "to": 3}},
            "invalid_input",
            "action: {'direction': 'up', 'from': 3, 'to': 3, 'by': '', 'why': '', 'replaced': []} cannot be: it goes",
        ),
        ("scaling_journal", {"group": "api", "consul_port": 1}, "unreachable", "Cannot reach Consul at 127.0.0.1:1: "),
        ("service_metrics_info", {**SAMPLED, "port": 0}, "invalid_input", "port: 0 is not a port"),
        (
            "service_metrics_info",
            {**SAMPLED, "port": 1, "application_required": True},
            "unreachable",
            "Cannot reach the application's metrics at 127.0.0.1:1: Connection refused.",
        ),
        ("shard_map", {**SHARDS, "keep_versions": 0}, "invalid_input", "keep_versions: 0 is not a number of versions"),
        ("shard_map", {**SHARDS, "shards": []}, "invalid_map", "A shard map needs at least one shard."),
        ("shard_map", {**SHARDS, "consul_port": 1}, "unreachable", "Cannot reach Consul at 127.0.0.1:1: "),
        (
            "site_gate",
            {"timeout": 0, "questions": [{"site": "shop", "url": "http://127.0.0.1:1/"}]},
            "not_serving",
            "The site shop at http://127.0.0.1:1/ did not answer (Connection refused).",
        ),
        ("shard_map_info", {"version": 0}, "invalid_input", "version: 0 is not a version"),
        ("shard_map_info", {"consul_port": 1}, "unreachable", "Cannot reach Consul at 127.0.0.1:1: "),
    ],
)
def test_what_cannot_be_done_is_one_sentence_with_a_code(capsys, module, options, code, says):
    main = importlib.import_module(MODULES + module).main
    with patch_module_args(options), pytest.raises(SystemExit):
        main()
    result = json.loads(capsys.readouterr().out)
    assert (result["failed"], result["code"]) == (True, code), result
    assert result["msg"].startswith(says)
