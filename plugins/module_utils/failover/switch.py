# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides whether the lead of a Patroni cluster may be handed over now, and to whom; pure.

While it changes hands the poolers hold their clients' requests, so that these wait instead of failing. Everything that
the hold takes has its part of one bound, ``hold``: transactions may take ``drain`` seconds of it to end, the rest is
the former leader's shutdown, the new one's promotion, and the poolers' way to it. PgBouncer ends the wait of a client
after ``query_wait_timeout``, 2 s here, and a login after ``client_login_timeout``. Both are set to the bound and
:data:`MARGIN` for as long as the hold lasts. At the bound the poolers let go, whatever has come of it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import View

#: Seconds that the poolers hold requests at most.
HOLD = 10.0
#: Seconds of it that transactions may take to end. Those that are open afterwards are cut off.
DRAIN = 0.5
#: Seconds beside it in which a pooler connects and a request that waited is served.
MARGIN = 3.0
#: Seconds. The hold stays below what the watch beside each pooler takes for a forgotten pause.
LONGEST_HOLD = 15.0
#: Seconds from which on a transaction is named.
LONG = 1.0


class Transaction(t.NamedTuple):
    """A transaction that is open on the leader.

    :param seconds: since it began.
    """

    pid: int
    user: str
    database: str
    application: str
    seconds: float

    def __str__(self) -> str:
        whose = f"{self.user}@{self.database}" + (f", {self.application}" if self.application else "")
        return f"process {self.pid} ({whose}): {self.seconds:.0f} s"


class Pool(t.NamedTuple):
    """A pooler as it was seen.

    :param databases: where it sends the clients of each one that follows the leader.
    :param paused: those of them that it holds already.
    :param patience: seconds that it lets a client wait, by itself.
    :param missing: why it could not be asked; empty where it was.
    """

    name: str
    databases: t.Mapping[str, tuple[str, int]] = {}
    paused: tuple[str, ...] = ()
    patience: float = 0.0
    missing: str = ""


class Outcome(t.NamedTuple):
    """What came of it.

    :param held: seconds from the first request that had to wait until the last pooler let go.
    :param drained: whether all transactions had ended in time.
    :param late: poolers that let go at the bound, before they sent their clients to the new leader.
    """

    leader: str
    former: str
    held: float
    drained: bool = True
    late: tuple[str, ...] = ()


def check_times(drain: float, hold: float) -> None:
    """Refuse times that can never work.

    :raises InvalidInput: which one.
    """
    if not 1 <= hold <= LONGEST_HOLD:
        raise InvalidInput("hold", hold, f"is not a number of seconds from 1 to {LONGEST_HOLD:g}")
    if not 0 <= drain <= hold / 2:
        raise InvalidInput("drain", drain, f"is not a number of seconds from 0 to half of hold, {hold / 2:g}")


def choose(view: View, known: t.Collection[str], to: str | None = None, synchronous: bool = False) -> str:
    """Return who is to lead.

    :param known: names of the members that there should be. Another one's pooler would not hold its clients.
    :param to: who was asked for; None for whoever is nearest.
    :param synchronous: whether commits have to wait for a replica.
    :raises Refused: no one can, or that one cannot; the code says why.
    """
    names = [seen.name for seen in view.members]
    strangers = [name for name in names if name not in known]
    if to is not None and to not in (known or names):
        there = ", ".join(known or names)
        raise InvalidInput("candidate", to, f"is not a member of the cluster; its members are {there}")
    if len(names) < 2:
        raise Refused("The cluster has one member, so that no other could lead.", code="single_member")
    if known and strangers:
        raise Refused(
            f"Patroni has members that the inventory does not have: {', '.join(strangers)}.", code="unknown_member"
        )
    if view.paused:
        raise Refused("Patroni is paused, so that it would not follow up; resume it first.", code="patroni_paused")
    leader = view.leader
    if leader is None:
        raise Refused("No member leads, so that there is no lead to hand over.", code="no_leader")
    if to == leader.name:
        raise Refused(f"{to} leads already.", code="already_leads", leader=to)
    reasons = {
        seen.name: decide.unfit(view, seen, synchronous)
        for seen in view.members
        if not seen.leads and to in (None, seen.name)
    }
    if to is not None and reasons.get(to, "Patroni does not know it"):
        raise Refused(
            f"{to} cannot lead now: {reasons.get(to, 'Patroni does not know it')}.", code="not_ready", member=to
        )
    found = decide.candidates(view, synchronous)
    if to is None and not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise Refused(f"No replica can lead now: {why}.", code="no_candidate")
    return to or found[0]


def warnings(
    view: View, known: t.Collection[str], pools: t.Sequence[Pool], open_for_long: t.Sequence[Transaction], drain: float
) -> list[str]:
    """What of the plan is not as one would like it, a sentence each."""
    found = [f"{name} is in the inventory, and Patroni does not know it." for name in known if view.of(name) is None]
    found += of_pools(pools)
    if open_for_long:
        named = ", ".join(map(str, open_for_long))
        found.append(f"Open transactions that do not end within {drain:g} s are cut off: {named}.")
    return found


def of_pools(pools: t.Sequence[Pool]) -> list[str]:
    """Name the poolers that hold no requests, a sentence each."""
    return [f"The pooler of {pool.name} holds no requests: {pool.missing}." for pool in pools if pool.missing]


def check_pools(pools: t.Sequence[Pool]) -> None:
    """Refuse poolers that another run, or a person, holds, or that know none of the databases.

    :raises Refused: which one, and why.
    """
    for pool in pools:
        if not pool.missing and not pool.databases:
            text = f"The pooler of {pool.name} has none of the databases that follow the leader."
            raise Refused(text, code="unknown_database", pooler=pool.name)
        if pool.paused:
            text = (
                f"The pooler of {pool.name} holds {', '.join(pool.paused)} already; RESUME them on its console first."
            )
            raise Refused(text, code="held_already", pooler=pool.name)


def points_to(pool: Pool, place: tuple[str, int]) -> bool:
    """Whether a pooler sends the clients of all databases to a server."""
    return all(where == place for where in pool.databases.values())
