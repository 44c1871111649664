# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose word counts: who is eligible, who warms up, who is silent and who is dead (J1, J7, B2); pure."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import TICK, reached
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.pool import Member, Pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings


class Roll(t.NamedTuple):
    """The members of a pool by what they are.

    :param eligible: healthy, in rotation, past their warm-up.
    :param warming: in their warm-up.
    :param dead: declared failed by Consul, or silent for ``dead_after``. They leave the arithmetic.
    :param gone: those of the dead that may go: they are not protected.
    :param quiet: not dead, and without a fresh sample; each of them vetoes shrinking.
    :param silent: seconds of silence of those whose silence is an alert; infinite for one that never reported.
    """

    eligible: tuple[Member, ...]
    warming: tuple[Member, ...]
    dead: tuple[Member, ...]
    gone: tuple[Member, ...]
    quiet: tuple[str, ...]
    silent: dict[str, float]


def roll(policy: Policy, readings: Readings, pool: Pool, now: float) -> Roll:
    """Sort the members of a pool."""
    newest, fresh = readings.newest, 2 * policy.interval + TICK
    heard = {member.name: newest(member.name, now) for member in pool.members}
    quiet = {name for name, at in heard.items() if at is None or now - at > fresh}
    silent = _silent(policy, pool, heard, quiet, now) if quiet else {}
    dead = _dead(policy, readings, pool, heard, silent, now) if quiet or pool.has_failed else ()
    lost = {member.name for member in dead}
    # The end of a warm-up belongs to the time after it.
    limit = policy.warm_up - TICK
    warming, eligible = [], []
    for one in pool.members:
        if one.name in lost:
            continue
        if one.since is not None and now - one.since < limit:
            warming.append(one)
        elif one.healthy and one.in_rotation:
            eligible.append(one)
    return Roll(
        tuple(eligible),
        tuple(warming),
        dead,
        tuple(member for member in dead if not member.protected),
        tuple(sorted(quiet - lost)),
        silent,
    )


_Heard = t.Mapping[str, t.Optional[float]]


def _silent(policy: Policy, pool: Pool, heard: _Heard, quiet: t.Collection[str], now: float) -> dict[str, float]:
    silent = {}
    for member in pool.members:
        if member.name in quiet:
            silence = now - _heard(member, heard[member.name])
            if reached(silence, policy.silent_after):
                silent[member.name] = silence
    return silent


def _dead(
    policy: Policy, readings: Readings, pool: Pool, heard: _Heard, silent: t.Mapping[str, float], now: float
) -> tuple[Member, ...]:
    late = {name for name, silence in silent.items() if reached(silence, policy.dead_after)}
    start = _stretch(policy, readings, pool, now) if late else now
    return tuple(
        member
        for member in pool.members
        if member.failed
        or (member.name in late and reached(now - max(start, _heard(member, heard[member.name])), policy.dead_after))
    )


def _heard(member: Member, at: float | None) -> float:
    """Return when a member last reported, or began to serve."""
    return max(-math.inf if at is None else at, -math.inf if member.since is None else member.since)


def _stretch(policy: Policy, readings: Readings, pool: Pool, now: float) -> float:
    """Return since when the pool as a whole has reported without a break.

    Silence only counts while others are heard: a store that was lost, or a collector that was off, kills no member.
    """
    since = now - policy.dead_after - 3 * policy.interval
    times = sorted({at for member in pool.members for at in readings.times(member.name, since, now)})
    if not times or now - times[-1] > 2 * policy.interval + TICK:
        return now
    start = times[-1]
    for at in reversed(times):
        if start - at > 3 * policy.interval + TICK:
            break
        start = at
    return start
