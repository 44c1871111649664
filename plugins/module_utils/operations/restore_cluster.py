# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``restore.yml`` is asked, decides and says; asks no host. ``failover.restore`` says why its steps are so."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import restore, target
from ansible_collections.scaleout.platform.plugins.module_utils.operations import restore_member as steps
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, truth
from ansible_collections.scaleout.platform.plugins.module_utils.services import archiving, backups, patroni
from ansible_collections.scaleout.platform.plugins.module_utils.services import pgbackrest_conf as conf
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_tokens import secret_of

#: Seconds between two lines about something that takes long.
LOOK = 10

#: What ``aside`` says so that the copy goes again.
REMOVE = "remove"

Document = dict[str, t.Any]
Said = t.Mapping[str, t.Any]


class Asked(t.NamedTuple):
    """What the command line says.

    :param to: the point.
    :param timeline: on which it is; 0 for the newest.
    :param label: of the backup to begin with; empty for the last one before the point.
    :param member: who is to restore; empty for the leader.
    :param discard_old: whether the data of before are given up.
    :param lost: members that are off and stay off.
    :param confirm: the word, as it was given.
    :param aside: ``true`` for a copy beside everything, ``remove`` for its end; empty for the cluster itself.
    """

    cluster: Cluster
    to: target.Target
    timeline: int = 0
    label: str = ""
    member: str = ""
    discard_old: bool = False
    lost: tuple[str, ...] = ()
    confirm: t.Any = None
    aside: str = ""

    @property
    def same(self) -> Document:
        """What a run says that goes on with this one, as it would be typed."""
        to = {target.IMMEDIATE: target.IMMEDIATE, target.NEWEST: target.NEWEST, target.NAME: f"name:{self.to.text}"}
        return {
            "cluster": self.cluster.name,
            "to": to.get(self.to.kind, self.to.text.replace(" ", "T")),
            "timeline": str(self.timeline or ""),
            "set": self.label,
            "discard_old": "true" if self.discard_old else "",
        }


def read(platform: Platform, given: Said) -> Asked:
    """Read the variables of the command line.

    :raises InvalidInput: they name no cluster, or no point.
    """
    name = given.get("cluster")
    there = " or ".join(platform.clusters) or "none in this inventory"
    if name is None:
        raise InvalidInput("cluster", None, f"is not set; say -e cluster=NAME, where NAME is {there}")
    if str(name) not in platform.clusters:
        raise InvalidInput("cluster", name, f"is not a cluster of the inventory; there is {there}")
    if not archiving.is_on(platform):
        text = f"There are no backups: the group {archiving.GROUP} has no host. See docs/backups.md."
        raise Refused(text, code="no_backup")
    discard_old = truth(given.get("discard_old", False))
    if discard_old is None:
        raise InvalidInput("discard_old", given["discard_old"], "is neither true nor false")
    cluster = platform.clusters[str(name)]
    member = str(given.get("member") or "")
    names = [server.name for server in cluster.members]
    if member and member not in names:
        raise InvalidInput("member", member, f"is not a member of {cluster.name}; its members are {', '.join(names)}")
    aside = str(given.get("aside") or "").strip().lower()
    if aside != REMOVE and aside:
        wanted = truth(aside)
        if wanted is None:
            raise InvalidInput("aside", given["aside"], f"is neither true nor false, nor {REMOVE}")
        aside = "true" if wanted else ""
    return Asked(
        cluster,
        target.Target(target.NEWEST) if aside == REMOVE else target.parse(given.get("to")),
        target.parse_timeline(given.get("timeline")),
        str(given.get("set") or ""),
        member,
        discard_old,
        tuple(filter(None, str(given.get("lost") or "").split(","))),
        given.get("confirm"),
        aside,
    )


class Decision(t.NamedTuple):
    """What is going to happen.

    :param told: what each member's module is told.
    :param serves: whether the cluster takes writes now.
    :param goes_on: whether an earlier run has begun it.
    """

    told: Document
    way: restore.Way
    serves: bool
    goes_on: bool
    lines: tuple[str, ...]

    def document(self) -> Document:
        """Return what a later step of the run needs."""
        return {"told": self.told, "way": self.way._asdict(), "serves": self.serves, "goes_on": self.goes_on}


