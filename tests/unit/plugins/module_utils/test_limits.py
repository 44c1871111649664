# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the limits of engines are in systemd's terms, and which of them contradict each other."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.limits import fault, settings

GIB = 1 << 30


@pytest.mark.parametrize(
    ("limits", "lines"),
    [
        ({}, []),
        (
            {"memory_min": "512M", "memory_max": "1G", "memory_swap_max": 0, "cpu_shares": 1024, "cpu_quota": 100000},
            ["MemoryMin=536870912", f"MemoryMax={GIB}", "MemorySwapMax=0", "CPUWeight=100", "CPUQuota=100.00%"],
        ),
        ({"cpu_shares": 512, "cpu_quota": 50000}, ["CPUWeight=50", "CPUQuota=50.00%"]),
        ({"cpu_shares": "2048", "cpu_quota": "150000"}, ["CPUWeight=200", "CPUQuota=150.00%"]),
        ({"cpu_shares": 2}, ["CPUWeight=1"]),
        ({"cpu_shares": 102400}, ["CPUWeight=10000"]),
        ({"cpu_quota": 1234}, ["CPUQuota=1.23%"]),
        ({"memory_max": 1000}, ["MemoryMax=1000"]),
        ({"memory_min": GIB, "memory_max": "1G"}, [f"MemoryMin={GIB}", f"MemoryMax={GIB}"]),
        pytest.param({"open_files": 4096}, ["LimitNOFILE=4096"], id="h3-open-files"),
        pytest.param({"open_files": "1048576"}, ["LimitNOFILE=1048576"], id="h3-most-open-files"),
    ],
)
def test_settings(limits, lines):
    assert settings("app_limits", limits, memory=2 * GIB) == lines


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"memory": "1G"}, "memory is not a limit; there are memory_min, memory_max"),
        ({"memory_min": "2G", "memory_max": "1G"}, "memory_min is 2G, above memory_max, which is 1G"),
        ({"memory_max": 0}, "memory_max is 0, with which nothing can run"),
        ({"memory_max": "3G"}, "memory_max is 3G, more than the 2048M that this host has"),
        ({"memory_min": "3G"}, "memory_min is 3G, more than the 2048M that this host has"),
        ({"memory_swap_max": -1}, "memory_swap_max is -1 and must be a number of bytes"),
        ({"memory_max": "a lot"}, "memory_max is 'a lot' and must be a number of bytes"),
        ({"memory_max": "1g"}, "memory_max is '1g' and must be"),
        ({"memory_max": 1.5}, "memory_max is 1.5 and must be"),
        ({"memory_max": True}, "memory_max is True and must be"),
        ({"memory_max": "1G\nExecStart=/bin/true"}, "and must be a number of bytes"),
        ({"memory_max": None}, "memory_max is None and must be"),
        ({"cpu_quota": 0}, "cpu_quota is 0 and must be at least 1000 microseconds of each 100000"),
        ({"cpu_quota": -1}, "cpu_quota is -1 and must be at least"),
        ({"cpu_quota": "50%"}, "cpu_quota is '50%' and must be a whole number"),
        ({"cpu_quota": 0.5}, "cpu_quota is 0.5 and must be a whole number"),
        ({"cpu_shares": 1}, "cpu_shares is 1 and must be between 2 and 102400"),
        ({"cpu_shares": 262144}, "cpu_shares is 262144 and must be between"),
        pytest.param({"open_files": 10}, "open_files is 10 and must be between 64 and 1048576", id="h3-too-few"),
        pytest.param({"open_files": 1048577}, "open_files is 1048577 and must be between", id="h3-too-many"),
        pytest.param({"open_files": "infinity"}, "must be a whole number", id="h3-infinity"),
    ],
)
def test_what_is_refused(limits, sentence):
    with pytest.raises(Refused, match=re.escape(sentence)) as error:
        settings("app_limits", limits, memory=2 * GIB)
    assert error.value.message.startswith("app_limits: ")
    assert "\n" not in error.value.message


def test_a_problem_is_a_sentence_without_its_full_stop():
    assert fault({}) == ""
    assert fault({"app_limits": {"cpu_quota": 50000}, "the worker relay": {}}) == ""
    problem = fault({"app_limits": {}, "the worker relay": {"cpu_quota": 0}})
    assert problem.startswith("the worker relay: cpu_quota is 0")
    assert not problem.endswith(".")
    assert fault({"app_limits": []}) == "app_limits is [] and must be a dictionary of limits"


@given(st.integers(2, 102400), st.integers(2, 102400))
def test_more_shares_are_never_less_weight(one, other):
    def weight(shares: int) -> int:
        return int(settings("x", {"cpu_shares": shares})[0].removeprefix("CPUWeight="))

    assert 1 <= weight(one) <= 10000
    assert (weight(one) - weight(other)) * (one - other) >= 0
    # systemd's way back (cgroup_weight_to_shares) is off by no more than half a step of the weight.
    assert one < 11 or abs(weight(one) * 1024 / 100 - one) <= 5.13


@given(
    st.dictionaries(
        st.sampled_from(
            ["memory_min", "memory_max", "memory_swap_max", "cpu_shares", "cpu_quota", "open_files", "other"]
        ),
        st.one_of(st.integers(), st.text(max_size=5), st.sampled_from(["1G", "512M", "2T"]), st.booleans(), st.none()),
    )
)
def test_whatever_is_given_it_is_lines_or_a_sentence(limits):
    try:
        lines = settings("x", limits, memory=4 * GIB)
    except Refused:
        return
    assert len(lines) == len(limits)
    line = r"(Memory(Min|Max|SwapMax)|CPUWeight|LimitNOFILE)=\d+|CPUQuota=\d+\.\d\d%"
    assert all(re.fullmatch(line, each) for each in lines)
