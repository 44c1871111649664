# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was measured on one host for one service at one moment; pure.

A sample is parsed when it comes from outside (a store, a variable, another program) and rendered when it leaves. What
could not be measured is ``None`` here and left out of the document; it is never zero. A document with anything wrong
in it is refused as a whole, with every reason: who writes one bad number is not to be trusted with the others.
"""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError

#: More than any counter of the kernel holds.
LARGEST = 2.0**64
_LONGEST_NAME = 255
MOST_BUCKETS = 500


class BadSample(ScaleoutError):
    """A document that is not a sample; the message has every reason."""

    CODE = "bad_sample"


@dataclasses.dataclass(frozen=True)
class Cpu:
    """Processor time.

    :param usage: per cent of the processors that may be used, 0..100, over the short look that the sample took.
    :param load: the load averages of 1, 5 and 15 minutes, or empty.
    """

    usage: float | None = None
    load: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Memory:
    """Memory in bytes.

    :param used: ``total`` less ``free``.
    :param free: what can be had without swapping: MemAvailable, not MemFree.
    :param cached: the part of ``free`` that holds files until it is needed.
    :param total: what may be used at all.
    """

    used: float | None = None
    free: float | None = None
    cached: float | None = None
    total: float | None = None


@dataclasses.dataclass(frozen=True)
class Network:
    """The host's network.

    :param rx_bytes: received, a counter.
    :param tx_bytes: sent, a counter.
    :param connections: established now.
    """

    rx_bytes: float | None = None
    tx_bytes: float | None = None
    connections: float | None = None


@dataclasses.dataclass(frozen=True)
class Application:
    """What the application says of itself.

    :param requests: answered, a counter.
    :param errors: of them, those that failed, a counter.
    :param latency: p50, p95 and p99 in milliseconds over the short look, or empty.
    :param shard_errors: answered with 503 because of a shard, a counter.
    """

    requests: float | None = None
    errors: float | None = None
    latency: tuple[float, ...] = ()
    shard_errors: float | None = None


@dataclasses.dataclass(frozen=True)
class Pooler:
    """The PgBouncer of a database server.

    :param wait: seconds that the client has waited that has waited longest.
    """

    wait: float | None = None


@dataclasses.dataclass(frozen=True)
class Group:
    """The control group whose processor time is counted, or the machine.

    :param name: tells it from one that was made again in its place.
    :param cpu_seconds: used so far, a counter.
    :param cpus: how many processors it may use; a fraction where a quota says so.
    """

    name: str = ""
    cpu_seconds: float | None = None
    cpus: float | None = None


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How many requests took at most so long.

    :param bounds: upper bounds in milliseconds, rising.
    :param counts: counters for each bound, each with those before it, and a last one for all requests.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Counters:
    """What the rates between two samples need beside the metrics.

    :param boot: tells one life of the host from the next; empty where it is not known.
    :param uptime: seconds on the host's clock that no one sets.
    :param host: processor time of the whole host.
    :param unit: processor time of the application's systemd unit.
    :param started: when the application's process started, in seconds since 1970.
    :param latency: the histogram of the application's requests.
    :param chosen: tells which of the application's metrics were counted; a short digest.
    :param interfaces: tells whose bytes were counted; a short digest.
    """

    boot: str = ""
    uptime: float | None = None
    host: Group = Group()
    unit: Group = Group()
    started: float | None = None
    latency: Histogram | None = None
    chosen: str = ""
    interfaces: str = ""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One look at one host.

    :param timestamp: when it ended, in seconds since 1970.
    :param service: the application.
    :param instance: the host's name in the inventory.
    :param unit_cpu: of the application's systemd unit alone.
    :param unit_memory: of the application's systemd unit alone.
    """

    timestamp: float
    service: str
    instance: str
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    network: Network = Network()
    application: Application = Application()
    unit_cpu: Cpu = Cpu()
    unit_memory: Memory = Memory()
    counters: Counters = Counters()
    pooler: Pooler = Pooler()


def is_name(text: t.Any) -> bool:
    """Whether a text can name a service or an instance."""
    return isinstance(text, str) and 0 < len(text) <= _LONGEST_NAME and text.isprintable()


