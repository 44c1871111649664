# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides in which order the members of a Patroni cluster restart, one at a time; pure.

Replicas first, then the leader. The first to restart is the *trial*: what keeps PostgreSQL from starting shows there
and goes no further. A *limit* that falls, such as ``max_connections``, is the exception. PostgreSQL starts no replica
with less than its primary had, so Patroni starts one with the old limit until the leader has restarted with the new
one. A replica takes a limit that falls only after its leader, and one that rises before it, or its replay would stop.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions

RESTART, SWITCH_OVER = "restart", "switch_over"

_STARTING = ("starting", "restarting")

LAG = 16 * 1024 * 1024
"""So many bytes may a replica be behind that is to lead."""


class NotWhole(ScaleoutError):
    """A cluster that needs all its members now, and lacks one."""

    CODE = "not_whole"


class Seen(t.NamedTuple):
    """A member as the cluster and the member itself see it.

    :param state: such as ``running``, ``streaming`` or ``start failed``.
    :param serves: whether that is a state in which it takes writes, or follows who does.
    :param synchronous: whether the leader waits for its answer to a commit.
    :param lag: bytes that it is behind its leader; None where that is not known.
    :param may_lead: whether its configuration allows it.
    :param answers: whether its own Patroni does.
    :param started: when its PostgreSQL was started, in Patroni's spelling; None while it does not run.
    :param received: the end of the WAL that it has, as a number; what it has written where it leads.
    :param replayed: the same for the WAL that it has replayed.
    :param reasons: names of the settings that wait for its restart, each with what is in force and what is to be; empty
        where Patroni is older than 4.0 and only says that something waits.
    """

    name: str
    leads: bool
    state: str
    serves: bool
    timeline: int | None
    lag: int | None = None
    synchronous: bool = False
    may_lead: bool = True
    answers: bool = True
    started: str | None = None
    received: int = 0
    replayed: int = 0
    pending: bool = False
    reasons: t.Mapping[str, tuple[str, str]] = {}

    @property
    def runs(self) -> bool:
        """Whether its PostgreSQL serves, as its leader or behind one."""
        return self.answers and self.started is not None and self.serves

    @property
    def falling(self) -> frozenset[str]:
        """The limits that wait to become less than they are."""
        known = versions.NOT_BELOW_PRIMARY & set(self.reasons)
        return frozenset(name for name in known if _less(*self.reasons[name]))

    @property
    def rising(self) -> frozenset[str]:
        """The limits that wait to become more than they are."""
        known = versions.NOT_BELOW_PRIMARY & set(self.reasons)
        return frozenset(name for name in known if _less(*reversed(self.reasons[name])))

    @property
    def only_falls(self) -> bool:
        """Whether nothing else waits for its restart."""
        return bool(self.reasons) and self.falling == set(self.reasons)


class View(t.NamedTuple):
    """A cluster at one moment.

    :param expected: names of members that it should have.
    """

    members: tuple[Seen, ...]
    paused: bool = False
    expected: tuple[str, ...] = ()

    @property
    def leader(self) -> Seen | None:
        """The member that leads."""
        return next((seen for seen in self.members if seen.leads), None)

    def of(self, name: str) -> Seen | None:
        """Return a member by its name."""
        return next((seen for seen in self.members if seen.name == name), None)


class Wanted(t.NamedTuple):
    """What a task asks for; ``members`` is None for all of them."""

    members: tuple[str, ...] | None = None
    only_pending: bool = True
    switch_over_first: bool = False


class Step(t.NamedTuple):
    """What happens to one member.

    :param action: ``restart``, or ``switch_over``, which takes the lead from it.
    :param leads: whether it has to be the leader, or has to be none.
    :param trial: whether a failure is taken back.
    :param if_pending: whether it is left out when nothing waits for the member's restart any more.
    :param keeps: settings that may wait for a restart afterwards; None is any.
    :param replays: whether the others have to replay what it says at its start: there they learn of lower limits.
    """

    action: str
    member: str
    leads: bool = False
    trial: bool = False
    if_pending: bool = False
    keeps: frozenset[str] | None = frozenset()
    replays: bool = False

    def facts(self) -> dict[str, t.Any]:
        """The step as the module returns it."""
        return {
            "action": self.action,
            "member": self.member,
            "leader": self.leads,
            "trial": self.trial,
            "if_pending": self.if_pending,
        }


