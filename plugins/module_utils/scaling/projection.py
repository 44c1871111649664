# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would be if members left: the same load on those that remain (W4); pure."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.evidence import Evidence, Look
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import (
    EQ,
    GT,
    LT,
    RELATIVE,
    SIGNS,
    holds,
    shown,
)
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Rule, Target, Trigger


class Projection(t.NamedTuple):
    """What a rule or a trigger would see.

    :param value: the worst instant, after the members have left; None when it is not known.
    :param fits: whether it stays strictly on the calm side of the threshold.
    :param says: makes a sentence where it does not; of thousands of projections, few are read.
    """

    value: float | None
    fits: bool
    says: t.Callable[[], str] = str

    @property
    def why(self) -> str:
        return self.says()


def of(look: Look, one: Rule | Trigger, leaving: int, seconds: float) -> Projection:
    """Project the load of a window on those that remain.

    :param leaving: how many living members leave.
    :param seconds: how far back the window goes.
    """
    evidence = look.evidence(one.metric, seconds)
    if not evidence.is_complete or evidence.means is None:
        return Projection(None, False, lambda: f"{one.name}: {lacks(evidence)}")
    factor = _factor(look, one, evidence, leaving)
    low, high = evidence.means.low * factor, evidence.means.high * factor
    condition = one.condition if isinstance(one, Trigger) else GT
    value = low if condition == LT else high
    if math.isfinite(value) and _is_calm(condition, low, high, one.threshold):
        return Projection(value, True)

    def why() -> str:
        limit = f"{SIGNS[condition]} {one.threshold:g}"
        left = look.remaining(leaving)
        return f"{one.name}: {_pretty(one.metric, value)} on {left} servers is not clear of {limit}"

    return Projection(value, False, why)


def _factor(look: Look, one: Rule | Trigger, evidence: Evidence, leaving: int) -> float:
    if one.total:
        return evidence.factor(total=True)
    # The footprint of a process does not move to its neighbours, and free memory is no load.
    stays = one.metric == "memory_free" or (
        one.metric == "memory" and isinstance(one, Trigger) and not one.follows_load
    )
    if stays or not leaving:
        return 1.0
    left = look.remaining(leaving)
    return look.serving / left if left else math.inf


def _is_calm(condition: str, low: float, high: float, threshold: float) -> bool:
    """Say whether all values are strictly on the other side of a threshold."""
    if condition == GT:
        return high < threshold
    if condition == LT:
        return low > threshold
    return not (low <= threshold <= high or holds(EQ, low, threshold) or holds(EQ, high, threshold))


def _pretty(metric: str, value: float) -> str:
    return shown(metric, value) if math.isfinite(value) else "all of the load"


def lacks(evidence: Evidence) -> str:
    """Say what an evidence lacks to be complete."""
    if not evidence.warm:
        return "no member is healthy, in rotation and past its warm-up"
    parts = [f"{name} has {fault}" for name, fault in list(evidence.lacking.items())[:3]]
    more = len(evidence.lacking) - len(parts)
    return f"{evidence.metric} is not known: {', '.join(parts)}{f' and {more} more' if more > 0 else ''}"


def needed(load: float, target: float) -> int:
    """Return how many members a load takes; dust of a float makes no member (W5)."""
    return max(1, math.ceil(load / target * (1 - RELATIVE)))


def recommended(look: Look, one: Target, seconds: float, largest: bool) -> int | None:
    """Return how many members the load of a window takes: the most at any of its instants, or the fewest.

    A load within the tolerance of what the living members are for takes as many as there are.

    :return: None when it is not known well enough.
    """
    evidence = look.evidence(one.metric, seconds)
    enough = evidence.is_complete if largest else evidence.is_enough_to_grow
    if evidence.means is None or not enough:
        return None
    load = (evidence.means.high if largest else evidence.means.low) * look.serving
    size = look.living
    ratio = load / (one.target * size) if size else math.inf
    if 1 - one.tolerance_down - RELATIVE <= ratio <= 1 + one.tolerance_up + RELATIVE:
        return size
    return needed(load, one.target)


def objections(look: Look, leaving: int, to: int, seconds: float | None = None) -> list[str]:
    """Return why the pool must not shrink so far, a sentence for each rule, trigger and target that objects.

    :param leaving: how many living members leave.
    :param to: the living members that remain in the record.
    :param seconds: how far back to look, 0 for the newest samples; None for the stabilization window.
    """
    policy = look.policy
    back = policy.stabilization if seconds is None else seconds
    found = []
    for one in policy.thresholds:
        projected = of(look, one, leaving, back)
        if not projected.fits:
            found.append(projected.why)
    for target in policy.targets:
        most = recommended(look, target, back, largest=True)
        if most is None:
            found.append(f"{target.name}: {lacks(look.evidence(target.metric, back))}")
        elif most > to:
            found.append(f"{target.name}: the load takes {most}")
    return found
