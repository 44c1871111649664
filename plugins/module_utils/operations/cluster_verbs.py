# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``switchover.yml`` and its kin are asked for, what their module is told, and what they say; asks no host."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import switch, update
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, leader_of, truth
from ansible_collections.scaleout.platform.plugins.module_utils.services import patroni, pgbouncer, table

SWITCHOVER, RESTART, UPDATE, REINIT = "switchover", "restart", "update", "reinit"
#: The module of each verb. An update only asks it for the plan, and takes each member's turn by :func:`turn`.
MODULES = {
    SWITCHOVER: "cluster_switchover",
    RESTART: "cluster_restart",
    UPDATE: "cluster_restart",
    REINIT: "cluster_reinit",
}
#: Seconds between two lines about a copy.
LOOK = 10
#: Seconds that an update gives a member to restart and to follow: as long as Patroni's unit gives it to stop.
TURN = 600

Said = t.Mapping[str, t.Any]
"""What a module returned."""


class Asked(t.NamedTuple):
    """What the command line says.

    :param member: the one that it is about; empty where it names none.
    :param only_pending: whether only those members restart on which a setting waits for it.
    :param drain: seconds that transactions may take to end while the poolers hold requests.
    :param hold: seconds that they hold them at most.
    """

    verb: str
    cluster: Cluster
    member: str = ""
    only_pending: bool = False
    drain: float = switch.DRAIN
    hold: float = switch.HOLD


def read(platform: Platform, verb: str, given: t.Mapping[str, t.Any]) -> Asked:
    """Read the variables of the command line.

    :raises InvalidInput: they name no cluster, or no member of it.
    """
    name = given.get("cluster")
    there = " or ".join(platform.clusters) or "none in this inventory"
    if name is None:
        raise InvalidInput("cluster", None, f"is not set; say -e cluster=NAME, where NAME is {there}")
    if str(name) not in platform.clusters:
        raise InvalidInput("cluster", name, f"is not a cluster of the inventory; there is {there}")
    cluster = platform.clusters[str(name)]
    if verb == REINIT:
        return Asked(verb, cluster, _confirmed(cluster, given))
    drain, hold = _seconds("drain", given, switch.DRAIN), _seconds("hold", given, switch.HOLD)
    switch.check_times(drain, hold)
    if verb == SWITCHOVER:
        return Asked(verb, cluster, _member(cluster, "to", given), drain=drain, hold=hold)
    if verb == UPDATE:
        return Asked(verb, cluster, drain=drain, hold=hold)
    only_pending = truth(given.get("only_pending", False))
    if only_pending is None:
        raise InvalidInput("only_pending", given["only_pending"], "is neither true nor false")
    return Asked(verb, cluster, only_pending=only_pending, drain=drain, hold=hold)


def host_for(platform: Platform, asked: Asked) -> str:
    """Return the member that carries it out: the leader, which can write out a checkpoint first; else any that answers.

    :raises Refused: none takes part in the run.
    """
    names = [server.name for server in asked.cluster.members if server.name in platform.playing]
    if not names:
        text = f"No member of {asked.cluster.name} answers: {', '.join(one.name for one in asked.cluster.members)}."
        raise Refused(text, code="no_leader")
    leader = leader_of(asked.cluster).name
    return leader if leader in names else names[0]


def options(platform: Platform, asked: Asked, host: str) -> dict[str, t.Any]:
    """Return what the verb's module is told on a member."""
    members = [server.name for server in asked.cluster.members]
    own: dict[str, t.Any] = {"members": members, "candidate": asked.member or None}
    if asked.verb in (RESTART, UPDATE):
        own = {"expected": members, "only_pending": asked.only_pending, "switch_over_first": True}
    if asked.verb == REINIT:
        own = {"member": asked.member, "wait": LOOK}
    else:
        own.update(drain=asked.drain, hold=asked.hold, **_poolers(platform, asked.cluster, host))
    return {
        "patroni_host": platform.address(host),
        "patroni_port": patroni.PORT,
        "patroni_user": patroni.USER,
        "patroni_password": platform.value(host, "postgres_patroni_password"),
        **own,
    }


def turn(platform: Platform, asked: Asked, host: str) -> dict[str, t.Any]:
    """Return what ``cluster_restart`` is told of a member whose packages have changed, on its host."""
    more = {"members": [host], "unit": update.PATRONI, "switch_over_first": False, "timeout": TURN}
    return {**options(platform, asked, host), **more}


