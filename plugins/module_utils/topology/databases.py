# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The databases of an inventory: primaries, their standbys, and the shards that they hold."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import (
    Inventory,
    Unevaluated,
    together,
)

_PRIMARY = "primary"
_STANDBY = "standby"


@dataclasses.dataclass(frozen=True)
class Server:
    """A PostgreSQL server, by its inventory name and by the address that the other hosts use.

    :param pooler_port: of PgBouncer on the host; None where none is declared.
    """

    name: str
    host: str
    port: int
    pooler_port: int | None = None

    def document(self) -> dict:
        """Return the fields that have a value."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A primary with its standbys and the ids of its shards."""

    primary: Server
    standbys: tuple[Server, ...]
    shards: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Topology:
    """The platform's databases.

    :param clusters: in the order of the inventory.
    :param buckets: the ranges of buckets of each shard, as ``platform_shard_buckets`` has them; None where it is not
        set. Whether they cover the map is for the shard map's planner to say.
    """

    clusters: tuple[Cluster, ...]
    buckets: t.Mapping[int, list] | None = None

    def cluster_list(self) -> list[dict]:
        """Return the value of the option ``clusters`` of the module ``shard_map``."""
        return [
            {
                "name": cluster.primary.name,
                "members": [server.document() for server in (cluster.primary, *cluster.standbys)],
            }
            for cluster in self.clusters
        ]

    def shards(self) -> list[dict]:
        """Return the value of the option ``shards`` of the module ``shard_map``, in order of the shards' ids."""
        shards = []
        for cluster in self.clusters:
            for shard_id in cluster.shards:
                shard = {
                    "id": shard_id,
                    "database": f"shard_{shard_id}",
                    "cluster": cluster.primary.name,
                }
                if self.buckets is not None:
                    shard["buckets"] = self.buckets.get(shard_id, [])
                shards.append(shard)
        return sorted(shards, key=lambda shard: shard["id"])

    def document(self) -> dict:
        """Return the topology as the facts that preflight hands to playbooks."""
        return {
            "clusters": self.cluster_list(),
            "shards": self.shards(),
            "primaries": {
                cluster.primary.name: {
                    **cluster.primary.document(),
                    "shards": list(cluster.shards),
                    "standbys": [standby.name for standby in cluster.standbys],
                }
                for cluster in self.clusters
            },
            "standbys": {
                standby.name: {
                    **standby.document(),
                    "primary": cluster.primary.name,
                    "slot": names.slot(standby.name),
                }
                for cluster in self.clusters
                for standby in cluster.standbys
            },
        }


def read(inventory: Inventory) -> tuple[Topology, list[str]]:
    """Return what can be made of the databases, and every fault; without faults the topology is whole."""
    reader = _Reader(inventory)
    return reader.topology(), reader.faults


