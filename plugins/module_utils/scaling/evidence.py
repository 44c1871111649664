# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the samples of a pool show for a metric and a time: enough to grow on, enough to shrink on, or neither; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.scaling import schedule
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.eligible import Roll, roll
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import EQ, GT, TICK, holds, stored
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.pool import Member, Pause, Pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.windows import Means, Span, means, span


class Evidence(t.NamedTuple):
    """The window of a metric.

    :param duration: seconds.
    :param warm: how many members are eligible.
    :param spans: the windows of those that report.
    :param means: over those; None when none reports.
    :param lacking: why the others do not count, by name.
    :param reached: how many of the others the load balancer reaches.
    """

    metric: str
    duration: float
    warm: int
    spans: tuple[Span, ...]
    means: Means | None
    lacking: dict[str, str]
    reached: int

    @property
    def samples(self) -> int:
        """How many samples were looked at."""
        return sum(one.last - one.first for one in self.spans)

    def factor(self, total: bool) -> int:
        """Return what makes of a mean what is judged: itself, or the sum over those that report."""
        return len(self.spans) if total else 1

    def breaches(self, condition: str, threshold: float, total: bool = False) -> bool:
        """Say whether the window proves a breach well enough to grow on (B2)."""
        if self.means is None:
            return False
        if self.is_enough_to_grow and breaches(self.means, condition, threshold, self.factor(total)):
            return True
        if not self.reached:
            return False
        # In an overload the collector's way fails first: who is reached and silent counts as one of those who breach.
        heard = len(self.spans) + self.reached
        return (
            not total
            and 2 * heard > self.warm
            and all(breaches(means([one]), condition, threshold) for one in self.spans)
        )

    @property
    def is_enough_to_grow(self) -> bool:
        """Whether more than half of the eligible members report."""
        return 2 * len(self.spans) > self.warm

    @property
    def is_complete(self) -> bool:
        """Whether every eligible member reports, which shrinking needs."""
        return self.means is not None and not self.lacking


def breaches(found: Means, condition: str, threshold: float, factor: int = 1) -> bool:
    """Say whether every instant of a window meets a condition; where a value is in doubt, both have to."""
    if condition == EQ:
        return holds(EQ, found.low * factor, threshold) and holds(EQ, found.high * factor, threshold)
    return holds(condition, (found.low if condition == GT else found.high) * factor, threshold)


class Look:
    """All that a decision looks at, with what was found in it kept for the next who asks.

    :param now: seconds since the epoch.
    """

    def __init__(self, policy: Policy, readings: Readings, pool: Pool, history: History, now: float) -> None:
        self.policy, self.readings, self.pool, self.history, self.now = policy, readings, pool, history, now
        self.bounds = schedule.bounds(policy.bounds, policy.schedule, now)
        self.roll: Roll = roll(policy, readings, pool, now)
        #: The size without the dead that may go: what the arithmetic reckons with.
        self.living = max(0, pool.desired - len(self.roll.gone))
        self._found: dict[tuple[str, float], Evidence] = {}
        self._alike = self._sort()
        #: How many servers carry the load.
        self.serving = len(self.roll.eligible)
        self._most = min(self.serving, self.living)

    @property
    def pause(self) -> Pause | None:
        """The pause that is in force."""
        pause = self.pool.paused
        return pause if pause and pause.until > self.now + TICK else None

    def remaining(self, leaving: int) -> int:
        """Return how many servers carry the load when so many living members have left; not fewer than 0."""
        return max(0, self._most - leaving)

    def evidence(self, metric: str, duration: float) -> Evidence:
        """Return what the eligible members show."""
        key = (metric, duration)
        found = self._found.get(key)
        if found is None:
            same = stored(metric)
            alike = same == metric
            found = self._look(metric, duration) if alike else self.evidence(same, duration)._replace(metric=metric)
            self._found[key] = found
        return found

    def _sort(self) -> list[tuple[float, list[Member]]]:
        """Return the eligible members that have the same windows, and since when those may begin.

        In a pool that is measured each member is one of its own; in a simulation most of them are alike.
        """
        warm_up, track = self.policy.warm_up, self.readings.track
        # No window reaches further back, so that all who are older are alike.
        floor = max(self.history.last_success, self.now - self.policy.window)
        alike: dict[tuple[int, float], list[Member]] = {}
        last: tuple[int, float] | None = None
        members: list[Member] = []
        for member in self.roll.eligible:
            since = member.since
            key = (track(member.name), floor if since is None or since + warm_up < floor else since + warm_up)
            if key != last:
                last, members = key, alike.setdefault(key, [])
            members.append(member)
        return [(since, members) for (_track, since), members in alike.items()]

    def _look(self, metric: str, duration: float) -> Evidence:
        spans: list[Span] = []
        lacking, reached = {}, 0
        now, interval, series = self.now, self.policy.interval, self.readings.series
        for since, members in self._alike:
            one = span(series(members[0].name, metric), now, duration, interval, since)
            if one.fault is None:
                spans += [one] * len(members)
                continue
            for member in members:
                lacking[member.name] = one.fault
                reached += member.reached and member.name in self.roll.quiet
        found = means(spans) if spans else None
        return Evidence(metric, duration, self.serving, tuple(spans), found, lacking, reached)

    def missing(self) -> list[str]:
        """Say which members keep the pool from shrinking, since not every one of them reports."""
        reasons = [f"{name} has no fresh sample" for name in self.roll.quiet]
        unlisted = self.pool.desired - len(self.pool.members)
        if unlisted > 0:
            reasons.append(f"{unlisted} of {self.pool.desired} desired members are not known")
        return reasons
