# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PostgreSQL clusters of an inventory: their members, and the shards and databases that they hold."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Platform,
    Problem,
    Server,
    leader_of,
)
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import (
    CONSUL_SERVER,
    POSTGRES,
    Reader,
    number,
    together,
)

#: What a cluster may say in ``postgres_clusters``.
KEYS = ("shards", "empty_shards", "databases", "workload", "settings", "durability")
#: Databases that every server has.
SERVERS_OWN = ("postgres", "template0", "template1")
DURABILITIES = ("available", "durable")
#: The fact in which a host keeps who leads which cluster, as this run has found it.
LEADERS_FACT = "postgres_leaders"
WORKLOADS = ("web", "oltp", "dw", "desktop", "mixed")


def read(platform: Platform) -> tuple[dict[str, Cluster], list[Problem]]:
    """Return what can be made of the clusters, and every problem; without problems they are whole."""
    reader = _Databases(platform)
    return reader.clusters(), reader.problems


def with_applications(clusters: t.Mapping[str, Cluster], applications: t.Iterable[Application]) -> dict[str, Cluster]:
    """Return the clusters with the databases of applications, each with its owner."""
    found = dict(clusters)
    for one in applications:
        cluster = found.get(one.database.cluster) if one.database else None
        if cluster is None or one.database is None:
            continue
        name = one.database.name
        databases = cluster.databases if name in cluster.all_databases else (*cluster.databases, name)
        owners = {**cluster.owners, name: one.database.owner}
        found[cluster.name] = dataclasses.replace(cluster, databases=databases, owners=owners)
    return found


def buckets(platform: Platform) -> tuple[dict[int, list[list[int]]] | None, list[Problem]]:
    """Return the ranges of buckets of each shard, as ``platform_shard_buckets`` has them; None where it is not set.

    Whether they cover the map is for the shard map's planner to say.
    """
    reader = Reader(platform)
    value = reader.shared("different_values", "platform_shard_buckets", platform.members(POSTGRES))
    if value is None:
        return None, reader.problems
    if not isinstance(value, dict):
        reader.problem(
            "invalid_buckets", "", f"platform_shard_buckets is {value!r}, not a mapping from shards to ranges"
        )
        return None, reader.problems
    shards = [shard_id for cluster in platform.clusters.values() for shard_id in cluster.shards]
    found: dict[int, list[list[int]]] = {}
    for key, ranges in value.items():
        shard_id = number(key)
        if shard_id is None or shard_id not in shards:
            reader.problem(
                "unknown_shard", "", f"platform_shard_buckets names the shard {key!r}, which no cluster holds"
            )
            continue
        pairs = [_pair(pair) for pair in ranges] if isinstance(ranges, (list, tuple)) else [None]
        if None in pairs:
            text = f"platform_shard_buckets of shard {key} is {ranges!r}, not a list of ranges [first, last]"
            reader.problem("invalid_buckets", "", text)
        else:
            found[shard_id] = [pair for pair in pairs if pair is not None]
    return found, reader.problems


def document(platform: Platform, ranges: t.Mapping[int, list[list[int]]] | None) -> dict[str, t.Any]:
    """Return the databases as the facts that preflight hands to playbooks."""
    shards: list[dict[str, t.Any]] = [
        {
            "id": shard_id,
            "cluster": cluster.name,
            "database": f"shard_{shard_id}",
            # A shard that declares its buckets has no weight.
            **({"weight": 0} if ranges is None and shard_id in cluster.empty_shards else {}),
        }
        for cluster in platform.clusters.values()
        for shard_id in cluster.shards
    ]
    if ranges is not None:
        shards = [{**shard, "buckets": ranges.get(shard["id"], [])} for shard in shards]
    return {
        "clusters": [
            {"name": cluster.name, "members": [server.document() for server in cluster.members]}
            for cluster in platform.clusters.values()
        ],
        "shards": sorted(shards, key=lambda shard: int(shard["id"])),
        "servers": {
            server.name: {
                **server.document(),
                "cluster": cluster.name,
                "leader": leader_of(cluster).name,
                "leads": server == leader_of(cluster),
                "shards": list(cluster.shards),
                "databases": list(cluster.all_databases),
            }
            for cluster in platform.clusters.values()
            for server in cluster.members
        },
    }