def decide(platform: Platform, asked: Asked, looked: t.Mapping[str, Said], stanza: Said | None, now: float) -> Decision:
    """Decide who restores what, or why not.

    :param looked: what ``restore_member`` returned of each member that answers.
    :param stanza: what ``backup_info`` returned of the cluster; None where the host of the backups does not answer.
    :param now: seconds since the epoch; names the restore.
    :raises Refused: it is not carried out; :raises InvalidInput: it cannot be.
    """
    name, expected = asked.cluster.name, [server.name for server in asked.cluster.members]
    members = [
        restore.seen(one, looked[one], not platform.is_on(one, "postgres_nofailover"))
        for one in expected
        if one in looked
    ]
    if not members:
        raise Refused(f"No member of {name} answers: {', '.join(expected)}.", code="unreachable")
    restore.check_all_there(name, expected, list(looked), asked.lost)
    restore.check_known(name, expected, {str(each) for one in looked.values() for each in one["members"]})
    restore.check_not_paused(name, any(one["paused"] for one in looked.values()))
    leader = next((str(one["leader"]) for one in looked.values() if one["leader"]), "")
    begun = restore.open_one(members)
    if begun is not None:
        restore.check_same(name, begun, asked.same)
        if begun["member"] not in looked:
            text = f"{begun['member']} has begun to restore, and cannot be reached. Bring it back, and run again."
            raise Refused(text, code="not_whole", missing=[begun["member"]])
        told = {key: value for key, value in begun.items() if key not in ("step", "kept", "started_by", "fetched_by")}
        # Who was lost since the first run must not lead either.
        told["lost"] = list(dict.fromkeys([*begun.get("lost", ()), *asked.lost]))
        way = restore.way(members, str(begun["member"]), leader)
        restore.check_confirmed(
            name, way.replays and any(one.runs and one.mark is None for one in members), asked.confirm
        )
        begins = f"{name}: the restore to {told['told']} goes on that was begun {told['id']}"
        lines = [begins, told["gone"], *_steps(asked, told, way)]
        return Decision(told, way, False, True, tuple(lines))
    if stanza is None:
        where = conf.repository_of(platform)
        raise Refused(f"The host that keeps the backups, {where}, does not answer.", code="unreachable", host=where)
    there = target.read(stanza)
    backup = target.choose(there, asked.to, asked.timeline, asked.label, name)
    member = restore.restores(name, members, asked.member, leader)
    restore.check_room(member, backup.size, asked.discard_old)
    restore.check_limits(name, members)
    # The end of the archive may be on a timeline of which nothing has come yet.
    held, archived = max(one.timeline for one in members), target.newest_timeline(there)
    if not asked.timeline:
        target.check_followed(name, held, archived)
    timeline = asked.timeline or max(archived, held if asked.to.kind == target.NEWEST else 0)
    # Words last: who is asked for one knows that the rest is possible.
    serves = any(one.runs for one in members)
    restore.check_confirmed(name, serves, asked.confirm)
    told = {
        "id": moments.text(now).replace("-", "").replace(":", ""),
        "cluster": name,
        "member": member.name,
        "asked": asked.same,
        "told": str(asked.to),
        "command": target.arguments(asked.to, timeline),
        "set": backup.label,
        "keep": member.data and not asked.discard_old,
        "stanza": archiving.stanza(asked.cluster),
        "lost": list(asked.lost),
        "gone": target.lost(asked.to, backup, serves),
    }
    way = restore.way(members, member.name, leader)
    lines = [*_begins(asked, there, backup, told), *target.left(there, timeline), *_steps(asked, told, way)]
    return Decision(told, way, serves, False, tuple(lines))


def _begins(asked: Asked, there: target.There, backup: target.Backup, told: Document) -> t.Iterator[str]:
    name = asked.cluster.name
    yield (
        f"{name}: restored to {asked.to} from the backup {backup.label} ({backup.kind}, of a database of "
        f"{backups.size(backup.size)}), which ended {moments.shown(backup.stopped)}"
    )
    yield from target.covered(there)
    yield told["gone"]
    if asked.to.kind == target.NAME:
        yield "only the replay finds the restore point; if it is older than the backup, choose an earlier one: -e set="


def _steps(asked: Asked, told: Document, way: restore.Way) -> t.Iterator[str]:
    member, others = way.member, ", ".join(way.others)
    found = []
    if way.replays:
        stops = ", ".join(filter(None, [*way.first, way.last]))
        found += [
            f"PostgreSQL and Patroni stop on {stops}; clients get errors from here on",
            f"what Consul has of {asked.cluster.name} is removed, but for Patroni's settings",
            f"{member} restores beside its data and replays, and nothing is changed until that has succeeded"
            if told["keep"]
            else f"{member} restores over its data, which are lost, and replays",
        ]
    if way.replays and told["keep"]:
        found.append(f"{member}'s data of before become {_kept(told)}; they are yours to remove")
    found.append(f"Patroni starts on {member}, which leads; clients are served again")
    if others:
        found.append(f"{others} throw their data away and copy {member}")
    yield from (f"   {number}. {text}" for number, text in enumerate(found, 1))
    if told["lost"]:
        yield f"{', '.join(told['lost'])} must stay off until then, or would bring the data of before back"


