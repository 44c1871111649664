# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the kernel's files under /proc, as proc(5) describes them; pure, their text is given."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import Memory

#: Interfaces whose traffic is no one else's, or is counted at the interface below them as well.
COUNTED_ELSEWHERE = (
    "lo",
    *("veth*", "docker*", "br-*", "br[0-9]*", "virbr*", "cni*", "flannel*", "cali*", "podman*", "lxdbr*", "incusbr*"),
    *("bond*", "team*", "vlan*", "*.*", "tun*", "tap*", "wg*", "tailscale*", "dummy*", "ifb*", "macvtap*"),
)
_ESTABLISHED = "01"
_CPU = re.compile(r"^cpu(\d*) +(\d[\d ]*)$", re.MULTILINE)
_MEMINFO = re.compile(r"^(\w+): +(\d+) kB$", re.MULTILINE)
_TRAFFIC = re.compile(r"^ *([^\s:]+): *(\d+)(?: +\d+){7} +(\d+)(?: +\d+)*$")


class BadFile(ScaleoutError):
    """A file that is not there, or is not what the kernel writes."""

    CODE = "unreadable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}.", path=path)


class Processors(t.NamedTuple):
    """What the whole machine's processors did; ``busy`` in seconds, ``online`` is how many there are."""

    busy: float
    online: int


def processors(text: str, ticks: int) -> Processors:
    """Read /proc/stat.

    Time that the hypervisor took away counts as busy, since no one could use it; waiting for a disk does not. A
    guest's time is part of ``user`` already.

    :param ticks: in a second; ``sysconf(_SC_CLK_TCK)``.
    """
    lines = {number: [int(word) for word in words.split()] for number, words in _CPU.findall(text)}
    if len(lines.get("", ())) < 4 or len(lines) < 2:
        raise BadFile("/proc/stat", "has no processors")
    user, nice, system, _idle, _iowait, irq, softirq, steal = (lines[""] + [0] * 4)[:8]
    return Processors((user + nice + system + irq + softirq + steal) / ticks, len(lines) - 1)


def load(text: str) -> tuple[float, float, float]:
    """Read /proc/loadavg."""
    words = text.split()[:3]
    if len(words) != 3 or not all(re.fullmatch(r"\d+\.\d+", word) for word in words):
        raise BadFile("/proc/loadavg", "does not begin with three numbers")
    one, five, fifteen = map(float, words)
    return one, five, fifteen


def memory(text: str) -> Memory:
    """Read /proc/meminfo: free is MemAvailable, cached what files and reclaimable objects take."""
    found = {name: int(number) * 1024 for name, number in _MEMINFO.findall(text)}
    missing = [name for name in ("MemTotal", "MemAvailable") if name not in found]
    if missing or not 0 <= found["MemAvailable"] <= found["MemTotal"]:
        raise BadFile("/proc/meminfo", f"has no {missing[0]}" if missing else "has more available than there is")
    total, free = found["MemTotal"], found["MemAvailable"]
    cached = sum(found.get(name, 0) for name in ("Cached", "Buffers", "SReclaimable")) - found.get("Shmem", 0)
    return Memory(total - free, free, min(max(cached, 0), total), total)


class Traffic(t.NamedTuple):
    """Bytes received and sent since the interfaces came up, and which interfaces they are."""

    received: int
    sent: int
    interfaces: tuple[str, ...]


def traffic(text: str, interfaces: t.Collection[str] = ()) -> Traffic:
    """Read /proc/net/dev.

    :param interfaces: whose bytes count; when there are none, all but `COUNTED_ELSEWHERE`.
    """
    lines = [_TRAFFIC.match(line) for line in text.splitlines()[2:]]
    rows = {found[1]: (int(found[2]), int(found[3])) for found in lines if found}
    if len(rows) < len(lines) or not rows:
        raise BadFile("/proc/net/dev", "has a line that is not an interface's" if rows else "has no interface")
    missing = [name for name in interfaces if name not in rows]
    if missing:
        raise BadFile("/proc/net/dev", f"has no {', '.join(missing)}; it has {', '.join(sorted(rows))}")
    counted = sorted(interfaces) if interfaces else sorted(name for name in rows if not _elsewhere(name))
    return Traffic(sum(rows[name][0] for name in counted), sum(rows[name][1] for name in counted), tuple(counted))


def _elsewhere(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in COUNTED_ELSEWHERE)


def established(text: str) -> int:
    """Read from /proc/net/snmp how many TCP connections are established, of IPv4 and IPv6 together.

    The kernel keeps this number; it costs the same for ten connections and for a million.
    """
    names, numbers = ([line.split() for line in text.splitlines() if line.startswith("Tcp: ")] + [[], []])[:2]
    found = dict(zip(names[1:], numbers[1:])).get("CurrEstab", "")
    if not found.isdecimal():
        raise BadFile("/proc/net/snmp", "has no CurrEstab")
    return int(found)


def connections(text: str, port: int) -> int:
    """Count in /proc/net/tcp or tcp6 the established connections to a port of this host."""
    head, *lines = text.splitlines() or [""]
    if "local_address" not in head:
        raise BadFile("/proc/net/tcp", "has no heading")
    end, found = f":{port:04X}", 0
    for line in lines:
        words = line.split(None, 4)
        if len(words) < 4:
            raise BadFile("/proc/net/tcp", "has a line that is not a socket's")
        found += words[3] == _ESTABLISHED and words[1].endswith(end)
    return found


def boot(boot_id: str, first: str) -> str:
    """Return what tells one life of the host from the next.

    :param boot_id: /proc/sys/kernel/random/boot_id, which is the machine's; empty where a container hides it. The clock
        that begins with the machine tells as well.
    :param first: /proc/1/stat. A container that starts again has a new first process on the same machine.
    """
    fields = first.rpartition(")")[2].split()  # the program's name may hold blanks and parentheses
    if len(fields) < 20 or not fields[19].isdecimal():
        raise BadFile("/proc/1/stat", "does not say when the host started")
    return f"{boot_id.strip()[:36]}/{fields[19]}"
