# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pgBackRest: which host keeps the backups of the clusters, what it may be told, and what each host has of it; pure."""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import archiving, certificates
from ansible_collections.scaleout.platform.plugins.module_utils.services import pgbackrest_conf as conf
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_port

STATE_MODULE = "scaleout.platform.backup_info"


#: Says when restores are proven.
PROOF = "pgbackrest_prove_on_calendar"


class Job(t.NamedTuple):
    """What a timer of the host with the repository starts for each cluster.

    :param what: it is, for a person.
    :param variable: says when.
    """

    name: str
    what: str
    variable: str


JOBS = (
    Job("full", "Full backups", "pgbackrest_full_on_calendar"),
    Job("incr", "Incremental backups", "pgbackrest_incremental_on_calendar"),
    Job("verify", "Checks of the backups", "pgbackrest_verify_on_calendar"),
    Job("prove", "Proofs that a restore works", PROOF),
)
#: Stanzas without these have to be made, by the codes of pgBackRest's ``info``.
_NO_STANZA = (1, 3)
#: Below it pgBackRest knows no PostgreSQL 17.
_FOR_17 = (2, 53, 1)
#: pgBackRest keeps a certificate's common name up to so many characters, as X.509 does.
_LONGEST_NAME = 64
_SHORTEST_PASS = 16

_STANZA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PASS = re.compile(r"[^\x00-\x1f\x7f\s]([^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s])?")
_PATH = re.compile(r"(/[A-Za-z0-9_.+-]+)+")
_ENDPOINT = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_OPTION = re.compile(r"[a-z0-9-]+")
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")
#: What pgbackrest_settings must not have, and why.
_REFUSED = {
    "archive-push-queue-max": "it throws WAL away without a word once the queue is full, and what is lost cannot be "
    "restored",
    "repo1-cipher-pass": "the variable pgbackrest_cipher_pass has it",
    "repo1-s3-key-secret": "the variable pgbackrest_s3_key_secret has it",
    "repo1-cipher-type": "the repository is always encrypted",
}
_TYPES = {
    "repository_type": ("posix", conf.S3),
    "retention_full_type": ("count", "time"),
    "s3_uri_style": ("host", "path"),
    "compress_type": ("none", "gz", "lz4", "zst", "bz2"),
}

State = t.Mapping[str, t.Any]


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of the module that reads the host."""
    keeps = host == conf.repository_of(platform)
    return {
        "clusters": sorted(map(archiving.stanza, platform.clusters.values())) if keeps else [],
        "archives": False,
        "request": conf.request_file(platform, host),
    }


def problems(platform: Platform, host: str, state: State | None = None) -> list[Problem]:
    """Say why the host cannot have the part of the backups that the inventory describes."""
    if not archiving.is_on(platform):
        text = f"the group {archiving.GROUP} has no host, so that there is nowhere to keep a backup"
        return [Problem("empty_group", host, text)]
    found = [*_of_certificates(platform, host, state), *_of_values(platform, host)]
    if host == conf.repository_of(platform):
        found += [*_of_place(platform, host), *_of_repository(platform, host), *_of_stanzas(platform)]
        found += _of_checks(platform, host)
    cluster = platform.cluster_of(host)
    if cluster:
        found += _of_archiving(platform, host, cluster)
    if state is not None and not found:
        found += _of_host(platform, host, state)
    return [Problem(code, host, text) for code, text in found]


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the port that pgBackRest takes."""
    port = platform.value(host, "pgbackrest_port", 8432)
    return [Listen("pgbackrest_port", int(port), conf.address_of(platform, host))] if is_port(port) else []


def health(platform: Platform, host: str, state: State) -> list[str]:
    """Say what keeps the clusters from being restorable, as clauses; the host with the repository knows."""
    found = []
    for name, one in (state.get("stanzas") or {}).items():
        if one["code"] in _NO_STANZA:
            found.append(f"the cluster {name} has no place in the repository")
        elif not one["backups"]:
            found.append(f"the cluster {name} has no backup")
    return found


