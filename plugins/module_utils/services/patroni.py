# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patroni's configuration of a PostgreSQL cluster: what all members share, and what each one is told; pure.

Each number has its reason in docs/failover.md.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import postgres_hba

PORT = 8008
#: Who may tell Patroni to change something.
USER = "patroni"
HOME = "/var/lib/postgresql"
#: What a member calls as pg_rewind: it keeps the commits that are lost by it first.
REWIND = "/usr/local/lib/scaleout/keep_and_rewind"
#: What it calls before it leads: it archives what the former leader may not have archived.
ARCHIVE = "/usr/local/lib/scaleout/archive_again"
#: The first release of Patroni whose synchronous modes lose nothing: before, an asynchronous member could win, and a
#: stale ``synchronous_standby_names`` could leave writes hanging.
SYNCHRONOUS_FROM = (4, 0, 6)
DURABILITIES = ("available", "durable")
#: What an operator may say of the cluster's timing in ``postgres_patroni_settings``, and no more.
TIMING = ("ttl", "loop_wait", "retry_timeout", "primary_start_timeout", "maximum_lag_on_failover", "member_slots_ttl")

#: Seconds. The smallest ``ttl`` that Patroni takes: Consul counts half of it twice.
_TTL = 20
#: A leader that lost Consul for an election of Raft has to survive it: with 3 s healthy leaders stepped down.
_RETRY_TIMEOUT = 8
_LOOP_WAIT = 2
#: A cluster's settings of this name are given by Patroni itself, or differ from member to member.
NOT_SETTINGS = (
    "listen_addresses",
    "port",
    "cluster_name",
    "hot_standby",
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
)


def problems(platform: Platform, host: str, cluster: Cluster) -> t.Iterator[Problem]:
    """Say what the inventory has wrong about failover."""
    if not str(platform.value(host, "postgres_patroni_password", "")).strip():
        yield Problem("missing_secret", host, "the secret postgres_patroni_password is missing")
    timing = platform.value(host, "postgres_patroni_settings", {})
    unknown = [name for name in timing if name not in TIMING] if isinstance(timing, t.Mapping) else [timing]
    if unknown:
        text = f"postgres_patroni_settings has {', '.join(map(repr, unknown))}; it may have {', '.join(TIMING)}"
        yield Problem("unknown_setting", host, text)
    else:
        yield from _of_timing(host, {**_timing(), **timing})
    priority = platform.value(host, "postgres_failover_priority")
    if priority is not None and not (str(priority).isdigit() and 0 < int(priority) <= 1000):
        yield Problem("invalid_input", host, f"postgres_failover_priority is {priority!r}, not a number from 1 to 1000")
    electable = [one.name for one in cluster.members if not platform.is_on(one.name, "postgres_nofailover")]
    if not electable and host == cluster.members[0].name:
        text = f"postgres_nofailover is true for all members of {cluster.name}, so that none could lead"
        yield Problem("no_candidate", host, text)


def _of_timing(host: str, timing: t.Mapping[str, t.Any]) -> t.Iterator[Problem]:
    given = {name: timing[name] for name in ("ttl", "loop_wait", "retry_timeout")}
    for name, value in given.items():
        if not str(value).isdigit():
            text = f"postgres_patroni_settings has {value!r} as its {name}, which is not a number of seconds"
            yield Problem("invalid_input", host, text)
            return
    ttl, loop, retry = (int(value) for value in given.values())
    if ttl < _TTL or loop < 1 or retry < 3 or loop + 2 * retry > ttl:
        text = (
            f"postgres_patroni_settings: ttl {ttl}, loop_wait {loop} and retry_timeout {retry} do not go together; ttl "
            f"is at least {_TTL}, loop_wait 1, retry_timeout 3, and loop_wait + 2 * retry_timeout at most ttl"
        )
        yield Problem("bad_timing", host, text)


def _timing() -> dict[str, t.Any]:
    return {
        "ttl": _TTL,
        "loop_wait": _LOOP_WAIT,
        "retry_timeout": _RETRY_TIMEOUT,
        # A crashed leader starts again as a replica's rival only when no other member can lead.
        "primary_start_timeout": 0,
        "maximum_lag_on_failover": 1024 * 1024,
        # What the slot of a lost member keeps is bounded by max_slot_wal_keep_size.
        "member_slots_ttl": "1d",
    }


def token(cluster: Cluster) -> str:
    """Return what the token of a cluster's Patroni is called; no host may be called so."""
    return f"patroni/{cluster.name}"


def synchronous(cluster: Cluster, version: t.Sequence[int] = SYNCHRONOUS_FROM) -> str:
    """Return whether a commit waits for a replica: ``off``, ``on`` for the one replica, ``quorum`` for any of several.

    :param version: of Patroni.
    """
    if len(cluster.members) < 2 or tuple(version) < SYNCHRONOUS_FROM:
        return "off"
    return "on" if len(cluster.members) == 2 else "quorum"


