# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each rule, trigger and target asks for, and why (B1, B2, W1, W5); pure."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.scaling import projection
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.evidence import Evidence, Look
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import DOWN, GT, SIGNS, UP, shown
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import (
    COOLDOWN_DOWN,
    COOLDOWN_UP,
    SCALE_UP,
    Rule,
    Step,
    Target,
    Trigger,
)

#: What a voice may be, beside one that asks to go up or down.
CALM, UNPROVEN = "calm", "unproven"


class Voice(t.NamedTuple):
    """One that may ask for another size.

    :param kind: ``rule``, ``trigger``, ``target`` or ``bound``.
    :param asks: ``up``, ``down``, ``calm`` or ``unproven``.
    :param to: the size that it asks for, before bounds.
    :param cooldown: seconds, of the direction that it asks for.
    :param says: tells what it saw; only those that are shown are asked.
    """

    kind: str
    name: str
    asks: str
    to: int
    cooldown: float
    says: t.Callable[[], str]
    evidence: Evidence | None = None
    threshold: float | None = None
    condition: str = GT
    total: bool = False

    @property
    def why(self) -> str:
        return self.says()

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"


def ask(look: Look) -> list[Voice]:
    """Return the voices of a policy: rules before triggers, then in the order in which they are listed (W1)."""
    policy = look.policy
    return [
        *(_of_rule(look, one) for one in policy.rules),
        *(_of_trigger(look, one) for one in policy.triggers),
        *(_of_target(look, one) for one in policy.targets),
    ]


def _of_rule(look: Look, rule: Rule) -> Voice:
    evidence = look.evidence(rule.metric, rule.duration)
    saw = functools.partial(seen, evidence, GT, rule.threshold, rule.total)

    def voice(asks: str, to: int, cooldown: float, says: t.Callable[[], str]) -> Voice:
        return Voice("rule", rule.name, asks, to, cooldown, says, evidence, rule.threshold, GT, rule.total)

    if evidence.breaches(GT, rule.threshold, rule.total):
        if rule.up is None:
            return voice(CALM, look.living, 0, lambda: f"{saw()}; this rule does not grow the pool")
        return voice(UP, look.living + (rule.up.size or 1), rule.up.cooldown, saw)
    if evidence.means is None or not evidence.is_enough_to_grow:
        return voice(UNPROVEN, look.living, 0, functools.partial(projection.lacks, evidence))
    if rule.down is None:
        return voice(CALM, look.living, 0, saw)
    # Below the threshold is not enough: it must stay there on one server less, or the pool would grow again at once.
    fewer = projection.of(look, rule, 1, rule.duration)
    if fewer.fits:
        return voice(DOWN, look.pool.desired - (rule.down.size or 1), rule.down.cooldown, saw)
    return voice(CALM if evidence.is_complete else UNPROVEN, look.living, 0, lambda: f"{saw()}; {fewer.why}")


def _of_trigger(look: Look, trigger: Trigger) -> Voice:
    evidence = look.evidence(trigger.metric, trigger.duration)
    up = trigger.action == SCALE_UP
    asks, to = CALM, look.living
    says = functools.partial(seen, evidence, trigger.condition, trigger.threshold, trigger.total)
    if evidence.breaches(trigger.condition, trigger.threshold, trigger.total) and (up or evidence.is_complete):
        asks = UP if up else DOWN
        step = trigger.step.size or 1
        to = look.living + step if up else look.pool.desired - step
    elif not (evidence.is_enough_to_grow if up else evidence.is_complete):
        asks, says = UNPROVEN, functools.partial(projection.lacks, evidence)
    return Voice(
        "trigger",
        trigger.name,
        asks,
        to,
        trigger.step.cooldown,
        says,
        evidence,
        trigger.threshold,
        trigger.condition,
        trigger.total,
    )


def _of_target(look: Look, target: Target) -> Voice:
    evidence = look.evidence(target.metric, target.duration)

    def voice(asks: str, to: int, step: Step | None, says: t.Callable[[], str]) -> Voice:
        cooldown = step.cooldown if step else 0.0
        return Voice("target", target.name, asks, to, cooldown, says, evidence, target.target, GT)

    fewest = projection.recommended(look, target, target.duration, largest=False)
    if fewest is None or evidence.means is None:
        return voice(UNPROVEN, look.living, None, functools.partial(projection.lacks, evidence))
    load = evidence.means.newest * look.serving
    saw = functools.partial(_tracked, target, load)
    if fewest > look.living and target.up:
        to = fewest if target.up.size is None else min(fewest, look.living + target.up.size)
        return voice(UP, to, target.up, lambda: f"{saw()}, takes {fewest}")
    most = projection.recommended(look, target, look.policy.stabilization, largest=True)
    if most is not None and most < look.living and target.down and evidence.is_complete:
        to = most if target.down.size is None else max(most, look.living - target.down.size)
        return voice(DOWN, to, target.down, lambda: f"{saw()}, takes at most {most}")
    return voice(CALM, look.living, None, saw)


def _tracked(target: Target, load: float) -> str:
    return f"{shown(target.metric, load)} in all, {shown(target.metric, target.target)} for each server"


def seen(evidence: Evidence, condition: str, threshold: float, total: bool = False) -> str:
    """Say what a window shows, in numbers."""
    if evidence.means is None:
        return "nothing is known"
    factor = evidence.factor(total)
    value, low, high = (shown(evidence.metric, one * factor) for one in (evidence.means.newest, *evidence.means[:2]))
    window = f"{low} to {high} in {evidence.duration:g} s" if evidence.duration else "the newest sample"
    where = "in all" if total else "a server"
    return (
        f"{evidence.metric} {value} {where} ({window}; {evidence.samples} samples of {len(evidence.spans)} of "
        f"{evidence.warm} members), threshold {SIGNS[condition]} {threshold:g}"
    )


def of_bound(name: str, to: int, asks: str) -> Voice:
    """Return the voice of a bound."""
    cooldown = COOLDOWN_UP if asks == UP else COOLDOWN_DOWN
    return Voice("bound", name, asks, to, cooldown, lambda: f"the {name} is {to}")
