# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/preflight.py``: reads the inventory on the controller and touches no host."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.names import FLEET_PROVIDERS
from ansible_collections.scaleout.platform.plugins.module_utils.operations import sampling, scaling_policy, upkeep
from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_inventory import check
from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_platform import chosen
from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_sources import DIRECTORY, FILE
from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_sources import problems as missing
from ansible_collections.scaleout.platform.plugins.module_utils.operations.describe import describe
from ansible_collections.scaleout.platform.plugins.module_utils.operations.read_map import first_published
from ansible_collections.scaleout.platform.plugins.plugin_utils.inventory import (
    Hosts,
    consul_servers,
    groups_of,
    names,
)

#: Where playbooks/_shard_map.yml publishes.
MAP_KEY = "scaleout/shard_map"


def _look(path: str) -> str:
    """Say what is at a path, which the module that packs releases expands the same way."""
    path = os.path.expanduser(os.path.expandvars(path))
    return DIRECTORY if os.path.isdir(path) else FILE if os.path.exists(path) else ""


class ActionModule(ActionBase):
    """Fails with all that is wrong, or returns the topology."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _validation, options = self.validate_argument_spec(
            {
                "secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
                "fleet_providers": {"type": "list", "elements": "str", "default": list(FLEET_PROVIDERS)},
                "sources": {"type": "bool", "default": False},
            }
        )
        hosts, groups = Hosts(task_vars, self._templar), groups_of(task_vars)
        run, skip = (task_vars.get(f"ansible_{which}_tags") or () for which in ("run", "skip"))
        tags = (run or ("all",), skip)
        # With a limit, what it leaves out is not deployed. A play on localhost is about all hosts.
        about = [host for host in task_vars.get("ansible_play_hosts_all") or () if host in hosts] or list(hosts)
        try:
            platform, topology, warnings = check(
                hosts,
                groups,
                options["secrets"],
                options["fleet_providers"],
                names(),
                lambda: first_published(consul_servers(hosts, groups), MAP_KEY),
                lambda found: missing(found, about, *tags, os.getcwd(), _look) if options["sources"] else [],
            )
        except ScaleoutError as error:
            return {**result, "failed": True, **error.result()}
        return {
            **result,
            "changed": False,
            "topology": topology,
            "services": {host: chosen(platform, host, *tags, os.getcwd()) for host in platform.hosts},
            "sampled": sampling.of(platform, platform.applications, scaling_policy.policies(platform)),
            "upkeep": upkeep.of(platform),
            "description": describe(platform),
            "warnings": [str(warning) for warning in warnings],
        }
