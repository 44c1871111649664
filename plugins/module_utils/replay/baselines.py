# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two policies to compare with, as others publish them: Kubernetes' HPA, and a target tracking like that of AWS; pure.

Each object is a policy for one simulation: it remembers what it saw, and what it asked for.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import typing as t

Document = dict[str, t.Any]
#: What a quotient may be above a whole number by rounding, and needs no member more.
_ROUNDING = 1e-9


@dataclasses.dataclass
class PodAutoscaler:
    """The rule of Kubernetes' HorizontalPodAutoscaler, version 2, with its defaults.

    desired = ceil(current * metric / target), unless the quotient is within the tolerance of 1. Members that do not
    serve yet count as idle for growth. A member that serves and has no reading counts as idle for growth, and for
    shrinking as one that is fully used (a share of a processor) or at the target (any other metric). The pool shrinks
    to the largest number recommended within the window. A step grows it by four members or to twice its size,
    whichever is more, within 15 seconds.

    Source: kubernetes, pkg/controller/podautoscaler/{horizontal,replica_calculator}.go and
    pkg/apis/autoscaling/v2/defaults.go. It asks every 15 seconds, so a simulation needs ``sync=15`` to be fair to it.

    :param target: what the mean of the metric should be.
    :param minimum: members.
    :param maximum: members.
    :param metric: a key of a reading's values.
    :param tolerance: part of the target; the limit itself is within.
    :param stabilization: seconds, on the way down.
    :param sync: seconds between two decisions; a step may add so many members, or so large a part of the pool:
    :param pods: members in one period.
    :param percent: per cent of the pool in one period.
    :param period: seconds that those two count for.
    """

    target: float
    minimum: int
    maximum: int
    metric: str = "cpu"
    tolerance: float = 0.1
    stabilization: float = 300.0
    sync: float = 15.0
    pods: int = 4
    percent: float = 100.0
    period: float = 15.0

    def __post_init__(self) -> None:
        self._recommended: collections.deque[tuple[float, int]] = collections.deque()
        self._grown: collections.deque[tuple[float, int]] = collections.deque()
        self._asked = -math.inf
        self._judged: tuple[list[Document], Document, int | None] | None = None

    def __call__(
        self, now: float, readings: list[Document], pool: Document, _history: list[Document] | None = None
    ) -> int | None:
        """Return the desired number of members; None between two decisions and where nothing was measured."""
        if now < self._asked + self.sync - _ROUNDING:
            return None
        self._asked = now
        current: int = pool["desired"]
        if not self._recommended:
            # As the controller does when it starts: nothing shrinks before a window has passed.
            self._recommended.append((now, current))
        # The same objects say the same: three of four decisions of a minute have nothing new to look at.
        if self._judged is None or self._judged[0] is not readings or self._judged[1] is not pool:
            self._judged = (readings, pool, self._recommend(readings, pool))
        wanted = self._judged[2]
        if wanted is None:
            return None
        while self._recommended and self._recommended[0][0] <= now - self.stabilization:
            self._recommended.popleft()
        stable = wanted
        if wanted < current:
            stable = max(wanted, max((size for _at, size in self._recommended), default=wanted))
        self._recommended.append((now, wanted))
        # What the window recommends may be above the size, where growth was limited before: then the pool still grows.
        stable = min(stable, self._limit(now, current))
        stable = max(self.minimum, min(self.maximum, stable))
        if stable > current:
            self._grown.append((now, stable - current))
        return stable

    def _recommend(self, readings: list[Document], pool: Document) -> int | None:
        current: int = pool["desired"]
        serving = sum(member["healthy"] for member in pool["members"])
        starting = current - serving
        # Readings come in the order of members: those that have left since are at the end.
        values = [reading["values"][self.metric] for reading in readings[:serving] if self.metric in reading["values"]]
        if not values:
            return None
        missing = serving - len(values)
        total, count = sum(values), len(values)
        ratio = total / count / self.target
        if missing == 0 and (starting == 0 or ratio <= 1):
            return current if self._is_near(ratio) else _ceil(ratio * count)
        if ratio < 1:
            total += missing * (100.0 if self.metric == "cpu" else self.target)
        count += missing + (starting if ratio > 1 else 0)
        again = total / count / self.target
        size = _ceil(again * count)
        turned = (again > 1) != (ratio > 1) or (size > current if again < 1 else size < current)
        return current if self._is_near(again) or turned else size

    def _is_near(self, ratio: float) -> bool:
        return abs(1.0 - ratio) <= self.tolerance + _ROUNDING

    def _limit(self, now: float, current: int) -> int:
        """Return how large the pool may become now, by what was added in the period before."""
        while self._grown and self._grown[0][0] <= now - self.period + _ROUNDING:
            self._grown.popleft()
        began = current - sum(added for _at, added in self._grown)
        return max(current, began + self.pods, _ceil(began * (1.0 + self.percent / 100.0)))


