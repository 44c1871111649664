# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platform in a few lines for a person: which VM is where, and what runs on it; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_platform import (
    applications_of,
    services_of,
)
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, leader_of


def describe(platform: Platform) -> list[str]:
    """Return a table of the hosts that work, and the addresses at which the platform answers."""
    rows = [("VM", "address", "what runs there")]
    for host in platform.hosts:
        works = ", ".join(_works(platform, host))
        if works:
            rows.append((host, platform.address(host), works))
    width = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:<{width[0]}}  {address:<{width[1]}}  {works}" for name, address, works in rows]
    urls = [f"http://{platform.address(host)}/" for host in platform.members("loadbalancer")]
    return [*lines, "", *urls] if urls else lines


def _works(platform: Platform, host: str) -> t.Iterator[str]:
    services = services_of(platform, host)
    if "nginx" in services:
        yield "nginx"
    yield from applications_of(platform, host)
    cluster = platform.cluster_of(host)
    if cluster and "postgres" in services:
        held = ", ".join(cluster.all_databases)
        leads = leader_of(cluster).name == host
        yield f"{'leads' if leads else 'replica in'} {cluster.name} ({held}), PgBouncer"
    if host in platform.members("cache"):
        yield "Redis, a cache"
    if host in platform.members("monitoring"):
        yield "Redis, the metric store"
    if "rabbitmq" in services:
        yield "RabbitMQ"
    if host in platform.members("consul_server"):
        yield "Consul server"
