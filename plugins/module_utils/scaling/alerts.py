# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person should know of a pool, and which of it is news (B3, B5, A1, A4); pure."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.decide import judge, running_since
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.evidence import Look
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import IN_A_ROW
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import SIGNS, reached, shown
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.windows import span


@dataclasses.dataclass(frozen=True)
class Alert:
    """Something that is wrong now.

    :param key: the same as long as it is the same alert.
    :param kind: ``metric``, ``silent``, ``dead``, ``missing``, ``clock``, ``garbage``, ``flapping``,
        ``action_timeout``, ``failed_growth`` or ``history``.
    :param member: whom it is about; empty for the pool.
    """

    key: str
    kind: str
    member: str
    text: str
    metric: str = ""
    value: float | None = None
    age: float | None = None

    def document(self) -> dict[str, t.Any]:
        """Return the alert as a result has it."""
        return dataclasses.asdict(self)


def _alert(kind: str, member: str, text: str, name: str = "", **numbers: t.Any) -> Alert:
    return Alert(":".join(part for part in (kind, name, member) if part), kind, member, text, **numbers)


class Alerts(t.NamedTuple):
    """The alerts of a decision; ``unknown`` are keys of those that may still be, since their data are missing."""

    now: tuple[Alert, ...]
    unknown: frozenset[str]

    def news(self, known: t.Collection[str]) -> tuple[list[str], list[str]]:
        """Return the keys that are new and those that have cleared.

        An alert whose data are missing has not cleared: silence is no good news.
        """
        keys = [alert.key for alert in self.now]
        cleared = [key for key in known if key not in keys and key not in self.unknown]
        return [key for key in keys if key not in known], cleared


def find(look: Look) -> Alerts:
    """Return all that is wrong with a pool."""
    found, unknown = _of_metrics(look)
    found += _of_members(look)
    found += _of_guards(look)
    found += _of_readings(look)
    found += _of_actions(look)
    return Alerts(tuple(found), frozenset(unknown))


def _of_metrics(look: Look) -> tuple[list[Alert], set[str]]:
    found, unknown = [], set()
    for watch in look.policy.alerts:
        for member in look.pool.members:
            judged = judge(look, watch, member.name)
            if judged is None:
                unknown.add(f"metric:{watch.name}:{member.name}")
            elif judged[0]:
                value, age = judged[1].newest, max(0.0, look.now - judged[1].at)
                limit = f"{SIGNS[watch.condition]} {watch.threshold:g}"
                text = f"{member.name}: {watch.metric} {shown(watch.metric, value)} ({limit}), {age:.0f} s ago."
                numbers = {"metric": watch.metric, "value": value, "age": age}
                found.append(_alert("metric", member.name, text, watch.name, **numbers))
    return found, unknown


def _of_members(look: Look) -> list[Alert]:
    found = []
    for name, silence in look.roll.silent.items():
        text = f"{name} has never reported." if math.isinf(silence) else f"{name} has been silent for {silence:.0f} s."
        found.append(_alert("silent", name, text))
    for member in look.roll.dead:
        why = "Consul has declared it failed" if member.failed else "it has been silent for too long"
        stays = " It is protected, so nothing replaces it." if member.protected else " The next growth replaces it."
        found.append(_alert("dead", member.name, f"{member.name} counts as dead: {why}.{stays}"))
    quiet = {*look.roll.quiet}
    policy = look.policy
    for metric in dict.fromkeys(one.metric for one in policy.desires):
        for member in look.roll.eligible:
            if member.name not in quiet and _is_without(look, metric, member.name, member.since):
                text = f"{member.name} reports no {metric}, so the pool cannot shrink."
                found.append(_alert("missing", member.name, text, metric, metric=metric))
    return found


def _of_guards(look: Look) -> list[Alert]:
    """Name the guards that see nothing: what no one reports cannot hold growth (W3)."""
    found, readings = [], look.readings
    instances = readings.instances()
    oldest = min(map(readings.oldest, instances), default=math.inf)
    for guard in look.policy.guards:
        newest = [
            one.series.times[one.last - 1]
            for one in (
                span(readings.series(each, guard.metric), look.now, 0, look.policy.interval) for each in instances
            )
            if one.last
        ]
        # A rate needs two samples, so what has only just begun to be sampled lacks nothing yet.
        if reached(look.now - max(newest, default=oldest), look.policy.silent_after):
            text = f"No one reports {guard.metric}, so the guard {guard.name} holds nothing."
            found.append(_alert("missing", "", text, f"guard {guard.name}", metric=guard.metric))
    return found


def _is_without(look: Look, metric: str, name: str, since: float | None) -> bool:
    one = span(look.readings.series(name, metric), look.now, 0, look.policy.interval)
    if one.fault is None:
        return False
    # A rate needs two samples, so who has only just been heard of lacks nothing yet.
    newest = one.series.times[one.last - 1] if one.last else look.readings.oldest(name)
    return reached(look.now - max(newest, since or -math.inf), look.policy.silent_after)


def _of_readings(look: Look) -> list[Alert]:
    found = []
    for instance in look.readings.instances():
        if look.readings.is_ahead(instance, look.now):
            text = f"{instance} sends readings from the future; they are dropped. Compare its clock with this one."
            found.append(_alert("clock", instance, text))
    for (instance, metric), at in sorted(look.readings.garbage.items()):
        if look.now - at < look.policy.silent_after:
            text = f"{instance} sends values of {metric} that cannot be; they are dropped."
            found.append(_alert("garbage", instance, text, metric, metric=metric))
    if look.readings.unreadable:
        found.append(_alert("garbage", "", f"{look.readings.unreadable} readings could not be understood."))
    return found


def _of_actions(look: Look) -> list[Alert]:
    history, found = look.history, []
    flapping = history.flapping(look.now)
    if flapping:
        found.append(_alert("flapping", "", flapping))
    started = running_since(look)
    if started is not None and reached(look.now - started, look.policy.action_timeout):
        seconds = look.now - started
        text = f"An action has been running for {seconds:.0f} s. It holds the pool until it is recorded as failed."
        found.append(_alert("action_timeout", "", text))
    if history.failures >= IN_A_ROW:
        found.append(_alert("failed_growth", "", f"The last {history.failures} growths failed."))
    for place, text in enumerate(history.broken(look.now)):
        found.append(_alert("history", "", text, str(place)))
    return found