def dynamic(
    platform: Platform, host: str, cluster: Cluster, version: t.Sequence[int] = SYNCHRONOUS_FROM
) -> dict[str, t.Any]:
    """Return the keys of the dynamic configuration that are ours, but for PostgreSQL's parameters."""
    mode = synchronous(cluster, version)
    given = platform.value(host, "postgres_patroni_settings", {})
    timing = {**_timing(), **(dict(given) if isinstance(given, t.Mapping) else {})}
    if tuple(version) < (4, 0, 0):
        del timing["member_slots_ttl"]
    return {
        **timing,
        "failsafe_mode": True,
        "synchronous_mode": {"off": False, "on": True, "quorum": "quorum"}[mode],
        "synchronous_mode_strict": mode != "off" and cluster.durability == "durable",
        "synchronous_node_count": 1,
        # Before, a member could not be told to keep its commits first, and would throw them away.
        "postgresql": {"use_pg_rewind": tuple(version) >= SYNCHRONOUS_FROM, "use_slots": True},
    }


def hangs_after(config: t.Mapping[str, t.Any]) -> float:
    """Return the seconds without an answer after which a Patroni is ended, so that it renews its lease in time.

    Consul ends a lease at the earliest after half of its ``ttl``, and a Patroni that starts needs some seconds.

    :param config: the dynamic configuration.
    """
    return max(int(config["ttl"]) / 2 - 4, 4)


def checks(cluster: Cluster, version: t.Sequence[int] = SYNCHRONOUS_FROM) -> list[str]:
    """Return the checks of Consul that end a leader's lease when they fail.

    Gossip sees a lost host before the lease runs out. The former leader does not see it at the same time, so only a
    replica that confirms each commit keeps it from acknowledging meanwhile.
    """
    return ["serfHealth"] if synchronous(cluster, version) != "off" else []


def member(
    platform: Platform,
    host: str,
    cluster: Cluster,
    version: int,
    parameters: t.Mapping[str, t.Any],
    patroni: t.Sequence[int] = SYNCHRONOUS_FROM,
    debian: bool = False,
) -> dict[str, t.Any]:
    """Return a member's own configuration, without its secrets.

    :param version: of PostgreSQL.
    :param parameters: what a new cluster begins with.
    :param patroni: its version.
    :param debian: whether the server's files lie where Debian's package keeps them, as it ran before Patroni did.
    """
    address = platform.address(host)
    members = [one.host for one in cluster.members]
    tags: dict[str, t.Any] = {"nofailover": platform.is_on(host, "postgres_nofailover")}
    priority = platform.value(host, "postgres_failover_priority")
    if priority is not None and not tags["nofailover"]:
        tags = {"failover_priority": int(priority)}
    initdb: list[t.Any] = [{"encoding": "UTF8"}, {"locale": str(platform.value(host, "postgres_locale", "C.UTF-8"))}]
    if platform.is_on(host, "postgres_data_checksums", True):
        initdb.append("data-checksums")
    shared = dynamic(platform, host, cluster, patroni)
    return {
        "scope": cluster.name,
        "name": host,
        "restapi": {
            "listen": f"{bracketed(address)}:{PORT}",
            "connect_address": f"{bracketed(address)}:{PORT}",
            "allowlist": ["127.0.0.1", address, *[each for each in members if each != address]],
        },
        "consul": {"host": "127.0.0.1:8500", "checks": checks(cluster, patroni), "register_service": False},
        "bootstrap": {
            "dcs": {**shared, "postgresql": {**shared["postgresql"], "parameters": dict(parameters)}},
            "initdb": initdb,
        },
        "postgresql": {
            "listen": f"127.0.0.1,{address}:5432",
            "connect_address": f"{bracketed(address)}:5432",
            "data_dir": f"{HOME}/{version}/main",
            "bin_dir": f"/usr/lib/postgresql/{version}/bin",
            **({"config_dir": f"/etc/postgresql/{version}/main"} if debian else {}),
            "pgpass": f"{HOME}/.pgpass.patroni",
            "use_unix_socket": True,
            "use_unix_socket_repl": True,
            # A rewind throws away what only this member wrote, so its commits are kept before.
            "bin_name": {"pg_rewind": REWIND},
            "pre_promote": f"{ARCHIVE} {HOME}/{version}/main",
            # What a copy would throw away may be all that is left of some writes.
            "remove_data_directory_on_rewind_failure": False,
            "remove_data_directory_on_diverged_timelines": False,
            "basebackup": [{"checkpoint": "fast"}],
            "parameters": {
                "unix_socket_directories": "/var/run/postgresql",
                "logging_collector": "on",
                "log_directory": "/var/log/postgresql",
                "log_filename": f"postgresql-{version}-main.log",
                "log_rotation_age": "0",
                "log_rotation_size": "0",
                "log_file_mode": "0640",
                # The package's logrotate moves the file while it is written to.
                "log_truncate_on_rotation": "off",
            },
            "pg_hba": [" ".join(line.split()) for line in postgres_hba.lines(platform, host, cluster)],
        },
        "watchdog": {"mode": "automatic", "safety_margin": 5},
        "tags": tags,
    }