def looked_for(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of the module that reads a member's packages."""
    return {"packages": table.kept_packages(platform, host), "units": [update.PATRONI, update.POOLER]}


def pooler(platform: Platform, asked: Asked, host: str) -> tuple[str, int] | None:
    """Return where a member's pooler answers; None where it has none."""
    port = asked.cluster.member(host).pooler_port
    return (_console(platform, host), port) if port else None


def patience(platform: Platform, host: str) -> float:
    """Return after how many seconds a run waits for a copy no longer."""
    return float(platform.value(host, "postgres_clone_timeout", 86400))


def progress(asked: Asked, seen: Said) -> str:
    """Return how far a copy is, for a person."""
    text = f"{asked.member}: {seen['state']}"
    if seen["copied"] is not None:
        of = f" of {seen['size'] / 1024**2:.0f}" if seen["size"] else ""
        return f"{text}, {seen['copied'] / 1024**2:.0f}{of} MB copied"
    return text if seen["lag"] is None else f"{text}, {seen['lag']} bytes behind"


def told(asked: Asked, plan: Said) -> list[str]:
    """Return the plan for a person."""
    return {SWITCHOVER: _switches, RESTART: _restarts, REINIT: _copies}[asked.verb](asked, plan)


def told_update(asked: Asked, plan: Said, turns: t.Sequence[str], hosts: t.Sequence[update.Host]) -> list[str]:
    """Return the plan of an update for a person.

    :param plan: what ``cluster_restart`` said of all members.
    :param turns: who has one, in order.
    """
    leader, alone = plan["leader"], len(asked.cluster.members) == 1
    lines = update.plan(asked.cluster.name, leader, turns, hosts, alone)
    hands_over = not alone and any(host.name == leader and update.due(host).restarts for host in hosts)
    if hands_over and plan["poolers"]:
        lines.append(_holding(plan["poolers"]))
    if hands_over and plan["without_poolers"]:
        lines.append(f"the poolers of {', '.join(plan['without_poolers'])} do not answer, and hold none")
    return lines


def held(done: Said) -> list[str]:
    """Return what clients saw while the lead changed hands in an update."""
    lines = [f"{done['leader']} leads; writes waited for {done['held']:.1f} s while the lead changed hands"]
    if done["late"]:
        lines.append(f"the poolers of {', '.join(done['late'])} let go before they sent clients to {done['leader']}")
    if done["without_poolers"]:
        lines.append(f"the poolers of {', '.join(done['without_poolers'])} held no requests")
    return lines


def summary(asked: Asked, done: Said) -> tuple[list[str], list[str]]:
    """Return what came of it, and what is not as one would like it."""
    return {SWITCHOVER: _switched, RESTART: _restarted, REINIT: _copied}[asked.verb](asked, done)


def _copies(asked: Asked, plan: Said) -> list[str]:
    name, leader = asked.cluster.name, plan["leader"]
    return [f"{name}: {asked.member}, which is {plan['state']}, throws its data away and copies {leader}"]


def _copied(asked: Asked, done: Said) -> tuple[list[str], list[str]]:
    if done["done"]:
        return [f"{asked.cluster.name}: {asked.member} follows with its new copy, {done['lag']} bytes behind"], []
    return [], [
        f"{progress(asked, done)}. It does not follow yet; Patroni goes on, and its log on {asked.member} says why."
    ]


def _restarts(asked: Asked, plan: Said) -> list[str]:
    name, steps = asked.cluster.name, plan["steps"]
    if not steps:
        return [f"{name}: no member has to restart"]
    lines = [f"{name}: {len(plan['restarted'])} members restart, one at a time; {plan['leader']} leads"]
    for number, step in enumerate(steps, 1):
        what = "hands its lead over, and restarts as a replica" if step["action"] == "switch_over" else "restarts"
        text = (
            f"   {number}. {step['member']} {what}{' as the leader' if step['leader'] and what == 'restarts' else ''}"
        )
        waits = plan["pending"].get(step["member"])
        text += f" ({', '.join(waits)})" if waits and not step["if_pending"] else ""
        lines.append(text + (", if something still waits for it" if step["if_pending"] else ""))
    if plan["poolers"]:
        lines.append(_holding(plan["poolers"]))
    lines.append("before each restart all others have to run on the leader's timeline, or it ends there")
    return lines


def _holding(poolers: t.Iterable[str]) -> str:
    return f"while the lead changes hands, the poolers of {', '.join(poolers)} hold requests"


def _restarted(asked: Asked, done: Said) -> tuple[list[str], list[str]]:
    restarted = ", ".join(done["restarted"]) or "no member"
    lines = [f"{asked.cluster.name}: {restarted} restarted; {done['leader']} leads"]
    if "held" in done:
        lines.append(f"writes waited for {done['held']:.1f} s while the lead changed hands")
    if done["without_poolers"]:
        lines.append(f"the poolers of {', '.join(done['without_poolers'])} held no requests")
    return lines, []


def _switches(asked: Asked, plan: Said) -> list[str]:
    name, former, leader = asked.cluster.name, plan["former"], plan["leader"]
    lines = [f"{name}: the lead goes from {former} to {leader}, which is {plan['lag'] or 0} bytes behind"]
    steps = [f"a checkpoint on {former}, so that its shutdown has little left to write"]
    if plan["poolers"]:
        steps.append(
            f"the poolers of {', '.join(plan['poolers'])} hold requests; open transactions may take "
            f"{plan['drain']:g} s to end"
        )
    steps.append(f"Patroni hands the lead to {leader}")
    if plan["poolers"]:
        steps.append(f"each pooler lets go as soon as it sends clients to {leader}")
    lines += [f"   {number}. {step}" for number, step in enumerate(steps, 1)]
    if plan["poolers"]:
        patience = plan["hold"] + switch.MARGIN
        usual = f" instead of {plan['patience']:g} s" if plan["patience"] else ""
        lines.append(
            f"after {plan['hold']:g} s they let go in any case; until then a client may wait {patience:g} s{usual}"
        )
    return lines


def _switched(asked: Asked, done: Said) -> tuple[list[str], list[str]]:
    name, timelines = asked.cluster.name, done["timelines"]
    lines = [
        f"{name}: {done['leader']} leads on timeline {timelines[-1]}; {done['former']} led before, on {timelines[0]}, "
        "and follows it",
        f"writes waited for {done['held']:.1f} s",
    ]
    troubles = []
    if done["late"]:
        troubles.append(
            f"The poolers of {', '.join(done['late'])} let go before they sent clients to {done['leader']}, so that "
            "some may have got an error."
        )
    if done["poolers"] and not done["drained"]:
        lines.append(f"transactions that did not end within {done['drain']:g} s were cut off")
    if done["without_poolers"]:
        lines.append(f"the poolers of {', '.join(done['without_poolers'])} held no requests")
    return lines, troubles


def _member(cluster: Cluster, option: str, given: t.Mapping[str, t.Any]) -> str:
    name = str(given.get(option) or "")
    members = [server.name for server in cluster.members]
    if name and name not in members:
        raise InvalidInput(option, name, f"is not a member of {cluster.name}; its members are {', '.join(members)}")
    return name


def _seconds(option: str, given: t.Mapping[str, t.Any], default: float) -> float:
    value = given.get(option, default)
    try:
        return float(str(value))
    except ValueError:
        raise InvalidInput(option, value, "is not a number of seconds") from None


def _confirmed(cluster: Cluster, given: t.Mapping[str, t.Any]) -> str:
    """Return the member whose data is to go, once its name was said twice."""
    name = _member(cluster, "member", given)
    members = ", ".join(server.name for server in cluster.members)
    if not name:
        raise InvalidInput("member", None, f"is not set; say -e member=NAME, where NAME is one of {members}")
    word = given.get("confirm")
    if word != name:
        reason = f"is not the word: {name} throws its data away and copies the leader; say -e confirm={name} as well"
        raise InvalidInput("confirm", word, reason)
    return name


def _poolers(platform: Platform, cluster: Cluster, host: str) -> dict[str, t.Any]:
    """Return the options that say which poolers hold requests."""
    servers = [server for server in cluster.members if server.pooler_port]
    names = {str(name): None for server in servers for name in pgbouncer.databases(platform, server.name)}
    return {
        "poolers": [
            {"name": server.name, "host": _console(platform, server.name), "port": server.pooler_port}
            for server in servers
        ],
        "pooler_user": pgbouncer.USER,
        "pooler_password": platform.value(host, "pgbouncer_password", ""),
        "databases": [*names],
    }


def _console(platform: Platform, host: str) -> str:
    """Return where the other members reach a pooler."""
    address = pgbouncer.address(platform, host)
    return platform.address(host) if address == "*" else address
