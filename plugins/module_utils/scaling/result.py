# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A decision that explains itself, as values and as lines for a person (R1); pure."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.errors import told
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import alerts as alarms
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import decide, parse, pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.evidence import Evidence, Look
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.fields import Fault, InvalidPolicy
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import DOWN, UP
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import (
    COOLDOWN_DOWN,
    COOLDOWN_UP,
    Policy,
)
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.pool import Pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.voices import Voice

#: How many past actions a result lists.
_PAST = 10


@dataclasses.dataclass(frozen=True)
class Decision:
    """A choice with all that was seen.

    :param next_up: the earliest time at which the pool can grow, in seconds since the epoch; None while an action runs
        or where it cannot.
    :param next_down: the same for shrinking.
    """

    look: Look
    voices: tuple[Voice, ...]
    choice: decide.Choice
    alerts: alarms.Alerts
    next_up: float | None
    next_down: float | None

    def document(self, known: t.Collection[str] = ()) -> dict[str, t.Any]:
        """Return the decision as a task returns it.

        :param known: keys of the alerts that were sent before.
        """
        look, choice = self.look, self.choice
        new, cleared = self.alerts.news(known)
        return {
            "outcome": choice.outcome,
            "direction": choice.direction,
            "from": choice.before,
            "to": choice.after,
            "join": choice.join,
            "replaced": list(choice.replaced),
            "leave": choice.leave,
            "leave_first": list(choice.leave_first),
            "winner": _of_voice(look, choice.winner) if choice.winner else None,
            "losers": [_of_voice(look, voice) for voice in self.voices if voice is not choice.winner],
            "reasons": [dataclasses.asdict(reason) for reason in choice.reasons],
            "bounds": {
                "min": look.bounds.minimum,
                "max": look.bounds.maximum,
                "windows": list(look.bounds.windows),
            },
            "members": _members(look),
            "paused": dataclasses.asdict(look.pause) if look.pause else None,
            "running_since": decide.running_since(look),
            "alerts": [alert.document() for alert in self.alerts.now],
            "alerts_new": new,
            "alerts_cleared": cleared,
            "next_up": self.next_up,
            "next_down": self.next_down,
            "history": [action.document() for action in look.history.actions[-_PAST:]],
            "horizon": look.policy.horizon,
            "decided_at": look.now,
            "told": self.told(),
        }

    def told(self) -> list[str]:
        """Return the decision in lines for a person."""
        look, choice = self.look, self.choice
        lines = [_headline(choice)]
        lines += [f"  {reason.text}" for reason in choice.reasons]
        if choice.replaced:
            lines.append(f"  It replaces {', '.join(choice.replaced)}.")
        if choice.leave_first:
            lines.append(f"  First to leave: {', '.join(choice.leave_first)}.")
        paused = decide.paused_for(look)
        if paused and paused not in choice.reasons:
            lines.append(f"  {paused.text}")
        for voice in self.voices:
            mark = "*" if voice is choice.winner else "-"
            lines.append(f"  {mark} {voice.title} asks {voice.asks}: {voice.why}")
        bounds = f"between {look.bounds.minimum} and {look.bounds.maximum}"
        windows = f" ({', '.join(look.bounds.windows)})" if look.bounds.windows else ""
        lines.append(f"  The size is {choice.before}, {bounds}{windows}.")
        lines += [f"  Alert: {alert.text}" for alert in self.alerts.now]
        lines.append(f"  Next: up {_when(self.next_up, look.now)}, down {_when(self.next_down, look.now)}.")
        return lines


def decide_on(policy: Policy, readings: Readings, of: Pool, history: History, now: float) -> Decision:
    """Decide on a pool.

    :param now: seconds since the epoch.
    """
    look, voices, choice = decide.look_at(policy, readings, of, history, now)
    next_up = next_down = None
    # A history that cannot be believed keeps the pool as it is until someone repairs it.
    if decide.running_since(look) is None and not history.broken(now):
        next_up, next_down = _next_up(look, voices), _next_down(look, voices)
    return Decision(look, tuple(voices), choice, alarms.find(look), next_up, next_down)


