# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platform in a few lines for a person: which VM is where, and what runs on it; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed
from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_platform import (
    applications_of,
    services_of,
)
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, leader_of
from ansible_collections.scaleout.platform.plugins.module_utils.services import archiving, nginx


def describe(platform: Platform) -> list[str]:
    """Return a table of the hosts that work, and the addresses at which the platform answers."""
    rows = [("VM", "address", "what runs there")]
    for host in platform.hosts:
        works = ", ".join(_works(platform, host))
        if works:
            rows.append((host, platform.address(host), works))
    width = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:<{width[0]}}  {address:<{width[1]}}  {works}" for name, address, works in rows]
    balancers = platform.members("loadbalancer")
    ways_in = [*_sites(platform, balancers), *_balancers(platform, balancers)]
    label = max((len(name) for name, _address in ways_in), default=0)
    return [*lines, "", *(f"{name:<{label}}  {url}" for name, url in ways_in)] if ways_in else lines


def _sites(platform: Platform, balancers: t.Sequence[str]) -> t.Iterator[tuple[str, str]]:
    """Yield each site that clients ask for by a name, and its URL."""
    sites = {str(site.get("name")): site for host in balancers for site in nginx.sites_of(platform, host)}
    for name, site in sites.items():
        url = _url(site, nginx.name_of(site)) if nginx.name_of(site) else ""
        if url:
            yield f"site {name}", url


def _balancers(platform: Platform, balancers: t.Sequence[str]) -> t.Iterator[tuple[str, str]]:
    """Yield each load balancer, and the URL of its first site by its address."""
    for host in balancers:
        for site in nginx.sites_of(platform, host)[:1]:
            url = _url(site, platform.address(host))
            if url:
                yield f"load balancer {host}", url


def _url(site: t.Mapping[str, t.Any], host: str) -> str:
    """Return the URL at which a site answers by a name or an address; empty for one that has no port."""
    for listen in nginx.listened([site]):
        port = nginx.port_of(listen)
        if port is not None:
            scheme, usual = ("https", 443) if "ssl" in listen.split() else ("http", 80)
            return f"{scheme}://{bracketed(host)}{'' if port == usual else f':{port}'}/"
    return ""


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
    if host in platform.members(archiving.GROUP):
        yield "keeps the backups"
    if host in platform.members("cache"):
        yield "Redis, a cache"
    if host in platform.members("monitoring"):
        yield "Redis, the metric store"
    if "rabbitmq" in services:
        yield "RabbitMQ"
    if host in platform.members("consul_server"):
        yield "Consul server"
