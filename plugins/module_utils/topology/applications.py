# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The applications of an inventory: what runs on the hosts of which group, with which database, site and pool."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ansible_collections.scaleout.platform.plugins.module_utils import names
from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Database,
    Platform,
    Pool,
    Problem,
    Site,
    Upkeep,
    failures,
    plain,
)
from ansible_collections.scaleout.platform.plugins.module_utils.topology.databases import SERVERS_OWN
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import (
    LOADBALANCER,
    Reader,
    number,
)

#: The role that deploys an application whose entry names none.
ROLE = "scaleout.platform.app"
#: The reference API, whose name, port and secrets are variables of its own role.
REFERENCE_API = "scaleout.platform.reference_api"
#: What any application may say.
KEYS = ("group", "role", "service", "port", "database", "shards", "site", "pool", "scaling", "secrets")
#: What one that the role app deploys may say beside that: variables of that role, without the prefix.
APP_KEYS = (
    "source",
    "archive",
    "strip_components",
    "image",
    "image_engine",
    "image_archive",
    "command",
    "packages",
    "user",
    "version",
    "schema_serves",
    "exclude",
    "keep_releases",
    "environment",
    "prepare_command",
    "prepare_timeout",
    "workers",
    "worker_steady_time",
    "limits",
    "health",
    "service_tags",
    "drain_timeout",
    "restart_delay",
)
HEALTH_KEYS = ("path", "host", "timeout", "check_timeout")
#: What ``maintain.yml`` keeps in a database: operations/upkeep.py judges it.
UPKEEP_KEYS = ("partition_sets", "summaries", "materialized_views")
DATABASE_KEYS = ("name", "owner", "cluster", "user", "previous_user", "password", *UPKEEP_KEYS, "hosts")
SITE_KEYS = ("server_name", "listen")
#: What ``nginx_sites`` takes beside names and ports.
SITE_OPTIONS = (
    "client_max_body_size",
    "proxy_connect_timeout",
    "proxy_send_timeout",
    "proxy_read_timeout",
    "internal_paths",
    "tls",
    "extra",
)
POOL_KEYS = ("min", "max")
#: Groups that are no pool of servers.
_NO_POOLS = ("all", "ungrouped", "fleet_idle", "fleet_spare", "fleet_leaving", "fleet_released")
#: Roles of PostgreSQL that no application may own its database by.
_ROLES_TAKEN = ("postgres", "replicator", "pgbouncer")
#: The name becomes an account, a unit and a path.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_ROLE = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
_SERVER_NAME = re.compile(r"[A-Za-z0-9_*~^$.()\[\]\\|?+:-]{1,255}")


def keys_of(role: t.Any) -> tuple[str, ...]:
    """Return what the entry of an application may say, by the role that deploys it."""
    return (*KEYS, *APP_KEYS) if role == ROLE else KEYS


def read(platform: Platform) -> tuple[dict[str, Application], list[Problem]]:
    """Return what can be made of ``applications``, and every problem.

    :param platform: with its database clusters.
    """
    reader = _Applications(platform)
    return reader.applications(), reader.problems