@dataclasses.dataclass
class TargetTracking:
    """A target tracking like that of AWS Auto Scaling.

    The pool grows while the metric is above the target for 3 of 3 points of a minute, and shrinks while it is below
    0.9 times the target for 15 of 15, in proportion: ceil(members * metric / target). Members in their warm-up are not
    measured, count as ordered already, and hold shrinking.

    Source: AWS's user guides of Auto Scaling, "Target tracking scaling policies" and "Set the default instance warmup";
    the alarms are those that it creates in CloudWatch. How much it adds or removes is not published beyond "in
    proportion", hence the name of this class and not AWS's. Readings less often than once a minute are a point each.

    :param target: what the mean of the metric should be.
    :param minimum: members.
    :param maximum: members.
    :param metric: a key of a reading's values.
    :param out_points: points that have to be above the target.
    :param in_points: points that have to be below ``in_factor`` times the target.
    :param in_factor: part of the target.
    :param period: seconds of a point.
    :param warm_up: seconds from a member's first request.
    """

    target: float
    minimum: int
    maximum: int
    metric: str = "cpu"
    out_points: int = 3
    in_points: int = 15
    in_factor: float = 0.9
    period: float = 60.0
    warm_up: float = 300.0

    def __post_init__(self) -> None:
        self._points: collections.deque[float] = collections.deque(maxlen=max(self.out_points, self.in_points))
        self._means: list[float] = []
        self._seen = -math.inf
        self._began: float | None = None

    def __call__(
        self, now: float, readings: list[Document], pool: Document, _history: list[Document] | None = None
    ) -> int | None:
        """Return the desired number of members; None where no point has ended and where nothing is to change."""
        if not readings or readings[0]["at"] <= self._seen:
            return None
        # A gap in the data is no point, and points on its two sides are not consecutive.
        self._seen = readings[0]["at"]
        warm = sum(member["healthy"] and now - member["since"] >= self.warm_up for member in pool["members"])
        values = [reading["values"][self.metric] for reading in readings[:warm] if self.metric in reading["values"]]
        if not values:
            self._points.clear()
            return None
        if not self._ends_a_point(now, sum(values) / len(values)):
            return None
        return self._ask(warm, pool["desired"])

    def _ends_a_point(self, now: float, mean: float) -> bool:
        self._means.append(mean)
        if self._began is not None and now < self._began + self.period - _ROUNDING:
            return False
        self._points.append(sum(self._means) / len(self._means))
        self._means.clear()
        self._began = now
        return True

    def _ask(self, warm: int, desired: int) -> int | None:
        points = list(self._points)
        wanted = max(self.minimum, min(self.maximum, _ceil(warm * points[-1] / self.target)))
        above = points[-self.out_points :]
        if len(above) == self.out_points and min(above) > self.target:
            return wanted if wanted > desired else None
        below = points[-self.in_points :]
        if len(below) == self.in_points and max(below) < self.in_factor * self.target and warm == desired:
            return wanted if wanted < desired else None
        return None


def _ceil(value: float) -> int:
    return math.ceil(value - _ROUNDING)
