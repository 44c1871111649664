# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PgBouncer: what a pooler on a database server may be told to be, and what it is to run with; pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import postgres
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_port

STATE_MODULE = "scaleout.platform.pgbouncer_info"

#: Who gives commands on the console: over the unix socket the operating system's user, and from members by a password.
USER = "pgbouncer"
#: The user that the health check comes as. PgBouncer writes an error for each user that it does not know.
HEALTH_USER = "scaleout_health"
#: Its secret belongs to a random password that was thrown away, so no one can log in with it.
_HEALTH_SECRET = (
    "SCRAM-SHA-256$4096:XPlyfo51eCi1vt+LjUpXZQ==$5WlfCDW4Y4ksrNPT+5pySquUltj2zJsptxDdG++Kqko=:"
    "Lp2QCKw/ZmQg/1QAla++Vvs1/9wIY/4DdGYOZUlytaM="
)
#: Whose secret is told: those who may log in with a password and are neither superusers nor replicate.
FUNCTION_BODY = (
    "SELECT rolname, rolpassword FROM pg_catalog.pg_authid "
    "WHERE rolname = $1 AND rolcanlogin AND NOT rolsuper AND NOT rolreplication "
    "AND (rolvaliduntil IS NULL OR rolvaliduntil > now()) "
    f"UNION ALL SELECT '{HEALTH_USER}'::name, '{_HEALTH_SECRET}' WHERE $1 = '{HEALTH_USER}'"
)
#: The function as the server has to have it.
FUNCTION = {
    "body": FUNCTION_BODY,
    "config": ["search_path=pg_catalog"],
    "definer": True,
    "of_superuser": True,
    "may": ["pgbouncer"],
    "reached": True,
}
#: Written by the watch that follows the leader, and read by the pooler.
LEADER_FILE = "/var/lib/pgbouncer/leader.ini"
#: The secret of the one user that looks up those of all others.
USERS = "/etc/pgbouncer/userlist.txt"
#: Connections that PostgreSQL keeps for superusers unless it is told otherwise.
RESERVED = 3

_DATABASE = re.compile(r"[A-Za-z0-9_.-]{1,63}")
_NETWORK = re.compile(r"[0-9.]+(/[0-9]+)?|[0-9a-fA-F.]*:[0-9a-fA-F:.]*(/[0-9]+)?")

State = t.Mapping[str, t.Any]


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of the module that reads the host."""
    return {"databases": [str(name) for name in databases(platform, host)], "server_port": postgres.PORT}


def databases(platform: Platform, host: str) -> list[t.Any]:
    """Return the names of the databases that get a pool: those that the host names, else those of its cluster."""
    named = platform.value(host, "pgbouncer_databases", [])
    if not isinstance(named, (list, tuple)):
        return []
    cluster = platform.cluster_of(host)
    return list(named) or sorted(cluster.all_databases if cluster else ())


def problems(platform: Platform, host: str, state: State | None = None) -> list[Problem]:
    """Say why the host cannot have the pooler that the inventory describes."""
    cluster = platform.cluster_of(host)
    if cluster is None:
        text = "pgbouncer belongs on a member of a cluster; postgres_cluster must name one of postgres_clusters"
        return [Problem("no_cluster", host, text)]
    found = [
        *_of_secret(platform, host),
        *_of_databases(platform, host),
        *_of_access(platform, host),
        *_of_numbers(platform, host),
        *_of_connections(platform, host, cluster, state),
    ]
    return [Problem(code, host, text) for code, text in found]


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the port that PgBouncer takes."""
    return [Listen("pgbouncer_port", _number(platform, host, "pgbouncer_port", 6432), "")]


def health(platform: Platform, host: str, state: State) -> list[str]:
    """Its health is its driver's to judge, which knows the files that it is to run with."""
    return []


