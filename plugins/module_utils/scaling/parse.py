# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a policy and finds all that is wrong with it at once (P1, B3); pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import told
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import policy as wanted
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import schedule
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.fields import Fault, Fields
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import (
    CONDITIONS,
    GUARDS,
    MEASURES,
    RELATIVE,
    SIGNS,
)
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import (
    ALERT,
    COOLDOWN_DOWN,
    COOLDOWN_UP,
    SCALE_DOWN,
    SCALE_UP,
    Policy,
    Rule,
    Step,
    Target,
    Trigger,
    Watch,
)
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.schedule import Bounds

Named = t.TypeVar("Named", Rule, Trigger, Target, Watch, schedule.Window)

_SCOPES = ("server", "total")
_RISING = [name for name, measure in MEASURES.items() if measure.rises]
_TRACKED = [name for name, measure in MEASURES.items() if measure.tracks]
#: Their sum over a pool has no meaning.
_SHARES = ("cpu", "memory", "memory_free", "latency")
_NO_STEP = "; a direction that is not wanted is switched off with up: false or down: false"


def parse(given: t.Any, faults: list[Fault], place: str = "policy") -> Policy:
    """Read a policy.

    :param given: a mapping, as docs/scaling-decisions.md describes it.
    :param faults: where all that is wrong is added; the policy is of no use if there is any.
    """
    fields = Fields(given, place, faults)
    return _Parser(fields).policy()