def parse(document: t.Any) -> Sample:
    """Read the document of a sample.

    :raises BadSample: anything in it is of a wrong type, out of range or unknown.
    """
    reader = _Reader()
    top = reader.mapping(document, "sample", ("timestamp", "service", "instance", "metrics", "counters"))
    for key in ("timestamp", "service", "instance", "metrics"):
        if key not in top:
            reader.wrong(key, "is missing")
    metrics = reader.part(top, "metrics", "", ("cpu", "memory", "network", "application", "pooler", "unit"))
    unit = reader.part(metrics, "unit", "metrics.", ("cpu", "memory"))
    timestamp = reader.number(top, "timestamp", "", moments.LAST)
    if timestamp == 0:
        reader.wrong("timestamp", "is 0")
    sample = Sample(
        timestamp=timestamp or 0.0,
        service=reader.text(top, "service", ""),
        instance=reader.text(top, "instance", ""),
        cpu=_cpu(reader, metrics, "metrics."),
        memory=_memory(reader, metrics, "metrics."),
        network=Network(**reader.numbers(metrics, "network", "metrics.", ("rx_bytes", "tx_bytes", "connections"))),
        application=_application(reader, metrics),
        unit_cpu=_cpu(reader, unit, "metrics.unit."),
        unit_memory=_memory(reader, unit, "metrics.unit."),
        counters=_counters(reader, top),
        pooler=Pooler(**reader.numbers(metrics, "pooler", "metrics.", ("wait",))),
    )
    if reader.reasons:
        raise BadSample(f"It is not a sample: {'; '.join(reader.reasons)}.", reasons=reader.reasons)
    return sample


def render(sample: Sample) -> dict[str, t.Any]:
    """Return the document of a sample; :func:`parse` reads it back to an equal one."""
    counted = sample.counters
    metrics: dict[str, t.Any] = {
        "cpu": _shown(sample.cpu),
        "memory": _shown(sample.memory),
        "network": _shown(sample.network),
        "application": _shown(sample.application),
        "pooler": _shown(sample.pooler),
        "unit": {"cpu": _shown(sample.unit_cpu), "memory": _shown(sample.unit_memory)},
    }
    metrics = _filled(metrics)
    if "application" in metrics:
        # It was asked: that no request fell into the look is an empty list.
        metrics["application"]["latency"] = list(sample.application.latency)
    return {
        "timestamp": sample.timestamp,
        "service": sample.service,
        "instance": sample.instance,
        "metrics": metrics,
        "counters": _filled(
            {
                **{key: getattr(counted, key) for key in ("boot", "uptime", "started", "chosen", "interfaces")},
                **{key: _shown(getattr(counted, key)) for key in ("host", "unit", "latency")},
            }
        ),
    }


def _shown(part: t.Any) -> dict[str, t.Any]:
    fields = dataclasses.asdict(part) if part is not None else {}
    return _filled({key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()})


