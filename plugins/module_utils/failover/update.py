# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides which members of a cluster get which packages, in which order, and what restarts for it; pure.

A package is unpacked while its program runs, and Debian's scripts are kept from restarting anything. From then on a
server reads new libraries into an old program, so that a member restarts right after its packages are unpacked, and
before the next member gets any. Patroni stops its server when it restarts, so that one restart is enough for both.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import NotWhole

#: How the names of the packages begin that a member of a cluster gets. Whatever else waits on its host is only named.
OURS = ("postgresql", "patroni", "pgbouncer")
PATRONI, POOLER = "patroni.service", "pgbouncer.service"

_OF_SERVER = re.compile(r"postgresql-(\d+)(-|$)")
#: Those whose versions begin with a major version; the helpers around PostgreSQL have numbers of their own.
_WITH_MAJOR = re.compile(r"(postgresql(-client|-contrib)?(-\d+)?|patroni|pgbouncer)$")
_TOLD = re.compile(r"(postgresql-\d+|patroni|pgbouncer)$")


class Package(t.NamedTuple):
    """A package of a host.

    :param candidate: what apt would install; what is installed where that is the newest.
    :param since: when it was unpacked, seconds since the epoch.
    :param security: whether the candidate is a security update.
    :param held: whether the host's administrator keeps it as it is.
    """

    name: str
    installed: str
    candidate: str
    since: float = 0.0
    security: bool = False
    held: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether a member of a cluster gets it."""
        return self.name.startswith(OURS)

    @property
    def waits(self) -> bool:
        """Whether there is a newer one."""
        return self.candidate != self.installed

    @property
    def other_major(self) -> bool:
        """Whether the newer one is another major version."""
        return bool(_WITH_MAJOR.match(self.name)) and _major(self.candidate) != _major(self.installed)


class Host(t.NamedTuple):
    """A member's host as it was seen.

    :param servers: when each PostgreSQL that runs was started, by its major version; seconds since the epoch.
    :param units: when each unit was started; 0 where it does not run.
    :param trouble: why its packages are not known; empty where they are.
    """

    name: str
    packages: tuple[Package, ...] = ()
    servers: t.Mapping[str, float] = {}
    units: t.Mapping[str, float] = {}
    trouble: str = ""

    @classmethod
    def of(cls, name: str, said: t.Mapping[str, t.Any]) -> Host:
        """Return what the module ``package_updates_info`` has said, or why it has not."""
        return cls(
            name,
            tuple(Package(*row) for row in said.get("packages", ())),
            said.get("servers", {}),
            said.get("units", {}),
            said.get("trouble", ""),
        )


class Due(t.NamedTuple):
    """What is to be done on a host.

    :param packages: those that it gets.
    :param restarts: whether Patroni and its server restart.
    :param pooler: whether PgBouncer does.
    """

    packages: tuple[Package, ...] = ()
    restarts: bool = False
    pooler: bool = False

    @property
    def anything(self) -> bool:
        """Whether there is something to do."""
        return bool(self.packages) or self.restarts or self.pooler

    @property
    def names(self) -> list[str]:
        """The packages with their versions, as apt takes them."""
        return [f"{package.name}={package.candidate}" for package in self.packages]


def row(package: t.Mapping[str, t.Any]) -> list[t.Any]:
    """Return a package of the module ``package_updates_info`` as :meth:`Host.of` reads it; a short one."""
    return [package[name] for name in Package._fields]


def due(host: Host) -> Due:
    """Return what is to be done on a host. What a run before it has unpacked and not restarted is due as well."""
    ours = [package for package in host.packages if package.is_ours]
    packages = tuple(package for package in ours if package.waits and not package.held)
    getting = {package.name for package in packages}
    pooler_since = host.units.get(POOLER, 0.0)
    return Due(
        packages,
        restarts=any(_restarts(host, package, package.name in getting) for package in ours),
        pooler=any(
            package.name in getting or package.since > pooler_since
            for package in ours
            if package.name == "pgbouncer" and pooler_since
        ),
    )


def check(hosts: t.Sequence[Host], members: t.Sequence[str], version: str = "") -> None:
    """Refuse what cannot be updated, before anything is changed.

    :param members: names of all members of the cluster.
    :param version: PostgreSQL's major version that the inventory names; empty where it names none.
    :raises NotWhole: a member was not seen; :raises Refused: the code says why.
    """
    known = {host.name for host in hosts}
    missing = [f"{name} does not answer" for name in members if name not in known]
    if missing:
        raise NotWhole(f"No member is updated now: {'; '.join(missing)}.", missing=missing)
    silent = [f"{host.name}: {host.trouble.rstrip('.')}" for host in hosts if host.trouble]
    if silent:
        raise Refused(f"No member is updated now. {'; '.join(silent)}.", code="no_package_index")
    other = [
        f"{host.name} has PostgreSQL {' and '.join(host.servers)}, and postgres_version is {version}"
        for host in hosts
        if version and host.servers and version not in host.servers
    ]
    other += [
        f"{host.name} would get {package.name} {package.candidate} instead of {package.installed}"
        for host in hosts
        for package in due(host).packages
        if package.other_major
    ]
    if other:
        text = (
            f"{'; '.join(other)}: that is another major version, and only minor ones are updated. Take the package's "
            "source away from the host or hold the package (apt-mark hold); a new major version goes by new hosts."
        )
        raise Refused(text, code="other_version")


def order(steps: t.Iterable[str], leader: str, hosts: t.Iterable[Host]) -> list[str]:
    """Return who is updated, in order: the leader last.

    :param steps: members in the order in which they would restart; who need not restart there comes after them.
    """
    waiting = [host.name for host in hosts if due(host).anything]
    names = [name for name in dict.fromkeys([*steps, *waiting]) if name in waiting]
    return sorted(names, key=lambda name: name == leader)


def has(host: Host) -> str:
    """Return what a member has, for a person."""
    if host.trouble:
        return f"{host.name}: {host.trouble.rstrip('.')}"
    told = [f"{one.name} {one.installed}" for one in host.packages if one.is_ours and _TOLD.match(one.name)]
    behind = [name for name, old in (("Patroni and PostgreSQL", _old(host)), ("PgBouncer", _old_pooler(host))) if old]
    text = f"{host.name} has {', '.join(told) or 'no package of PostgreSQL'}"
    return text + (f"; started before that: {', '.join(behind)}" if behind else "")


def plan(cluster: str, leader: str, turns: t.Sequence[str], hosts: t.Sequence[Host], alone: bool) -> list[str]:
    """Return the plan for a person.

    :param turns: who is updated, in order.
    :param alone: whether the cluster has one member.
    """
    by_name = {host.name: host for host in hosts}
    lines = [has(host) for host in hosts]
    if turns:
        lines.append(f"{cluster}: {_count(turns)}; {leader} leads")
    else:
        lines.append(f"{cluster}: every member has the newest packages, and runs with them")
    for number, name in enumerate(turns, 1):
        one = due(by_name[name])
        hands_over = name == leader and one.restarts and not alone
        what = [f"{name} hands its lead over"] if hands_over else []
        what += [_gets(one.packages)] if one.packages else []
        what += [_restarted(one, name == leader and alone)] if one.restarts or one.pooler else []
        lines.append(f"   {number}. {'' if hands_over else f'{name}: '}{'; '.join(what)}")
    if turns:
        lines.append("before each turn all others have to run on the leader's timeline, or it ends there")
    return lines + _beside(hosts)


def warnings(hosts: t.Sequence[Host]) -> list[str]:
    """What is not as one would like it, a sentence each."""
    found = []
    versions: dict[str, dict[str, list[str]]] = {}
    for host in hosts:
        for package in host.packages:
            if _TOLD.match(package.name):
                end = package.installed if package.held else package.candidate
                versions.setdefault(package.name, {}).setdefault(end, []).append(host.name)
    for name, ends in versions.items():
        if len(ends) > 1:
            told = ", ".join(f"{end} on {' and '.join(names)}" for end, names in ends.items())
            found.append(f"The members will not have the same {name}: {told}.")
    return found


def summary(
    cluster: str, turns: t.Sequence[str], updated: t.Collection[str], hosts: t.Sequence[Host]
) -> tuple[list[str], list[str]]:
    """Return what came of it, and what is not as it was asked.

    :param updated: who had a turn that ended well.
    :param hosts: as they were seen last.
    """
    done = ", ".join(name for name in turns if name in updated) or "no member"
    lines = [f"{cluster}: {done} updated", *(has(host) for host in hosts)]
    troubles = [
        f"{host.name} was updated, and still waits for {', '.join(one)}."
        for host in hosts
        if host.name in updated and (one := _left(due(host)))
    ]
    return lines, troubles


def _restarts(host: Host, package: Package, gets: bool) -> bool:
    """Whether Patroni and its server run from before a package, or will."""
    since = _program(host, package.name)
    return since > 0 and (gets or package.since > since)


def _program(host: Host, package: str) -> float:
    """Return when the program of a package was started; 0 where it does not run, or no restart is due for it."""
    if package == "patroni":
        return host.units.get(PATRONI, 0.0)
    of_server = _OF_SERVER.match(package)
    return host.servers.get(of_server.group(1), 0.0) if of_server else 0.0


def _old(host: Host) -> bool:
    return any(_restarts(host, package, False) for package in host.packages if package.is_ours)


def _old_pooler(host: Host) -> bool:
    since = host.units.get(POOLER, 0.0)
    return any(package.name == "pgbouncer" and 0 < since < package.since for package in host.packages)


def _major(version: str) -> str:
    """Return what a package's version begins with, without Debian's epoch."""
    found = re.match(r"(?:\d+:)?(\d+)", version)
    return found.group(1) if found else version


def _count(turns: t.Sequence[str]) -> str:
    return "1 member is updated" if len(turns) == 1 else f"{len(turns)} members are updated, one at a time"


def _gets(packages: t.Iterable[Package]) -> str:
    """Say which packages come, those of one source in one breath."""
    groups: dict[tuple[str, str], list[Package]] = {}
    for package in packages:
        groups.setdefault((package.installed, package.candidate), []).append(package)
    return ", ".join(
        f"{', '.join(one.name for one in group)} {group[0].installed} to {group[0].candidate}"
        + (" (security)" if any(one.security for one in group) else "")
        for group in groups.values()
    )


def _restarted(one: Due, leads: bool) -> str:
    names = (["Patroni and PostgreSQL"] if one.restarts else []) + (["PgBouncer"] if one.pooler else [])
    text = f"{', then '.join(names)} {'restart' if one.restarts else 'restarts'}"
    return text + (", and writes wait, as no other member can lead" if leads and one.restarts else "")


def _left(one: Due) -> list[str]:
    return [package.name for package in one.packages] + (["a restart"] if one.restarts or one.pooler else [])


def _beside(hosts: t.Iterable[Host]) -> list[str]:
    """Name what waits and is not installed here."""
    lines = []
    for host in hosts:
        others = [one for one in host.packages if one.waits and not one.is_ours]
        held = [one for one in host.packages if one.waits and one.is_ours and one.held]
        if held:
            lines.append(f"{host.name} holds back {_gets(held)}")
        if others:
            lines.append(f"{host.name}: {_gets(others)} waits as well, and is not this playbook's")
    return lines