class _Parser:
    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.interval = fields.number("interval", above=True, unit="seconds")

    def policy(self) -> Policy:
        fields = self.fields
        bounds = Bounds(fields.count("min"), fields.count("max"))
        if bounds.minimum > bounds.maximum and "max" in fields:
            fields.fault("min", f"{bounds.minimum} is above max, {bounds.maximum}.")
        rules, triggers, targets = self._desires()
        alerts = self._alerts(triggers)
        policy = Policy(
            bounds=bounds,
            interval=self.interval,
            rules=rules,
            triggers=tuple(one for one in triggers if one.action != ALERT),
            targets=targets,
            alerts=alerts,
            guards=self._all("guards", self._guard) or (),
            schedule=self._schedule(bounds),
            warm_up=fields.number("warm_up", 60.0, unit="seconds"),
            stabilization=self._duration(fields, "stabilization", 300.0),
            dead_after=self._dead_after(),
            action_timeout=fields.number("action_timeout", 900.0, above=True, unit="seconds"),
            max_step=fields.count("max_step") if "max_step" in fields else fields.raw("max_step"),
            enforce_maximum=fields.flag("enforce_maximum", False),
        )
        fields.done()
        return dataclasses.replace(policy, warnings=tuple(_warnings(policy)))

    def _desires(self) -> tuple[tuple[Rule, ...], tuple[Trigger, ...], tuple[Target, ...]]:
        """Return what was written; the defaults only where none of the three was."""
        rules = self._all("rules", self._rule)
        triggers = self._all("triggers", self._trigger)
        targets = self._all("targets", self._target)
        if rules is None and triggers is None and targets is None:
            rules = tuple(self._rule(self._default(one)) for one in wanted.DEFAULT_RULES)
            triggers = tuple(self._trigger(self._default(one)) for one in wanted.DEFAULT_TRIGGERS)
        return rules or (), triggers or (), targets or ()

    def _alerts(self, triggers: t.Sequence[Trigger]) -> tuple[Watch, ...]:
        alerts = self._all("alerts", self._alert)
        if alerts is None:
            alerts = tuple(self._alert(self._default(one)) for one in wanted.DEFAULT_ALERTS)
        calls = [one for one in triggers if one.action == ALERT]
        return alerts + tuple(Watch(one.name, one.metric, one.condition, one.threshold, one.duration) for one in calls)

    def _default(self, given: t.Mapping[str, t.Any]) -> Fields:
        """Return the fields of a default, which is longer where two samples take longer."""
        duration = given.get("duration", 0)
        return Fields({**given, "duration": max(duration, 2 * self.interval)} if duration else given, "default", [])

    def _all(self, name: str, read: t.Callable[[Fields], Named]) -> tuple[Named, ...] | None:
        items = self.fields.items(name)
        if items is None:
            return None
        found = [read(item) for item in items if item.is_mapping]
        seen: set[str] = set()
        for item, one in zip([item for item in items if item.is_mapping], found):
            if one.name in seen:
                item.fault("name", f"{told(one.name)} is there twice; give each a name of its own.")
            seen.add(one.name)
        return tuple(found)

    def _rule(self, given: Fields) -> Rule:
        metric = self._metric(given, _RISING, "a metric that rises with the load")
        threshold = self._threshold(given, "threshold", metric)
        rule = Rule(
            name=given.text("name", f"{metric} > {threshold:g}"),
            metric=metric,
            threshold=threshold,
            duration=self._duration(given, "duration", 60.0),
            up=_step(given, "up", 1, COOLDOWN_UP),
            down=_step(given, "down", 1, COOLDOWN_DOWN),
            total=_scope(given, metric),
        )
        if rule.up is None and rule.down is None:
            given.fault("", "neither grows nor shrinks the pool; use an alert.")
        given.done()
        return rule

    def _trigger(self, given: Fields) -> Trigger:
        metric = self._metric(given)
        condition = given.choice("condition", CONDITIONS, what="a condition")
        threshold = self._threshold(given, "threshold", metric)
        action = given.choice("action", wanted.ACTIONS, what="an action")
        if action == ALERT:
            for name in ("step", "cooldown", "scope", "follows_load"):
                if given.raw(name) is not None:
                    given.fault(name, "has no meaning for an alert, which judges each member and changes nothing.")
        cooldown = COOLDOWN_DOWN if action == SCALE_DOWN else COOLDOWN_UP
        trigger = Trigger(
            name=given.text("name", f"{metric} {SIGNS[condition]} {threshold:g}"),
            metric=metric,
            condition=condition,
            threshold=threshold,
            duration=self._duration(given, "duration", None),
            action=action,
            step=Step(given.count("step", 1, hint=_NO_STEP), given.number("cooldown", cooldown, unit="seconds")),
            total=_scope(given, metric),
            follows_load=given.flag("follows_load", False),
        )
        if trigger.follows_load and (metric != "memory" or action != SCALE_UP):
            given.fault("follows_load", "is for triggers that grow the pool by memory; all else follows the load.")
        given.done()
        return trigger

    def _target(self, given: Fields) -> Target:
        metric = self._metric(given, _TRACKED, "a metric that is proportional to the load of a server")
        target = self._threshold(given, "target", metric, above=True)
        both = given.raw("tolerance")
        if isinstance(both, dict):
            parts = given.inner("tolerance")
            up, down = (parts.number(name, 10.0, high=100, unit="per cent") / 100 for name in ("up", "down"))
            parts.done()
        else:
            up = down = given.number("tolerance", 10.0, high=100, unit="per cent") / 100
        found = Target(
            name=given.text("name", f"{metric} at {target:g}"),
            metric=metric,
            target=target,
            duration=self._duration(given, "duration", 60.0),
            tolerance_up=up,
            tolerance_down=down,
            up=_step(given, "up", None, COOLDOWN_UP),
            down=_step(given, "down", None, COOLDOWN_DOWN),
        )
        if found.up is None and found.down is None:
            given.fault("", "neither grows nor shrinks the pool; use an alert.")
        given.done()
        return found

    def _alert(self, given: Fields) -> Watch:
        return self._watch(given, list(MEASURES))

    def _guard(self, given: Fields) -> Watch:
        return self._watch(given, [*GUARDS, *MEASURES])

    def _watch(self, given: Fields, metrics: t.Sequence[str]) -> Watch:
        metric = self._metric(given, metrics)
        condition = given.choice("condition", CONDITIONS, what="a condition")
        threshold = self._threshold(given, "threshold", metric)
        name = given.text("name", f"{metric} {SIGNS[condition]} {threshold:g}")
        watch = Watch(name, metric, condition, threshold, self._duration(given, "duration", 0.0))
        given.done()
        return watch

    def _metric(self, given: Fields, metrics: t.Sequence[str] = tuple(MEASURES), what: str = "a metric") -> str:
        return given.choice("metric", metrics, what=what)

    def _threshold(self, given: Fields, name: str, metric: str, above: bool = False) -> float:
        highest = MEASURES[metric].highest if metric in MEASURES else None
        return given.number(name, high=highest, above=above, unit="per cent" if highest else "")

    def _duration(self, given: Fields, name: str, default: float | None) -> float:
        """Return a time that has room for two samples, or 0."""
        shortest = 2 * self.interval
        if default and name not in given:
            given.raw(name)
            return max(default, shortest)
        value = given.number(name, default, unit="seconds")
        # A stabilization of 0 would let one calm sample shrink a pool.
        if (value or name == "stabilization") and value < shortest * (1 - RELATIVE) and name in given:
            given.fault(name, f"{value:g} is shorter than two intervals, which take {shortest:g} seconds.")
        return value

    def _dead_after(self) -> float:
        value = self.fields.number("dead_after", max(1800.0, 4 * self.interval), unit="seconds")
        shortest = max(300.0, 2 * self.interval)
        if value < shortest:
            self.fields.fault(
                "dead_after", f"{value:g} is below {shortest:g}, after which a silent member is an alert."
            )
        return value

    def _schedule(self, bounds: Bounds) -> tuple[schedule.Window, ...]:
        windows = self._all("schedule", schedule.parse) or ()
        found = schedule.contradiction(bounds, windows)
        if found and bounds.minimum <= bounds.maximum:
            names = " and ".join(repr(name) for name in found.windows) or "no window"
            text = f"while {names} count, the minimum would be {found.minimum}, above the maximum, {found.maximum}."
            self.fields.fault("schedule", text)
        return windows


def _step(given: Fields, name: str, size: int | None, cooldown: float) -> Step | None:
    value = given.raw(name)
    if value is False:
        return None
    if value is True or value is None:
        return Step(size, cooldown)
    if not isinstance(value, dict):
        given.fault(name, f"{told(value)} is not false or a mapping with step and cooldown.")
        return Step(size, cooldown)
    inner = given.inner(name)
    wants = inner.count("step", size, hint=_NO_STEP) if size or "step" in inner else inner.raw("step")
    step = Step(wants, inner.number("cooldown", cooldown, unit="seconds"))
    inner.done()
    return step


def _scope(given: Fields, metric: str) -> bool:
    is_total = given.choice("scope", _SCOPES, "server", what="a scope") == "total"
    if is_total and metric in _SHARES:
        given.fault("scope", f"the total of {metric} over a pool has no meaning.")
    return is_total


def _warnings(policy: Policy) -> t.Iterator[str]:
    if not (policy.rules or policy.triggers or policy.targets or policy.alerts):
        yield "The policy watches nothing: only its bounds change the pool. Give it a rule, a trigger or an alert."
    for one in policy.thresholds:
        grows = isinstance(one, Trigger) or one.up is not None
        if one.total and grows:
            yield (
                f"{one.name}: a total does not fall when the pool grows, so it grows to its maximum while the total is "
                "over the threshold. A target for each server does what is probably meant."
            )
