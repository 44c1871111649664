# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platform as deciding code sees it: the inventory, parsed once into values, without Ansible and without I/O.

The rooms share these types and nothing else. ``topology`` makes a :class:`Platform` of an inventory and names the
faults that keep it from being one; each file of ``services`` judges one service of one host by it.
"""

from __future__ import annotations

import dataclasses
import types
import typing as t

_NOTHING: t.Mapping[str, t.Any] = types.MappingProxyType({})
#: A variable may be given on the command line, or come out of a template, and is a text then.
_TRUE, _FALSE = ("true", "yes", "on", "1", "y", "t"), ("false", "no", "off", "0", "n", "f")


@dataclasses.dataclass(frozen=True)
class Unevaluated:
    """The value of a variable whose template failed.

    :param reason: a clause for the user, without a value.
    """

    reason: str


def failures(value: t.Any, where: str = "") -> t.Iterator[tuple[str, str]]:
    """Yield where in a value a template failed, such as ``tls: key``, and the reason."""
    if isinstance(value, Unevaluated):
        yield where, value.reason
    elif isinstance(value, t.Mapping):
        for name in value:
            yield from failures(value[name], f"{where}: {name}" if where else str(name))


def plain(value: t.Any) -> t.Any:
    """Return a value made of plain ones: a mapping that evaluates its parts when they are read is nothing to keep."""
    if isinstance(value, t.Mapping):
        return {str(name): plain(value[name]) for name in value}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def truth(value: t.Any) -> bool | None:
    """Return what a variable says that is to be true or false, as Ansible reads it; None where it says neither."""
    text = str(value).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


@dataclasses.dataclass(frozen=True)
class Problem:
    """Why a host cannot be what the inventory says.

    :param code: what a program may branch on, such as ``port_taken``; documented in docs/codes.md.
    :param host: the inventory name of the host; empty where the problem is the platform's.
    :param text: one sentence for a person, which names the variable and the value and ends without a period.
    """

    code: str
    host: str
    text: str

    def __str__(self) -> str:
        return f"{self.host}: {self.text}." if self.host else f"{self.text}."


@dataclasses.dataclass(frozen=True)
class Server:
    """A PostgreSQL server, by its inventory name and by the address that the other hosts use.

    :param pooler_port: PgBouncer's on the same host; None where there is none.
    """

    name: str
    host: str
    port: int = 5432
    pooler_port: int | None = None

    def document(self) -> dict[str, t.Any]:
        """Return the fields that have a value."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """PostgreSQL servers that hold the same data.

    :param members: in the order of the inventory.
    :param shards: ids of the shards whose databases live here, each ``shard_<id>``.
    :param empty_shards: those among them that get no buckets in a first map, and are added to a later one without any.
    :param databases: names of the other databases, those of applications among them.
    :param workload: what its servers do, as ``postgres_workload`` has it; None where the hosts say so themselves.
    :param settings: PostgreSQL's settings of every member.
    :param owners: who owns a database, where an application says so.
    :param leader: the member that takes writes, as this run has found it; empty where it has not.
    :param durability: ``available``, or ``durable`` for one that takes no write that a single member alone would have.
    """

    name: str
    members: tuple[Server, ...]
    shards: tuple[int, ...] = ()
    databases: tuple[str, ...] = ()
    workload: str | None = None
    settings: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    owners: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    empty_shards: tuple[int, ...] = ()
    leader: str = ""
    durability: str = "available"

    @property
    def all_databases(self) -> tuple[str, ...]:
        """The names of all databases, those of the shards first."""
        return (*(f"shard_{shard_id}" for shard_id in self.shards), *self.databases)

    def member(self, host: str) -> Server:
        """Return the server of a host; KeyError where the host is no member."""
        for server in self.members:
            if server.name == host:
                return server
        raise KeyError(host)


def leader_of(cluster: Cluster) -> Server:
    """Return the member that takes writes, as this run has found it.

    A cluster that does not run yet begins with its first member; so does one of which no member answers.
    """
    return next((server for server in cluster.members if server.name == cluster.leader), cluster.members[0])


def standbys_of(cluster: Cluster) -> tuple[Server, ...]:
    """Return the members that follow the leader."""
    leader = leader_of(cluster)
    return tuple(server for server in cluster.members if server != leader)


@dataclasses.dataclass(frozen=True)
class Database:
    """An application's database. Its password is no part of it: nothing that is handed on holds a secret.

    :param name: the database's.
    :param owner: the role that owns it.
    :param cluster: the name of the PostgreSQL cluster on whose leader it is.
    :param user: the role that the application logs in as, and that acts as the owner; empty for the owner itself.
    :param previous_user: a role that may log in as well, while servers still run with its password.
    :param one_host: whether the application is told of one server only, as its driver takes no list of them.
    """

    name: str
    owner: str
    cluster: str
    user: str = ""
    previous_user: str = ""
    one_host: bool = False

    @property
    def login(self) -> str:
        """The role that the application logs in as."""
        return self.user or self.owner

    @property
    def roles(self) -> tuple[str, ...]:
        """All of its roles, each once."""
        return tuple(dict.fromkeys(filter(None, (self.owner, self.login, self.previous_user))))


@dataclasses.dataclass(frozen=True)
class Site:
    """The names under which the load balancers offer an application.

    :param server_name: host names.
    :param listen: ports and addresses, as nginx's ``listen`` takes them.
    :param options: what else ``nginx_sites`` may say of a site.
    """

    server_name: tuple[str, ...]
    listen: tuple[str, ...] = ("80",)
    options: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Pool:
    """How many servers an application may have; None where nothing is said."""

    min: int | None = None
    max: int | None = None


@dataclasses.dataclass(frozen=True)
class Upkeep:
    """What ``maintain.yml`` keeps in a database, each as it is written; None where nothing is said.

    :param partition_sets: options of the module ``partition_set``.
    :param summaries: of ``summary_table``.
    :param materialized_views: of ``materialized_view``.
    """

    partition_sets: t.Any = None
    summaries: t.Any = None
    materialized_views: t.Any = None


@dataclasses.dataclass(frozen=True)
class Application:
    """What runs on the hosts of a group.

    :param role: the role that deploys it.
    :param service: its name in Consul, which the load balancers follow.
    :param port: on which it listens on each host; None where only its role knows.
    :param database: None where it has none of its own.
    :param site: None where it is not offered by its entry.
    :param secrets: names of variables that it cannot do without.
    :param scaling: the policy of its pool as it is written; None where nothing scales it by itself.
    :param upkeep: what is kept in its database.
    :param shards: what is kept in each shard of the platform.
    """

    name: str
    group: str
    role: str
    service: str = ""
    port: int | None = None
    database: Database | None = None
    site: Site | None = None
    pool: Pool = Pool()
    secrets: tuple[str, ...] = ()
    scaling: t.Any = None
    upkeep: Upkeep = Upkeep()
    shards: Upkeep = Upkeep()

    def document(self) -> dict[str, t.Any]:
        """Return what playbooks need to know, without secrets."""
        found = dataclasses.asdict(self)
        for name in ("secrets", "scaling", "upkeep", "shards"):
            del found[name]
        if self.site:
            options = self.site.options.items()
            # A certificate's key is a secret.
            found["site"]["options"] = {key: value for key, value in options if key != "tls"}
        return found


@dataclasses.dataclass(frozen=True)
class Platform:
    """An inventory: hosts with their variables, groups, and what both say together.

    :param hosts: the variables of each host, in the order of the inventory. A mapping may evaluate a variable when it
        is read; one whose template fails is :class:`Unevaluated`. Defaults of the roles' argument specs are in it.
    :param groups: the names of each group's hosts.
    :param clusters: PostgreSQL clusters by name.
    :param applications: by name.
    :param playing: the hosts that take part in the running play and have not failed; empty where it was not asked for.
    """

    hosts: t.Mapping[str, t.Mapping[str, t.Any]]
    groups: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    clusters: t.Mapping[str, Cluster] = dataclasses.field(default_factory=dict)
    applications: t.Mapping[str, Application] = dataclasses.field(default_factory=dict)
    playing: t.Collection[str] = ()

    @property
    def pools(self) -> dict[str, tuple[str, ...]]:
        """The names of the applications that run on the hosts of each group, by the group's name."""
        found: dict[str, tuple[str, ...]] = {}
        for one in self.applications.values():
            found[one.group] = (*found.get(one.group, ()), one.name)
        return found

    @property
    def pool_names(self) -> dict[str, str]:
        """The group of each pool, by what a person may call it: the group itself, or one of its applications."""
        return {**{group: group for group in self.pools}, **{one.name: one.group for one in self.applications.values()}}

    def members(self, group: str) -> list[str]:
        """Return the hosts of a group in the order of the inventory; none where there is no such group."""
        return [host for host in self.groups.get(group, ()) if host in self.hosts]

    def value(self, host: str, variable: str, default: t.Any = None) -> t.Any:
        """Return a variable's value, or the default where it is not set, null or could not be evaluated."""
        value = self.hosts.get(host, _NOTHING).get(variable)
        return default if value is None or isinstance(value, Unevaluated) else value

    def is_on(self, host: str, variable: str, default: bool = False) -> bool:
        """Whether a variable that is to be true or false is true, as Ansible reads it; its text may be a no, too."""
        return truth(self.value(host, variable, default)) is True

    def made_with(self, host: str, name: str) -> t.Any:
        """Return what the role fleet makes a host with, such as its memory; None when it does not say."""
        made = self.value(host, "fleet_host", _NOTHING)
        return made.get(name) if isinstance(made, t.Mapping) else None

    def address(self, host: str) -> str:
        """Return the address by which other hosts reach a host."""
        return str(self.value(host, "platform_address") or self.value(host, "ansible_host") or host)

    def cluster_of(self, host: str) -> Cluster | None:
        """Return the PostgreSQL cluster that a host is a member of."""
        cluster = self.clusters.get(str(self.value(host, "postgres_cluster", "")))
        return cluster if cluster and any(server.name == host for server in cluster.members) else None
