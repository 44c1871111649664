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
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import application, cgroup, pooler, proc
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.application import Told, digest
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import (
    Counters,
    Cpu,
    Group,
    Memory,
    Network,
    Pooler,
    Sample,
)
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.spec import Spec

_BOOT = "/proc/sys/kernel/random/boot_id"

Value = t.TypeVar("Value")
Pools = t.Union[t.Sequence[t.Sequence[str]], ScaleoutError, None]
Clock = t.Callable[[], "tuple[float, float]"]
"""Gives the seconds since 1970, and those since the machine booted."""


class NotMeasured(ScaleoutError):
    """The kernel does not tell what was asked."""

    CODE = "not_measured"


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

    def sample(
        self, clock: Clock, unit: Unit | None, body: bytes | ScaleoutError | None, pools: Pools = None
    ) -> Sample:
        """Return what there is to see.

        :param clock: asked when the counters of the processors are read.
        :param unit: None where none was asked for.
        :param body: what the application answered; None where it was not asked.
        :param pools: what PgBouncer answered to ``SHOW POOLS``; None where it was not asked.
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
        told = self._told(body)
        moved = self._try(None, lambda: proc.traffic(self._text("/proc/net/dev"), self._spec.interfaces))
        return Sample(
            timestamp=now,
            service=self._spec.service,
            instance=self._spec.instance,
            cpu=Cpu(load=self._try((), lambda: proc.load(self._text("/proc/loadavg")))),
            memory=cgroup.memory(groups, machine) if machine.total else Memory(),
            network=self._network(moved),
            application=told.application,
            unit_memory=self._unit_memory(own, machine),
            counters=Counters(
                boot=self._try("", lambda: proc.boot(self._read(_BOOT) or "", self._text("/proc/1/stat"))),
                uptime=uptime,
                host=host_time,
                unit=self._unit_time(own, ran, unit),
                started=told.started,
                latency=told.histogram,
                chosen=told.chosen,
                interfaces=digest(moved.interfaces) if moved else "",
            ),
            pooler=Pooler(self._try(None, lambda: self._wait(pools))),
        )

    def _wait(self, pools: Pools) -> float | None:
        if isinstance(pools, ScaleoutError):
            raise pools
        return None if pools is None else pooler.longest_wait(pools, self._spec.pooler_databases)

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

    def _told(self, body: bytes | ScaleoutError | None) -> Told:
        if body is None:
            return Told()
        told = application.read(self._spec, body) if isinstance(body, bytes) else Told(lacks=(body,))
        self.problems += told.lacks
        self.failed += told.lacks
        return told

    def _network(self, moved: proc.Traffic | None) -> Network:
        received, sent = (moved.received, moved.sent) if moved else (None, None)
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
