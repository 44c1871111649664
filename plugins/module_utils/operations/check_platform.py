# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The services by name, where they run, and what is wrong with any of them; pure, the rooms have the rules."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Platform,
    Problem,
    Unevaluated,
    leader_of,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services import (
    app,
    applications,
    archiving,
    base,
    consul,
    control,
    firewall,
    listen,
    nginx,
    pgbackrest,
    pgbouncer,
    postgres,
    rabbitmq,
    redis,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services.table import GROUPS
from ansible_collections.scaleout.platform.plugins.module_utils.topology.applications import REFERENCE_API


class Service(t.Protocol):
    """What a file of ``services`` offers; a module is one."""

    #: The module that reads the service's state on its host; None where nothing of the host decides.
    STATE_MODULE: str | None

    def problems(self, platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
        """Say why the host cannot have the service that the inventory describes; without a state, what shows in it."""

    def listens(self, platform: Platform, host: str) -> list[listen.Listen]:
        """Return the ports that it takes."""

    def health(self, platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
        """Say what keeps it from being healthy, as clauses."""

    def wanted(self, platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
        """Return what templates and tasks of its role need to know; no secret."""


#: By the role's name.
SERVICES: dict[str, Service] = {
    "base": t.cast(Service, base),
    "firewall": t.cast(Service, firewall),
    "consul": t.cast(Service, consul),
    "postgres": t.cast(Service, postgres),
    "pgbackrest": t.cast(Service, pgbackrest),
    "pgbouncer": t.cast(Service, pgbouncer),
    "redis": t.cast(Service, redis),
    "rabbitmq": t.cast(Service, rabbitmq),
    "app": t.cast(Service, app),
    "nginx": t.cast(Service, nginx),
    "control": t.cast(Service, control),
}

#: Services with a list of users, whose passwords are secrets of others.
WITH_USERS = ("postgres", "rabbitmq")
#: What a platform needs that has lost its Consul's quorum: nothing else is touched then.
FIRST_AID = ("base", "consul")
#: Its hosts run Consul as all others do, and keep its data.
CONSUL_SERVER = "consul_server"
#: Hosts that wait for work, leave, or have left.
IDLE = "fleet_idle"
#: Hosts that a run takes into a pool or out of it; the inventory was read when they waited, or as they were leaving.
TAKING_PART = ("scale_joining", "scale_leaving")
#: The tag of all applications.
APPLICATION = "app"


def is_idle(platform: Platform, host: str) -> bool:
    """Whether a host has no work, or none any more."""
    return host in platform.groups.get(IDLE, ()) and not any(
        host in platform.groups.get(name, ()) for name in TAKING_PART
    )


def is_needed(platform: Platform, host: str, group: str) -> bool:
    """Whether a host that leaves a pool goes on working for another group: a service's, Consul's, or another pool's."""
    working = working_groups(platform.pools) - {group}
    return any(host in platform.groups.get(name, ()) for name in working)


def working_groups(pools: t.Iterable[str]) -> set[str]:
    """Return the groups whose hosts do some work.

    :param pools: those of applications.
    """
    return {name for groups in GROUPS.values() for name in groups if name != "all"} | {
        CONSUL_SERVER,
        control.GROUP,
        *pools,
    }


def services_of(platform: Platform, host: str) -> list[str]:
    """Return the services that a host runs, in the table's order."""
    if is_idle(platform, host):
        return []
    found = [service for service, groups in GROUPS.items() if any(host in platform.groups.get(g, ()) for g in groups)]
    found = [service for service in found if archiving.is_here(platform, service)]
    return [service for service in found if service != "firewall" or firewall.is_on(platform, host)]


def applications_of(platform: Platform, host: str) -> list[str]:
    """Return the names of the applications that a host runs."""
    if is_idle(platform, host):
        return []
    return [name for name, one in platform.applications.items() if host in platform.groups.get(one.group, ())]


#: The applications that scale.yml is about, a variable of the hosts that join and leave.
SCALED = "scale_applications"


def is_chosen(tag: str, tags: t.Collection[str], skipped: t.Collection[str]) -> bool:
    """Whether a run with these ``--tags`` and ``--skip-tags`` is about a service."""
    if tag in skipped or {"all", "tagged"} & set(skipped):
        return False
    return tag in tags or bool({"all", "tagged"} & set(tags))


def chosen(
    platform: Platform,
    host: str,
    tags: t.Collection[str] = ("all",),
    skipped: t.Collection[str] = (),
    folder: str = "",
) -> dict[str, t.Any]:
    """Return what a run is about on a host, each with its ``name`` and ``role``.

    :param tags: as ``ansible_run_tags`` has them.
    :param skipped: as ``ansible_skip_tags`` has them.
    :param folder: of the controller, where relative paths of applications begin.
    :return: the ``services``; the ``first_aid`` among them, which counts without a quorum; and the ``applications``.
        The base is there whenever anything else is, since all others are installed on it. The ``settings`` are those
        of the role app for each application of the host that it deploys.
    """
    here = [service for service in services_of(platform, host) if is_chosen(service, tags, skipped)]
    if (here or is_chosen(APPLICATION, tags, skipped)) and "base" not in here and services_of(platform, host):
        here.insert(0, "base")
    services = [{"name": service, "role": f"scaleout.platform.{service}"} for service in here]
    here_run = [
        {"name": name, "role": platform.applications[name].role}
        for name in (applications_of(platform, host) if is_chosen(APPLICATION, tags, skipped) else ())
        # A host that joins or leaves a pool keeps what it runs for another.
        if name in platform.value(host, SCALED, platform.applications)
    ]
    return {
        "services": services,
        "first_aid": [one for one in services if one["name"] in FIRST_AID],
        "applications": here_run,
        "settings": {
            one.name: applications.settings(platform, host, one, folder)
            for one in applications.of(platform, host)
            if one.name in {each["name"] for each in here_run}
        },
    }


def problems(platform: Platform) -> list[Problem]:
    """Return what is wrong with the services of all hosts, as far as the inventory shows it."""
    found: list[Problem] = []
    for host in platform.hosts:
        here = [service for service in services_of(platform, host) if service in SERVICES]
        own = [problem for service in here for problem in SERVICES[service].problems(platform, host)]
        running = applications_of(platform, host)
        own += [problem for problem in applications.problems(platform, host) if running]
        own += [*_of_databases(platform, host, running), *_of_users(platform, host, here)]
        found += own
        if not own:
            taken = {service: SERVICES[service].listens(platform, host) for service in here}
            found += listen.fights(host, {**taken, **applications.listens(platform, host, running)})
    return found


def _of_users(platform: Platform, host: str, here: t.Iterable[str]) -> t.Iterator[Problem]:
    """Users whose passwords are those of an application that is not there, or that has none."""
    for variable in (f"{service}_users" for service in here if service in WITH_USERS):
        value = platform.hosts[host].get(variable)
        if isinstance(value, Unevaluated):
            yield Problem("not_evaluated", host, f"{variable} {value.reason}")


def _of_databases(platform: Platform, host: str, running: t.Collection[str]) -> t.Iterator[Problem]:
    """The password of an application's database is needed where it runs, and where its owner is made."""
    cluster = platform.cluster_of(host)
    for one in platform.applications.values():
        of_cluster = one.database and cluster and one.database.cluster == cluster.name
        if one.name in running or (of_cluster and cluster and leader_of(cluster).name == host):
            yield from applications.of_database(platform, host, one)


def secrets(platform: Platform) -> dict[str, list[str]]:
    """Return the variables that must have a value, and on which hosts."""
    wanted: dict[str, list[str]] = {}
    for host in platform.hosts:
        if is_idle(platform, host):
            continue
        names = [name for service in services_of(platform, host) for name in SECRETS.get(service, ())]
        for one in platform.applications.values():
            # An application's are in the settings of others too, such as the password of its database's owner.
            names += [*one.secrets, *(_of_reference_api(platform, one, host) if one.role == REFERENCE_API else ())]
        for name in names:
            if host not in wanted.setdefault(name, []):
                wanted[name].append(host)
    return wanted


def _of_reference_api(platform: Platform, application: Application, host: str) -> t.Iterator[str]:
    """Name the secrets of what the reference API uses: without a queue or caches theirs are not asked for."""
    yield "reference_api_database_password"
    members = platform.members(application.group)
    if any(platform.value(member, "reference_api_queue_address") for member in members[:1]):
        yield "reference_api_queue_password"
    if host in members and platform.value(host, "reference_api_caches"):
        yield "reference_api_cache_password"


#: Variables without which a service cannot be set up. An application names its own.
SECRETS: dict[str, tuple[str, ...]] = {
    "consul": ("consul_gossip_key", "consul_management_token", "consul_agent_token", "consul_reader_token"),
    "redis": ("redis_password",),
}
