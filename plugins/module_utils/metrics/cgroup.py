# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a control group has used, and what it may use; pure, the files are read for it.

In a container ``/proc/meminfo`` and ``/proc/stat`` are the machine's. Its own limits and its own use are those of the
control group that its first process is in. Both versions are read: see cgroups(7), the kernel's documents
admin-guide/cgroup-v1/memory.rst and admin-guide/cgroup-v2.rst. Of nested groups the tightest limit counts: a group
has no more room than each of those above it.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.host import Read, folders, quota
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.proc import Processors
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import Group, Memory

_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
#: The name of the whole machine; a path begins with a slash.
_MACHINE = "machine"
_STAT = re.compile(r"^(\w+) (\d+)$", re.MULTILINE)
_FIRST = re.compile(r":(/.*)?/init\.scope$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Groups:
    """Where a host, or a unit on it, is in the hierarchies of control groups.

    :param read: gives the text of a file, or None.
    :param paths: as in ``/proc/<pid>/cgroup``.
    :param mounts: ``/proc/self/mountinfo``.
    """

    read: Read
    paths: str
    mounts: str

    def levels(self, controller: str) -> list[tuple[str, int]]:
        """Return the folder and the version of the group and of those above it, without the machine's own group."""
        return self._not_the_machine(folders(self.paths, self.mounts, controller))

    def own(self, controller: str) -> list[tuple[str, int]]:
        """Return the same of the group itself; there are two where both versions have it."""
        lines = self.paths.splitlines()
        return self._not_the_machine([one for line in lines for one in folders(line, self.mounts, controller)[:1]])

    def seen(self) -> bool:
        """Whether any hierarchy shows the group, the machine's own included."""
        lines = self.paths.splitlines()
        named = ("memory", "cpuacct", "name=systemd")
        own = {folder for line in lines for one in named for folder, _version in folders(line, self.mounts, one)[:1]}
        return any(self.read(posixpath.join(folder, "cgroup.procs")) is not None for folder in own)

    def text(self, folder: str, name: str) -> str:
        return self.read(posixpath.join(folder, name)) or ""

    def number(self, folder: str, name: str) -> int | None:
        """Return what a file says; None where there is no file, or it says ``max``."""
        text = self.text(folder, name).strip()
        return int(text) if text.isdecimal() else None

    def _not_the_machine(self, found: list[tuple[str, int]]) -> list[tuple[str, int]]:
        return [(folder, version) for folder, version in found if not self._is_machine(folder, version)]

    def _is_machine(self, folder: str, version: int) -> bool:
        """Whether it is the top of the machine's hierarchy, and not a top that a container sees."""
        if version == 2:
            return self.read(posixpath.join(folder, "cgroup.events")) is None
        return self.read(posixpath.join(folder, "release_agent")) is not None


def of_host(read: Read, first: str, mounts: str) -> Groups:
    """Return the groups of the host itself: those of its first process, which systemd puts one level deeper.

    :param first: ``/proc/1/cgroup``.
    """
    return Groups(read, _FIRST.sub(lambda found: f":{found[1] or '/'}", first), mounts)


def of_unit(host: Groups, path: str) -> Groups:
    """Return the groups of a systemd unit.

    :param path: its ``ControlGroup``; systemd in a container states it from the machine's top, or from its own.
    """
    paths = []
    for line in host.paths.splitlines():
        number, controllers, top = line.split(":", 2)
        inside = path if top == "/" or path.startswith(f"{top}/") else f"{top}{path}"
        paths.append(f"{number}:{controllers}:{inside}")
    return Groups(host.read, "\n".join(paths), host.mounts)


def memory(groups: Groups, machine: Memory) -> Memory:
    """Return the memory of a host in control groups: the least that any limit leaves it.

    What is free at a level is its limit less what it uses, files and reclaimable objects not counted, as the kernel
    computes MemAvailable. Without a limit the machine's numbers are the host's.

    :param machine: by ``/proc/meminfo``.
    """
    total, free, cached = machine.total or 0, machine.free or 0, machine.cached or 0
    for folder, version in groups.levels("memory"):
        seen = _memory(groups, folder, version)
        if seen is None:
            continue
        limit, used, reclaimable = seen
        if limit < total:
            total, cached = limit, reclaimable
        free = min(free, max(limit - max(used - reclaimable, 0), 0))
    free = min(free, total)
    return Memory(total - free, free, min(cached, total), total)


def unit_memory(groups: Groups, machine: Memory) -> Memory | None:
    """Return the memory of a unit; ``used`` is its own. None where the kernel does not account for it."""
    seen = next(filter(None, (_memory(groups, *level) for level in groups.own("memory"))), None)
    if seen is None:
        return None
    room = memory(groups, machine)
    _limit, used, reclaimable = seen
    total = room.total or 0
    return Memory(min(max(used - reclaimable, 0), total), room.free, min(reclaimable, total), total)


def processor(groups: Groups, machine: Processors, name: str = "") -> Group:
    """Return the processor time of a group, or of the machine where the group is the machine's own.

    :param name: of a unit's group. Without an account of its own it has no time, and never the machine's.
    """
    cpus = min([float(machine.online), *_quotas(groups), *_sets(groups)])
    for folder, version in groups.own("cpuacct"):
        if version == 1:
            used = groups.number(folder, "cpuacct.usage")
            seconds = None if used is None else used / 1e9
        else:
            stat = dict(_STAT.findall(groups.text(folder, "cpu.stat")))
            seconds = int(stat["usage_usec"]) / 1e6 if "usage_usec" in stat else None
        if seconds is not None:
            return Group(name or _path(groups), seconds, cpus)
    if name:
        return Group()
    return Group(_MACHINE, machine.busy, float(machine.online))


def _memory(groups: Groups, folder: str, version: int) -> tuple[int, int, int] | None:
    """Return the limit, what is used and what of it can be had back, in bytes."""
    if version == 2:
        limits = [groups.number(folder, name) for name in ("memory.max", "memory.high")]
        used = groups.number(folder, "memory.current")
        names = ["active_file", "inactive_file", "slab_reclaimable"]
    else:
        limits = [groups.number(folder, "memory.limit_in_bytes")]
        used = groups.number(folder, "memory.usage_in_bytes")
        names = ["total_active_file", "total_inactive_file"]
    if used is None:
        return None
    stat = {name: int(number) for name, number in _STAT.findall(groups.text(folder, "memory.stat"))}
    if version == 1:
        # Of the groups above, those too that a container does not see.
        limits.append(stat.get("hierarchical_memory_limit"))
    limit = min((limit for limit in limits if limit is not None), default=2**63)
    return limit, used, min(sum(stat.get(name, 0) for name in names), used)


def _quotas(groups: Groups) -> t.Iterator[float]:
    for folder, version in groups.levels("cpu"):
        share, period = quota(groups.read, folder, version)
        if share > 0 and period > 0:
            yield share / period


def _sets(groups: Groups) -> t.Iterator[float]:
    for folder, version in groups.levels("cpuset"):
        text = groups.text(folder, "cpuset.cpus.effective" if version == 2 else "cpuset.effective_cpus").strip()
        if _CPUS.fullmatch(text):
            bounds = [[int(end) for end in part.split("-")] for part in text.split(",")]
            yield float(sum(part[-1] - part[0] + 1 for part in bounds))


def _path(groups: Groups) -> str:
    """Return the longest of the group's paths: in some hierarchies it may be in a group above."""
    return max((line.split(":", 2)[2] for line in groups.paths.splitlines()), key=len, default="/")
