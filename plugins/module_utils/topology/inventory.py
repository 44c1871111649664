# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of an inventory, and the words in which its problems are told."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem, Unevaluated

#: The variables of a host that decide what the platform looks like.
VARIABLES = (
    "ansible_host",
    "applications",
    "fleet_provider",
    "pgbouncer_port",
    "platform_address",
    "platform_shard_buckets",
    "postgres_cluster",
    "postgres_clusters",
    "postgres_port",
)

#: Those of which each part is evaluated by itself: a secret that is missing is told by its name, and what an
#: environment holds may need a host that is not there yet.
PIECEMEAL = ("applications",)

#: The groups whose names have a meaning; an application names a group of its own.
POSTGRES = "postgres"
CONSUL_SERVER = "consul_server"
LOADBALANCER = "loadbalancer"


class Reader:
    """Reads variables of an inventory and collects the problems on the way."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.problems: list[Problem] = []

    def problem(self, code: str, host: str, text: str) -> None:
        self.problems.append(Problem(code, host, text))

    def of(self, code: str, host: str, variable: str, text: str) -> None:
        """Note a problem with a variable, unless it only follows from a template that failed: that one is told."""
        if not isinstance(self.platform.hosts[host].get(variable), Unevaluated):
            self.problem(code, host, f"{variable} {text}")

    def shared(self, code: str, variable: str, hosts: t.Iterable[str]) -> t.Any:
        """Return the value of a variable that is one for the whole platform; None where no host has it.

        :param hosts: those that must have it, and the same.
        """
        stated = [host for host in self.platform.hosts if self.platform.value(host, variable) is not None]
        if not stated:
            return None
        value = self.platform.value(stated[0], variable)
        for host in dict.fromkeys([*hosts, *stated]):
            if self.platform.value(host, variable) != value:
                self.of(code, host, variable, f"is not what it is on {stated[0]}; put it into group_vars/all")
                break
        return value


def number(value: t.Any) -> int | None:
    """Return a number that may have become text in a template; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None


def together(hosts: t.Sequence[str]) -> str:
    """Name hosts that share a problem in a sentence of bounded length."""
    if len(hosts) == 1:
        return hosts[0]
    if len(hosts) <= 3:
        return f"{', '.join(hosts[:-1])} and {hosts[-1]}"
    return f"{hosts[0]}, {hosts[1]} and {len(hosts) - 2} more hosts"
