# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From samples, which hold counters, to readings, which hold what a decision judges; pure.

A reading belongs to one sample. Rates and means are those of the interval since the sample before it, and are stamped
at its end. An interval is measured on the host's own clock, which no one sets, so a corrected wall clock is no rate.
Whatever makes an interval doubtful drops what depends on it and nothing else: that key is missing from the reading.

- The host started again, or its control group, or the application's process: its counters began again.
- A counter fell.
- Other metrics or interfaces were counted, because an option changed or the application has begun to tell others.
- The wall clock and the host's clock differ by more than five seconds over the interval: its stamp is not known.
- Two samples of one moment contradict each other: neither is the beginning of an interval.
- The interval is longer than the caller takes for one.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.metrics.latency import QUANTILES, between, quantiles
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import Cpu, Group, Pooler, Sample

HOST = "host"
UNIT = "unit"
#: Seconds below which two looks are one: a rate over less is noise.
SHORTEST = 0.1
#: Seconds by which the wall clock may be off over an interval, as for a sample from the future.
_CLOCK = 5.0
#: Seconds of processor time that a look may see beyond what there is: one period of a quota (100 ms) is granted at
#: once, and /proc/stat counts in ticks. More is garbage.
_SLACK = 0.15
_MB = 1024.0**2
#: Of the quantiles of latency, the one that is judged.
_JUDGED = QUANTILES[-1:]
_moment = operator.attrgetter("service", "instance", "timestamp")
_instance = operator.attrgetter("service", "instance")

Reading = dict[str, t.Any]
"""``instance``, ``at`` in seconds since 1970, and ``values`` by key; a key that is not there was not measured."""


def readings(samples: t.Iterable[Sample], longest: float | None = None, scope: str = HOST) -> list[Reading]:
    """Return one reading for each sample, in the order of instances and time.

    Neither the order of the samples nor duplicates change anything.

    :param samples: of one service.
    :param longest: seconds beyond which the distance of two samples is a gap and no interval; None for no limit.
    :param scope: `HOST`, or `UNIT` for processor and memory of the application's unit alone.
    """
    found: list[Reading] = []
    for _key, group in itertools.groupby(sorted(samples, key=_moment), key=_instance):
        own: list[Sample] = []
        for _when, tied in itertools.groupby(group, key=_moment):
            moment = list(tied)
            # The same sample twice is one. Different ones of one moment have an order of their own, to be told again.
            own += moment if len(moment) == 1 else sorted(set(moment), key=repr)
        start = 0
        for number, sample in enumerate(own):
            while start < number and own[start].timestamp <= sample.timestamp - SHORTEST:
                start += 1
            found.append(reading(_before(own, start), sample, longest, scope))
    return found


def reading(before: Sample | None, after: Sample, longest: float | None = None, scope: str = HOST) -> Reading:
    """Return the reading of a sample.

    Processor and latency come from the sample's own short look where there is no interval: they were measured then,
    only for less time.

    :param before: the sample that the interval begins with; None where there is none.
    """
    values: dict[str, float | None] = {}
    cpu, memory = (after.cpu, after.memory) if scope == HOST else (after.unit_cpu, after.unit_memory)
    seconds = _seconds(before, after, longest) if before else None
    latency = after.application.latency
    if before is not None and seconds is not None:
        values["cpu"] = usage(_group(before, scope), _group(after, scope), seconds)
        sent = _rate(before.network.tx_bytes, after.network.tx_bytes, seconds)
        received = _rate(before.network.rx_bytes, after.network.rx_bytes, seconds)
        if sent is not None and received is not None and before.counters.interfaces == after.counters.interfaces:
            values["network"] = sent + received
        if _same_counters(before, after):
            values["requests"] = _rate(before.application.requests, after.application.requests, seconds)
            values["errors"] = _rate(before.application.errors, after.application.errors, seconds)
            values["shard_errors"] = _rate(before.application.shard_errors, after.application.shard_errors, seconds)
            latency = quantiles(between(before.counters.latency, after.counters.latency), _JUDGED) or latency
    if values.get("cpu") is None:
        values["cpu"] = cpu.usage
    values["application"] = values.get("requests")
    values["latency"] = latency[-1] if latency else None
    values["pooler_wait"] = after.pooler.wait
    if memory.free is not None:
        values["memory_free"] = memory.free / _MB
        if memory.total:
            values["memory"] = 100.0 * (memory.total - memory.free) / memory.total
    kept = {key: value for key, value in values.items() if value is not None}
    return {"instance": after.instance, "at": after.timestamp, "values": kept}


def looked(before: Sample, after: Sample) -> Sample:
    """Return the later of two looks that make one sample, with what follows from both."""
    seconds = _seconds(before, after, None)
    if seconds is None:
        return after
    cpu, unit_cpu = (
        _with_usage(part, usage(_group(before, scope), _group(after, scope), seconds))
        for scope, part in ((HOST, after.cpu), (UNIT, after.unit_cpu))
    )
    application = after.application
    if _same_counters(before, after):
        latency = quantiles(between(before.counters.latency, after.counters.latency))
        application = dataclasses.replace(application, latency=latency or application.latency)
    waits = [one.pooler.wait for one in (before, after) if one.pooler.wait is not None]
    pooler = Pooler(max(waits, default=None))
    return dataclasses.replace(after, cpu=cpu, unit_cpu=unit_cpu, application=application, pooler=pooler)


def usage(before: Group, after: Group, seconds: float) -> float | None:
    """Return the per cent of its processors that a group used over an interval, 0..100.

    None where it is another group, its limit changed, its counter fell, or it used more than there is.
    """
    if (before.name, before.cpus) != (after.name, after.cpus) or not after.cpus:
        return None
    if before.cpu_seconds is None or after.cpu_seconds is None or after.cpu_seconds < before.cpu_seconds:
        return None
    used = after.cpu_seconds - before.cpu_seconds
    if used > after.cpus * (seconds + _SLACK):
        return None
    return min(100.0 * used / (after.cpus * seconds), 100.0)


def _before(own: t.Sequence[Sample], start: int) -> Sample | None:
    """Return the sample before ``own[start]``, unless another one of the same moment says something else."""
    if start == 0:
        return None
    alone = start == 1 or own[start - 2].timestamp < own[start - 1].timestamp
    return own[start - 1] if alone else None


def _seconds(before: Sample, after: Sample, longest: float | None) -> float | None:
    """Return how long an interval was; None where it is none."""
    wall = after.timestamp - before.timestamp
    early, late = before.counters, after.counters
    if early.boot != late.boot:
        return None
    seconds = wall
    if early.uptime is not None and late.uptime is not None:
        seconds = late.uptime - early.uptime
    if seconds < SHORTEST or abs(seconds - wall) > _CLOCK or (longest is not None and max(seconds, wall) > longest):
        return None
    return seconds


def _rate(before: float | None, after: float | None, seconds: float) -> float | None:
    """Return how much a counter rose in a second; None where it fell, or was not read."""
    if before is None or after is None or after < before:
        return None
    rate = (after - before) / seconds
    return rate if math.isfinite(rate) else None


def _same_counters(before: Sample, after: Sample) -> bool:
    """Whether two samples read the same of the application's counters, from the same process."""
    early, late = before.counters, after.counters
    return (early.started, early.chosen) == (late.started, late.chosen)


def _group(sample: Sample, scope: str) -> Group:
    return sample.counters.host if scope == HOST else sample.counters.unit


def _with_usage(cpu: Cpu, found: float | None) -> Cpu:
    return cpu if found is None else dataclasses.replace(cpu, usage=found)
