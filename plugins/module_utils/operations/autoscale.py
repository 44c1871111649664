# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One cycle of the control loop: from what was seen of a pool to a decision and to what is asked of scale.yml's plays.

Several applications may run on the hosts of one pool, each with a policy of its own. Each decides, and the desire that
keeps the most capacity wins (W1): the pool grows when one asks for it, and shrinks when all of them do. Pure.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.members.asked import CLEAN_UP, Asked
from ansible_collections.scaleout.platform.plugins.module_utils.members.health import DEAD, SERVING
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import (
    DESIRED,
    JOINING,
    LEAVING,
    MEMBER,
    natural,
)
from ansible_collections.scaleout.platform.plugins.module_utils.operations import sampling, scaling_policy
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import projection
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.decide import HOLD, NONE, SCALE, Reason
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.evidence import Look
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import DOWN, UP, is_amount
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.pool import Member, Pause, Pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import Decision, decide_on

#: How many seconds a host that could not be cleaned is tried again by itself; then a person has to look at it.
PATIENCE = 900.0

Document = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was read of one pool.

    :param found: what the module ``members`` returned of it, with its services, and with nothing to change.
    :param journal: what the module ``scaling_journal`` returned of it.
    :param readings: by application.
    :param connections: by host, those that its newest sample has.
    :param problems: why there may be fewer readings than there should be, a sentence each.
    """

    found: Document
    journal: Document
    readings: t.Mapping[str, t.Sequence[t.Any]]
    connections: t.Mapping[str, float] = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def members(self) -> list[Document]:
        """The members of the record; of the inventory where there is none, with nothing but names."""
        record = self.found.get("record")
        return list(record["members"]) if record else [{**one, "state": MEMBER} for one in self.found["staying"]]

    def names(self, *states: str) -> list[str]:
        """Return those in one of the states."""
        return [str(one["name"]) for one in self.members if one["state"] in states]


@dataclasses.dataclass(frozen=True)
class Judged:
    """What a cycle comes to for one pool.

    :param outcome: ``scale``, ``hold`` or ``none``.
    :param request: what is asked of the plays that scale; None for nothing.
    :param reasons: why it is held.
    :param decisions: by application.
    :param alerts: all that are out, each with its ``key``, ``text``, ``application`` and ``group``.
    :param news: keys of those that were not sent yet; ``cleared``, of those that were and are over.
    :param remain: keys of those that were sent and may still be, since their data are missing.
    """

    group: str
    outcome: str
    line: str
    request: Asked | None = None
    reasons: tuple[Reason, ...] = ()
    decisions: t.Mapping[str, Decision] = dataclasses.field(default_factory=dict)
    alerts: tuple[dict[str, t.Any], ...] = ()
    news: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    remain: tuple[str, ...] = ()
    running: str = ""

    @property
    def writes(self) -> bool:
        """Whether something is to be done or to be remembered, for which the lease is needed."""
        return bool(self.request or self.running or self.news or self.cleared)


def pools(platform: Platform, application: str | None = None) -> dict[str, dict[str, Policy]]:
    """Return the policies of all pools that are scaled by themselves, by group and application.

    :param application: what the only pool that is wanted is called, which there is; None for all.
    :raises InvalidPolicy: one of them cannot be.
    """
    groups = platform.pools if application is None else [platform.pool_names[application]]
    return {group: found for group in groups if (found := scaling_policy.of_group(platform, group))}


def sampled(platform: Platform, wanted: t.Mapping[str, t.Mapping[str, Policy]]) -> dict[str, list[dict[str, t.Any]]]:
    """Return what is sampled on each host for the applications that are scaled, and for their guards."""
    policies = {name: policy for of_group in wanted.values() for name, policy in of_group.items()}
    return sampling.of(platform, policies, policies)


def judge(platform: Platform, group: str, policies: t.Mapping[str, Policy], seen: Seen, now: float) -> Judged:
    """Judge a pool.

    :param policies: of its applications, at least one.
    :param now: seconds since the epoch.
    """
    pool, history = pool_of(platform, seen), History(seen.journal.get("history") or ())
    decisions = {
        name: decide_on(policy, Readings(seen.readings.get(name, ())), pool, history, now)
        for name, policy in policies.items()
    }
    name, outcome, reasons = combined(decisions)
    decision = decisions[name]
    if outcome == NONE and _is_blind(decision):
        text = " ".join(seen.problems) or "No member has a fresh sample."
        outcome, reasons = HOLD, (Reason("missing_data", text),)
    request = None
    if outcome == SCALE:
        request = _request(platform, group, decision, seen)
    elif _may_clean_up(decision, pool):
        request = clean_up(platform, group, seen, now)
    alerts = _alerts(group, decisions, seen, now)
    known = [str(key) for key in seen.journal.get("known_alerts") or ()]
    keys = [alert["key"] for alert in alerts]
    unknown = {f"{app}:{key}" for app, one in decisions.items() for key in one.alerts.unknown}
    running = seen.journal.get("running") or {}
    return Judged(
        group,
        outcome,
        _line(group, name, decisions, outcome, reasons, request, seen),
        request,
        reasons,
        decisions,
        tuple(alerts),
        tuple(key for key in keys if key not in known),
        tuple(key for key in known if key not in keys and key not in unknown),
        tuple(key for key in known if key not in keys and key in unknown),
        str(running.get("run") or ""),
    )


def pool_of(platform: Platform, seen: Seen) -> Pool:
    """Return a pool as a decision takes it: its size is what the record asks for (A3)."""
    health, maintenance = seen.found.get("health") or {}, seen.found.get("maintenance") or ()
    members = []
    for one in seen.members:
        name = str(one["name"])
        if one["state"] == MEMBER:
            serves = health.get(name) == SERVING
            members.append(
                Member(
                    name,
                    healthy=serves,
                    in_rotation=name not in maintenance,
                    since=moments.seconds(one.get("since")),
                    protected=platform.is_on(name, "scale_protected"),
                    failed=health.get(name) == DEAD,
                    reached=serves and name not in maintenance,
                )
            )
    paused = seen.journal.get("paused")
    pause = Pause(paused["until"], paused["why"]) if paused else None
    return Pool(len(seen.names(*DESIRED)), tuple(members), pause)


def combined(decisions: t.Mapping[str, Decision]) -> tuple[str, str, tuple[Reason, ...]]:
    """Return whose decision counts, the outcome, and the reasons why it is held (W1).

    A growth that is held keeps the pool from shrinking, and so does an application that asks for nothing.
    """
    order = list(decisions.items())
    ups = [(name, one.choice) for name, one in order if one.choice.direction == UP]
    grows = [(name, choice) for name, choice in ups if choice.outcome == SCALE]
    if grows:
        # The first of those that ask for the same is the one that wins.
        name, choice = max(grows, key=lambda one: (one[1].after, one[1].join))
        return name, SCALE, ()
    if ups:
        name, choice = ups[0]
        return name, choice.outcome, choice.reasons
    downs = [(name, one.choice) for name, one in order if one.choice.direction == DOWN]
    keeps = [name for name, one in order if one.choice.direction != DOWN]
    held = next(((name, choice) for name, choice in downs if choice.outcome == HOLD), None)
    if held:
        return held[0], HOLD, held[1].reasons
    if downs and not keeps:
        name, choice = max(downs, key=lambda one: one[1].after)
        return name, SCALE, ()
    if downs:
        return downs[0][0], HOLD, (Reason("shared", f"{' and '.join(keeps)} on the same hosts does not ask for it."),)
    held = next(((name, one.choice) for name, one in order if one.choice.outcome == HOLD), None)
    return (held[0], HOLD, held[1].reasons) if held else (order[0][0], NONE, ())


def _request(platform: Platform, group: str, decision: Decision, seen: Seen) -> Asked:
    choice, look = decision.choice, decision.look
    by = choice.winner.title if choice.winner else ""
    why = choice.winner.why if choice.winner else ""
    applications = platform.pools[group]
    if choice.direction == UP:
        return Asked(group, applications, choice.after, choice.replaced, by, why, choice.replaced)
    first = list(choice.leave_first)
    others = [one.name for one in look.pool.members if not one.protected and one.name not in first]
    leave = first + fewest_connections(others, seen)[: choice.leave - len(first)]
    return Asked(group, applications, choice.after, tuple(leave), by, why)


def connections(samples: t.Iterable[t.Any]) -> dict[str, float]:
    """Return the connections of each host by its newest sample.

    :param samples: as hosts returned them; what is none says nothing.
    """
    found: dict[str, tuple[float, float]] = {}
    for sample in samples:
        metrics = _part(_part(sample, "metrics"), "network")
        host, at, count = _part(sample, "instance"), _part(sample, "timestamp") or 0.0, _part(metrics, "connections")
        if not isinstance(host, str) or not (is_amount(at) and is_amount(count)):
            continue
        if at >= found.get(host, (0.0, 0.0))[0]:
            found[host] = (at, float(count))
    return {host: count for host, (_at, count) in found.items()}


def _part(document: t.Any, key: str) -> t.Any:
    return document.get(key) if isinstance(document, dict) else None


def fewest_connections(names: t.Sequence[str], seen: Seen) -> list[str]:
    """Return members in the order in which they leave: the fewest connections, who was added last, the highest name."""
    since = {str(one["name"]): moments.seconds(one.get("since")) or 0.0 for one in seen.members}
    latest = sorted(names, key=lambda name: (since.get(name, 0.0), natural(name)), reverse=True)
    return sorted(latest, key=lambda name: seen.connections.get(name, math.inf))


def _may_clean_up(decision: Decision, pool: Pool) -> bool:
    return decision.look.pause is None and not decision.look.history.running and any(pool.members)


def clean_up(platform: Platform, group: str, seen: Seen, now: float) -> Asked | None:
    """Return the request that ends what an action that broke off has left; None where nothing is left.

    Hosts that were joining leave again, and the next decision makes of the pool what it should be. Who has been
    leaving for long is waited for no more.
    """
    joining = seen.names(JOINING)
    leaving = [one for one in seen.members if one["state"] == LEAVING]
    young = [one for one in leaving if now - (moments.seconds(one.get("since")) or 0.0) < PATIENCE]
    members = seen.names(MEMBER)
    if not members or not (joining or young):
        return None
    applications = platform.pools[group]
    why = f"{', '.join([*joining, *(str(one['name']) for one in leaving)])} of an action that broke off"
    return Asked(group, applications, len(members), tuple(joining), CLEAN_UP, why)


def comes_back(platform: Platform, policies: t.Mapping[str, Policy], seen: Seen, now: float) -> list[str]:
    """Return why members that have drained stay after all: the load on the others is not calm, or is not known.

    :param seen: with a record in which they are leaving.
    """
    pool, found = pool_of(platform, seen), []
    if pool.paused and pool.paused.until > now:
        found.append(f"the pool is paused: {pool.paused.why}")
    ended = [one for one in History(seen.journal.get("history") or ()).actions if one.finished is not None]
    for name, policy in policies.items():
        look = Look(policy, Readings(seen.readings.get(name, ())), pool, History(ended), now)
        against = [*look.missing(), *projection.objections(look, 0, look.living, 0)]
        found += [f"{name}: {text}" for text in against]
    return list(dict.fromkeys(found))


def _is_blind(decision: Decision) -> bool:
    """Say whether no member of a pool has a fresh sample."""
    look = decision.look
    return bool(look.pool.members) and len(look.roll.quiet) + len(look.roll.dead) >= len(look.pool.members)


def _alerts(group: str, decisions: t.Mapping[str, Decision], seen: Seen, now: float) -> list[dict[str, t.Any]]:
    found = [
        {**alert.document(), "key": f"{name}:{alert.key}", "application": name, "group": group}
        for name, decision in decisions.items()
        for alert in decision.alerts.now
    ]
    for one in seen.members:
        since = moments.seconds(one.get("since"))
        if one["state"] == LEAVING and since is not None and now - since >= PATIENCE:
            name = str(one["name"])
            text = (
                f"{name} has been leaving {group} for {now - since:.0f} s and could not be cleaned; forget.yml -e "
                f"host={name} writes it off."
            )
            named = {"key": f"leaving:{name}", "kind": "leaving", "member": name, "application": "", "group": group}
            found.append({**named, "text": text, "metric": "", "value": None, "age": now - since})
    return found


def _line(
    group: str,
    name: str,
    decisions: t.Mapping[str, Decision],
    outcome: str,
    reasons: t.Sequence[Reason],
    request: Asked | None,
    seen: Seen,
) -> str:
    """Return what a cycle comes to for a pool, in one line for a person."""
    decision = decisions[name]
    choice = decision.choice
    by = f" {name}," if len(decisions) > 1 else ""
    if outcome == SCALE and request:
        who = f"; leaving: {', '.join(request.leave)}" if request.leave else ""
        text = f"scale {choice.direction} from {choice.before} to {choice.after},{by} {request.by}: {request.why}{who}"
    elif request:
        text = f"clean up, {request.why}"
    elif outcome == HOLD:
        wants = f", {choice.direction} is wanted by{by} {choice.winner.title}" if choice.winner else ""
        text = f"held at {choice.before}{wants}: {' '.join(reason.text for reason in reasons)}"
    else:
        voice = next((one for one in decision.voices if one.evidence), None)
        text = f"{choice.before}, nothing to do{f'; {voice.why}' if voice else ''}"
    pause = decision.look.pause
    if pause and outcome != HOLD:
        text += f"; paused for another {pause.until - decision.look.now:.0f} s: {pause.why}"
    if seen.problems and not (outcome == HOLD and reasons and reasons[0].code == "missing_data"):
        text += f"; {seen.problems[0]}"
    count = sum(len(one.alerts.now) for one in decisions.values())
    return f"{group}: {text}" + (f" ({count} alert{'' if count == 1 else 's'})" if count else "")
