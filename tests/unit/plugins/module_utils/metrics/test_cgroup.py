# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host in control groups has used and may use: a machine, containers of both versions, units and slices."""

from __future__ import annotations

import json
import pathlib

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.metrics import cgroup, proc
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.proc import Processors
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import Group, Memory

MB = 1024**2
#: Read in a container that Docker made with 256 MB and half a processor on a machine with version 1, by a process
#: that holds 40 MB and has just written a file of 30 MB.
DOCKER_V1 = json.loads((pathlib.Path(__file__).parent / "captured" / "docker_v1.json").read_text())

MACHINE = Memory(4096 * MB, 12288 * MB, 6144 * MB, 16384 * MB)
RAN = Processors(5000.0, 8)
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
STAT_V2 = "anon 41943040\nfile {file}\nshmem 1048576\ninactive_file {file}\nactive_file 0\nslab_reclaimable 1048576\n"
CPU_V2 = "usage_usec 7000000\nuser_usec 6000000\nsystem_usec 1000000\nnr_periods 10\n"


def group(path, limit="max", used=0, file=0, **files):
    """The files of one group of version 2, which are not there for the machine's own."""
    folder = f"/sys/fs/cgroup{path}".rstrip("/")
    texts = {
        "cgroup.procs": "",
        "cgroup.events": "populated 1\nfrozen 0\n",
        "memory.max": f"{limit}\n",
        "memory.high": "max\n",
        "memory.current": f"{used}\n",
        "memory.stat": STAT_V2.format(file=file),
        "cpu.stat": CPU_V2,
        **{name.replace("_", ".", 1): text for name, text in files.items()},
    }
    return {f"{folder}/{name}": text for name, text in texts.items()}


def host(files, first="0::/init.scope\n", mounts=V2):
    return cgroup.of_host({"/sys/fs/cgroup/cgroup.procs": "", **files}.get, first, mounts)


def test_a_container_of_version_1_as_it_was_captured():
    groups = cgroup.of_host(DOCKER_V1.get, DOCKER_V1["/proc/1/cgroup"], DOCKER_V1["/proc/self/mountinfo"])
    machine = proc.memory(DOCKER_V1["/proc/meminfo"])
    seen = cgroup.memory(groups, machine)
    file = 31461376 + 8192
    assert groups.seen()
    assert seen == Memory(79032320 - file, 268435456 - 79032320 + file, file, 256 * MB)
    assert 45 * MB < seen.used < 48 * MB
    ran = proc.processors(DOCKER_V1["/proc/stat"], 100)
    assert cgroup.processor(groups, ran) == Group("/docker/c0ffee", 0.218771239, 0.5)


def test_systemd_in_a_container_of_version_1_is_one_group_deeper_in_some_hierarchies():
    first = DOCKER_V1["/proc/1/cgroup"]
    deeper = first.replace("4:memory:/docker/c0ffee", "4:memory:/docker/c0ffee/init.scope")
    assert deeper != first
    assert cgroup.of_host(DOCKER_V1.get, deeper, "") == cgroup.of_host(DOCKER_V1.get, first, "")


def test_a_limit_above_what_a_container_of_version_1_sees():
    stat = "/sys/fs/cgroup/memory/docker/c0ffee/memory.stat"
    files = {**DOCKER_V1, stat: DOCKER_V1[stat].replace("memory_limit 268435456", f"memory_limit {128 * MB}")}
    groups = cgroup.of_host(files.get, DOCKER_V1["/proc/1/cgroup"], DOCKER_V1["/proc/self/mountinfo"])
    assert cgroup.memory(groups, MACHINE).total == 128 * MB


def test_the_machine_of_version_1_is_no_container():
    groups = cgroup.of_host(DOCKER_V1.get, "4:memory:/\n2:cpuacct:/\n0::/\n", DOCKER_V1["/proc/self/mountinfo"])
    assert groups.seen()
    assert cgroup.memory(groups, MACHINE) == MACHINE
    assert cgroup.processor(groups, RAN) == Group("machine", 5000.0, 8.0)


V2_CASES = {
    "a machine has all of itself": ({}, MACHINE, Group("machine", 5000.0, 8.0)),
    "a container without a limit has what the machine has": (group("/", used=MB), MACHINE, Group("/", 7.0, 8.0)),
    "J2: files and reclaimable objects are free": (
        group("/", limit=512 * MB, used=300 * MB, file=199 * MB),
        Memory(100 * MB, 412 * MB, 200 * MB, 512 * MB),
        Group("/", 7.0, 8.0),
    ),
    "beyond memory.high a group is slowed down, so that is its limit": (
        group("/", limit=512 * MB, used=100 * MB, memory_high=f"{256 * MB}\n"),
        Memory(99 * MB, 157 * MB, 1 * MB, 256 * MB),
        Group("/", 7.0, 8.0),
    ),
    "a limit above the machine's memory is none": (
        group("/", limit=10**15, used=300 * MB),
        MACHINE,
        Group("/", 7.0, 8.0),
    ),
    "more used than the limit allows leaves nothing": (
        group("/", limit=128 * MB, used=130 * MB),
        Memory(128 * MB, 0, 1 * MB, 128 * MB),
        Group("/", 7.0, 8.0),
    ),
    "a quota is a share of the processors": (
        group("/", cpu_max="150000 100000\n"),
        MACHINE,
        Group("/", 7.0, 1.5),
    ),
    "so is a set, and the least counts": (
        group("/", cpu_max="max 100000\n", **{"cpuset_cpus.effective": "0-1,5\n"}),
        MACHINE,
        Group("/", 7.0, 3.0),
    ),
}