def wanted(platform: Platform, host: str, state: State | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here; empty where the host is in no cluster."""
    cluster = platform.cluster_of(host)
    if cluster is None:
        return {}
    state = state or {}
    server = state.get("server") or {}
    names = [str(name) for name in databases(platform, host)]
    functions = server.get("functions", {})
    due = [name for name in names if functions.get(name) != FUNCTION]
    given = settings(platform, host)
    connections = 2 * len(names) * _pool_size(platform, host)
    return {
        "cluster": cluster.name,
        "databases": names,
        "server_port": postgres.PORT,
        "locals": {local(name): name for name in names},
        "leader_file": LEADER_FILE,
        "settings": given,
        "hba": _hba(platform, host),
        "open_files": max(65536, _number(platform, host, "pgbouncer_max_client_conn", 1000) + connections + 100),
        "function_body": FUNCTION_BODY,
        "leads": server.get("in_recovery") is False,
        # In one transaction and one connection for each database. A replica has them from its leader.
        "functions_due": due if server.get("in_recovery") is False else [],
        "address": address(platform, host),
        "needs": "restart" if needs_restart(given, state.get("settings", {}), state.get("fixed", [])) else "reload",
        "service": _service(platform, host, cluster, names),
    }


def address(platform: Platform, host: str) -> str:
    """Return where PgBouncer listens beside loopback."""
    return str(platform.value(host, "pgbouncer_address") or platform.address(host))


def settings(platform: Platform, host: str) -> dict[str, str]:
    """Return what PgBouncer is to run with, written as ``SHOW CONFIG`` shows it."""

    def value(name: str, default: t.Any) -> str:
        return str(platform.value(host, f"pgbouncer_{name}", default))

    timeout = value("connection_timeout", 2)
    ignored = platform.value(host, "pgbouncer_ignore_startup_parameters", ["extra_float_digits"])
    found = {
        "listen_addr": f"127.0.0.1,{address(platform, host)}",
        "listen_port": value("port", 6432),
        "unix_socket_dir": "/run/pgbouncer",
        "auth_type": "hba",
        "auth_hba_file": "/etc/pgbouncer/hba.conf",
        "auth_file": USERS,
        "auth_user": USER,
        # So that a playbook can hold requests on all of a cluster's poolers while the lead changes hands.
        "admin_users": USER,
        "auth_query": "SELECT usename, passwd FROM pgbouncer.secret_of($1)",
        "pool_mode": value("pool_mode", "transaction"),
        "min_pool_size": value("pool_min", 2),
        "default_pool_size": value("pool_max", 20),
        # A pool is of a database and a user: this bounds the database, whoever uses it.
        "max_db_connections": str(_pool_size(platform, host)),
        "max_client_conn": value("max_client_conn", 1000),
        "server_idle_timeout": value("pool_idle_timeout", 60),
        "query_wait_timeout": timeout,
        # While the server is away a client that logs in waits for the look-up of its secret.
        "client_login_timeout": timeout,
        "server_connect_timeout": timeout,
        # PgBouncer's 15 s would let a server that is back wait for so long.
        "server_login_retry": "1",
        "ignore_startup_parameters": ",".join(map(str, ignored)),
        # The journal has what matters; each connection would be two lines of it.
        "log_connections": "0",
        "log_disconnections": "0",
    }
    if _tls(platform, host):
        found.update(
            client_tls_sslmode="require",
            client_tls_cert_file=value("tls_cert_file", ""),
            client_tls_key_file=value("tls_key_file", ""),
        )
    more = platform.value(host, "pgbouncer_settings", {})
    found.update({str(name): str(setting) for name, setting in more.items()} if isinstance(more, t.Mapping) else {})
    return found


def drift(given: t.Mapping[str, str], in_force: t.Mapping[str, str]) -> list[str]:
    """Return the settings that the pooler does not run with, as ``name = value``."""
    return [f"{name} = {value}" for name, value in given.items() if in_force.get(name) != value]


def needs_restart(given: t.Mapping[str, str], in_force: t.Mapping[str, str], fixed: t.Collection[str]) -> bool:
    """Whether a setting differs that PgBouncer reads when it starts only."""
    return not in_force or any(name in fixed and in_force.get(name) != value for name, value in given.items())


def local(database: str) -> str:
    """Return what a database of this host's own server is called, be that the leader's or a replica's."""
    return f"{database}_local"


def _of_secret(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    if not str(platform.value(host, "pgbouncer_password", "")).strip():
        yield "missing_secret", "the secret pgbouncer_password is missing"


def _of_databases(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    named = platform.value(host, "pgbouncer_databases", [])
    if not isinstance(named, (list, tuple)):
        yield "invalid_databases", f"pgbouncer_databases is {named!r}, not a list of names"
        return
    names = [str(name) for name in databases(platform, host)]
    if not names:
        yield "no_databases", "pgbouncer_databases is empty, and postgres_clusters names none for its cluster"
    bad = [name for name in names if not _DATABASE.fullmatch(name)]
    if bad:
        text = (
            f"pgbouncer_databases has {', '.join(bad)}; a name must be letters, digits, dots, hyphens and underscores"
        )
        yield "invalid_name", text
    if "pgbouncer" in names:
        yield "reserved_name", "pgbouncer_databases must not name pgbouncer, which is PgBouncer's own console"


def _of_access(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    if "pgbouncer" not in platform.value(host, "postgres_peer_users", ["pgbouncer"]):
        yield "no_peer", "postgres_peer_users must name pgbouncer, for PgBouncer logs in by it"
    files = [bool(platform.value(host, f"pgbouncer_tls_{kind}_file", "")) for kind in ("cert", "key")]
    if files[0] != files[1]:
        yield "half_of_tls", "pgbouncer_tls_cert_file and pgbouncer_tls_key_file go together"
    names = [network for network in _networks(platform, host) if not _NETWORK.fullmatch(network)]
    if names:
        text = f"PgBouncer knows addresses and networks, no host names such as {', '.join(names[:3])}"
        yield "host_name", f"{text}; set pgbouncer_allowed_networks"


def _of_numbers(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    port = platform.value(host, "pgbouncer_port", 6432)
    if not is_port(port):
        yield "bad_port", f"pgbouncer_port is {port}; a port is between 1 and 65535"
    elif int(port) == postgres.PORT:
        yield "port_taken", f"pgbouncer_port must not be {postgres.PORT}, which is PostgreSQL's"
    low, high = (_number(platform, host, f"pgbouncer_pool_{end}", value) for end, value in (("min", 2), ("max", 20)))
    if low < 0 or high < 1:
        yield "bad_pool", "pgbouncer_pool_max must be 1 or more and pgbouncer_pool_min 0 or more"
    elif low > high:
        yield "bad_pool", f"pgbouncer_pool_min ({low}) is above pgbouncer_pool_max ({high})"
    for name, value in (("connection_timeout", 2), ("pool_idle_timeout", 60), ("max_client_conn", 1000)):
        if _number(platform, host, f"pgbouncer_{name}", value) < 1:
            yield "too_small", f"pgbouncer_{name} must be 1 or more"


def _of_connections(
    platform: Platform, host: str, cluster: Cluster, state: State | None
) -> t.Iterator[tuple[str, str]]:
    names = databases(platform, host)
    # All members' poolers go to the one that leads, and each has its own server as well.
    needed = len(names) * _pool_size(platform, host) * (len(cluster.members) + 1)
    server = (state or {}).get("server")
    limit = postgres.declared_limits(platform, host, cluster)["max_connections"] - RESERVED
    # What it is told to have it has by the time that the pooler runs.
    has = max(limit, server["connections"]) if server else limit
    if needed > has:
        text = (
            f"pgbouncer_pool_max {_number(platform, host, 'pgbouncer_pool_max', 20)} and one look-up for each of "
            f"{len(names)} databases make {needed} connections with those of {len(cluster.members)} members' poolers, "
            f"and PostgreSQL has {has} (max_connections less superuser_reserved_connections); lower the one or raise "
            "the other"
        )
        yield "too_many_connections", text


def _number(platform: Platform, host: str, variable: str, default: int) -> int:
    """Return a number; -1 for what is none."""
    try:
        return int(str(platform.value(host, variable, default)))
    except ValueError:
        return -1


def _pool_size(platform: Platform, host: str) -> int:
    """A pool's connections, and one for the look-up of a client's secret."""
    return _number(platform, host, "pgbouncer_pool_max", 20) + 1


def _tls(platform: Platform, host: str) -> bool:
    return bool(platform.value(host, "pgbouncer_tls_cert_file", ""))


def _networks(platform: Platform, host: str) -> list[str]:
    for variable in ("pgbouncer_allowed_networks", "postgres_allowed_networks"):
        given = platform.value(host, variable, [])
        if given:
            return [str(network) for network in given]
    return list(dict.fromkeys(platform.address(name) for name in sorted(platform.hosts)))


def _hba(platform: Platform, host: str) -> list[str]:
    """Return the lines of PgBouncer's hba.conf; the first that matches decides."""
    kind = "hostssl" if _tls(platform, host) else "host"
    lines = [f'local all "{USER}" peer', "local all all scram-sha-256"]
    cluster = platform.cluster_of(host)
    members = [server.host for server in cluster.members if _NETWORK.fullmatch(server.host)] if cluster else []
    # The console is for members of the cluster, and for no other client.
    lines += [f'{kind} "{USER}" "{USER}" {member}{_mask(member)} scram-sha-256' for member in members]
    lines += [f'host "{USER}" all {network} reject' for network in ("0.0.0.0/0", "::/0")]
    # The health check comes from the address that it asks.
    own = [each for each in [address(platform, host)] if _NETWORK.fullmatch(each)]
    for network in dict.fromkeys(["127.0.0.1", "::1", *own, *_networks(platform, host)]):
        lines.append(f"{kind} all all {network}{_mask(network)} scram-sha-256")
    return lines


def _mask(network: str) -> str:
    return "" if "/" in network else "/128" if ":" in network else "/32"


def _service(platform: Platform, host: str, cluster: Cluster, names: t.Sequence[str]) -> dict[str, t.Any]:
    where, port = address(platform, host), _number(platform, host, "pgbouncer_port", 6432)
    ask = ["/usr/bin/pg_isready", "--quiet", f"--host={where}", f"--port={port}"]
    return {
        "name": "pgbouncer",
        "id": "pgbouncer",
        "address": where,
        "port": port,
        "tags": [cluster.name, *names],
        "checks": [
            {
                "id": "pgbouncer-accepts",
                "name": "PgBouncer asks its server about a client",
                # The pooler asks PostgreSQL for the user's secret before it answers.
                "args": [*ask, f"--dbname={names[0] if names else ''}", f"--username={HEALTH_USER}", "--timeout=1"],
                "interval": "5s",
                "timeout": "2s",
            }
        ],
    }