class _Applications(Reader):
    def applications(self) -> dict[str, Application]:
        stated = [host for host in self.platform.hosts if self.platform.value(host, "applications") is not None]
        if not stated:
            return {}
        declared = self.platform.value(stated[0], "applications")
        if not isinstance(declared, Mapping):
            text = "applications is not a mapping such as {shop: {group: api, port: 8000}}"
            self.problem("invalid_applications", "", text)
            return {}
        self._check_same(stated)
        found = {}
        for name in declared:
            application = self._application(str(name), declared[name])
            if application:
                found[application.name] = application
        for fault in (*_shared_names(found), *_shared_databases(found)):
            self.problems.append(fault)
        return found

    def _check_same(self, stated: t.Sequence[str]) -> None:
        """Refuse applications that are not the same on all hosts. What an environment holds may differ."""
        first = _outline(self.platform.value(stated[0], "applications"))
        for host in self.platform.hosts:
            if _outline(self.platform.value(host, "applications")) != first:
                text = f"is not what it is on {stated[0]}; put it into group_vars/all"
                self.of("different_values", host, "applications", text)
                break

    def _application(self, name: str, entry: t.Any) -> Application | None:
        where = f"applications: {name}"
        if not _NAME.fullmatch(name):
            text = f"applications has {name!r}; its name must be 1 to 31 of a-z, 0-9, _ and -, and begin with a letter"
            self.problem("invalid_name", "", text)
        if not isinstance(entry, Mapping):
            self.problem("invalid_applications", "", f"{where} is not a mapping with {', '.join(KEYS)}")
            return None
        unknown = list(failures(_outline_of(entry)))
        for key, reason in unknown:
            self.problem("not_evaluated", "", f"{where}: {key} {reason}")
        if unknown:
            return None
        before = len(self.problems)
        role = entry.get("role", ROLE)
        self._check_keys(where, entry, keys_of(role))
        self._check_group(where, entry.get("group"))
        if not isinstance(role, str) or not _ROLE.fullmatch(role):
            self.problem("invalid_role", "", f"{where}: role is {role!r}, which is not the name of a role")
        is_sound = len(self.problems) == before and _NAME.fullmatch(name)
        application = Application(
            name,
            str(entry.get("group")),
            str(role),
            self._service(where, name, role, entry),
            self._port(where, role, entry),
            self._database(where, name, entry.get("database")),
            self._site(where, entry.get("site")),
            self._pool(where, entry.get("pool")),
            self._secrets(where, role, entry.get("secrets")),
            # What it says is judged with the bounds of the pool: operations/scaling_policy.py.
            plain(entry.get("scaling")),
            _upkeep(entry.get("database")),
            _upkeep(self._part(f"{where}: shards", entry.get("shards"), UPKEEP_KEYS)),
        )
        if role == ROLE and "health" in entry:
            self._part(f"{where}: health", entry["health"], HEALTH_KEYS)
        # One whose parts are not all right is looked at all the same: who corrects them is told the rest at once.
        return application if is_sound else None

    def _check_keys(self, where: str, entry: Mapping[str, t.Any], keys: t.Sequence[str]) -> None:
        for key in entry:
            if key not in keys:
                self.problem("unknown_key", "", f"{where} {names.unknown_key(key, keys, 'app_')}")

    def _part(self, where: str, value: t.Any, keys: t.Sequence[str]) -> Mapping[str, t.Any] | None:
        """Return a part of an entry that is a mapping; None where there is none, or it is something else."""
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.problem("invalid_applications", "", f"{where} is not a mapping with {', '.join(keys)}")
            return None
        self._check_keys(where, value, keys)
        return value

    def _check_group(self, where: str, group: t.Any) -> None:
        if not isinstance(group, str) or group not in self.platform.groups:
            self.problem("unknown_group", "", f"{where}: group is {group!r}, which is not a group of the inventory")
        elif group in _NO_POOLS:
            text = f"{where}: group is {group}, whose hosts are no pool of servers; give the application a group"
            self.problem("unknown_group", "", text)

    def _own(self, role: t.Any, group: t.Any, variable: str) -> t.Any:
        """Return a variable of the reference API's role on the first host of its group."""
        hosts = self.platform.members(str(group)) if role == REFERENCE_API else []
        return self.platform.value(hosts[0], f"reference_api_{variable}") if hosts else None

    def _service(self, where: str, name: str, role: t.Any, entry: Mapping[str, t.Any]) -> str:
        group = entry.get("group")
        service = entry.get("service") or self._own(role, group, "service") or self._own(role, group, "name") or name
        if service != name and (not isinstance(service, str) or not _SERVICE.fullmatch(service)):
            text = f"{where}: service is {service!r}; it must be 1 to 63 letters, digits, _ and -"
            self.problem("bad_name", "", text)
        return str(service)

    def _port(self, where: str, role: t.Any, entry: Mapping[str, t.Any]) -> int | None:
        value = entry.get("port", self._own(role, entry.get("group"), "port"))
        if value is None and role != ROLE:
            return None
        port = number(value)
        if port is None or not 1 <= port <= 65535:
            text = f"{where}: port is {value!r}; a port is between 1 and 65535"
            self.problem("bad_port", "", text)
            return None
        return port

    def _database(self, where: str, name: str, value: t.Any) -> Database | None:
        part = self._part(f"{where}: database", value, DATABASE_KEYS)
        if part is None:
            return None
        before = len(self.problems)
        clusters = list(self.platform.clusters)
        cluster = part.get("cluster", clusters[0] if len(clusters) == 1 else None)
        database = part.get("name", name)
        owner = part.get("owner", database)
        if not isinstance(cluster, str) or cluster not in self.platform.clusters:
            text = f"{where}: database: cluster is {cluster!r}, which postgres_clusters does not have (it has "
            self.problem("unknown_cluster", "", f"{text}{', '.join(clusters) or 'none'})")
        elif database in [f"shard_{shard_id}" for shard_id in self.platform.clusters[cluster].shards]:
            text = f"{where}: database: name is {database}, which holds a shard in the cluster {cluster}"
            self.problem("database_taken", "", text)
        fault = names.fault_of_identifier(database)
        if fault:
            self.problem("invalid_name", "", f"{where}: database: name is {database!r}, which {fault}")
        if database in (*SERVERS_OWN, "pgbouncer"):
            self.problem("reserved_name", "", f"{where}: database: name is {database}, which every server has already")
        if "password" not in part:
            self.problem("missing_secret", "", f"{where}: database: password is missing; its user logs in with it")
        roles = {"owner": owner, **{key: part[key] for key in ("user", "previous_user") if part.get(key) is not None}}
        user, previous = (str(roles.get(key, "")) for key in ("user", "previous_user"))
        hosts = part.get("hosts", "all")
        if hosts not in ("all", "one"):
            self.problem("invalid_input", "", f"{where}: database: hosts is {hosts!r}; choose one of all, one")
        made = Database(str(database), str(owner), str(cluster), user, previous, hosts == "one")
        self._check_roles(f"{where}: database", roles, made.login)
        return made if len(self.problems) == before else None

    def _check_roles(self, where: str, roles: Mapping[str, t.Any], login: str) -> None:
        for key, role in roles.items():
            fault = names.fault_of_identifier(role)
            if fault:
                self.problem("invalid_name", "", f"{where}: {key} is {role!r}, which {fault}")
            elif role in _ROLES_TAKEN:
                self.problem("reserved_name", "", f"{where}: {key} is {role}, which is a role of the platform's")
        if roles.get("previous_user") == login:
            text = f"{where}: previous_user is {login}, which is its user; a new password needs another one"
            self.problem("duplicate", "", text)

    def _site(self, where: str, value: t.Any) -> Site | None:
        part = self._part(f"{where}: site", value, (*SITE_KEYS, *SITE_OPTIONS))
        if part is None:
            return None
        if not self.platform.members(LOADBALANCER):
            text = f"{where}: site needs a load balancer, and the group {LOADBALANCER} has no host"
            self.problem("empty_group", "", text)
        server_names = _texts(part.get("server_name", "_"))
        for one in server_names or [str(part.get("server_name"))]:
            if not _SERVER_NAME.fullmatch(one):
                text = f"{where}: site: server_name has {one!r}, which is not a host name"
                self.problem("invalid_name", "", text)
        options = {key: plain(part[key]) for key in SITE_OPTIONS if part.get(key) is not None}
        listen = part.get("listen", "443 ssl" if part.get("tls") else 80)
        return Site(tuple(server_names), tuple(_texts(listen)), options)

    def _pool(self, where: str, value: t.Any) -> Pool:
        part = self._part(f"{where}: pool", value, POOL_KEYS)
        if part is None:
            return Pool()
        given = {bound: part[bound] for bound in ("min", "max") if part.get(bound) is not None}
        read = {bound: number(value) for bound, value in given.items()}
        low, high = read.get("min"), read.get("max")
        if any(value is None or value < 1 for value in read.values()) or (low and high and high < low):
            said = " and ".join(f"{bound} is {value!r}" for bound, value in given.items())
            text = f"{where}: pool: {said}; they must be numbers from 1 on, and max not below min"
            self.problem("bad_pool", "", text)
        return Pool(low, high)

    def _secrets(self, where: str, role: t.Any, value: t.Any) -> tuple[str, ...]:
        """Return the names of variables that a role of one's own cannot do without."""
        if value is None:
            return ()
        if role == ROLE:
            if not isinstance(value, Mapping):
                text = f"{where}: secrets is not a mapping from variables of its environment to their values"
                self.problem("invalid_applications", "", text)
            return ()
        if not isinstance(value, (list, tuple)) or not all(isinstance(secret, str) for secret in value):
            text = f"{where}: secrets is not a list of names of variables, which the role {role} needs"
            self.problem("invalid_applications", "", text)
            return ()
        return tuple(value)


