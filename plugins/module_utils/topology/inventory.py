# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight is told of an inventory, and the words in which faults are told."""

from __future__ import annotations

import dataclasses
import typing as t

#: The variables of a host that decide what the platform looks like.
VARIABLES = (
    "ansible_host",
    "platform_address",
    "platform_shard_buckets",
    "fleet_provider",
    "postgres_role",
    "postgres_primary",
    "postgres_shards",
    "postgres_port",
    "pgbouncer_port",
    "postgres_database_owner",
    "postgres_users",
)


@dataclasses.dataclass(frozen=True)
class Unevaluated:
    """The value of a variable whose template failed.

    :param reason: a clause for the user, without a value.
    """

    reason: str


@dataclasses.dataclass(frozen=True)
class Groups:
    """The names that the platform's groups have in the inventory."""

    postgres: str = "postgres"
    consul_server: str = "consul_server"
    loadbalancer: str = "loadbalancer"
    api: str = "api"


@dataclasses.dataclass(frozen=True)
class Inventory:
    """Hosts with their evaluated variables, and groups.

    :param hosts: for each host, in inventory order, those of :data:`VARIABLES` and of ``secrets`` that are set.
    :param groups: for each group, the names of its hosts.
    :param names: what the platform's groups are called.
    :param secrets: variables that must have a value on every host, which is never told.
    :param providers: the fleet providers that exist.
    """

    hosts: t.Mapping[str, t.Mapping[str, t.Any]]
    groups: t.Mapping[str, t.Sequence[str]]
    names: Groups = Groups()
    secrets: tuple[str, ...] = ()
    providers: tuple[str, ...] = ("docker", "static")

    def members(self, group: str) -> list[str]:
        """Return the hosts of a group in the order of the inventory; none where there is no such group."""
        return [host for host in self.groups.get(group, ()) if host in self.hosts]

    def value(self, host: str, variable: str) -> t.Any:
        """Return a variable's value, or None where it is not set or could not be evaluated."""
        value = self.hosts[host].get(variable)
        return None if isinstance(value, Unevaluated) else value


def together(hosts: t.Sequence[str]) -> str:
    """Name hosts that share a fault in a sentence of bounded length."""
    if len(hosts) == 1:
        return hosts[0]
    if len(hosts) <= 3:
        return f"{', '.join(hosts[:-1])} and {hosts[-1]}"
    return f"{hosts[0]}, {hosts[1]} and {len(hosts) - 2} more hosts"
