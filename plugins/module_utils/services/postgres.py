# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL: what a member of a cluster may be told to be, and what follows from that for its host; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Cluster,
    Platform,
    Problem,
    leader_of,
    standbys_of,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.versions import NOT_BELOW_PRIMARY
from ansible_collections.scaleout.platform.plugins.module_utils.services import (
    archiving,
    postgres_hba,
    postgres_roles,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen

STATE_MODULE = "scaleout.platform.postgres_server_info"

PORT = 5432
#: The role of the standbys; ours.
REPLICATOR = postgres_hba.REPLICATOR
HOME = "/var/lib/postgresql"
PASSFILE = f"{HOME}/.pgpass.replication"
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

_AGAIN = "run again with postgres_reclone=true and a limit to this host"


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of the module that reads the host."""
    return {"version": _int(platform.value(host, "postgres_version", 0)) or 0, "port": PORT}


def problems(platform: Platform, host: str, state: State | None = None) -> list[Problem]:
    """Say why the host cannot be the member of its cluster that the inventory describes."""
    cluster = platform.cluster_of(host)
    if cluster is None:
        return [Problem("no_cluster", host, "postgres_cluster must name one of postgres_clusters")]
    found = [
        *_of_secret(platform, host),
        *_of_names(platform, host),
        *_of_slot(host, cluster),
        *_of_limits(platform, host, cluster),
    ]
    if state is not None:
        found += [Problem(code, host, text) for code, text in _of_host(platform, host, cluster, state)]
    return found


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the port that PostgreSQL takes."""
    return [Listen("postgres_port", PORT, "")]


def health(platform: Platform, host: str, state: State) -> list[str]:
    """Say what keeps the server from being healthy, as clauses."""
    cluster = platform.cluster_of(host)
    server = state.get("server")
    if cluster is None or not server:
        return ["PostgreSQL does not accept connections"]
    found = []
    if server["hba_errors"]:
        found.append(f"pg_hba.conf is wrong, {', '.join(server['hba_errors'])}")
    leader = leader_of(cluster)
    if host != leader.name:
        if not server["in_recovery"]:
            found.append("it is not in recovery")
        if server["receiver"] != "streaming":
            found.append(f"it does not stream from {leader.name} ({leader.host}:{PORT})")
            if _is_lost(platform, host, leader.name):
                found.append(_of_lost_slot(host, leader.name))
        return found
    # Slots of the standbys that take part in this run and have not failed.
    taking_part = platform.value(host, "ansible_play_hosts", [])
    awaited = [names.slot(standby.name) for standby in standbys_of(cluster) if standby.name in taking_part]
    # No standby can stream from a lost one: the standby says so, and this server is as well as it was.
    idle = [slot for slot in awaited if slot not in (*server["active_slots"], *server["lost_slots"])]
    if idle:
        found.append(f"no standby streams from the slots {', '.join(idle)}")
    return found


def wanted(platform: Platform, host: str, state: State | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here; empty where the host is in no cluster."""
    cluster = platform.cluster_of(host)
    if cluster is None:
        return {}
    state = state or {}
    leader, version = leader_of(cluster), state.get("version") or look(platform, host)["version"]
    standby = host != leader.name
    settings = _settings(platform, host, cluster)
    # Of their own, a run gives an operator's settings back; ours it takes back.
    ours = archiving.leftovers(platform, (state.get("server") or {}).get("archive_command"))
    settings = {**ours, **settings}
    slots = [names.slot(server.name) for server in standbys_of(cluster)] if not standby else []
    users = platform.value(host, "postgres_users", [])
    guards = [platform.value(host, name) for name in ("postgres_slot_max_retained", "postgres_slot_min_free_disk")]
    return {
        "version": version,
        "cluster": cluster.name,
        "leader": leader.name,
        "is_standby": standby,
        "data": f"{HOME}/{version}/main",
        "slot": names.slot(host),
        "conninfo": _conninfo(leader.host, host) if standby else "",
        "leader_address": leader.host,
        "workload": cluster.workload or platform.value(host, "postgres_workload", "web"),
        "settings": settings,
        "databases": _databases(platform, host, cluster) if not standby else [],
        "roles": postgres_roles.roles(platform, cluster, state.get("server") or {}) if not standby else [],
        "memberships": [] if standby else postgres_roles.memberships(platform, cluster, users),
        "databases_due": _databases_due(platform, host, cluster, state) if not standby else [],
        "slots": [{"name": slot, "slot_type": "physical", "reserve_wal": True} for slot in slots],
        "guards_slots": any(guards),
        "clone": _clone(platform, host, cluster, state),
        "limits_fall": _moves(state, settings, min),
        "turn": _turn(standby, _moves(state, settings, min)),
        "as_before": _as_before(platform, host, cluster, state),
        "hba": postgres_hba.lines(platform, host, cluster),
        "hba_remark": postgres_hba.REMARK,
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
    if host == leader_of(cluster).name:
        return
    slot = names.slot(host)
    too_long = names.fault_of_length(slot)
    if too_long:
        yield Problem("invalid_name", host, f"its replication slot {slot} {too_long}")
    others = [server.name for server in standbys_of(cluster)]
    for other in others[: others.index(host)]:
        if names.slot(other) == slot:
            yield Problem("slot_taken", host, f"the standby {other} has the same replication slot {slot}; rename one")


def _of_limits(platform: Platform, host: str, cluster: Cluster) -> t.Iterator[Problem]:
    leader = leader_of(cluster).name
    if host == leader:
        return
    own, its = declared_limits(platform, host, cluster), declared_limits(platform, leader, cluster)
    lower = [name for name in LIMITS if own[name] < its[name]]
    if lower:
        text = (
            f"a standby must not have {', '.join(lower)} lower than its primary {leader}; "
            "compare the postgres_settings of both"
        )
        yield Problem("limits_below_primary", host, text)


def _settings(platform: Platform, host: str, cluster: Cluster) -> dict[str, t.Any]:
    """Return the settings that the server is to have beside its profile's, the strongest last."""
    profiled = platform.value(host, "postgres_profile", "computed") != "none"
    settings: dict[str, t.Any] = {name: UNSET[name] for name in _NOT_OF_THE_PROFILE} if profiled else {}
    settings.update(_mapping(platform, host, "postgres_base_settings"))
    settings.update(archiving.settings(platform, cluster))
    leader = leader_of(cluster)
    if host != leader.name:
        settings.update(primary_conninfo=_conninfo(leader.host, host), primary_slot_name=names.slot(host))
    settings.update(cluster.settings)
    settings.update(_mapping(platform, host, "postgres_settings"))
    return settings


def declared_limits(platform: Platform, host: str, cluster: Cluster) -> dict[str, int]:
    """Return the limits that the inventory gives a host; what is no number is the settings' own module's to refuse."""
    settings = _settings(platform, host, cluster)
    given = {name: _int(settings.get(name)) for name in LIMITS}
    return {name: UNSET[name] if value is None else value for name, value in given.items()}


def _conninfo(leader: str, host: str) -> str:
    return f"host='{leader}' port={PORT} user={REPLICATOR} passfile='{PASSFILE}' application_name={names.slot(host)}"


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
        "tags": [
            "primary" if host == leader_of(cluster).name else "standby",
            *(f"shard-{shard_id}" for shard_id in cluster.shards),
        ],
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


def _interrupted(state: State) -> bool:
    """Whether the data directory holds a base backup that did not come to its end."""
    return bool(state.get("cloning")) and not state.get("ever_started")


def _clone(platform: Platform, host: str, cluster: Cluster, state: State) -> bool:
    """Whether the data directory of a standby has to be copied from its primary.

    One that is a standby already never is; one that holds a user's data only with postgres_reclone; one that was
    never started holds none.
    """
    if host == leader_of(cluster).name:
        return False
    if platform.is_on(host, "postgres_reclone") or _interrupted(state):
        return True
    holds = bool(state.get("initialised")) and bool(state.get("used"))
    return not (state.get("standby_signal") or holds)


def _moves(state: State, settings: t.Mapping[str, t.Any], pick: t.Callable[[int, int], int]) -> bool:
    """Whether some limit that is in force has to rise (``max``) or to fall (``min``)."""
    in_force = (state.get("server") or {}).get("limits", {})
    given = {name: _int(settings.get(name)) for name in in_force}
    return any(
        pick(value, value if given[name] is None else t.cast(int, given[name])) != value
        for name, value in in_force.items()
    )


def _turn(standby: bool, limits_fall: bool) -> str:
    """Say when a server takes new settings up: standbys first, but for limits that must not be below the primary's."""
    if not standby:
        return "primary"
    return "after_primary" if limits_fall else "before_primary"


def _as_before(platform: Platform, host: str, cluster: Cluster, state: State) -> bool:
    """Whether the server is as it was when its turn began: it answers, streams, and its standbys stream from it."""
    before, now = _server_of(platform, host, "__postgres_before") or {}, state.get("server")
    if not now:
        return False
    own = {names.slot(server.name) for server in standbys_of(cluster)} & set(before.get("active_slots", ()))
    streams = before.get("receiver") != "streaming" or now["receiver"] == "streaming"
    return streams and own <= set(now["active_slots"])


def _of_host(platform: Platform, host: str, cluster: Cluster, state: State) -> t.Iterator[tuple[str, str]]:
    version = state.get("version")
    if not version:
        yield "unknown_release", f"no PostgreSQL is known for {state.get('release')}; set postgres_version"
        return
    server = state.get("server")
    data = f"{HOME}/{version}/main"
    if server and server["version"] != version:
        text = f"port {PORT} is served by PostgreSQL {server['version']}, and postgres_version is {version}"
        yield "other_version", f"{text}; this role makes no upgrade"
    if state["others"]:
        others = ", ".join(state["others"])
        text = f"the cluster {others} is configured for port {PORT}, which this role needs for {version}/main"
        yield "port_taken", text
    if host == leader_of(cluster).name:
        yield from _of_leader(host, cluster, state, data)
    else:
        yield from _of_standby(platform, host, cluster, state, data)
    settings = _settings(platform, host, cluster)
    if not _clone(platform, host, cluster, state) and _moves(state, settings, max) and _moves(state, settings, min):
        text = (
            f"some of {', '.join(LIMITS)} are to rise and others to fall; a standby needs the one before its primary "
            "and the other after it, so change them in two runs"
        )
        yield "limits_both_ways", text


def _of_leader(host: str, cluster: Cluster, state: State, data: str) -> t.Iterator[tuple[str, str]]:
    if state["standby_signal"] or (state.get("server") or {}).get("in_recovery"):
        text = (
            f"it is the first member of the cluster {cluster.name}, and so its primary, and is a standby; this role "
            "promotes nothing: promote it yourself, or put the primary first in the inventory"
        )
        yield "is_standby", text
    if _interrupted(state):
        text = f"it is the primary of the cluster {cluster.name} and holds a base backup that was interrupted"
        yield "interrupted_copy", f"{text}; empty {data} first"
    elif state["configured"] and not state["initialised"]:
        yield "no_data", f"PostgreSQL is configured, but {data} is empty; is a disk not mounted?"


def _of_standby(
    platform: Platform, host: str, cluster: Cluster, state: State, data: str
) -> t.Iterator[tuple[str, str]]:
    again = _AGAIN
    leader = leader_of(cluster).name
    reclone = platform.is_on(host, "postgres_reclone")
    if state["configured"] and not state["initialised"] and not state["cloning"] and not reclone:
        # Else a base backup of everything would go to the disk below the mount point.
        yield (
            "no_data",
            f"PostgreSQL is configured, but {data} is empty; is a disk not mounted? To copy it anyway, {again}",
        )
    clone = _clone(platform, host, cluster, state)
    if state["initialised"] and state["used"] and not clone and not state["standby_signal"]:
        text = (
            f"it is a standby of {leader}, but {data} is a primary's and holds data; to throw that data away, {again}"
        )
        yield "is_primary", text
    own, its = state.get("server"), _server_of(platform, leader)
    if own and its and not clone and own["system"] != its["system"]:
        text = f"it is a standby of another database than the one on {leader} (their system identifiers differ)"
        yield "other_database", f"{text}; to copy that one, {again}"
    elif own and not clone and own["receiver"] != "streaming" and _is_lost(platform, host, leader):
        text = _of_lost_slot(host, leader)
        yield "slot_lost", text


def _is_lost(platform: Platform, host: str, leader: str) -> bool:
    """Whether the leader has removed what a standby still needs, as far as this run has asked it."""
    server = _server_of(platform, leader)
    return server is not None and names.slot(host) in server["lost_slots"]


def _of_lost_slot(host: str, leader: str) -> str:
    slot = names.slot(host)
    return (
        f"its replication slot {slot} on {leader} is lost, as what it still needs was removed there; "
        f"to copy {host} again, {_AGAIN}"
    )


def _server_of(platform: Platform, host: str, register: str = "__postgres") -> State | None:
    """Return what this run has read of a member's server, once its own check is done."""
    read = platform.value(host, register, {})
    state = read.get("state") if isinstance(read, t.Mapping) else None
    return state.get("server") if isinstance(state, t.Mapping) else None


def _mapping(platform: Platform, host: str, variable: str) -> dict[str, t.Any]:
    value = platform.value(host, variable, {})
    return dict(value) if isinstance(value, t.Mapping) else {}


def _int(value: t.Any) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None
