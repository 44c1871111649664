# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides whether a member of a Patroni cluster may copy its leader again, and whether it has done so; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import View

COPIES = "creating replica"
"""What Patroni calls the state of a member that copies its leader."""


class Progress(t.NamedTuple):
    """How far a member has come.

    :param state: such as ``creating replica``, or ``streaming`` at the end.
    :param copied: bytes that the leader has sent; None while none are, or where that is not known.
    :param size: bytes that there are to copy, as the leader estimates it.
    :param lag: bytes that the member is behind, once it follows.
    """

    state: str
    copied: int | None = None
    size: int | None = None
    lag: int | None = None
    done: bool = False


def check(view: View, name: str) -> None:
    """Refuse what would lose data, or cannot be.

    :raises InvalidInput: no such member; :raises Refused: it leads, or there is no leader to copy.
    """
    seen, leader = view.of(name), view.leader
    if seen is None:
        there = ", ".join(each.name for each in view.members)
        raise InvalidInput("member", name, f"is not a member of the cluster; its members are {there}")
    if seen.leads:
        text = f"{name} leads: what it has would be thrown away. Hand its lead over first."
        raise Refused(text, code="is_leader", member=name)
    if leader is None or not leader.runs:
        raise Refused(f"No member leads, so that {name} would have nothing to copy.", code="no_leader")
    if view.paused:
        raise Refused("Patroni is paused, so that it would not follow up; resume it first.", code="patroni_paused")
    if not seen.answers:
        raise Refused(f"{name} cannot be told: its Patroni does not answer.", code="not_ready", member=name)


def warnings(view: View, name: str) -> list[str]:
    """What is worth knowing beforehand, a sentence each."""
    others = [each.name for each in view.members if each.name != name and not each.leads and each.runs]
    if others:
        return []
    leads = view.leader.name if view.leader else "the leader"
    return [f"No other replica runs: until {name} follows again, {leads} alone has the data."]


def follows(view: View, name: str, before: str | None) -> bool:
    """Whether the member follows the leader with its copy.

    :param before: when its PostgreSQL was started before; None if it did not run.
    """
    seen, leader = view.of(name), view.leader
    if seen is None or leader is None or not seen.runs or seen.started == before:
        return False
    return seen.timeline == leader.timeline and seen.lag is not None and seen.lag <= decide.LAG


def state_of(view: View, name: str) -> str:
    """Return a member's state; what is not known is said so."""
    seen = view.of(name)
    return "unknown" if seen is None else seen.state
