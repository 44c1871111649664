# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decision: who wins, what holds it back, and how far it goes (W1 to W4, A1 to A4, A7); pure.

``choose`` is all that a simulation needs. ``result.py`` explains what was chosen.
"""

from __future__ import annotations

import dataclasses
import math

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.evidence import Look, breaches
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import DOWN, TICK, UP, shown
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy, Watch
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.pool import Pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.projection import objections
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.voices import Voice, ask, of_bound
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.windows import Means, means, span

SCALE, HOLD, NONE = "scale", "hold", "none"


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a pool is not changed; the code is what a program branches on."""

    code: str
    text: str


@dataclasses.dataclass(frozen=True)
class Choice:
    """What is to be done with a pool.

    :param outcome: ``scale``; ``hold``, when someone asked and was held; or ``none``, when no one did.
    :param direction: ``up`` or ``down``, also of what is held; empty when no one asked.
    :param before: the desired size.
    :param after: the size that it is to have; the same unless it scales.
    :param join: how many members are to be added.
    :param replaced: dead members that those take the place of.
    :param leave: how many members leave.
    :param leave_first: dead members, which are the first of them.
    :param winner: who asked, also when it was held.
    :param reasons: why it is held.
    """

    outcome: str
    direction: str
    before: int
    after: int
    join: int = 0
    replaced: tuple[str, ...] = ()
    leave: int = 0
    leave_first: tuple[str, ...] = ()
    winner: Voice | None = None
    reasons: tuple[Reason, ...] = ()


def choose(look: Look, voices: list[Voice]) -> Choice:
    """Choose what to do with a pool."""
    size, bounds = look.pool.desired, look.bounds
    broken = [Reason("history", text) for text in look.history.broken(look.now)]
    ups = [voice for voice in voices if voice.asks == UP]
    downs = [voice for voice in voices if voice.asks == DOWN]
    if broken:
        winner = next(iter(ups or downs), None)
        return _held(look, winner.asks if winner else "", winner, broken)
    # The first of those that ask for the same is the one that wins.
    up = max(ups, key=lambda voice: voice.to) if ups else None
    if size > bounds.maximum:
        return _down(look, of_bound("maximum", bounds.maximum, DOWN), enforced=look.policy.enforce_maximum)
    choice = _up(look, up) if up else None
    if size < bounds.minimum and (choice is None or choice.outcome != SCALE or choice.after < bounds.minimum):
        return _up(look, of_bound("minimum", bounds.minimum, UP))
    if choice:
        return choice
    if downs:
        return _down(look, max(downs, key=lambda voice: voice.to))
    return Choice(NONE, "", size, size)


def _held(look: Look, direction: str, winner: Voice | None, reasons: list[Reason]) -> Choice:
    size = look.pool.desired
    return Choice(HOLD, direction, size, size, winner=winner, reasons=tuple(reasons))


def _up(look: Look, voice: Voice) -> Choice:
    size, policy, is_bound = look.pool.desired, look.policy, voice.kind == "bound"
    reasons = _locked(look)
    room = look.bounds.maximum - look.living
    wanted = voice.to - look.living
    if room <= 0:
        reasons.append(Reason("maximum", f"The pool has its maximum of {look.bounds.maximum}."))
    wait = _until(look, growth_at(look, voice.cooldown, is_bound))
    if wait:
        reasons.append(_waiting(look, voice, wait))
    if not is_bound:
        reasons.extend(guarded(look))
    if reasons:
        return _held(look, UP, voice, reasons)
    join = min(wanted, room, policy.max_step or wanted)
    replaced = tuple(member.name for member in look.roll.gone)[:join]
    return Choice(SCALE, UP, size, max(size, look.living + join), join, replaced, winner=voice)


def _waiting(look: Look, voice: Voice, wait: float) -> Reason:
    if (
        look.history.failures
        and look.history.last_failure + look.history.wait(voice.cooldown) - look.now >= wait - TICK
    ):
        return Reason("back_off", f"The last growth failed ({look.history.failures} in a row); {wait:.0f} s to go.")
    return _cooling(voice, wait)


def _cooling(voice: Voice, wait: float) -> Reason:
    return Reason("cooldown", f"The cooldown of {voice.title}, {voice.cooldown:g} s, has {wait:.0f} s to go.")