def _shared_names(found: Mapping[str, Application]) -> t.Iterator[Problem]:
    taken: dict[str, str] = {}
    for one in found.values():
        other = taken.setdefault(one.service, one.name)
        if other != one.name:
            text = f"applications: {other} and {one.name} are both the service {one.service} in Consul; rename one"
            yield Problem("duplicate", "", text)


def _shared_databases(found: Mapping[str, Application]) -> t.Iterator[Problem]:
    databases: dict[tuple[str, str], str] = {}
    roles: dict[tuple[str, str], str] = {}
    for one in found.values():
        if one.database is None:
            continue
        cluster = one.database.cluster
        other = databases.setdefault((cluster, one.database.name), one.name)
        if other != one.name:
            text = f"applications: {other} and {one.name} both have the database {one.database.name} of {cluster}"
            yield Problem("database_taken", "", f"{text}; give each its own")
            continue
        for role in one.database.roles:
            other = roles.setdefault((cluster, role), one.name)
            if other != one.name:
                text = f"applications: {other} and {one.name} both have the role {role} in {cluster}"
                yield Problem("duplicate", "", f"{text}; give each its own")


def _outline(declared: t.Any) -> t.Any:
    """Return what has to be the same for all hosts: everything but what processes are given."""
    if not isinstance(declared, Mapping):
        return declared
    return {name: _outline_of(declared[name]) for name in declared}


def _outline_of(entry: t.Any) -> t.Any:
    if not isinstance(entry, Mapping):
        return entry
    found = {key: entry[key] for key in ("group", "role", "service", "port") if key in entry}
    for key in ("database", "shards", "site", "pool"):
        part = entry.get(key)
        kept = (name for name in part if name != "password") if isinstance(part, Mapping) else ()
        found[key] = {name: part[name] for name in kept} if isinstance(part, Mapping) else part
    if "scaling" in entry:
        found["scaling"] = plain(entry["scaling"])
    return found


def _upkeep(part: t.Any) -> Upkeep:
    """Return what a part of an entry says of the upkeep of its database."""
    given = part if isinstance(part, Mapping) else {}
    return Upkeep(**{key: plain(given[key]) for key in UPKEEP_KEYS if given.get(key) is not None})


def _texts(value: t.Any) -> list[str]:
    """Return one text or several as a list; empty for what is none."""
    several = value if isinstance(value, (list, tuple)) else [value]
    return [str(one) for one in several if isinstance(one, (str, int)) and not isinstance(one, bool)]