def wanted(platform: Platform, host: str, state: State | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here; no secret."""
    state = state or {}
    repository = conf.repository_of(platform)
    keeps = host == repository
    stanzas = list(map(archiving.stanza, platform.clusters.values())) if keeps else []
    known = state.get("stanzas") or {}
    jobs = [_job(platform, host, job, stanzas) for job in JOBS] if stanzas else []
    wanted_timers = {timer for job in jobs for timer in job["timers"]}
    return {
        "keeps": keeps,
        "repository": repository,
        "path": _path(platform, host) if _on_disk(platform, host) else "",
        "stanzas": stanzas,
        "stanzas_due": [name for name in stanzas if known.get(name, {"code": 1})["code"] in _NO_STANZA],
        "sections": [
            {"name": one.name, "lines": one.lines()}
            for one in conf.sections(platform, host, int(state.get("version") or 0))
        ],
        "validate": _validate(host, repository, [name for name, one in known.items() if one["code"] not in _NO_STANZA]),
        "probe": [archiving.PROGRAM, "--log-level-file=off", "server-ping", conf.address_of(platform, host)],
        "jobs": jobs,
        "proofs": _proofs(platform, host) if keeps else {},
        "programs": _programs(platform, host) if keeps else [],
        "timers_gone": [name for name in state.get("timers") or () if name not in wanted_timers] if keeps else [],
        "request": conf.request_file(platform, host),
        "subject": f"/CN={host}",
        "names": ",".join(f"DNS:{name}" for name in conf.names_of(platform, host)),
        "certificate_due": _certificate_due(platform, host, state),
    }


def _path(platform: Platform, host: str) -> str:
    return str(platform.value(host, "pgbackrest_repository_path", "/var/lib/pgbackrest"))


def _on_disk(platform: Platform, host: str) -> bool:
    return host == conf.repository_of(platform) and not _in_s3(platform, host)


def _in_s3(platform: Platform, host: str) -> bool:
    return str(platform.value(host, "pgbackrest_repository_type", "posix")) == conf.S3


def _job(platform: Platform, host: str, job: Job, stanzas: t.Sequence[str]) -> dict[str, t.Any]:
    when = str(platform.value(host, job.variable, ""))
    return {
        "name": job.name,
        "what": job.what,
        "when": when,
        "state": "present" if when else "absent",
        "timers": [f"pgbackrest-{job.name}@{stanza}.timer" for stanza in stanzas],
    }


def _proofs(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return what a proof of each cluster's restore is told."""
    asked = platform.value(host, "pgbackrest_checks", {}) if not [*_of_checks(platform, host)] else {}
    return {
        archiving.stanza(cluster): {
            "hosts": len(cluster.members),
            "checks": [dict(one) for one in asked.get(cluster.name, ())],
        }
        for cluster in platform.clusters.values()
    }


def _programs(platform: Platform, host: str) -> list[str]:
    """Return the packages by which a restored copy is started, where the host is not itself a member of a cluster."""
    if not str(platform.value(host, PROOF, "")) or platform.cluster_of(host):
        return []
    versions = {conf.version_of(platform, host, cluster) for cluster in platform.clusters.values()}
    return [f"postgresql-{version}" for version in sorted(versions) if version]


def _validate(host: str, repository: str | None, there: t.Sequence[str]) -> list[str]:
    """Return the command that checks a configuration. It reads what is in the repository with the new passphrase."""
    command = [archiving.PROGRAM, "--config=%s", "--log-level-file=off"]
    if host == repository:
        wanted = [f"--stanza={there[0]}", "repo-get", f"archive/{there[0]}/archive.info"] if there else ["info"]
        return [*command, *wanted]
    # The repository's host may be configured in the same run, and so cannot be asked yet.
    return [*command, "--reset-repo1-host", "--repo1-path=/nonexistent", "info"]


def _certificate_due(platform: Platform, host: str, state: State) -> bool:
    """Whether the host needs another certificate: for other names, by another authority, or for the time to come."""
    text, authority = state.get("certificate") or "", str(platform.value(host, "pgbackrest_ca_certificate", ""))
    if not state.get("requested") or (state.get("authority") or "").strip() != authority.strip():
        return True
    try:
        ends = certificates.read(text).ends
    except certificates.Unreadable:
        return True
    # A third of its life is left for runs in which the host is missing.
    days = int(platform.value(host, "pgbackrest_certificate_days", 365)) / 3
    return _now(state) + datetime.timedelta(days=days) > ends


def _now(state: State) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(state.get("now") or 0, datetime.timezone.utc)


# What cannot be

Faults = t.Iterator[tuple[str, str]]


def _of_certificates(platform: Platform, host: str, state: State | None) -> Faults:
    given = {name: str(platform.value(host, f"pgbackrest_ca_{name}", "")) for name in ("certificate", "key")}
    missing = [name for name, value in given.items() if not value.strip()]
    for name in missing:
        yield "missing_secret", f"the secret pgbackrest_ca_{name} is missing"
    if not missing and state is not None:
        fault = certificates.fault(given["certificate"], given["key"], _now(state))
        if fault:
            yield fault.code, f"the authority of pgbackrest_ca_certificate and pgbackrest_ca_key {fault.text}"
    if len(host) > _LONGEST_NAME:
        yield "bad_name", f"its name is longer than the {_LONGEST_NAME} characters that a certificate takes"


def _of_values(platform: Platform, host: str) -> Faults:
    port = platform.value(host, "pgbackrest_port", 8432)
    if not is_port(port):
        yield "bad_port", f"pgbackrest_port is {port}; a port is between 1 and 65535"
    for name, least in (("certificate_days", 3), ("process_max", 1), ("retention_full", 1), ("retention_diff", 0)):
        value = str(platform.value(host, f"pgbackrest_{name}", least))
        if not (value.isascii() and value.isdigit() and int(value) >= least):
            yield "bad_value", f"pgbackrest_{name} is {value!r}; it must be {least} or more"
    for name, allowed in _TYPES.items():
        value = str(platform.value(host, f"pgbackrest_{name}", allowed[0]))
        if value not in allowed:
            yield "bad_value", f"pgbackrest_{name} is {value!r}; it must be {', '.join(allowed[:-1])} or {allowed[-1]}"
    more = platform.value(host, "pgbackrest_settings", {})
    if not isinstance(more, t.Mapping):
        yield "bad_value", f"pgbackrest_settings is {more!r}; it must be a mapping of options and their values"
        return
    for name, value in more.items():
        if name in _REFUSED:
            yield "bad_value", f"pgbackrest_settings must not have {name}, as {_REFUSED[name]}"
        elif not _OPTION.fullmatch(str(name)) or not _LINE.fullmatch(str(value)):
            yield "bad_value", f"pgbackrest_settings has {str(name)!r}, which is no option with a value of one line"


def _of_place(platform: Platform, host: str) -> Faults:
    others = [other for other in platform.members(archiving.GROUP) if other != host]
    if others:
        yield "bad_value", f"the group {archiving.GROUP} has {host} and {', '.join(others)}; one host keeps the backups"
    cluster = platform.cluster_of(host)
    if cluster and _on_disk(platform, host) and not platform.is_on(host, "pgbackrest_repository_on_member"):
        text = (
            f"it is to keep the backups and is a member of the cluster {cluster.name}, so that both would be lost with "
            f"it; put another host into the group {archiving.GROUP}, keep them in S3 (pgbackrest_repository_type), or "
            "accept that with pgbackrest_repository_on_member: true"
        )
        yield "repository_on_member", text


def _of_repository(platform: Platform, host: str) -> Faults:
    passphrase = str(platform.value(host, "pgbackrest_cipher_pass", ""))
    if not passphrase.strip():
        yield "missing_secret", "the secret pgbackrest_cipher_pass is missing"
    elif not _PASS.fullmatch(passphrase) or len(passphrase) < _SHORTEST_PASS:
        text = (
            f"pgbackrest_cipher_pass must have {_SHORTEST_PASS} printable characters or more in one line, and no blank"
        )
        yield "bad_secret", f"{text} at its ends; make one with `openssl rand -base64 48`"
    path = _path(platform, host)
    if not _PATH.fullmatch(path):
        yield (
            "bad_path",
            f"pgbackrest_repository_path is {path!r}; it must be a path from / of letters, digits and ._+-",
        )
    if not _in_s3(platform, host):
        return
    for name in ("endpoint", "bucket", "region", "key", "key_secret"):
        value = str(platform.value(host, f"pgbackrest_s3_{name}", ""))
        if not value.strip():
            yield "missing_secret" if name.startswith("key") else "bad_value", f"pgbackrest_s3_{name} is missing"
        elif not _PASS.fullmatch(value):
            yield "bad_value", f"pgbackrest_s3_{name} must be one line, and have no blank at its ends"
    endpoint = str(platform.value(host, "pgbackrest_s3_endpoint", ""))
    if endpoint and not _ENDPOINT.fullmatch(endpoint):
        text = f"pgbackrest_s3_endpoint is {endpoint!r}; it must be a host with an optional port, and no URL"
        yield "bad_value", text


def _of_stanzas(platform: Platform) -> Faults:
    for cluster in platform.clusters.values():
        name = archiving.stanza(cluster)
        if not _STANZA.fullmatch(name) or name == "global":
            text = f"the cluster {name} cannot have backups, as pgBackRest's name for it is a section of its file"
            yield "bad_name", f"{text}; use letters, digits, hyphens and underscores, and not global"


def _of_checks(platform: Platform, host: str) -> Faults:
    checks = platform.value(host, "pgbackrest_checks", {})
    form = "a mapping of clusters, each with a list of {database, query}"
    if not isinstance(checks, t.Mapping):
        yield "bad_value", f"pgbackrest_checks is {checks!r}; it must be {form}"
        return
    for name, asked in checks.items():
        if name not in platform.clusters:
            yield "bad_value", f"pgbackrest_checks has {name}, which is not among postgres_clusters"
            continue
        known = {*platform.clusters[name].all_databases, "postgres"}
        for one in asked if isinstance(asked, (list, tuple)) else [asked]:
            if not (isinstance(one, t.Mapping) and set(one) == {"database", "query"} and all(map(str, one.values()))):
                yield "bad_value", f"pgbackrest_checks has {one!r} of {name}; it must be {form}"
            elif one["database"] not in known:
                text = f"pgbackrest_checks has a query for {one['database']}, which is no database of {name}"
                yield "bad_value", f"{text}; there is {', '.join(sorted(known))}"


def _of_archiving(platform: Platform, host: str, cluster: Cluster) -> Faults:
    own = platform.value(host, "postgres_settings", {})
    for where, settings in ((f"settings of {cluster.name}", cluster.settings), ("postgres_settings", own)):
        for name in ("archive_mode", "archive_command", "archive_library"):
            if isinstance(settings, t.Mapping) and settings.get(name) is not None:
                text = f"{where} has {name}, and with the group {archiving.GROUP} pgBackRest archives"
                yield "other_archive", f"{text}; remove it there"


def _of_host(platform: Platform, host: str, state: State) -> Faults:
    if state["configured_before"]:
        text = "/etc/pgbackrest.conf has stanzas of another's, which would not count any more beside this role's file"
        yield "other_archive", f"{text}; move what is needed and remove them there"
    program = state["program"]
    for one in conf.clusters_of(platform, host):
        version = conf.version_of(platform, one.members[0].name, one)
        if program and version >= 17 and _numbers(program) < _FOR_17:
            text = f"it has pgBackRest {program}, which knows no PostgreSQL {version} as the cluster {one.name} has it"
            yield "other_version", f"{text}; use the same Debian release as its servers"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
