# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL: what a member of a cluster may be told to be, and what follows from that for its host; pure.

Patroni runs the server: it makes the cluster, copies its leader, follows it and takes its place. What is here decides
what Patroni is told, and what keeps it from being told that.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Problem, leader_of
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.versions import NOT_BELOW_PRIMARY
from ansible_collections.scaleout.platform.plugins.module_utils.services import (
    archiving,
    patroni,
    postgres_hba,
    postgres_roles,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen

STATE_MODULE = "scaleout.platform.postgres_server_info"

PORT = 5432
#: The role of the replicas; ours.
REPLICATOR = postgres_hba.REPLICATOR
HOME = patroni.HOME
#: PostgreSQL of each Debian release.
VERSIONS = {"12": 15, "13": 17}
#: In the order of their names, as sentences have them.
LIMITS = tuple(sorted(NOT_BELOW_PRIMARY))
#: What a server has of them that says nothing.
UNSET = {
    "max_connections": 100,
    "max_locks_per_transaction": 64,
    "max_prepared_transactions": 0,
    "max_wal_senders": 10,
    "max_worker_processes": 8,
}
#: Those that a profile would compute from the host, which knows nothing of the other members.
_NOT_OF_THE_PROFILE = ("max_connections", "max_worker_processes")

State = t.Mapping[str, t.Any]

#: The word is the host's name.
_AGAIN = "run again with a limit to this host and -e postgres_reclone="


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of the module that reads the host."""
    return {
        "version": _int(platform.value(host, "postgres_version", 0)) or 0,
        "port": PORT,
        "patroni_host": platform.address(host),
    }


def problems(platform: Platform, host: str, state: State | None = None) -> list[Problem]:
    """Say why the host cannot be the member of its cluster that the inventory describes."""
    cluster = platform.cluster_of(host)
    if cluster is None:
        return [Problem("no_cluster", host, "postgres_cluster must name one of postgres_clusters")]
    found = [
        *_of_secret(platform, host),
        *_of_names(platform, host),
        *_of_slot(host, cluster),
        *_of_peers_settings(platform, host, cluster),
        *patroni.problems(platform, host, cluster),
    ]
    if state is not None:
        found += [Problem(code, host, text) for code, text in _of_host(platform, host, cluster, state)]
    return found


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the ports that PostgreSQL and Patroni take."""
    return [Listen("postgres_port", PORT, ""), Listen("postgres_patroni_port", patroni.PORT, "")]


def health(platform: Platform, host: str, state: State) -> list[str]:
    """Say what keeps the member from being healthy, as clauses."""
    cluster, server = platform.cluster_of(host), state.get("server")
    seen = (state.get("patroni") or {}).get("cluster")
    if cluster is None or not seen:
        return ["Patroni does not answer"]
    own = seen["members"].get(host)
    if own is None:
        return [f"Patroni does not know it as a member of {cluster.name}"]
    found = []
    if not seen["leader"]:
        found.append(f"the cluster {cluster.name} has no leader")
    if not server:
        return [*found, f"PostgreSQL does not accept connections ({own['state']})"]
    if server["hba_errors"]:
        found.append(f"pg_hba.conf is wrong, {', '.join(server['hba_errors'])}")
    if seen["leader"] and host != seen["leader"]:
        leads = seen["members"].get(seen["leader"], {})
        if server["receiver"] != "streaming":
            found.append(f"it does not stream from {seen['leader']} ({own['state']})")
        elif own["timeline"] != leads.get("timeline"):
            found.append(f"it is on timeline {own['timeline']} and {seen['leader']} on {leads.get('timeline')}")
    return found


def wanted(platform: Platform, host: str, state: State | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here; empty where the host is in no cluster."""
    cluster = platform.cluster_of(host)
    if cluster is None:
        return {}
    state = state or {}
    version = state.get("version") or look(platform, host)["version"]
    seen = state.get("patroni") or {}
    leads = (seen.get("cluster") or {}).get("leader") == host
    patronis = tuple(seen.get("version") or patroni.SYNCHRONOUS_FROM)
    # Of their own, a run gives an operator's settings back; ours it takes back.
    ours = archiving.leftovers(platform, (state.get("server") or {}).get("archive_command"))
    settings = {**ours, **_settings(platform, host, cluster)}
    users = platform.value(host, "postgres_users", [])
    guards = [platform.value(host, name) for name in ("postgres_slot_max_retained", "postgres_slot_min_free_disk")]
    dynamic = patroni.dynamic(platform, host, cluster, patronis)
    return {
        "version": version,
        "cluster": cluster.name,
        "leads": leads,
        "leader": (seen.get("cluster") or {}).get("leader") or "",
        "restart_pending": any(one.get("pending_restart") for one in _members(seen)),
        "data": f"{HOME}/{version}/main",
        "workload": cluster.workload or platform.value(host, "postgres_workload", "web"),
        "settings": settings,
        "memory": _memory(platform, host, cluster, state),
        "member": patroni.member(
            platform, host, cluster, version, settings, patronis, _is_debians(host, cluster, state)
        ),
        "dynamic": dynamic,
        "rest_port": patroni.PORT,
        "hangs_after": patroni.hangs_after(dynamic),
        "adopts": adopts(host, cluster, state),
        "followed": cluster.leader,
        "copies": _is_copying(host, seen),
        "token": patroni.token(cluster),
        "databases": _databases(platform, host, cluster),
        "roles": postgres_roles.roles(platform, cluster, state.get("server") or {}),
        "memberships": postgres_roles.memberships(platform, cluster, users),
        # Patroni lets the replicas' role do so in a cluster that it makes, not in one that it takes over.
        "rewinds_due": not (state.get("server") or {}).get("rewinds"),
        "databases_due": _databases_due(platform, host, cluster, state),
        "guards_slots": any(guards),
        "service": _service(platform, host, cluster),
    }


# What the inventory shows


def _of_secret(platform: Platform, host: str) -> t.Iterator[Problem]:
    if not str(platform.value(host, "postgres_replicator_password", "")).strip():
        yield Problem("missing_secret", host, "the secret postgres_replicator_password is missing")


def _of_names(platform: Platform, host: str) -> t.Iterator[Problem]:
    users = platform.value(host, "postgres_users", [])
    if not isinstance(users, (list, tuple)) or not all(isinstance(user, t.Mapping) for user in users):
        yield Problem("invalid_users", host, "postgres_users must be a list of {name, password}")
        users = []
    peers = platform.value(host, "postgres_peer_users", [])
    if not isinstance(peers, (list, tuple)):
        yield Problem("invalid_users", host, "postgres_peer_users must be a list of names")
        peers = []
    given = [("postgres_database_owner", platform.value(host, "postgres_database_owner", "postgres"))]
    given += [("postgres_users", user.get("name")) for user in users]
    given += [("postgres_peer_users", user) for user in peers]
    for variable, name in given:
        fault = names.fault_of_identifier(name)
        if fault:
            yield Problem("invalid_name", host, f"{variable} has {name!r}, which {fault}")
    cluster = platform.cluster_of(host)
    for application, database in postgres_roles.databases(platform, cluster) if cluster else ():
        for name in {*database.roles} & {user.get("name") for user in users}:
            text = f"postgres_users has {name}, which is a role of the application {application}"
            yield Problem("duplicate", host, f"{text}; its entry there is enough")
    yield from _of_peers(host, users, peers)


def _of_peers(host: str, users: t.Sequence[t.Any], peers: t.Sequence[t.Any]) -> t.Iterator[Problem]:
    for name in ("postgres", REPLICATOR):
        if name in peers:
            yield Problem("reserved_name", host, f"postgres_peer_users must not name {name}")
    if REPLICATOR in [user.get("name") for user in users]:
        yield Problem("reserved_name", host, f"postgres_users must not name {REPLICATOR}, which the role owns")


def _of_slot(host: str, cluster: Cluster) -> t.Iterator[Problem]:
    """Each member has a slot on the leader, whoever that is, which Patroni names after it."""
    slot = names.slot(host)
    too_long = names.fault_of_length(slot)
    if too_long:
        yield Problem("invalid_name", host, f"its replication slot {slot} {too_long}")
    others = [server.name for server in cluster.members]
    for other in others[: others.index(host)]:
        if names.slot(other) == slot:
            yield Problem("slot_taken", host, f"the member {other} has the same replication slot {slot}; rename one")


def _of_peers_settings(platform: Platform, host: str, cluster: Cluster) -> t.Iterator[Problem]:
    """Any member may lead, so that they have one version and one set of settings."""
    first = cluster.members[0].name
    if host == first:
        return
    for variable in ("postgres_version", "postgres_settings", "postgres_base_settings", "postgres_profile"):
        own, its = (platform.value(one, variable) for one in (host, first))
        if own != its:
            text = f"{variable} differs from that of {first}; the members of {cluster.name} have it in common"
            yield Problem("different_values", host, f"{text}, in group_vars or in postgres_clusters")


def _settings(platform: Platform, host: str, cluster: Cluster) -> dict[str, t.Any]:
    """Return the cluster's settings beside its profile's, the strongest last."""
    profiled = platform.value(host, "postgres_profile", "computed") != "none"
    settings: dict[str, t.Any] = {name: UNSET[name] for name in _NOT_OF_THE_PROFILE} if profiled else {}
    settings.update(_mapping(platform, host, "postgres_base_settings"))
    settings.update(archiving.settings(platform, cluster))
    settings.update(cluster.settings)
    settings.update(_mapping(platform, host, "postgres_settings"))
    return {name: value for name, value in settings.items() if name not in patroni.NOT_SETTINGS}


def declared_limits(platform: Platform, host: str, cluster: Cluster) -> dict[str, int]:
    """Return the limits that the inventory gives a host; what is no number is the settings' own module's to refuse."""
    settings = _settings(platform, host, cluster)
    given = {name: _int(settings.get(name)) for name in LIMITS}
    return {name: UNSET[name] if value is None else value for name, value in given.items()}


def _memory(platform: Platform, host: str, cluster: Cluster, state: State) -> str:
    """Return what the operator says that a server may use, else what the smallest member has, as any may lead.

    Empty where that is not known.
    """
    given = str(platform.value(host, "postgres_memory", ""))
    if given:
        return given
    sizes = [_state_of(platform, one.name).get("memory") for one in cluster.members if one.name != host]
    least = min((int(size) for size in [*sizes, state.get("memory")] if size), default=0)
    return f"{least // 1024**2}MB" if least else ""


def _databases(platform: Platform, host: str, cluster: Cluster) -> list[dict[str, str]]:
    owner = str(platform.value(host, "postgres_database_owner", "postgres"))
    return [{"name": name, "owner": cluster.owners.get(name, owner)} for name in cluster.all_databases]


def _databases_due(platform: Platform, host: str, cluster: Cluster, state: State) -> list[dict[str, str]]:
    """Return the databases that are missing or belong to another role."""
    owners = (state.get("server") or {}).get("databases", {})
    return [each for each in _databases(platform, host, cluster) if owners.get(each["name"]) != each["owner"]]


def _service(platform: Platform, host: str, cluster: Cluster) -> dict[str, t.Any]:
    return {
        "name": "postgres",
        "id": "postgres",
        "address": platform.address(host),
        "port": PORT,
        # Who leads is Patroni's to say, and changes without a run.
        "tags": [cluster.name, *(f"shard-{shard_id}" for shard_id in cluster.shards)],
        "checks": [
            {
                "id": "postgres-accepts",
                "name": "PostgreSQL accepts connections",
                "args": [
                    "/usr/bin/pg_isready",
                    "--quiet",
                    "--host=/var/run/postgresql",
                    f"--port={PORT}",
                    "--timeout=1",
                ],
                "interval": "5s",
                # Above pg_isready's own second, so that its answer is heard.
                "timeout": "2s",
            }
        ],
    }


# What the host shows


def adopts(host: str, cluster: Cluster, state: State) -> str:
    """Return what Patroni takes over on a host: ``leader`` or ``replica`` for a server that ran before it, or nothing.

    A replica that was never under Patroni follows whom its own settings name, until Patroni has it follow the leader.
    """
    if (state.get("patroni") or {}).get("configured") or not (state.get("initialised") and state.get("used")):
        return ""
    return "replica" if state.get("standby_signal") else "leader"


def _is_debians(host: str, cluster: Cluster, state: State) -> bool:
    """Whether the files of the server's configuration are, and stay, where Debian's package keeps them."""
    taken = (state.get("patroni") or {}).get("configured") or adopts(host, cluster, state)
    return bool(state.get("configured") and taken)


def _members(seen: State) -> list[State]:
    """Return the members of the cluster as Patroni sees them."""
    return list(((seen.get("cluster") or {}).get("members") or {}).values())


def _is_copying(host: str, seen: State) -> bool:
    """Whether the member copies its leader, which may take hours."""
    own = ((seen.get("cluster") or {}).get("members") or {}).get(host) or {}
    return own.get("state") == "creating replica"


def _of_host(platform: Platform, host: str, cluster: Cluster, state: State) -> t.Iterator[tuple[str, str]]:
    version = state.get("version")
    if not version:
        yield "unknown_release", f"no PostgreSQL is known for {state.get('release')}; set postgres_version"
        return
    server = state.get("server")
    if server and server["version"] != version:
        text = f"port {PORT} is served by PostgreSQL {server['version']}, and postgres_version is {version}"
        yield "other_version", f"{text}; this role makes no upgrade"
    if state["others"]:
        others = ", ".join(state["others"])
        text = f"the cluster {others} is configured for port {PORT}, which this role needs for {version}/main"
        yield "port_taken", text
    seen = state.get("patroni") or {}
    if seen.get("cluster") and not seen.get("configured"):
        text = f"Patroni runs PostgreSQL here as a member of {seen['scope'] or 'a cluster'}, and not by this role"
        yield "managed_elsewhere", f"{text}; let it go first, or take the host out of the group postgres"
        return
    if seen.get("scope") not in (None, "", cluster.name):
        text = f"Patroni runs it as a member of {seen['scope']}, and postgres_cluster is {cluster.name}"
        yield "other_cluster", f"{text}; remove the host from the one first"
    if seen.get("restoring"):
        text = f"a restore of {cluster.name} has not ended, and keeps Patroni from starting"
        yield "restore_open", f"{text}; run restore.yml again, or take it back as docs/backups.md says"
        return
    yield from _of_data(platform, host, cluster, state, f"{HOME}/{version}/main")


def _of_data(platform: Platform, host: str, cluster: Cluster, state: State, data: str) -> t.Iterator[tuple[str, str]]:
    seen = state.get("patroni") or {}
    had_data = seen.get("joined") or (state["configured"] and not seen.get("configured"))
    if had_data and not state["initialised"] and not seen.get("cluster") and not _reclones(platform, host):
        # Else a copy of everything would go to the disk below the mount point.
        text = f"PostgreSQL is configured, but {data} is empty; is a disk not mounted? To copy it anyway, {_AGAIN}"
        yield "no_data", f"{text}{host}"
    if adopts(host, cluster, state) != "leader":
        return
    leader = leader_of(cluster).name
    rivals = [one.name for one in cluster.members if one.name != host and _leads_alone(platform, one.name, cluster)]
    if (rivals and host != cluster.members[0].name) or (cluster.leader and leader != host):
        text = f"{data} is a primary's and holds data, and {rivals[0] if rivals else leader} is one too"
        yield "two_primaries", f"{text}; which of them is to stay is yours to say: move the other's {data} away"


def _reclones(platform: Platform, host: str) -> bool:
    """Whether the operator gave the word for the data of this host, which is its name."""
    return str(platform.value(host, "postgres_reclone", "")) == host


def _leads_alone(platform: Platform, host: str, cluster: Cluster) -> bool:
    return adopts(host, cluster, _state_of(platform, host)) == "leader"


def _state_of(platform: Platform, host: str) -> State:
    """Return what this run has read of a member, once its own check is done."""
    read = platform.value(host, "__postgres", {})
    state = read.get("state") if isinstance(read, t.Mapping) else None
    return state if isinstance(state, t.Mapping) else {}


def _mapping(platform: Platform, host: str, variable: str) -> dict[str, t.Any]:
    value = platform.value(host, variable, {})
    return dict(value) if isinstance(value, t.Mapping) else {}


def _int(value: t.Any) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None