def _down(look: Look, voice: Voice, enforced: bool = False) -> Choice:
    size, policy = look.pool.desired, look.policy
    to = max(voice.to, look.bounds.minimum, 1)
    reasons = _locked(look)
    if to >= size:
        reasons.append(Reason("minimum", f"The pool has its minimum of {look.bounds.minimum}."))
    wait = _until(look, look.history.last + voice.cooldown)
    if wait:
        reasons.append(_cooling(voice, wait))
    flapping = look.history.flapping(look.now)
    if flapping:
        reasons.append(Reason("flapping", flapping))
    if look.roll.warming:
        names = ", ".join(member.name for member in look.roll.warming)
        reasons.append(Reason("warm_up", f"In its warm-up: {names}."))
    if not enforced:
        reasons.extend(Reason("missing_data", f"{text}.") for text in look.missing())
    if reasons:
        return _held(look, DOWN, voice, reasons)
    return _as_far_as_it_fits(look, voice, min(size - to, policy.max_step or size), enforced)


def _as_far_as_it_fits(look: Look, voice: Voice, most: int, enforced: bool) -> Choice:
    """Shrink by the largest step that protected members and the projection allow."""
    size, gone = look.pool.desired, len(look.roll.gone)
    free = look.pool.free
    if not free:
        return _held(look, DOWN, voice, [Reason("protected", "Every member is protected.")])
    against: list[str] = []
    for step in range(min(most, free), 0, -1):
        leaving = max(0, step - gone)
        against = [] if enforced else objections(look, leaving, look.living - leaving)
        # The rest may be dead ones that are protected, or some that only join.
        if not against and _last_leaves(look, leaving):
            against = ["No member that serves would be sure to stay"]
        if not against:
            first = tuple(member.name for member in look.roll.gone)[:step]
            return Choice(SCALE, DOWN, size, size - step, leave=step, leave_first=first, winner=voice)
    return _held(look, DOWN, voice, [Reason("projection", f"{text}.") for text in against])


def _last_leaves(look: Look, leaving: int) -> bool:
    """Say whether so many living members may be all that serve; not where none does."""
    serving = [one for one in look.pool.members if one.healthy and one.in_rotation and one not in look.roll.dead]
    return 0 < len(serving) <= leaving and not any(one.protected for one in serving)


def _locked(look: Look) -> list[Reason]:
    """Return what holds every action: one that runs, and a pause."""
    reasons = []
    started = running_since(look)
    if started is not None:
        reasons.append(Reason("running", f"An action has been running for {max(0.0, look.now - started):.0f} s."))
    paused = paused_for(look)
    if paused:
        reasons.append(paused)
    return reasons


def paused_for(look: Look) -> Reason | None:
    """Return the pause that is in force as a reason; None without one."""
    pause = look.pause
    if pause is None:
        return None
    by = f" ({pause.by})" if pause.by else ""
    return Reason("paused", f"Paused for another {pause.until - look.now:.0f} s: {pause.why}{by}.")


def running_since(look: Look) -> float | None:
    """Return when the action that runs has started; None when none does."""
    started = [one.started for one in look.history.running]
    if look.pool.running:
        started.append(look.pool.running.started)
    return min(started, default=None)


def growth_at(look: Look, cooldown: float, is_bound: bool = False) -> float:
    """Return the earliest time at which the clocks let the pool grow; the way to the minimum has no cooldown (A1)."""
    history = look.history
    after_success = -math.inf if is_bound else history.last_growth + cooldown
    return max(after_success, history.last_failure + history.wait(cooldown) if history.failures else -math.inf)


def _until(look: Look, at: float) -> float:
    """Return how many seconds are left until a time; 0 when it is reached."""
    return at - look.now if at > look.now + TICK else 0.0


def guarded(look: Look) -> list[Reason]:
    """Return the guards that hold growth (W3): any instance that reports their metric may breach them."""
    reasons = []
    for guard in look.policy.guards:
        for instance in look.readings.instances():
            found = judge(look, guard, instance)
            if found is not None and found[0]:
                value = shown(guard.metric, found[1].newest)
                reasons.append(Reason("guard", f"The guard {guard.name} sees {value} on {instance}."))
    return reasons


def judge(look: Look, watch: Watch, instance: str) -> tuple[bool, Means] | None:
    """Say whether an instance meets a condition, and what it showed; None when it is not known.

    The window does not start again after an action: a change of the pool's size makes no member well.
    """
    one = span(look.readings.series(instance, watch.metric), look.now, watch.duration, look.policy.interval)
    if one.fault is not None:
        return None
    found = means([one])
    return breaches(found, watch.condition, watch.threshold), found


def look_at(
    policy: Policy, readings: Readings, pool: Pool, history: History, now: float
) -> tuple[Look, list[Voice], Choice]:
    """Return what was looked at, who said what, and what was chosen."""
    look = Look(policy, readings, pool, history, now)
    voices = ask(look)
    return look, voices, choose(look, voices)
