# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The services by name, where they run, and what is wrong with any of them; pure, the rooms have the rules."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import (
    app,
    base,
    consul,
    listen,
    nginx,
    pgbouncer,
    postgres,
    rabbitmq,
    redis,
)


class Service(t.Protocol):
    """What a file of ``services`` offers; a module is one."""

    #: The module that reads the service's state on its host; None where nothing of the host decides.
    STATE_MODULE: str | None

    def problems(self, platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
        """Say why the host cannot have the service that the inventory describes; without a state, what shows in it."""

    def listens(self, platform: Platform, host: str) -> list[listen.Listen]:
        """Return the ports that it takes."""

    def health(self, platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
        """Say what keeps it from being healthy, as clauses."""

    def wanted(self, platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
        """Return what templates and tasks of its role need to know; no secret."""


#: By the role's name.
SERVICES: dict[str, Service] = {
    "base": t.cast(Service, base),
    "consul": t.cast(Service, consul),
    "postgres": t.cast(Service, postgres),
    "pgbouncer": t.cast(Service, pgbouncer),
    "redis": t.cast(Service, redis),
    "rabbitmq": t.cast(Service, rabbitmq),
    "app": t.cast(Service, app),
    "nginx": t.cast(Service, nginx),
}

#: The groups whose hosts run a service; the table of playbooks/site.yml says the same, and a test holds the two.
GROUPS: dict[str, tuple[str, ...]] = {
    "base": ("all",),
    "consul": ("all",),
    "postgres": ("postgres",),
    "pgbouncer": ("postgres",),
    "redis": ("cache", "monitoring"),
    "rabbitmq": ("queue",),
    "app": ("api",),
    "nginx": ("loadbalancer",),
}

#: Hosts that wait for work or have left; they run nothing.
IDLE = "fleet_idle"


def services_of(platform: Platform, host: str) -> list[str]:
    """Return the services that a host runs, in the table's order."""
    if host in platform.groups.get(IDLE, ()):
        return []
    return [service for service, groups in GROUPS.items() if any(host in platform.groups.get(g, ()) for g in groups)]


def problems(platform: Platform) -> list[Problem]:
    """Return what is wrong with the services of all hosts, as far as the inventory shows it."""
    found: list[Problem] = []
    for host in platform.hosts:
        here = services_of(platform, host)
        own = [problem for service in here for problem in SERVICES[service].problems(platform, host)]
        found += own
        if not own:
            found += listen.fights(host, {service: SERVICES[service].listens(platform, host) for service in here})
    return found
