# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts of an inventory have a token of Consul, what each may register with it, and who makes it; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform
from ansible_collections.scaleout.platform.plugins.module_utils.services import patroni, redis
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_tokens import described
from ansible_collections.scaleout.platform.plugins.module_utils.services.table import GROUPS

SERVERS = "consul_server"


def declared(platform: Platform, host: str) -> list[str]:
    """Return the services of a host by the inventory, sorted.

    A pool's own host may register the pool's application while it is not a member: it joins again without a change.
    """
    static = platform.value(host, "fleet_static_members", {})
    found = {str(name) for name in platform.value(host, "consul_services", [])}
    for one in platform.applications.values():
        own = static.get(one.group, ()) if isinstance(static, t.Mapping) else ()
        if host in platform.groups.get(one.group, ()) or any(member.get("name") == host for member in own):
            found.add(one.service)
    for service, (variable, names) in _NAMES.items():
        if any(host in platform.groups.get(group, ()) for group in GROUPS[service]) and platform.is_on(host, variable):
            found.update(names(platform, host))
    return sorted(found - {""})


#: The variable by which a service is registered, and what it is called in Consul.
_NAMES: dict[str, tuple[str, t.Callable[[Platform, str], t.Iterable[str]]]] = {
    "postgres": ("postgres_consul_service", lambda _platform, _host: ["postgres"]),
    "pgbouncer": ("pgbouncer_consul_service", lambda _platform, _host: ["pgbouncer"]),
    "rabbitmq": ("rabbitmq_consul_service", lambda _platform, _host: ["rabbitmq"]),
    "redis": (
        "redis_consul_service",
        lambda platform, host: [str(one["consul_service_name"]) for one in redis.instances(platform, host)],
    ),
    "nginx": ("nginx_consul", lambda platform, host: [str(platform.value(host, "nginx_service_name", "nginx"))]),
}


def described_host(platform: Platform, host: str, more: t.Iterable[str] = ()) -> dict[str, t.Any]:
    """Return a host as the module ``consul_tokens`` takes it.

    :param more: services beside those that the inventory declares.
    """
    services = sorted({*declared(platform, host), *more})
    return {"name": host, "node": str(platform.value(host, "consul_node_name", host)), "services": services}


def hosts_of(platform: Platform) -> list[dict[str, t.Any]]:
    """Return all hosts that are to have a token.

    Those that wait are not, nor are those that were written off, unless this run has reached them for other work.
    """
    idle, lost, reached = (platform.groups.get(name, ()) for name in ("fleet_idle", "fleet_lost", "platform_reached"))
    found = [
        described_host(platform, host, _of_app(platform, host))
        for host in platform.hosts
        if host not in idle and (host not in lost or host in reached)
    ]
    return [*found, *(_of_cluster(one) for _name, one in sorted(platform.clusters.items()))]


def _of_cluster(cluster: Cluster) -> dict[str, t.Any]:
    """Return the program that keeps a cluster's state in Consul, as the module ``consul_tokens`` takes it."""
    return {"name": patroni.token(cluster), "node": "", "services": [], "keys": [f"service/{cluster.name}/"]}


def _of_app(platform: Platform, host: str) -> list[str]:
    """An application that the inventory describes by the role's own variables."""
    name = platform.value(host, "app_name")
    if name is None or not platform.is_on(host, "app_consul", True):
        return []
    return [str(platform.value(host, "app_service") or name)]


def servers_to_ask(platform: Platform, host: str, description: str | None) -> list[str]:
    """Return the servers of which one has to give a host its token before Consul's role runs there.

    None where that is done already: a server that takes part in the play sees to all hosts.

    :param description: of the host's token; None where Consul knows none, or does not say.
    """
    if not platform.playing or any(server in platform.playing for server in platform.members(SERVERS)):
        return []
    if description is not None and set(declared(platform, host)) <= described(description):
        return []
    return answering(platform)


def answering(platform: Platform) -> list[str]:
    """Return a server that this run has reached; all of them where it has reached none, as far as is known."""
    servers, reached = platform.members(SERVERS), platform.groups.get("platform_reached", ())
    return [one for one in servers if one in reached or one in platform.playing][:1] or servers


def of_application(platform: Platform, host: str, service: str, present: bool) -> dict[str, t.Any]:
    """Return who lets a host register an application that the inventory does not know of; empty where it does.

    :param present: whether it is deployed, or removed.
    :return: the ``servers`` to ask, and the ``hosts`` to tell them of.
    """
    if service in declared(platform, host):
        return {}
    return {"servers": answering(platform), "hosts": [described_host(platform, host, [service] if present else [])]}
