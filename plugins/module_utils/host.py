# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What memory and cores a process on Linux may use; pure, the files are read for it.

A container, or a systemd unit with ``MemoryMax=``, has less than the machine:
the least limit of the process's control group and of all groups above it
counts, in version 1 (``memory.limit_in_bytes``, ``cpu.cfs_quota_us``) as in
version 2 (``memory.max``, ``cpu.max``) of the kernel's control groups. See
cgroups(7) and https://docs.kernel.org/admin-guide/cgroup-v2.html.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

Read = t.Callable[[str], t.Optional[str]]
"""Gives a file's text, or ``None`` when there is none to read."""

_MEMTOTAL = re.compile(r"^MemTotal:\s+(\d+) kB", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Host:
    """What a process may use.

    :param memory: in kB.
    """

    memory: int
    cores: int


def look(read: Read, cores: int, pid: int | None = None, command: str = "") -> Host | None:
    """What the process may use; ``None`` where the machine does not say.

    :param cores: how many the process may be scheduled on.
    :param pid: the process; the one that reads when not given.
    :param command: how the name of its program begins. When it does not, the id is that of another host's process, and
        the one that reads counts.
    """
    total = _MEMTOTAL.search(read("/proc/meminfo") or "")
    if not total:
        return None
    seen = pid and (read(f"/proc/{pid}/comm") or "").startswith(command)
    groups = (seen and read(f"/proc/{pid}/cgroup")) or read("/proc/self/cgroup") or ""
    mounts = read("/proc/self/mountinfo") or ""
    memory = int(total.group(1))
    for folder, version in folders(groups, mounts, "memory"):
        limit = read(posixpath.join(folder, "memory.max" if version == 2 else "memory.limit_in_bytes"))
        if limit and limit.strip().isdecimal():  # "max" is no limit; in version 1 that is a number beyond all memory
            memory = min(memory, int(limit) // 1024)
    for folder, version in folders(groups, mounts, "cpu"):
        share, period = quota(read, folder, version)
        if share > 0 and period > 0:
            cores = min(cores, share // period)
    return Host(memory, max(cores, 1))


def quota(read: Read, folder: str, version: int) -> tuple[int, int]:
    """The microseconds of processor time in each period; 0 or less is no limit."""
    if version == 2:
        words = (read(posixpath.join(folder, "cpu.max")) or "").split()
    else:
        words = [(read(posixpath.join(folder, f"cpu.cfs_{name}_us")) or "").strip() for name in ("quota", "period")]
    if len(words) != 2 or not all(re.match(r"-?\d+\Z", word) for word in words):
        return 0, 0
    return int(words[0]), int(words[1])


def folders(groups: str, mounts: str, controller: str) -> list[tuple[str, int]]:
    """The folders of a process's group and of those above it, the group's first, as far as they are mounted here.

    :param groups: its ``/proc/<pid>/cgroup``.
    :param mounts: ``/proc/self/mountinfo``.
    :return: each with the version of its hierarchy.
    """
    found = []
    for line in groups.splitlines():
        _number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        version = 1 if controllers else 2
        for root, point in _mounted(mounts, version, controller):
            found += [(folder, version) for folder in _upwards(path, root, point)]
    return found


def _mounted(mounts: str, version: int, controller: str) -> list[tuple[str, str]]:
    """Where a hierarchy is mounted: the group at its top, and the folder. See proc(5), mountinfo."""
    found = []
    for line in mounts.splitlines():
        left, _dash, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        fits = kind[0] == "cgroup2" if version == 2 else kind[0] == "cgroup" and controller in kind[2].split(",")
        # A mount that begins above our own namespace, such as "/../..", does not say where in it we are.
        if fits and not fields[3].startswith("/.."):
            found.append((fields[3], fields[4]))
    return found


def _upwards(path: str, root: str, point: str) -> list[str]:
    if root != "/":
        # In a container the mount may begin at its own group; a path outside of it is not to be seen here.
        inside = path == root or path.startswith(root + "/")
        path = path[len(root) :] if inside else "/"
    steps = [step for step in path.split("/") if step and step != ".."]
    return [posixpath.join(point, *steps[:depth]) for depth in range(len(steps), -1, -1)]