def steps(view: View, wanted: Wanted) -> tuple[Step, ...]:
    """Return what to do, in order; each step is about one member, and the next one waits for it.

    :raises InvalidInput: a member that the cluster does not have.
    """
    for name in wanted.members or ():
        _known(view, name)
    chosen = [
        seen
        for seen in view.members
        if (wanted.members is None or seen.name in wanted.members) and (seen.pending or not wanted.only_pending)
    ]
    leader = next((seen for seen in chosen if seen.leads), None)
    # Who answers for the leader's commits comes later, so that another may answer for them then.
    replicas = sorted(
        (seen for seen in chosen if not seen.leads),
        key=lambda seen: (seen.synchronous, seen.name),
    )
    kept = view.leader.falling if view.leader else frozenset()
    first = [_replica(seen, kept) for seen in replicas if not (kept and seen.only_falls)]
    last = [] if leader is None else _leader(leader, view, wanted)
    again = [
        Step(RESTART, seen.name, if_pending=True)
        for seen in replicas
        if leader is not None and (seen.falling & kept or _unknown(seen))
    ]
    found = [*first, *last, *again]
    return tuple(step._replace(trial=position == 0) for position, step in enumerate(found))


def alone(view: View, name: str) -> tuple[Step, ...]:
    """Return what happens to a member whose Patroni restarts as well, and to no other.

    :raises InvalidInput: the cluster does not have it; :raises Refused: it would let the lead go.
    """
    seen = _known(view, name)
    if seen.leads and len(view.members) > 1:
        raise Refused(f"{name} leads; hand its lead over before its Patroni restarts.", code="is_leader", member=name)
    return (Step(RESTART, name, leads=seen.leads, trial=True, keeps=None),)


def warnings(view: View, wanted: Wanted) -> tuple[str, ...]:
    """What of the request is not as it was asked for."""
    leader = view.leader
    asked = wanted.members or [seen.name for seen in view.members]
    if leader is None:
        return ()
    if leader.name not in asked:
        waiting = [name for name in asked if (seen := view.of(name)) and seen.falling & leader.falling]
        if waiting:
            limits = ", ".join(sorted(leader.falling))
            return (
                f"{', '.join(waiting)} cannot take less of {limits} before {leader.name}, which leads, has restarted.",
            )
        return ()
    if not wanted.switch_over_first or not (leader.pending or not wanted.only_pending):
        return ()
    if leader.falling:
        limits = ", ".join(sorted(leader.falling))
        return (f"{leader.name} restarts as the leader: less of {limits} counts only after that.",)
    if len(view.members) == 1:
        return (f"{leader.name} restarts as the leader: there is no other member.",)
    return ()


def missing(view: View, without: str | None = None) -> list[str]:
    """Who of the rest of a cluster is not as it has to be while a member is away, each in words; empty when all are.

    :param without: the member; None when all of them have to be there.
    """
    found = ["Patroni is paused"] if view.paused else []
    leader = view.leader
    if leader is None:
        return [*found, "no member leads"]
    found += [f"{name}: Patroni does not know it" for name in view.expected if view.of(name) is None]
    for seen in view.members:
        if seen.name == without:
            continue
        if not seen.answers:
            found.append(f"{seen.name}: its Patroni does not answer")
        elif not seen.runs:
            found.append(f"{seen.name} does not run" if seen.started is None else f"{seen.name} is {seen.state}")
        elif seen.timeline is None or seen.timeline != leader.timeline:
            found.append(f"{seen.name} is on timeline {seen.timeline}, not {leader.timeline}")
    return found


def check_whole(view: View, without: str) -> None:
    """Refuse to take a member away that the cluster needs.

    :raises NotWhole: with who is missing.
    """
    found = missing(view, without)
    if found:
        raise NotWhole(f"{without} does not restart now: {'; '.join(found)}.", member=without, missing=found)