def read(policy: t.Any, of: t.Any, now: t.Any) -> tuple[Policy, Pool]:
    """Read what a decision is asked for.

    :raises InvalidPolicy: with all that is wrong, before anything is looked at.
    """
    faults: list[Fault] = []
    asked = parse.parse(policy, faults)
    found = pool.parse(of, faults)
    if not moments.is_time(now):
        faults.append(Fault("now", f"{told(now)} is no time in seconds since 1970."))
    if faults:
        raise InvalidPolicy(faults)
    return asked, found


def _headline(choice: decide.Choice) -> str:
    if choice.outcome == decide.NONE:
        return f"Nothing to do: the size stays {choice.before}."
    asked = f", asked by {choice.winner.title}" if choice.winner else ""
    if choice.outcome == decide.HOLD:
        return f"Held at {choice.before}{f': {choice.direction} is wanted' if choice.direction else ''}{asked}."
    change = f"{choice.join} join" if choice.direction == UP else f"{choice.leave} leave"
    return f"Scale {choice.direction} from {choice.before} to {choice.after} ({change}){asked}."


def _when(at: float | None, now: float) -> str:
    if at is None:
        return "not possible"
    return "now" if at <= now else f"in {at - now:.0f} s"


def _next_up(look: Look, voices: t.Sequence[Voice]) -> float | None:
    policy, history = look.policy, look.history
    if look.bounds.maximum <= look.living or look.pool.desired > look.bounds.maximum:
        return None
    if look.pool.desired < look.bounds.minimum:
        return _not_before(look, decide.growth_at(look, COOLDOWN_UP, is_bound=True))
    asking = [voice.cooldown for voice in voices if voice.asks == UP]
    steps = policy.ups
    if not steps:
        return None
    cooldown = min(asking or [step.cooldown for step in steps])
    return _not_before(look, decide.growth_at(look, cooldown), history.last_success + _shortest(policy))


def _next_down(look: Look, voices: t.Sequence[Voice]) -> float | None:
    policy, history = look.policy, look.history
    if look.pool.desired <= look.bounds.minimum:
        return None
    asking = [voice.cooldown for voice in voices if voice.asks == DOWN]
    steps = policy.downs
    above = look.pool.desired > look.bounds.maximum
    if not steps and not above:
        return None
    cooldown = COOLDOWN_DOWN if above else min(asking or [step.cooldown for step in steps])
    warm = max((one.since or 0.0 for one in look.roll.warming), default=-math.inf) + policy.warm_up
    window = -math.inf if above and policy.enforce_maximum else history.last_success + policy.stabilization
    return _not_before(look, history.last + cooldown, window, warm, history.calm_at(look.now))


def _not_before(look: Look, *times: float) -> float:
    until = look.pool.paused.until if look.pool.paused else -math.inf
    return max(look.now, until, *times)


def _shortest(policy: Policy) -> float:
    return min(one.duration for one in policy.desires)


def _members(look: Look) -> dict[str, list[str]]:
    roll = look.roll
    return {
        "eligible": [member.name for member in roll.eligible],
        "warming": [member.name for member in roll.warming],
        "silent": sorted(roll.silent),
        "dead": [member.name for member in roll.dead],
    }


def _of_voice(look: Look, voice: Voice) -> dict[str, t.Any]:
    evidence = voice.evidence
    return {
        "kind": voice.kind,
        "name": voice.name,
        "asks": voice.asks,
        "to": voice.to,
        "why": voice.why,
        "window": _window(look, voice, evidence) if evidence else None,
    }


def _window(look: Look, voice: Voice, evidence: Evidence) -> dict[str, t.Any]:
    found, factor = evidence.means, evidence.factor(voice.total)
    return {
        "metric": evidence.metric,
        "condition": voice.condition,
        "threshold": voice.threshold,
        "seconds": evidence.duration,
        "members": evidence.warm,
        "reporting": len(evidence.spans),
        "lacking": evidence.lacking,
        "samples": evidence.samples,
        "instants": found.instants if found else 0,
        "newest": found.newest * factor if found else None,
        "lowest": found.low * factor if found else None,
        "highest": found.high * factor if found else None,
        "age": max(0.0, look.now - found.at) if found else None,
    }