@pytest.mark.parametrize(("files", "memory", "time"), V2_CASES.values(), ids=V2_CASES)
def test_a_host_of_version_2(files, memory, time):
    assert cgroup.memory(host(files), MACHINE) == memory
    assert cgroup.processor(host(files), RAN) == time


@pytest.mark.parametrize(
    ("name", "limit", "used", "seen"),
    [
        # The slice above has less room left than the unit.
        ("the slice's limit", "max", 10 * MB, Memory(300 * MB, 212 * MB, 1 * MB, 512 * MB)),
        ("the unit's limit", 64 * MB, 10 * MB, Memory(9 * MB, 55 * MB, 1 * MB, 64 * MB)),
        # Its own limit is 256 MB, and all of the slice leaves 212.
        ("the slice's room", 256 * MB, 10 * MB, Memory(44 * MB, 212 * MB, 1 * MB, 256 * MB)),
    ],
)
def test_in_nested_groups_the_tightest_counts(name, limit, used, seen):
    first = "0::/machine.slice/host.scope/init.scope\n"
    files = {
        **group("/machine.slice", limit=512 * MB, used=301 * MB, cpu_max="400000 100000"),
        **group("/machine.slice/host.scope", limit=limit, used=used, cpu_max="600000 100000"),
    }
    if name == "the slice's limit":
        files["/sys/fs/cgroup/machine.slice/memory.stat"] = ""
        seen = Memory(301 * MB, 211 * MB, 0, 512 * MB)
    assert cgroup.memory(host(files, first), MACHINE) == seen
    assert cgroup.processor(host(files, first), RAN) == Group("/machine.slice/host.scope", 7.0, 4.0)


UNIT = "/system.slice/shop.service"


@pytest.mark.parametrize(
    ("first", "top", "path"),
    [
        ("0::/init.scope\n", "", UNIT),
        # systemd in a container that sees the machine's hierarchy states the whole path, or its own part of it.
        ("0::/docker/c0ffee/init.scope\n", "/docker/c0ffee", f"/docker/c0ffee{UNIT}"),
        ("0::/docker/c0ffee/init.scope\n", "/docker/c0ffee", UNIT),
    ],
)
def test_a_unit_has_its_own_use_and_the_room_that_all_above_it_leave(first, top, path):
    files = {
        **(group(top, limit=300 * MB, used=200 * MB) if top else {}),
        **group(f"{top}/system.slice", used=150 * MB),
        **group(f"{top}{UNIT}", limit=256 * MB, used=100 * MB, file=59 * MB, cpu_max="50000 100000"),
    }
    unit = cgroup.of_unit(host(files, first), path)
    room = 101 * MB if top else 216 * MB
    assert unit.seen()
    assert cgroup.unit_memory(unit, MACHINE) == Memory(40 * MB, room, 60 * MB, 256 * MB)
    assert cgroup.processor(unit, RAN, "shop#1") == Group("shop#1", 7.0, 0.5)


def test_a_unit_without_an_account_is_not_the_machine():
    groups = host({"/sys/fs/cgroup/system.slice/shop.service/cgroup.procs": ""})
    unit = cgroup.of_unit(groups, UNIT)
    assert unit.seen()
    assert cgroup.unit_memory(unit, MACHINE) is None
    assert cgroup.processor(unit, RAN, "shop#1") == Group()
    assert not cgroup.of_unit(groups, "/system.slice/other.service").seen()


def test_groups_above_our_own_namespace_are_not_taken_for_ours():
    mounts = V2.replace(" / /sys", " /../.. /sys")
    groups = host(group("/", limit=MB), mounts=mounts)
    assert not groups.seen()
    assert cgroup.memory(groups, MACHINE) == MACHINE


@pytest.mark.parametrize("text", ["", "garbage\n", "-5\n", "1 2 3\n", "\0"])
def test_garbage_is_no_limit_and_no_use(text):
    names = (
        "memory.max",
        "memory.high",
        "memory.current",
        "memory.stat",
        "cpu.stat",
        "cpu.max",
        "cpuset.cpus.effective",
    )
    files = {**group("/"), **{f"/sys/fs/cgroup/{name}": text for name in names}}
    assert cgroup.memory(host(files), MACHINE) == MACHINE
    assert cgroup.processor(host(files), RAN) == Group("machine", 5000.0, 8.0)
