# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts run which service, and of which packages and units it is made; pure."""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.services import archiving

#: The groups whose hosts run a service, in the order in which services need each other. The table of
#: playbooks/site.yml says the same, and a test holds the two.
GROUPS: dict[str, tuple[str, ...]] = {
    "base": ("all",),
    "firewall": ("all",),
    "consul": ("all",),
    "postgres": ("postgres",),
    archiving.SERVICE: (archiving.GROUP, "postgres"),
    "pgbouncer": ("postgres",),
    "redis": ("cache", "monitoring"),
    "rabbitmq": ("queue",),
    "nginx": ("loadbalancer",),
}

#: How the names of the packages begin that a service lives on, and those of its units. What restarts them by itself
#: would do so on all hosts in one night.
PACKAGES: dict[str, tuple[str, ...]] = {
    "consul": ("consul",),
    "postgres": ("postgresql", "patroni"),
    archiving.SERVICE: ("pgbackrest",),
    "pgbouncer": ("pgbouncer",),
    "redis": ("redis", "valkey"),
    "rabbitmq": ("rabbitmq-server", "erlang"),
    "nginx": ("nginx", "libnginx"),
}
UNITS: dict[str, tuple[str, ...]] = {
    "consul": ("consul",),
    "postgres": ("postgresql", "patroni"),
    # A backup that runs for hours as well as the servers that copy its files.
    archiving.SERVICE: ("pgbackrest",),
    "pgbouncer": ("pgbouncer",),
    "redis": ("redis-server", "valkey-server"),
    "rabbitmq": ("rabbitmq-server", "epmd"),
    "nginx": ("nginx",),
}


def here(platform: Platform, host: str) -> list[str]:
    """Return the services of a host, in the table's order."""
    return [
        service
        for service, groups in GROUPS.items()
        if archiving.is_here(platform, service)
        and any(group == "all" or host in platform.groups.get(group, ()) for group in groups)
    ]


def kept_packages(platform: Platform, host: str) -> list[str]:
    """Return regular expressions for the packages that only a run upgrades."""
    return [name for service in here(platform, host) for name in PACKAGES.get(service, ())]


def kept_units(platform: Platform, host: str) -> list[str]:
    """Return regular expressions for the units that only a run restarts, with those of applications and workers."""
    found = [name for service in here(platform, host) for name in UNITS.get(service, ())]
    for one in platform.applications.values():
        if host in platform.groups.get(one.group, ()):
            found.append(rf"{one.name}(-[a-z0-9_-]+)?\.service$")
    return found
