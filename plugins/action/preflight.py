# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/preflight.py``: reads the inventory on the controller and touches no host."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.hashing import BUCKETS
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.map import InvalidMap
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.plan import next_map
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.spec import wanted_shards
from ansible_collections.scaleout.platform.plugins.module_utils.topology.databases import Topology
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import (
    VARIABLES,
    Groups,
    Inventory,
    Unevaluated,
)
from ansible_collections.scaleout.platform.plugins.module_utils.topology.platform import InvalidInventory, read


class ActionModule(ActionBase):
    """Fails with one sentence, or returns the topology."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(
            {
                "secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
                "postgres_group": {"type": "str", "default": Groups.postgres},
                "consul_server_group": {"type": "str", "default": Groups.consul_server},
                "loadbalancer_group": {"type": "str", "default": Groups.loadbalancer},
                "api_group": {"type": "str", "default": Groups.api},
                "fleet_providers": {"type": "list", "elements": "str", "default": list(Inventory.providers)},
            }
        )
        try:
            topology = read(self._inventory(options, task_vars or {}))
            _check_buckets(topology)
        except ScaleoutError as error:
            result.update(failed=True, msg=error.message, **error.facts)
        else:
            result.update(changed=False, topology=topology.document())
        return result

    def _inventory(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Inventory:
        groups = {name: [str(host) for host in hosts] for name, hosts in task_vars["groups"].items()}
        secrets = tuple(options["secrets"])
        return Inventory(
            hosts={
                host: self._variables(host, (*VARIABLES, *secrets), task_vars["hostvars"]) for host in groups["all"]
            },
            groups=groups,
            names=Groups(
                postgres=options["postgres_group"],
                consul_server=options["consul_server_group"],
                loadbalancer=options["loadbalancer_group"],
                api=options["api_group"],
            ),
            secrets=secrets,
            providers=tuple(options["fleet_providers"]),
        )

    def _variables(self, host: str, names: t.Iterable[str], hostvars: t.Any) -> dict[str, t.Any]:
        """Evaluate the named variables of a host, one by one, so that no other variable can be in the way."""
        raw = hostvars.raw_get(host)
        templar = self._templar.copy_with_new_env(available_variables={**raw, "hostvars": hostvars})
        values = {}
        for name in names:
            if name not in raw:
                continue
            try:
                values[name] = templar.template(raw[name])
            except AnsibleUndefinedVariable as error:
                values[name] = Unevaluated(
                    f"cannot be evaluated, because something in it is undefined ({error.message})"
                )
            except AnsibleError:
                # What a filter or a vault has to say may hold a part of the value.
                values[name] = Unevaluated("cannot be evaluated")
        return values


def _check_buckets(topology: Topology) -> None:
    """Let the shard map's planner judge the buckets of the inventory."""
    try:
        next_map(None, wanted_shards(topology.cluster_list(), topology.shards()), BUCKETS)
    except InvalidMap as error:
        raise InvalidInventory([f"platform_shard_buckets: {error.message}"]) from error