class _Databases(Reader):
    """Reads ``postgres_clusters`` and the group of the database servers."""

    def clusters(self) -> dict[str, Cluster]:
        hosts = self.platform.members(POSTGRES)
        declared = self.shared("different_values", "postgres_clusters", hosts)
        if declared is None:
            declared = {}
        elif not isinstance(declared, dict):
            text = f"postgres_clusters is {declared!r}, not a mapping such as {{pg1: {{shards: [0, 1]}}}}"
            self.problem("invalid_clusters", "", text)
            declared = {}
        members: dict[str, list[Server]] = {str(name): [] for name in declared}
        for host in hosts:
            server = self._server(host)
            name = self.platform.value(host, "postgres_cluster")
            if name is None:
                self.of("no_cluster", host, "postgres_cluster", "is not set; name one of postgres_clusters")
            elif not isinstance(name, str) or name not in members:
                known = ", ".join(members) or "none"
                text = f"is {name!r}, which postgres_clusters does not have (it has {known})"
                self.of("unknown_cluster", host, "postgres_cluster", text)
            else:
                members[name].append(server)
        clusters = {str(name): self._cluster(str(name), entry, members[str(name)]) for name, entry in declared.items()}
        self._check_shards(clusters.values())
        for cluster in clusters.values():
            self._check_members(cluster)
        return {name: cluster for name, cluster in clusters.items() if cluster.members}

    def _server(self, host: str) -> Server:
        address = self.platform.address(host)
        return Server(host, address, self._port(host, "postgres_port") or 5432, self._port(host, "pgbouncer_port"))

    def _port(self, host: str, variable: str) -> int | None:
        """Return the port that a variable names; None where it is not set, or is wrong."""
        value = self.platform.value(host, variable)
        if value is None:
            return None
        port = number(value)
        if port is None or not 1 <= port <= 65535:
            self.of("invalid_port", host, variable, f"is {value!r}, which is not a port")
            return None
        return port

    def _cluster(self, name: str, entry: t.Any, members: t.Sequence[Server]) -> Cluster:
        where = f"postgres_clusters: {name}"
        fault = names.fault_of_host(name)
        if fault:
            self.problem("invalid_name", "", f"postgres_clusters has a cluster {name!r}, which {fault}")
        if not members:
            text = f"{where} has no member; no host of the group {POSTGRES} has postgres_cluster: {name}"
            self.problem("cluster_without_member", "", text)
        entry = {} if entry is None else entry
        if not isinstance(entry, dict):
            self.problem("invalid_clusters", "", f"{where} is {entry!r}, not a mapping with {', '.join(KEYS)}")
            entry = {}
        for key in entry:
            if key not in KEYS:
                self.problem("unknown_key", "", f"{where} {names.unknown_key(key, KEYS)}")
        filled = self._shards(where, "shards", entry.get("shards"))
        empty = self._shards(where, "empty_shards", entry.get("empty_shards"))
        for shard_id in filled:
            if shard_id in empty:
                self.problem("shard_taken", "", f"{where} names shard {shard_id} in shards and in empty_shards")
        shards = (*filled, *(shard_id for shard_id in empty if shard_id not in filled))
        return Cluster(
            name,
            tuple(members),
            shards,
            self._databases(where, entry.get("databases"), [f"shard_{shard_id}" for shard_id in shards]),
            self._workload(where, entry.get("workload")),
            self._settings(where, entry.get("settings")),
            empty_shards=empty,
            leader=self._leader(name, members),
            durability=self._durability(where, entry.get("durability")),
        )

    def _leader(self, name: str, members: t.Sequence[Server]) -> str:
        """Return the leader that the run has found; what a member says counts more than what Consul said before."""
        others = [host for host in self.platform.members(CONSUL_SERVER) if host not in {one.name for one in members}]
        for host in (*(one.name for one in members), *others):
            facts = self.platform.value(host, "ansible_facts", {})
            leaders = facts.get(LEADERS_FACT) if isinstance(facts, t.Mapping) else None
            if isinstance(leaders, t.Mapping) and leaders.get(name):
                return str(leaders[name])
        return ""

    def _durability(self, where: str, value: t.Any) -> str:
        if value is None or value in DURABILITIES:
            return str(value or DURABILITIES[0])
        text = f"{where}: durability is {value!r}; choose one of {', '.join(DURABILITIES)}"
        self.problem("unknown_durability", "", text)
        return DURABILITIES[0]

    def _shards(self, where: str, key: str, value: t.Any) -> tuple[int, ...]:
        if value is None:
            return ()
        ids = [number(shard_id) for shard_id in value] if isinstance(value, (list, tuple)) else [None]
        found: list[int] = []
        for shard_id in ids:
            if shard_id is None or not 0 <= shard_id < 10**9:
                text = f"{where}: {key} is {value!r}, not a list of shard ids, which are numbers from 0 on"
                self.problem("invalid_shards", "", text)
                return ()
            if shard_id in found:
                self.problem("shard_taken", "", f"{where} names shard {shard_id} twice")
            else:
                found.append(shard_id)
        return tuple(found)

    def _databases(self, where: str, value: t.Any, taken: t.Sequence[str]) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)):
            text = f"{where}: databases is {value!r}, not a list of names such as [analytics]"
            self.problem("invalid_databases", "", text)
            return ()
        found: list[str] = []
        for name in value:
            fault = names.fault_of_identifier(name)
            if fault:
                self.problem("invalid_name", "", f"{where} has a database {name!r}, which {fault}")
            elif name in SERVERS_OWN:
                self.problem("reserved_name", "", f"{where} has a database {name}, which every server has already")
            elif name in found or name in taken:
                self.problem("database_taken", "", f"{where} has the database {name} twice")
            else:
                found.append(name)
        return tuple(found)

    def _workload(self, where: str, value: t.Any) -> str | None:
        if value is None or value in WORKLOADS:
            return t.cast("str | None", value)
        self.problem("unknown_workload", "", f"{where}: workload is {value!r}; choose one of {', '.join(WORKLOADS)}")
        return None

    def _settings(self, where: str, value: t.Any) -> dict[str, t.Any]:
        if value is None or isinstance(value, dict):
            return dict(value or {})
        self.problem("invalid_settings", "", f"{where}: settings is {value!r}, not a mapping from settings to values")
        return {}

    def _check_shards(self, clusters: t.Iterable[Cluster]) -> None:
        claims: dict[int, list[str]] = {}
        for cluster in clusters:
            for shard_id in cluster.shards:
                claims.setdefault(shard_id, []).append(cluster.name)
        for shard_id, holders in sorted(claims.items()):
            if len(holders) > 1:
                text = (
                    f"postgres_clusters: {together(holders)} claim the same shard {shard_id}; one cluster can hold it"
                )
                self.problem("shard_taken", "", text)

    def _check_members(self, cluster: Cluster) -> None:
        for server in cluster.members:
            if server.pooler_port == server.port:
                text = f"is {server.port}, which is the port of PostgreSQL already"
                self.of("port_taken", server.name, "pgbouncer_port", text)


def _pair(pair: t.Any) -> list[int] | None:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return None
    first, last = number(pair[0]), number(pair[1])
    return None if first is None or last is None else [first, last]
