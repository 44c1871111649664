# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a sample of what was read on a host; pure, the files are read for it.

What cannot be measured is a problem with a code and is missing from the sample. It never stops the rest.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.host import Read
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import cgroup, exposition, latency, proc
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.exposition import BadMetrics, Scrape, Selector
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import (
    Application,
    Counters,
    Cpu,
    Group,
    Histogram,
    Memory,
    Network,
    Sample,
)
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.spec import Spec

#: When the application's process started; clients of Prometheus state it by themselves.
_STARTED = "process_start_time_seconds"

_BOOT = "/proc/sys/kernel/random/boot_id"

Value = t.TypeVar("Value")
Clock = t.Callable[[], "tuple[float, float]"]
"""Gives the seconds since 1970, and those since the machine booted."""


class NotMeasured(ScaleoutError):
    """The kernel does not tell what was asked."""

    CODE = "not_measured"


class NoMetric(ScaleoutError):
    """The application's answer has none of the metrics that were named."""

    CODE = "no_metric"


@dataclasses.dataclass(frozen=True)
class Unit:
    """What systemd says of the application's unit.

    :param path: its control group; empty where it does not run.
    :param invocation: tells this run of it from the next.
    """

    path: str = ""
    invocation: str = ""


class Look:
    """One look at a host; ``problems`` is what could not be measured, and ``failed`` what the application lacks.

    :param read: gives the text of a file, or None.
    :param ticks: of the processor's clock in a second.
    """

    def __init__(self, read: Read, ticks: int, spec: Spec) -> None:
        self._read = read
        self._ticks = ticks
        self._spec = spec
        self.problems: list[ScaleoutError] = []
        self.failed: list[ScaleoutError] = []

    def sample(self, clock: Clock, unit: Unit | None, body: bytes | ScaleoutError | None) -> Sample:
        """Return what there is to see.

        :param clock: asked when the counters of the processors are read.
        :param unit: None where none was asked for.
        :param body: what the application answered; None where it was not asked.
        """
        mounts = self._read("/proc/self/mountinfo") or ""
        groups = cgroup.of_host(self._read, self._read("/proc/1/cgroup") or "", mounts)
        if not groups.seen():
            text = "No control group of the first process is to be seen, so limits of a container are not known."
            self.problems.append(NotMeasured(text))
        machine = self._try(Memory(), lambda: proc.memory(self._text("/proc/meminfo")))
        now, uptime = clock()
        ran = self._try(None, lambda: proc.processors(self._text("/proc/stat"), self._ticks))
        own = self._unit(groups, unit) if unit is not None else None
        host_time = cgroup.processor(groups, ran) if ran else Group()
        application, started, histogram = self._application(body)
        return Sample(
            timestamp=now,
            service=self._spec.service,
            instance=self._spec.instance,
            cpu=Cpu(load=self._try((), lambda: proc.load(self._text("/proc/loadavg")))),
            memory=cgroup.memory(groups, machine) if machine.total else Memory(),
            network=self._network(),
            application=application,
            unit_memory=self._unit_memory(own, machine),
            counters=Counters(
                boot=self._try("", lambda: proc.boot(self._read(_BOOT) or "", self._text("/proc/1/stat"))),
                uptime=uptime,
                host=host_time,
                unit=self._unit_time(own, ran, unit),
                started=started,
                latency=histogram,
            ),
        )

    def _text(self, path: str) -> str:
        text = self._read(path)
        if text is None:
            raise proc.BadFile(path, "cannot be read")
        return text

    def _try(self, missing: Value, measure: t.Callable[[], Value]) -> Value:
        try:
            return measure()
        except ScaleoutError as error:
            self.problems.append(error)
            return missing

    def _network(self) -> Network:
        nothing: tuple[int | None, int | None] = (None, None)
        wanted = self._spec.interfaces
        received, sent = self._try(nothing, lambda: proc.traffic(self._text("/proc/net/dev"), wanted))
        return Network(received, sent, self._try(None, self._connections))

    def _connections(self) -> int:
        if not self._spec.port:
            return proc.established(self._text("/proc/net/snmp"))
        tables = [self._text("/proc/net/tcp"), self._read("/proc/net/tcp6")]
        return sum(proc.connections(text, self._spec.port) for text in tables if text is not None)

    def _unit(self, host: cgroup.Groups, unit: Unit) -> cgroup.Groups | None:
        own = cgroup.of_unit(host, unit.path) if unit.path else None
        if own is None or not own.seen():
            self.problems.append(NotMeasured(f"{self._spec.unit} has no control group: it does not run."))
            return None
        return own

    def _unit_memory(self, own: cgroup.Groups | None, machine: Memory) -> Memory:
        found = cgroup.unit_memory(own, machine) if own and machine.total else None
        if own and found is None:
            text = f"The memory of {self._spec.unit} is not accounted for; set MemoryAccounting=yes."
            self.problems.append(NotMeasured(text))
        return found or Memory()

    def _unit_time(self, own: cgroup.Groups | None, ran: proc.Processors | None, unit: Unit | None) -> Group:
        if own is None or ran is None or unit is None:
            return Group()
        found = cgroup.processor(own, ran, f"{unit.path}#{unit.invocation}")
        if found.cpu_seconds is None:
            text = f"The processor time of {self._spec.unit} is not accounted for; set CPUAccounting=yes."
            self.problems.append(NotMeasured(text))
        return found

    def _application(self, body: bytes | ScaleoutError | None) -> tuple[Application, float | None, Histogram | None]:
        if body is None:
            return Application(), None, None
        try:
            if isinstance(body, ScaleoutError):
                raise body
            scrape = exposition.parse(body, wanted(self._spec))
        except ScaleoutError as error:
            self._lacks(error)
            return Application(), None, None
        requests = self._total(scrape, "requests", self._spec.requests)
        errors = self._total(scrape, "errors", self._spec.errors)
        histogram, quantiles = self._latency(scrape)
        started = [value for _labels, value in scrape.series.get(_STARTED, ()) if 0 < value < 1e11]
        return Application(requests, errors, quantiles), (started[0] if len(started) == 1 else None), histogram

    def _total(self, scrape: Scrape, what: str, selectors: t.Sequence[Selector]) -> float | None:
        try:
            for selector in selectors:
                found = exposition.total(scrape, selector)
                if found is not None:
                    return found
        except BadMetrics as error:
            self._lacks(error)
            return None
        if selectors:
            self._lacks(_none(what, selectors))
        return None

    def _latency(self, scrape: Scrape) -> tuple[Histogram | None, tuple[float, ...]]:
        known = False
        try:
            for selector in self._spec.latency:
                histogram, summary = latency.histogram(scrape, selector), latency.summary(scrape, selector)
                if histogram or summary:
                    return histogram, summary
                known = known or selector.name in scrape.declared
        except BadMetrics as error:
            self._lacks(error)
            return None, ()
        if self._spec.latency and not known:
            self._lacks(_none("latency", self._spec.latency))
        return None, ()

    def _lacks(self, error: ScaleoutError) -> None:
        self.problems.append(error)
        self.failed.append(error)


def wanted(spec: Spec) -> frozenset[str]:
    """Return the names of all series that a look needs of the application."""
    counters = [selector.name for selector in (*spec.requests, *spec.errors)]
    durations = [name for selector in spec.latency for name in latency.names(selector)]
    return frozenset((*counters, *durations, _STARTED))


def _none(what: str, selectors: t.Sequence[Selector]) -> NoMetric:
    names = ", ".join(dict.fromkeys(selector.name for selector in selectors))
    return NoMetric(f"The application has no metric for {what}: none of {names} with the labels asked for.")
