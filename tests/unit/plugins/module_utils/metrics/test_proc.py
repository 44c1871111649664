# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the kernel's files under /proc say, and that anything else is no measurement."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import proc
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import Memory

# Debian 13, two processors, a virtual machine; the line of interrupts is shortened.
STAT = """\
cpu  4376385 761087 1265355 2227502 15867 0 75934 4620 120 7
cpu0 2173489 358984 617310 1172487 5362 0 31000 2300 60 3
cpu1 2202896 402103 648045 1055015 10505 0 44934 2320 60 4
intr 135793317 0 0 0
ctxt 3311
btime 1795859858
"""
# Debian 12; not all lines.
MEMINFO = """\
MemTotal:        2030696 kB
MemFree:          101112 kB
MemAvailable:    1330696 kB
Buffers:           30000 kB
Cached:          1200000 kB
SwapCached:            0 kB
Shmem:             80000 kB
SReclaimable:      50000 kB
Active(anon):     500000 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
"""
DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compr
    lo: 9000000   61421    0    0    0     0          0         0  9000000   61421    0    0    0     0       0      0
  eth0: 1000000   61421    0    3    0     0          0         0   200000     421    0    0    0     0       0      0
  eth1:      11       1    0    0    0     0          0         0       22       1    0    0    0     0       0      0
eth0.7:  500000   61421    0    0    0     0          0         0   100000     421    0    0    0     0       0      0
docker0: 400000   61421    0    0    0     0          0         0   100000     421    0    0    0     0       0      0
vethab12:400000   61421    0    0    0     0          0         0   100000     421    0    0    0     0       0      0
"""
SNMP = """\
Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs
Tcp: 1 200 120000 -1 71 39 12 3 27 4711
"""
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 2011 1 0000000 100 0 0 10 0
   1: 0100007F:1F40 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000   105        0 2012 1 0000000 20 4 30 10 -1
   2: 0100007F:D2F0 0100007F:1F40 01 00000000:00000000 00:00000000 00000000    33        0 2013 1 0000000 20 4 30 10 -1
   3: 0C561DAC:1F40 0B561DAC:8822 01 00000000:00000000 00:00000000 00000000   105        0 2014 1 0000000 20 4 30 10 -1
   4: 0C561DAC:1F40 0B561DAC:8823 06 00000000:00000000 03:0000176F 00000000     0        0 0 3 0000000000000000
   5: 0C561DAC:11F40 0B561DAC:8823 01 0:0
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when re
   0: 0000000000000000FFFF00000C561DAC:1F40 0000000000000000FFFF00000B561DAC:9822 01 00000000:00000000 00:00000000 00
"""


def test_busy_is_all_but_idle_and_waiting_for_a_disk():
    busy = (4376385 + 761087 + 1265355 + 75934 + 4620) / 100
    assert proc.processors(STAT, 100) == (busy, 2)
    # An older kernel, and 250 ticks in a second.
    assert proc.processors("cpu  100 50 25 999\ncpu0 100 50 25 999\n", 250) == (0.7, 1)


def test_j2_free_is_what_is_available():
    total, free, cached = (kb * 1024 for kb in (2030696, 1330696, 1200000))
    assert proc.memory(MEMINFO) == Memory(total - free, free, cached, total)


@pytest.mark.parametrize(
    ("interfaces", "moved"),
    [
        ((), (1000011, 200022)),
        (("eth1",), (11, 22)),
        (("eth0", "docker0"), (1400000, 300000)),
        (("lo",), (9000000,) * 2),
    ],
)
def test_bytes_are_counted_once_or_as_asked(interfaces, moved):
    assert proc.traffic(DEV, interfaces)[:2] == moved


def test_a_host_with_a_loopback_only_has_moved_nothing():
    assert proc.traffic("".join(DEV.splitlines(keepends=True)[:3])) == (0, 0, ())
    assert proc.traffic(DEV).interfaces == ("eth0", "eth1")


def test_connections_are_those_of_the_host_or_of_a_port():
    assert proc.established(SNMP) == 27
    assert (proc.connections(TCP, 8000), proc.connections(TCP6, 8000), proc.connections(TCP, 8080)) == (2, 1, 0)
    assert proc.connections(TCP, 0xD2F0) == 1


def test_load():
    assert proc.load("3.34 7.73 8.63 4/428 5\n") == (3.34, 7.73, 8.63)


def test_a_container_that_started_again_has_another_life_on_the_same_machine():
    boot_id = "6f1c1f0e-6f0b-4d55-9d6c-0d4f0e7c2f43\n"
    stat = "1 (a) b (c)) S 0 1 1 0 -1 4194560 19925 0 0 0 9 12 0 0 20 0 1 0 4395978 58224640 12799 1844674407370955 1\n"
    assert proc.boot(boot_id, stat) == "6f1c1f0e-6f0b-4d55-9d6c-0d4f0e7c2f43/4395978"
    assert proc.boot(boot_id, stat.replace("4395978", "5395978")) != proc.boot(boot_id, stat)
    assert proc.boot("", stat) == "/4395978"


GARBAGE = [
    (lambda text: proc.processors(text, 100), STAT, ["cpu  1 2 3 4\n", "cpu  1 x 3 4\ncpu0 1 2 3 4\n"]),
    (proc.load, "0.00 0.00 0.00 1/2 3\n", ["0.00 0.00\n", "nan 0.00 0.00 1/2 3\n", "-1.00 0.00 0.00 1/2 3"]),
    (
        proc.memory,
        MEMINFO,
        [MEMINFO.replace("MemAvailable", "MemAvail"), MEMINFO.replace("1330696", "2030697"), "MemTotal: x kB\n"],
    ),
    (proc.traffic, DEV, [DEV.replace("61421", "-1"), "\n\n", DEV + "eth2\n"]),
    (lambda text: proc.traffic(text, ("ens3",)), DEV.replace("eth1", "ens3"), [DEV]),
    (proc.established, SNMP, ["Tcp: RtoMin\nTcp: 1\n", SNMP.replace(" 27 ", " -2 "), "Tcp: CurrEstab\n"]),
    (lambda text: proc.connections(text, 1), TCP, ["sl\n", TCP + "6: 1\n"]),
    (lambda text: proc.boot("", text), "1 (a) S " + "1 " * 30, ["1 (a) S 1\n", "1 (a) S " + "x " * 30]),
]


@pytest.mark.parametrize(
    ("read", "text"), [(read, bad) for read, _good, texts in GARBAGE for bad in ["", "\0\xff garbage\n", *texts]]
)
def test_garbage_is_no_measurement(read, text):
    with pytest.raises(ScaleoutError) as refused:
        read(text)
    assert refused.value.code == "unreadable"


@pytest.mark.parametrize(("read", "good"), [(read, good) for read, good, _texts in GARBAGE])
@given(data=st.data())
def test_a_file_cut_anywhere_is_read_or_refused_and_never_crashes(read, good, data):
    read(good)
    cut = data.draw(st.integers(0, len(good)))
    with contextlib.suppress(proc.BadFile):
        read(good[:cut])