def _kept(told: Document) -> str:
    return f"main.before-{told['id']} beside them"


# What a host is told


def look(platform: Platform, asked: Asked, host: str) -> Document:
    """Return what the module ``restore_member`` is told on a member to look at it."""
    version = conf.version_of(platform, host, asked.cluster)
    shared = str(platform.value(host, "consul_agent_token", ""))
    return {
        "state": steps.LOOKED,
        "cluster": asked.cluster.name,
        "member": host,
        "data": conf.data_of(platform, host, asked.cluster),
        "programs": f"/usr/lib/postgresql/{version}/bin",
        "consul_token": secret_of(shared, patroni.token(asked.cluster)),
        "patroni_host": platform.address(host),
        "patroni_port": patroni.PORT,
    }


def takes_part(decision: Said, state: str, host: str, leader: bool) -> bool:
    """Whether a host has something to do in a step.

    :param leader: of ``stopped``, whether it is the turn of the one that stops last.
    """
    way = decision["way"]
    if state == steps.STOPPED:
        return bool(host == way["last"] if leader else host in way["first"])
    if state == steps.FOLLOWED:
        return host in way["others"]
    return bool(host == way["member"] and (way["replays"] or state in (steps.LED, steps.FINISHED)))


def awaited(decision: Said, state: str, leader: bool, done: t.Mapping[str, t.Collection[str]]) -> list[str]:
    """Return who has to do something before a step may be taken, and has not: a host that was lost meanwhile.

    :param done: the hosts that have taken each step in this run.
    """
    way = decision["way"]
    stopped, other = [*way["first"], way["last"]] if way["replays"] else [], [way["member"]]
    before = {
        steps.STOPPED: (steps.STOPPED, way["first"] if leader else []),
        steps.FORGOTTEN: (steps.STOPPED, stopped),
        steps.RESTORED: (steps.FORGOTTEN, other),
        steps.LED: (steps.RESTORED, other if way["replays"] else []),
        steps.FOLLOWED: (steps.LED, other),
        steps.FINISHED: (steps.FOLLOWED, way["others"]),
    }
    earlier, hosts = before[state]
    return [host for host in hosts if host not in done.get(earlier, ())]


def progress(host: str, seen: Said) -> str:
    """Return how far a host is, for a person."""
    copied = f", {backups.size(seen['bytes'])} so far" if seen.get("bytes") else ""
    return f"{host}: {seen['doing']}{copied}"


def patience(platform: Platform, host: str) -> float:
    """Return after how many seconds a run waits for a copy no longer."""
    return float(platform.value(host, "postgres_clone_timeout", 86400))


def summary(platform: Platform, asked: Asked, decision: Said, led: Said, finished: Said) -> list[str]:
    """Return what came of it, and what is left to do."""
    name, told = asked.cluster.name, decision["told"]
    lines = [f"{name}: restored to {told['told']}; {told['member']} leads on timeline {led.get('timeline')}"]
    lines.append(f"   {told['gone']}")
    if finished.get("kept"):
        lines.append(
            f"   what was there before is in {finished['kept']} on {told['member']}; remove it when you are sure"
        )
    backup = f"backup.yml -e backup_cluster={name} -e backup_type=full"
    lines.append(f"   take a full backup, from which a next restore is short: {backup}")
    lines += [f"   {line}" for line in caches(platform)]
    if told.get("lost"):
        lines.append(f"   bring {', '.join(told['lost'])} back with reinit.yml -e cluster={name} -e member=")
    return lines


def caches(platform: Platform) -> list[str]:
    """Say what is to be typed so that no cache tells of what is gone."""
    found = []
    for host in platform.members("cache"):
        instances = platform.value(host, "redis_instances", {})
        for name, one in instances.items() if isinstance(instances, t.Mapping) else ():
            settings = one if isinstance(one, t.Mapping) else {}
            # What keeps its data over a restart is no cache.
            if truth(settings.get("appendonly", platform.value(host, "redis_appendonly", False))):
                continue
            port = settings.get("port") or platform.value(host, "redis_port", 6379)
            where = f"-h {platform.address(host)} -p {port}"
            found.append(f"redis-cli {where} --askpass FLUSHALL ASYNC    # {name} on {host}")
    if not found:
        return []
    return ["caches may have rows that are gone. Where they keep what is read from this cluster, empty them:", *found]