class _Reader:
    """Reads the group of the database servers and collects faults on the way."""

    def __init__(self, inventory: Inventory) -> None:
        self.faults: list[str] = []
        self._inventory = inventory
        self._group = inventory.names.postgres
        self._hosts = inventory.members(self._group)
        self._roles = {host: self._role(host) for host in self._hosts}

    def topology(self) -> Topology:
        servers = {host: self._server(host) for host in self._hosts}
        primary_of = {host: self._primary_of(host) for host in self._hosts if self._roles[host] == _STANDBY}
        shards = {host: self._shards_of(host) for host in self._hosts if self._roles[host] == _PRIMARY}
        clusters = tuple(
            Cluster(
                servers[host], tuple(servers[name] for name in primary_of if primary_of[name] == host), shards[host]
            )
            for host in shards
        )
        self._check_primaries(shards)
        self._check_standbys(primary_of, shards)
        self._check_addresses(servers)
        self._check_slots(list(primary_of))
        self._check_identifiers()
        return Topology(clusters, self._buckets([shard_id for ids in shards.values() for shard_id in ids]))

    def _value(self, host: str, variable: str) -> t.Any:
        return self._inventory.value(host, variable)

    def _fault(self, host: str, variable: str, text: str) -> None:
        """Note a fault, unless it only follows from a template that failed: that one is told elsewhere."""
        if not isinstance(self._inventory.hosts[host].get(variable), Unevaluated):
            self.faults.append(f"{variable} of {host}{text}.")

    def _role(self, host: str) -> str | None:
        role = self._value(host, "postgres_role")
        if role in (_PRIMARY, _STANDBY):
            return str(role)
        text = " is not set" if role is None else f": {role!r} is not a role"
        self._fault(host, "postgres_role", f"{text}; say {_PRIMARY} or {_STANDBY}")
        return None

    def _server(self, host: str) -> Server:
        address = self._value(host, "platform_address") or self._value(host, "ansible_host") or host
        return Server(host, str(address), self._port(host, "postgres_port") or 5432, self._port(host, "pgbouncer_port"))

    def _port(self, host: str, variable: str) -> int | None:
        """Return the port that a variable names; None where it is not set, or is wrong."""
        value = self._value(host, variable)
        if value is None:
            return None
        number = _number(value)
        if number is None or not 1 <= number <= 65535:
            self._fault(host, variable, f": {value!r} is not a port")
            return None
        return number

    def _shards_of(self, host: str) -> tuple[int, ...]:
        value = self._value(host, "postgres_shards")
        ids = [_number(shard_id) for shard_id in value] if isinstance(value, (list, tuple)) else [None]
        if value is None:
            return ()
        found: list[int] = []
        for shard_id in ids:
            if shard_id is None or not 0 <= shard_id < 10**9:
                self._fault(
                    host, "postgres_shards", f": {value!r} is not a list of shard ids, which are numbers from 0 on"
                )
                return ()
            if shard_id in found:
                self._fault(host, "postgres_shards", f" names shard {shard_id} twice")
            else:
                found.append(shard_id)
        return tuple(found)

    def _primary_of(self, host: str) -> str | None:
        primary = self._value(host, "postgres_primary")
        if primary is None or primary == "":
            self._fault(host, "postgres_primary", " is not set, and a standby needs the name of its primary")
        elif primary not in self._hosts:
            self._fault(host, "postgres_primary", f": {primary!r} is not a host of the group {self._group}")
        elif self._roles[primary] == _STANDBY:
            self._fault(host, "postgres_primary", f": {primary} is not a primary, but a standby itself")
        else:
            return str(primary)
        return None

    def _check_primaries(self, shards: t.Mapping[str, tuple[int, ...]]) -> None:
        if not shards:
            if None not in self._roles.values():
                self.faults.append(f"The group {self._group} has no primary: no host has postgres_role: {_PRIMARY}.")
            return
        claims: dict[int, list[str]] = {}
        for host, ids in shards.items():
            if self._value(host, "postgres_primary"):
                self._fault(host, "postgres_primary", " is set, but the host is a primary itself")
            for shard_id in ids:
                claims.setdefault(shard_id, []).append(host)
        for shard_id, hosts in sorted(claims.items()):
            if len(hosts) > 1:
                self.faults.append(
                    f"postgres_shards of {together(hosts)} claim the same shard {shard_id}; one primary can hold it."
                )
        if not claims and not self.faults:
            self.faults.append(f"postgres_shards of {together(list(shards))} names no shard, and a platform needs one.")

    def _check_standbys(self, primary_of: t.Mapping[str, str | None], shards: t.Mapping[str, tuple[int, ...]]) -> None:
        for host, primary in primary_of.items():
            if primary is None:
                continue
            own = set(self._shards_of(host)) - set(shards.get(primary, ()))
            if own:
                self._fault(
                    host, "postgres_shards", f" names shard {min(own)}, which its primary {primary} does not hold"
                )

    def _check_addresses(self, servers: t.Mapping[str, Server]) -> None:
        taken: dict[tuple[str, int], str] = {}
        for server in servers.values():
            other = taken.setdefault((server.host, server.port), server.name)
            if other != server.name:
                self.faults.append(
                    f"platform_address of {other} and {server.name} is the same: {server.host}, port {server.port}."
                )
            if server.pooler_port == server.port:
                self._fault(server.name, "pgbouncer_port", f": {server.port} is the port of PostgreSQL already")

    def _check_slots(self, standbys: t.Sequence[str]) -> None:
        taken: dict[str, str] = {}
        for host in standbys:
            slot = names.slot(host)
            other = taken.setdefault(slot, host)
            if other != host:
                self.faults.append(
                    f"The standbys {other} and {host} would share the replication slot {slot}; rename one."
                )
            too_long = names.fault_of_length(slot)
            if too_long:
                self.faults.append(f"The replication slot {slot} of the standby {host} {too_long}.")

    def _check_identifiers(self) -> None:
        for host in self._hosts:
            owner = self._value(host, "postgres_database_owner")
            if owner is not None:
                self._check_identifier(host, "postgres_database_owner", owner)
            users = self._value(host, "postgres_users")
            for user in users if isinstance(users, (list, tuple)) else ():
                self._check_identifier(host, "postgres_users", user.get("name") if isinstance(user, dict) else None)

    def _check_identifier(self, host: str, variable: str, name: t.Any) -> None:
        fault = names.fault_of_identifier(name)
        if fault:
            self._fault(host, variable, f": {name!r} {fault}")

    def _buckets(self, shards: t.Sequence[int]) -> dict[int, list] | None:
        """Read ``platform_shard_buckets``, which has to say the same on every database server."""
        values = {host: self._value(host, "platform_shard_buckets") for host in self._hosts}
        stated = [host for host, value in values.items() if value is not None]
        if not stated:
            return None
        value = values[stated[0]]
        for host in self._hosts:
            if values[host] != value:
                self._fault(
                    host, "platform_shard_buckets", f" is not what it is on {stated[0]}; all hosts share one map"
                )
                return None
        if not isinstance(value, dict):
            self._fault(stated[0], "platform_shard_buckets", f": {value!r} is not a mapping from shard ids to ranges")
            return None
        buckets: dict[int, list] = {}
        for key, ranges in value.items():
            shard_id = _number(key)
            if shard_id not in shards:
                self.faults.append(f"platform_shard_buckets names the shard {key!r}, which no primary holds.")
            elif not isinstance(ranges, (list, tuple)) or not all(_is_range(pair) for pair in ranges):
                self.faults.append(
                    f"platform_shard_buckets of shard {key}: {ranges!r} is not a list of ranges [first, last]."
                )
            else:
                buckets[shard_id] = [[_number(bound) for bound in pair] for pair in ranges]
        return buckets


def _is_range(pair: t.Any) -> bool:
    return isinstance(pair, (list, tuple)) and len(pair) == 2 and None not in (_number(pair[0]), _number(pair[1]))


def _number(value: t.Any) -> int | None:
    """Return a number that may have become text in a template; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None
