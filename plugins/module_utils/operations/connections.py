# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many connections the servers of the reference API may open, and whether those that answer take so many; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Platform,
    Problem,
    Server,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services import pgbouncer, postgres
from ansible_collections.scaleout.platform.plugins.module_utils.topology.applications import REFERENCE_API
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import number, together

#: Files and connections that a process of an application may have open where its limits say nothing.
OPEN_FILES = 65536
#: Connections to a database beside those of the pool: the watch's, and to a leader the worker's.
_WATCH, _WORKER = 1, 1


@dataclasses.dataclass(frozen=True)
class Demand:
    """What one server of the API opens at the most.

    :param pool: its pool's connections to one database of one server.
    :param servers: how many of these there may be.
    """

    application: str
    pool: int
    servers: int

    def on(self, databases: int) -> int:
        """Return the connections that all of them may have to one database server."""
        return self.servers * databases * (self.pool + _WATCH + _WORKER)


def problems(platform: Platform, most: t.Mapping[str, int]) -> t.Iterator[Problem]:
    """Say where there are too few connections.

    :param most: applications to look at, and how many servers of each there may be.
    """
    shards = [cluster for cluster in platform.clusters.values() if cluster.shards]
    for application in platform.applications.values():
        members = platform.members(application.group)
        if application.role != REFERENCE_API or not members or application.name not in most:
            continue
        demand = _demand(platform, application, members, most[application.name])
        for cluster in shards:
            yield from _of_cluster(platform, cluster, demand)
        yield from _of_sockets(platform, members, shards, demand)


def _demand(platform: Platform, application: Application, members: t.Sequence[str], most: int) -> Demand:
    pool = number(platform.value(members[0], "reference_api_pool_max", 10)) or 10
    return Demand(application.name, pool, max(most, len(members)))


def _of_cluster(platform: Platform, cluster: Cluster, demand: Demand) -> t.Iterator[Problem]:
    needed = demand.on(len(cluster.shards))
    short: dict[tuple[int, str], list[str]] = {}
    for server in cluster.members:
        limit, variable = _limit(platform, cluster, server)
        if 0 < limit < needed:
            short.setdefault((limit, variable), []).append(server.name)
    for (limit, variable), hosts in short.items():
        text = (
            f"{together(hosts)}: {demand.servers} servers of {demand.application} may open {needed} connections to "
            f"{len(cluster.shards)} shard{'' if len(cluster.shards) == 1 else 's'}, {demand.pool} "
            f"(reference_api_pool_max) and {_WATCH + _WORKER} more for each, and {variable} is {limit}; raise the one "
            "or lower the other"
        )
        yield Problem("too_few_connections", "", text)


def _limit(platform: Platform, cluster: Cluster, server: Server) -> tuple[int, str]:
    if server.pooler_port is None:
        limits = postgres.declared_limits(platform, server.name, cluster)
        return limits["max_connections"] - pgbouncer.RESERVED, "PostgreSQL's max_connections, less those of superusers,"
    return number(pgbouncer.settings(platform, server.name)["max_client_conn"]) or 0, "pgbouncer_max_client_conn"


def _of_sockets(
    platform: Platform, members: t.Sequence[str], shards: t.Sequence[Cluster], demand: Demand
) -> t.Iterator[Problem]:
    databases = sum(len(cluster.shards) * len(cluster.members) for cluster in shards)
    needed = databases * (demand.pool + _WATCH)
    short: dict[int, list[str]] = {}
    for host in members:
        limits = platform.value(host, "reference_api_limits", {})
        given = number(limits.get("open_files")) if isinstance(limits, t.Mapping) else None
        limit = given or OPEN_FILES
        # The other half is for those who ask it.
        if needed * 2 > limit:
            short.setdefault(limit, []).append(host)
    for limit, hosts in short.items():
        text = (
            f"{together(hosts)}: a server of {demand.application} may open {needed} sockets to {databases} databases, "
            f"those of replicas among them, which is more than half of the {limit} that reference_api_limits lets it "
            f"have (open_files); raise it to {needed * 2}"
        )
        yield Problem("too_few_sockets", "", text)
