# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The applications of a host as the role app takes them: an entry of ``applications`` becomes its variables; pure."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t
from collections import ChainMap
from collections.abc import Mapping

from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Platform,
    Problem,
    Unevaluated,
    failures,
    plain,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services import app
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen

#: The role whose variables an entry has.
ROLE = "scaleout.platform.app"

#: What only the entry says, and what holds where it says nothing.
OWN: dict[str, t.Any] = {
    "source": "",
    "archive": "",
    "image": "",
    "image_archive": "",
    "command": [],
    "packages": [],
    "version": "",
    "schema_serves": "",
    "environment": {},
    "prepare_command": [],
    "workers": [],
    "limits": {},
    "service_tags": [],
}
#: What an entry says for itself, and a variable of the role for all applications.
COMMON = (
    "strip_components",
    "image_engine",
    "exclude",
    "keep_releases",
    "prepare_timeout",
    "worker_steady_time",
    "drain_timeout",
    "restart_delay",
    "health_path",
    "health_host",
    "health_timeout",
    "health_check_timeout",
)
#: What names a path on the controller.
ON_CONTROLLER = ("source", "archive", "image_archive")
_NOTHING: Mapping[str, t.Any] = {}


def of(platform: Platform, host: str) -> list[Application]:
    """Return the applications of a host that the role app deploys."""
    return [
        one for one in platform.applications.values() if one.role == ROLE and host in platform.groups.get(one.group, ())
    ]


def settings(platform: Platform, host: str, application: Application, folder: str = "") -> dict[str, t.Any]:
    """Return the variables of the role app for an application on a host, without their prefix; no secret.

    :param folder: where relative paths begin. With Ansible alone that is the playbook's own, a folder of the installed
        collection.
    """
    entry = _entry(platform, host, application)
    health = entry.get("health", _NOTHING)
    found = {name: plain(entry.get(name, default)) for name, default in OWN.items()}
    for name in COMMON:
        given = health.get(name[len("health_") :]) if name.startswith("health_") else entry.get(name)
        found[name] = platform.value(host, f"app_{name}") if given is None else plain(given)
    for name in ON_CONTROLLER:
        path = found[name]
        if isinstance(path, str) and path and not path.startswith("~"):
            found[name] = posixpath.join(folder, path)
    found["environment"] = {**_of_database(platform, host, application), **(found["environment"] or {})}
    return {
        **found,
        "name": application.name,
        "service": application.service,
        "port": application.port,
        "user": entry.get("user") or application.name,
    }


def problems(platform: Platform, host: str) -> list[Problem]:
    """Say why the applications of a host cannot be deployed, as far as the inventory shows it."""
    here = of(platform, host)
    left = list(_left_behind(platform, host)) if here else []
    return left + [problem for one in here for problem in _of_one(platform, host, one)]


def listens(platform: Platform, host: str, names: t.Iterable[str]) -> dict[str, list[Listen]]:
    """Return the ports that applications of a host take, by their names."""
    found = {name: platform.applications[name].port for name in names}
    return {name: [Listen("the port", port, "")] for name, port in found.items() if port is not None}


def _left_behind(platform: Platform, host: str) -> t.Iterator[Problem]:
    """Name variables that an inventory with one application had in the place of an entry: nothing reads them."""
    for name in ("name", "port", *OWN, "secrets", "user", "service"):
        value = platform.value(host, f"app_{name}")
        if value is not None and value != OWN.get(name, {} if name == "secrets" else None):
            says = "make it the entry's name" if name == "name" else f"move it to the entry, as {name}"
            text = f"app_{name} is not read any more; applications has it: {says}"
            yield Problem("renamed_variable", host, text)


def _of_one(platform: Platform, host: str, application: Application) -> t.Iterator[Problem]:
    entry = _entry(platform, host, application)
    given = settings(platform, host, application)
    looked = {name: value for name, value in given.items() if not name.startswith("health_")}
    failed = list(failures({**looked, "health": entry.get("health")}, ""))
    for where, reason in failed:
        yield Problem("not_evaluated", host, f"applications: {application.name}: {where} {reason}")
    yield from _of_secrets(host, application.name, entry)
    if failed:
        return
    variables = {f"app_{name}": value for name, value in given.items()}
    variables["app_secrets"] = dict.fromkeys(entry.get("secrets") or (), "")
    here = ChainMap(variables, t.cast("dict[str, t.Any]", platform.hosts[host]))
    yield from app.problems_of(
        dataclasses.replace(platform, hosts={**dict.fromkeys(platform.hosts, _NOTHING), host: here}),
        host,
        application.name,
    )


def _of_secrets(host: str, name: str, entry: Mapping[str, t.Any]) -> t.Iterator[Problem]:
    """Name the secrets that have no value. Nothing of one that has is told, not even its length."""
    given = {f"secrets: {secret}": value for secret, value in (entry.get("secrets") or _NOTHING).items()}
    for where, value in given.items():
        yield from _of_secret(host, f"applications: {name}: {where}", value)


def of_database(platform: Platform, host: str, application: Application) -> t.Iterator[Problem]:
    """Say what is wrong with the password of an application's database on a host that needs it."""
    database = _entry(platform, host, application).get("database")
    if isinstance(database, Mapping):
        where = f"applications: {application.name}: database: password"
        yield from _of_secret(host, where, database.get("password"))


def _of_secret(host: str, where: str, value: t.Any) -> t.Iterator[Problem]:
    if isinstance(value, Unevaluated):
        yield Problem("missing_secret", host, f"{where} {value.reason}")
    elif value is None or not str(value).strip():
        yield Problem("missing_secret", host, f"{where} is empty")


def _of_database(platform: Platform, host: str, application: Application) -> dict[str, t.Any]:
    """Return where an application's database is, in the variables that libpq and most drivers read.

    Each member's pooler leads to the one that takes writes. So a driver gets all of them and tries one after the other,
    the one on its own host first.
    """
    database = application.database
    cluster = platform.clusters.get(database.cluster) if database else None
    if database is None or cluster is None:
        return {}
    servers = sorted(cluster.members, key=lambda server: server.name != host)
    if database.one_host:
        at = platform.members(application.group).index(host) if host in platform.members(application.group) else 0
        servers = servers[:1] if servers[0].name == host else [servers[at % len(servers)]]
    return {
        "PGHOST": ",".join(server.host for server in servers),
        "PGPORT": ",".join(str(server.pooler_port or server.port) for server in servers),
        "PGDATABASE": database.name,
        "PGUSER": database.login,
    }


def _entry(platform: Platform, host: str, application: Application) -> Mapping[str, t.Any]:
    declared = platform.value(host, "applications")
    entry = declared.get(application.name) if isinstance(declared, Mapping) else None
    return entry if isinstance(entry, Mapping) else _NOTHING
