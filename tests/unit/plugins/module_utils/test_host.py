# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The memory and cores of a machine, a container and a systemd unit, as the kernel's files tell them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils import host
from ansible_collections.scaleout.platform.plugins.module_utils.host import Host

GB = 1024**2  # in kB
MEMINFO = {"/proc/meminfo": "MemTotal:       16777216 kB\nMemFree:         1 kB\n"}
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "33 30 0:28 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n"
    "34 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
    "35 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)
UNIT = "/system.slice/postgresql@15-main.service"
GROUPS_V1 = "9:name=systemd:/x\n4:memory:{0}\n1:cpu,cpuacct:{0}\n0::/x\n"
NO_LIMIT_V1 = "9223372036854771712\n"


def look(files, cores=8, pid=None):
    return host.look({**MEMINFO, **files}.get, cores, pid, command="postgres")


@pytest.mark.parametrize(
    ("files", "memory", "cores"),
    [
        # A machine without control groups, or with groups and no limits.
        ({}, 16 * GB, 8),
        (
            {
                "/proc/self/cgroup": f"0::{UNIT}\n",
                "/proc/self/mountinfo": V2,
                f"/sys/fs/cgroup{UNIT}/memory.max": "max\n",
                f"/sys/fs/cgroup{UNIT}/cpu.max": "max 100000\n",
            },
            16 * GB,
            8,
        ),
        # A unit's limit, and a lower one of the slice above it.
        (
            {
                "/proc/self/cgroup": f"0::{UNIT}\n",
                "/proc/self/mountinfo": V2,
                f"/sys/fs/cgroup{UNIT}/memory.max": str(4 * 1024**3),
                "/sys/fs/cgroup/system.slice/memory.max": str(2 * 1024**3),
                f"/sys/fs/cgroup{UNIT}/cpu.max": "250000 100000\n",
            },
            2 * GB,
            2,
        ),
        # A container that sees its own group as the top.
        (
            {
                "/proc/self/cgroup": "0::/\n",
                "/proc/self/mountinfo": V2,
                "/sys/fs/cgroup/memory.max": str(1024**3),
                "/sys/fs/cgroup/cpu.max": "50000 100000\n",
            },
            1 * GB,
            1,
        ),
        # Version 1: the machine's own, then a container's, whose mount begins at its own group or at the machine's.
        (
            {
                "/proc/self/cgroup": GROUPS_V1.format(UNIT),
                "/proc/self/mountinfo": V1,
                f"/sys/fs/cgroup/memory{UNIT}/memory.limit_in_bytes": NO_LIMIT_V1,
                f"/sys/fs/cgroup/cpu,cpuacct{UNIT}/cpu.cfs_quota_us": "-1\n",
                f"/sys/fs/cgroup/cpu,cpuacct{UNIT}/cpu.cfs_period_us": "100000\n",
            },
            16 * GB,
            8,
        ),
        (
            {
                "/proc/self/cgroup": GROUPS_V1.format("/docker/abc" + UNIT),
                "/proc/self/mountinfo": V1.replace("0:28 /", "0:28 /docker/abc").replace("0:29 /", "0:29 /docker/abc"),
                f"/sys/fs/cgroup/memory{UNIT}/memory.limit_in_bytes": NO_LIMIT_V1,
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 * 1024**3),
                "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
                "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2 * GB,
            3,
        ),
        (
            {
                "/proc/self/cgroup": GROUPS_V1.format("/docker/abc" + UNIT),
                "/proc/self/mountinfo": V1,
                "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": str(2 * 1024**3),
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
            },
            2 * GB,
            8,
        ),
        # A group that is not below what is mounted: the top of the mount is all that can be asked.
        (
            {
                "/proc/self/cgroup": "0::/../other\n",
                "/proc/self/mountinfo": V2.replace("0:26 /", "0:26 /docker/abc"),
                "/sys/fs/cgroup/memory.max": str(3 * 1024**3),
            },
            3 * GB,
            8,
        ),
        # Garbage.
        (
            {
                "/proc/self/cgroup": "nonsense\n::\n",
                "/proc/self/mountinfo": "a b\n\n - cgroup2\n" + V2,
                "/sys/fs/cgroup/memory.max": "lots",
                "/sys/fs/cgroup/cpu.max": "1 0",
            },
            16 * GB,
            8,
        ),
    ],
)
def test_limits(files, memory, cores):
    assert look(files) == Host(memory, cores)


def test_the_servers_own_unit_counts():
    files = {
        "/proc/7/cgroup": f"0::{UNIT}\n",
        "/proc/7/comm": "postgres\n",
        "/proc/self/cgroup": "0::/user.slice\n",
        "/proc/self/mountinfo": V2,
        f"/sys/fs/cgroup{UNIT}/memory.max": str(1024**3),
        "/sys/fs/cgroup/user.slice/memory.max": str(8 * 1024**3),
    }
    assert look(files, pid=7).memory == 1 * GB
    # Over a forwarded port the number may be that of a stranger.
    assert look({**files, "/proc/7/comm": "sh\n"}, pid=7).memory == 8 * GB
    assert look(files, pid=8).memory == 8 * GB


def test_a_machine_that_does_not_say():
    assert host.look({}.get, 8) is None


@given(cgroup=st.text(max_size=40), mounts=st.text(max_size=60), limit=st.text(max_size=12), quota=st.text(max_size=12))
def test_any_text_gives_at_most_what_the_machine_has(cgroup, mounts, limit, quota):
    files = {
        "/proc/self/cgroup": cgroup + "\n0::/a",
        "/proc/self/mountinfo": mounts + "\n" + V2,
        "/sys/fs/cgroup/a/memory.max": limit,
        "/sys/fs/cgroup/a/cpu.max": quota,
    }
    found = look(files)
    assert 0 <= found.memory <= 16 * GB
    assert 1 <= found.cores <= 8