def _filled(mapping: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Leave out what was not measured."""
    found = {key: _filled(value) if isinstance(value, Mapping) else value for key, value in mapping.items()}
    return {key: value for key, value in found.items() if value not in (None, "", {}, [])}


def _cpu(reader: _Reader, metrics: Mapping[str, t.Any], path: str) -> Cpu:
    part = reader.part(metrics, "cpu", path, ("usage", "load"))
    load = reader.series(part, "load", f"{path}cpu.")
    if load and len(load) != 3:
        reader.wrong(f"{path}cpu.load", "is not three numbers")
    return Cpu(reader.number(part, "usage", f"{path}cpu.", 100), load)


def _memory(reader: _Reader, metrics: Mapping[str, t.Any], path: str) -> Memory:
    memory = Memory(**reader.numbers(metrics, "memory", path, ("used", "free", "cached", "total")))
    if memory.total is not None:
        if not memory.total:
            reader.wrong(f"{path}memory.total", "is 0")
        for key in ("used", "free", "cached"):
            if (getattr(memory, key) or 0) > memory.total:
                reader.wrong(f"{path}memory.{key}", "is more than the total")
    return memory


def _application(reader: _Reader, metrics: Mapping[str, t.Any]) -> Application:
    path = "metrics.application."
    part = reader.part(metrics, "application", "metrics.", ("requests", "errors", "latency", "shard_errors"))
    latency = reader.series(part, "latency", path)
    if latency and (len(latency) != 3 or list(latency) != sorted(latency)):
        reader.wrong(f"{path}latency", "is not three numbers that rise")
    requests, errors, shard_errors = (reader.number(part, key, path) for key in ("requests", "errors", "shard_errors"))
    return Application(requests, errors, latency, shard_errors)


def _counters(reader: _Reader, top: Mapping[str, t.Any]) -> Counters:
    keys = ("boot", "uptime", "host", "unit", "started", "latency", "chosen", "interfaces")
    part = reader.part(top, "counters", "", keys)
    return Counters(
        boot=reader.text(part, "boot", "counters."),
        uptime=reader.number(part, "uptime", "counters."),
        host=_group(reader, part, "host"),
        unit=_group(reader, part, "unit"),
        started=reader.number(part, "started", "counters.", moments.LAST),
        latency=_histogram(reader, part),
        chosen=reader.text(part, "chosen", "counters."),
        interfaces=reader.text(part, "interfaces", "counters."),
    )


def _group(reader: _Reader, counters: Mapping[str, t.Any], key: str) -> Group:
    path = f"counters.{key}."
    part = reader.part(counters, key, "counters.", ("name", "cpu_seconds", "cpus"))
    cpus = reader.number(part, "cpus", path)
    if cpus == 0:
        reader.wrong(f"{path}cpus", "is 0")
    return Group(reader.text(part, "name", path), reader.number(part, "cpu_seconds", path), cpus)


def _histogram(reader: _Reader, counters: Mapping[str, t.Any]) -> Histogram | None:
    path = "counters.latency."
    part = reader.part(counters, "latency", "counters.", ("bounds", "counts"))
    if not part:
        return None
    bounds, counts = reader.series(part, "bounds", path), reader.series(part, "counts", path)
    if len(counts) != len(bounds) + 1 or len(counts) > MOST_BUCKETS:
        reader.wrong(f"{path}counts", f"is not one more than the bounds, and at most {MOST_BUCKETS}")
    if list(bounds) != sorted(set(bounds)) or list(counts) != sorted(counts):
        reader.wrong(f"{path[:-1]}", "does not rise")
    return Histogram(bounds, counts)


class _Reader:
    """Takes values out of a document and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def wrong(self, where: str, reason: str) -> None:
        self.reasons.append(f"{where} {reason}")

    def mapping(self, value: t.Any, where: str, keys: t.Sequence[str]) -> Mapping[str, t.Any]:
        if not isinstance(value, Mapping):
            self.wrong(where, "is not a mapping")
            return {}
        unknown = [repr(key)[:_LONGEST_NAME] for key in value if key not in keys]
        if unknown:
            self.wrong(where, f"has {', '.join(unknown)}, which is unknown")
        return value

    def part(self, of: Mapping[str, t.Any], key: str, path: str, keys: t.Sequence[str]) -> Mapping[str, t.Any]:
        return self.mapping(of[key], f"{path}{key}", keys) if key in of else {}

    def text(self, of: Mapping[str, t.Any], key: str, path: str) -> str:
        value = of.get(key, "")
        if key in of and not is_name(value):
            self.wrong(f"{path}{key}", f"is not 1 to {_LONGEST_NAME} printable characters")
            return ""
        return str(value)

    def number(self, of: Mapping[str, t.Any], key: str, path: str, most: float = LARGEST) -> float | None:
        return self._judged(of[key], f"{path}{key}", most) if key in of else None

    def numbers(self, of: Mapping[str, t.Any], key: str, path: str, keys: t.Sequence[str]) -> dict[str, float | None]:
        part = self.part(of, key, path, keys)
        return {name: self.number(part, name, f"{path}{key}.") for name in keys}

    def series(self, of: Mapping[str, t.Any], key: str, path: str) -> tuple[float, ...]:
        value = of.get(key, [])
        if not isinstance(value, (list, tuple)):
            self.wrong(f"{path}{key}", "is not a list")
            return ()
        for one in value:
            # Most of a sample is buckets: what is right is passed quickly.
            if type(one) not in (int, float) or not 0 <= one <= LARGEST:
                found = (self._judged(one, f"{path}{key}", LARGEST) for one in value)
                return tuple(one for one in found if one is not None)
        return tuple(value)

    def _judged(self, value: t.Any, where: str, most: float) -> float | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            shown = repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
            self.wrong(where, f"is {shown}, which is not a number")
        elif not 0 <= value <= most:  # NaN fails as well
            shown = f"{value:g}" if isinstance(value, float) or abs(value) <= LARGEST else "a huge number"
            self.wrong(where, f"is {shown}, which is not in 0..{most:g}")
        else:
            return value
        return None
