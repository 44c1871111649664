# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may connect to a PostgreSQL server: the lines of its pg_hba.conf; pure."""

from __future__ import annotations

import re

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform

#: The role of the standbys; ours.
REPLICATOR = "replicator"
#: What a file of ours says of itself, in every release of the role.
REMARK = "# The first line that matches decides; who matches none is refused, and the server's log says so."


def lines(platform: Platform, host: str, cluster: Cluster) -> list[str]:
    """Return the lines of pg_hba.conf; the first that matches decides."""
    peers = [str(user) for user in platform.value(host, "postgres_peer_users", [])]
    found = [
        _local("postgres", "peer"),
        *(_local(f'"{user}"', "peer") for user in peers),
        _local("all", "scram-sha-256"),
    ]
    # Patroni asks its own server where it is.
    found += [f"local   replication  {REPLICATOR:<52} scram-sha-256"]
    found += [_remote("all", "all", address) for address in ("127.0.0.1/32", "::1/128")]
    # Any member may lead, and one that comes back rewinds itself by what the leader's files say.
    for database in ("replication", "postgres"):
        found += [_remote(database, REPLICATOR, _network(server.host)) for server in cluster.members]
    networks = platform.value(host, "postgres_allowed_networks", [])
    if not networks:
        networks = [platform.address(name) for name in sorted(platform.hosts)]
    # Members' poolers come to the leader for whoever came to them.
    networks = [*(server.host for server in cluster.members), *map(str, networks)]
    return [*found, *(_remote("all", "all", _network(network)) for network in dict.fromkeys(networks))]


def _local(user: str, method: str) -> str:
    return f"local   all          {user:<52} {method}"


def _remote(database: str, user: str, address: str) -> str:
    return f"host    {database:<12} {user:<11} {address:<40} scram-sha-256"


def _network(address: str) -> str:
    if "/" in address:
        return address
    if ":" in address:
        return f"{address}/128"
    return f"{address}/32" if re.fullmatch(r"[0-9.]+", address) else address