def end_of_wal(view: View, step: Step, started: str | None) -> int | None:
    """What all members have to reach once a member has restarted; None as long as it has not, or none leads.

    :param started: when its PostgreSQL was started before.
    """
    seen, leader = view.of(step.member), view.leader
    if seen is None or seen.started in (None, started) or leader is None or not leader.runs:
        return None
    return leader.received


def back(view: View, step: Step, reach: int) -> bool:
    """Whether the cluster is whole after a member's restart. That a replica streams is believed when it has the WAL.

    :param reach: what :func:`end_of_wal` was.
    """
    seen = view.of(step.member)
    if seen is None or missing(view):
        return False
    if any((each.replayed if step.replays else max(each.received, each.replayed)) < reach for each in view.members):
        return False
    return not seen.pending or step.keeps is None or (bool(seen.reasons) and set(seen.reasons) <= step.keeps)


def failed(view: View, name: str) -> bool:
    """Whether a member does not run, and is not about to."""
    seen = view.of(name)
    return seen is None or (seen.answers and seen.started is None and seen.state not in _STARTING)


def unfit(view: View, seen: Seen, synchronous: bool = False) -> str:
    """Say why a member may not take the lead over now, as a clause; empty when it may.

    :param synchronous: whether it has to be one that answers for commits, though there may be none.
    """
    leader = view.leader
    if not seen.answers:
        return "its Patroni does not answer"
    if not seen.runs:
        return "it does not run" if seen.started is None else f"it is {seen.state}"
    if not seen.may_lead:
        return "its tag nofailover says so"
    if leader is None or seen.timeline != leader.timeline:
        return f"it is on timeline {seen.timeline}, not {leader.timeline if leader else 'known'}"
    if seen.lag is None:
        return "how far it is behind is not known"
    if seen.lag > LAG:
        return f"it is {seen.lag // 1024**2} MB behind, and {LAG // 1024**2} MB is the most"
    if not seen.synchronous and (synchronous or any(each.synchronous for each in view.members)):
        return "it does not answer for commits, as a synchronous member does"
    return ""


def candidates(view: View, synchronous: bool = False) -> list[str]:
    """Return which replicas may lead now, the best first: the nearest one.

    :param synchronous: as :func:`unfit` has it.
    """
    ready = [
        (seen.lag or 0, seen.name)
        for seen in view.members
        if view.leader and not seen.leads and not unfit(view, seen, synchronous)
    ]
    return [name for _lag, name in sorted(ready)]


def _known(view: View, name: str) -> Seen:
    """Return a member by its name.

    :raises InvalidInput: the cluster does not have it.
    """
    seen = view.of(name)
    if seen is None:
        there = ", ".join(each.name for each in view.members)
        raise InvalidInput("members", name, f"is not a member of the cluster; its members are {there}")
    return seen


def _replica(seen: Seen, kept: frozenset[str]) -> Step:
    return Step(RESTART, seen.name, keeps=None if _unknown(seen) else kept)


def _leader(leader: Seen, view: View, wanted: Wanted) -> list[Step]:
    """The leader's own steps; it hands the lead over only where another can take it with the new values.

    :raises InvalidInput: a replica that is not to restart would stop replaying.
    """
    behind = [
        seen.name
        for seen in view.members
        if wanted.members is not None and seen.name not in wanted.members and seen.rising & leader.rising
    ]
    if behind:
        limits = ", ".join(sorted(leader.rising))
        reason = f"are without {', '.join(behind)}, who would stop replaying: more of {limits} counts there first"
        raise InvalidInput("members", list(wanted.members or ()), reason)
    in_place = Step(RESTART, leader.name, leads=True, replays=bool(leader.falling) or _unknown(leader))
    if not wanted.switch_over_first or len(view.members) == 1 or leader.falling:
        return [in_place]
    # Handing over the lead restarts its PostgreSQL, so that often nothing is left to do.
    return [Step(SWITCH_OVER, leader.name, leads=True), Step(RESTART, leader.name, if_pending=True)]


def _unknown(seen: Seen) -> bool:
    return seen.pending and not seen.reasons


def _less(in_force: str, to_be: str) -> bool:
    # Each of these limits is a plain number.
    return in_force.isdigit() and to_be.isdigit() and int(to_be) < int(in_force)
