# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is sampled: the servers of applications, and the poolers before their databases that guards look at; pure.

A guard judges what all servers share, and takes it from whoever reports its metric (W3). ``shard_errors`` comes from
the servers themselves, ``pooler_wait`` from the database servers, as samples of the application that they serve.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy
from ansible_collections.scaleout.platform.plugins.module_utils.topology.applications import REFERENCE_API

POOLER_WAIT, SHARD_ERRORS = "pooler_wait", "shard_errors"

Samples = dict[str, list[dict[str, t.Any]]]


def of(platform: Platform, names: t.Iterable[str], policies: t.Mapping[str, Policy]) -> Samples:
    """Return what is sampled on each host, for each application as the options of ``service_metrics_info``.

    :param names: the applications.
    :param policies: by application, of those that have one.
    """
    found: Samples = {}
    for name in names:
        application = platform.applications[name]
        asks = {guard.metric for guard in policies[name].guards} if name in policies else set()
        asked = poolers(platform, application) if POOLER_WAIT in asks else {}
        members = platform.members(application.group)
        for host in dict.fromkeys([*members, *asked]):
            port, databases = asked.get(host, (None, ()))
            found.setdefault(host, []).append(
                {
                    "name": name,
                    "port": application.port if host in members else None,
                    "pooler_port": port,
                    "pooler_databases": list(databases),
                }
            )
    return found


def poolers(platform: Platform, application: Application) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return the poolers through which an application reaches its databases: by host, the port and the databases."""
    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    for cluster in platform.clusters.values():
        names: tuple[str, ...] = ()
        if application.role == REFERENCE_API:
            names += tuple(f"shard_{shard}" for shard in cluster.shards)
        if application.database and application.database.cluster == cluster.name:
            names += (application.database.name,)
        for server in cluster.members if names else ():
            if server.pooler_port is not None and server.name in platform.hosts:
                found[server.name] = (server.pooler_port, names)
    return found


def problems(platform: Platform, policies: t.Mapping[str, Policy]) -> t.Iterator[Problem]:
    """Name the guards whose metric no one could ever report, so that they would hold nothing."""
    for name, policy in policies.items():
        application = platform.applications[name]
        for guard in policy.guards:
            reason = ""
            if guard.metric == POOLER_WAIT and not poolers(platform, application):
                reason = f"no PgBouncer stands before the databases of {name}"
            elif guard.metric == SHARD_ERRORS and not any(one.shards for one in platform.clusters.values()):
                reason = "the platform has no shards"
            elif guard.metric == SHARD_ERRORS and application.port is None:
                reason = f"{name} has no port at which it could be asked for its metrics"
            if reason:
                text = f"applications: {name}: scaling.guards: {guard.name} would never hold, since {reason}; remove it"
                yield Problem("unmeasured_guard", "", text)
