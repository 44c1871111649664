# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an operator wants of a pool: bounds, and when to grow, to shrink, to hold and to call; values only.

``parse.py`` makes a policy from what was written.
"""

from __future__ import annotations

import dataclasses
import functools

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.schedule import Bounds, Window

SCALE_UP, SCALE_DOWN, ALERT = "scale_up", "scale_down", "alert"
ACTIONS = (SCALE_UP, SCALE_DOWN, ALERT)

COOLDOWN_UP = 300.0
COOLDOWN_DOWN = 600.0

#: What a policy has that names no rules, triggers and targets of its own.
DEFAULT_RULES = (
    {"metric": "cpu", "threshold": 70, "up": {"step": 1, "cooldown": 300}, "down": {"step": 1, "cooldown": 600}},
    {"metric": "requests", "threshold": 1000, "up": {"step": 2, "cooldown": 180}, "down": {"step": 1, "cooldown": 600}},
)
DEFAULT_TRIGGERS = (
    {"metric": "cpu", "condition": "gt", "threshold": 80, "duration": 300, "action": "scale_up"},
    {"metric": "memory", "condition": "gt", "threshold": 90, "duration": 300, "action": "scale_up"},
    {"metric": "application", "condition": "gt", "threshold": 1000, "duration": 60, "action": "scale_up"},
)
#: What a policy has that names no alerts of its own.
DEFAULT_ALERTS = (
    {"metric": "cpu", "condition": "gt", "threshold": 90},
    {"metric": "memory_free", "condition": "lt", "threshold": 100},
    {"metric": "errors", "condition": "gt", "threshold": 100},
)


@dataclasses.dataclass(frozen=True)
class Step:
    """How far one action goes, and how long the next one waits.

    :param size: members; None for as many as needed.
    :param cooldown: seconds.
    """

    size: int | None
    cooldown: float


@dataclasses.dataclass(frozen=True)
class Rule:
    """Grow above a threshold, and shrink where the load stays below it on fewer members.

    :param duration: seconds in which every sample has to agree.
    :param up: None for a rule that never grows the pool.
    :param down: None for one that never shrinks it.
    :param total: judge the sum of all members in the place of their mean.
    """

    name: str
    metric: str
    threshold: float
    duration: float
    up: Step | None
    down: Step | None
    total: bool = False


@dataclasses.dataclass(frozen=True)
class Trigger:
    """Grow or shrink while a condition holds.

    :param follows_load: whether memory moves to the others when a member leaves (W4).
    """

    name: str
    metric: str
    condition: str
    threshold: float
    duration: float
    action: str
    step: Step
    total: bool = False
    follows_load: bool = False


@dataclasses.dataclass(frozen=True)
class Target:
    """Keep a metric near a value, by as many members as that takes.

    :param target: per member.
    :param tolerance_up: part of the target by which the load may exceed it, such as 0.1.
    :param tolerance_down: part of the target by which it may fall short.
    """

    name: str
    metric: str
    target: float
    duration: float
    tolerance_up: float
    tolerance_down: float
    up: Step | None
    down: Step | None


@dataclasses.dataclass(frozen=True)
class Watch:
    """A condition that calls a person, about one member; or one that holds growth, a guard."""

    name: str
    metric: str
    condition: str
    threshold: float
    duration: float


@dataclasses.dataclass(frozen=True)
class Policy:
    """What is wanted of one pool. All times are seconds.

    :param bounds: of the pool, where no window of the schedule is open.
    :param interval: the expected distance of samples.
    :param warm_up: how long a member that began to serve has no say.
    :param stabilization: how far back the projection looks before the pool shrinks.
    :param dead_after: how long a member may be silent before it counts as dead.
    :param action_timeout: how long an action may run before it is an alert.
    :param max_step: the most members that one action adds or removes; None for no limit.
    :param enforce_maximum: shrink to the maximum even if the load does not fit.
    :param warnings: sentences about what is allowed and probably not meant.
    """

    bounds: Bounds
    interval: float
    rules: tuple[Rule, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    targets: tuple[Target, ...] = ()
    alerts: tuple[Watch, ...] = ()
    guards: tuple[Watch, ...] = ()
    schedule: tuple[Window, ...] = ()
    warm_up: float = 60.0
    stabilization: float = 300.0
    dead_after: float = 1800.0
    action_timeout: float = 900.0
    max_step: int | None = None
    enforce_maximum: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def desires(self) -> tuple[Rule | Trigger | Target, ...]:
        """All that may ask for another size."""
        return (*self.rules, *self.triggers, *self.targets)

    @functools.cached_property
    def thresholds(self) -> tuple[Rule | Trigger, ...]:
        """All whose threshold a pool must stay below to shrink (W4)."""
        return (*self.rules, *(trigger for trigger in self.triggers if trigger.action == SCALE_UP))

    @property
    def ups(self) -> tuple[Step, ...]:
        """The steps by which the pool may grow."""
        steps = [one.up for one in self.rules] + [one.up for one in self.targets]
        return (
            *(step for step in steps if step),
            *(trigger.step for trigger in self.triggers if trigger.action == SCALE_UP),
        )

    @property
    def downs(self) -> tuple[Step, ...]:
        """The steps by which it may shrink."""
        steps = [one.down for one in self.rules] + [one.down for one in self.targets]
        return (
            *(step for step in steps if step),
            *(trigger.step for trigger in self.triggers if trigger.action == SCALE_DOWN),
        )

    @property
    def silent_after(self) -> float:
        """How long a member may be silent before it is an alert."""
        return max(300.0, 2 * self.interval)

    @functools.cached_property
    def window(self) -> float:
        """How many seconds of values a decision looks at; of what is older, only who reported when."""
        times = [one.duration for one in self.desires] + [one.duration for one in (*self.alerts, *self.guards)]
        return max(*times, self.stabilization, self.silent_after) + 3 * self.interval

    @functools.cached_property
    def horizon(self) -> float:
        """How many seconds of readings a decision looks at; older ones change nothing."""
        return max(self.window, self.dead_after + 3 * self.interval)
