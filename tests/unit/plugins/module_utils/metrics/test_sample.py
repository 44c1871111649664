# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is a sample, and by what reason everything else is not."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import (
    Application,
    BadSample,
    Counters,
    Cpu,
    Group,
    Histogram,
    Memory,
    Network,
    Pooler,
    Sample,
    parse,
    render,
)

DOCUMENT = {
    "timestamp": 1790000000.25,
    "service": "shop",
    "instance": "shop1",
    "metrics": {
        "cpu": {"usage": 37.5, "load": [0.5, 0.25, 0.0]},
        "memory": {"used": 300, "free": 700, "cached": 200, "total": 1000},
        "network": {"rx_bytes": 10, "tx_bytes": 20, "connections": 0},
        "application": {"requests": 90, "errors": 0, "latency": [5, 10.5, 20]},
        "unit": {"cpu": {"usage": 12}, "memory": {"used": 100, "free": 400, "total": 500}},
    },
    "counters": {
        "boot": "0f3c/1",
        "uptime": 5000.5,
        "host": {"name": "/", "cpu_seconds": 123.5, "cpus": 1.5},
        "unit": {"name": "/system.slice/shop.service#7", "cpu_seconds": 3, "cpus": 1},
        "started": 1789990000.0,
        "latency": {"bounds": [5, 10], "counts": [50, 80, 90]},
        "chosen": "9f3a2c1b",
        "interfaces": "0c4d5e6f",
    },
}


def changed(path, value):
    document = copy.deepcopy(DOCUMENT)
    *parts, last = path.split(".")
    part = document
    for name in parts:
        part = part[name]
    part[last] = value
    return document


def test_a_sample_is_read_and_rendered():
    assert parse(DOCUMENT) == Sample(
        1790000000.25,
        "shop",
        "shop1",
        Cpu(37.5, (0.5, 0.25, 0.0)),
        Memory(300, 700, 200, 1000),
        Network(10, 20, 0),
        Application(90, 0, (5, 10.5, 20)),
        Cpu(12),
        Memory(100, 400, None, 500),
        Counters(
            "0f3c/1",
            5000.5,
            Group("/", 123.5, 1.5),
            Group("/system.slice/shop.service#7", 3, 1),
            1789990000.0,
            Histogram((5, 10), (50, 80, 90)),
            "9f3a2c1b",
            "0c4d5e6f",
        ),
    )
    assert render(parse(DOCUMENT)) == DOCUMENT


def test_what_was_not_measured_is_left_out_and_what_is_zero_is_not():
    least = {"timestamp": 1.0, "service": "shop", "instance": "shop1", "metrics": {}, "counters": {}}
    assert render(Sample(1.0, "shop", "shop1")) == least
    assert parse(least) == parse({**least, "counters": {"host": {}}}) == Sample(1.0, "shop", "shop1")
    idle = Sample(1.0, "shop", "shop1", cpu=Cpu(0.0), application=Application(0))
    assert render(idle)["metrics"] == {"cpu": {"usage": 0.0}, "application": {"requests": 0, "latency": []}}
    assert parse(render(idle)) == idle


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (None, "sample is not a mapping"),
        ([DOCUMENT], "sample is not a mapping"),
        ({}, "timestamp is missing; service is missing; instance is missing; metrics is missing"),
        (changed("timestamp", 0), "timestamp is 0"),
        (changed("timestamp", 1790000000250), "timestamp is 1.79e+12, which is not in 0..1e+11"),
        (changed("timestamp", "1790000000"), "timestamp is '1790000000', which is not a number"),
        (changed("timestamp", None), "timestamp is a NoneType, which is not a number"),
        (changed("service", ""), "service is not 1 to 255 printable characters"),
        (changed("instance", "shop1\n"), "instance is not 1 to 255 printable characters"),
        (changed("instance", 1), "instance is not 1 to 255 printable characters"),
        (changed("metrics", []), "metrics is not a mapping"),
        (changed("metrics.disk", {}), "metrics has 'disk', which is unknown"),
        (changed("metrics.cpu.usage", 100.01), "metrics.cpu.usage is 100.01, which is not in 0..100"),
        (changed("metrics.cpu.usage", -0.5), "metrics.cpu.usage is -0.5, which is not in 0..100"),
        (changed("metrics.cpu.usage", float("nan")), "metrics.cpu.usage is nan, which is not in 0..100"),
        (changed("metrics.cpu.usage", float("inf")), "metrics.cpu.usage is inf, which is not in 0..100"),
        (changed("metrics.cpu.usage", True), "metrics.cpu.usage is a bool, which is not a number"),
        (changed("metrics.cpu.usage", 10**5000), "metrics.cpu.usage is a huge number, which is not in 0..100"),
        (changed("metrics.cpu.load", [1, 2]), "metrics.cpu.load is not three numbers"),
        (changed("metrics.cpu.load", "1 2 3"), "metrics.cpu.load is not a list"),
        (changed("metrics.memory.total", 0), "metrics.memory.total is 0"),
        (changed("metrics.memory.free", 1001), "metrics.memory.free is more than the total"),
        (changed("metrics.network.rx_bytes", -1), "metrics.network.rx_bytes is -1, which is not in 0..1.84467e+19"),
        (changed("metrics.application.latency", [3, 2, 1]), "metrics.application.latency is not three numbers that"),
        (changed("metrics.unit.cpu.usage", 101), "metrics.unit.cpu.usage is 101, which is not in 0..100"),
        (changed("counters.host.cpus", 0), "counters.host.cpus is 0"),
        (changed("counters.latency.bounds", [5, 5]), "counters.latency does not rise"),
        (changed("counters.latency.counts", [5, 4, 6]), "counters.latency does not rise"),
        (changed("counters.latency.counts", [5, 6]), "counters.latency.counts is not one more than the bounds"),
    ],
    ids=lambda value: f"J3: {value}" if isinstance(value, str) else "",
)
def test_what_is_no_sample_is_refused_with_the_reason(document, reason):
    with pytest.raises(BadSample) as refused:
        parse(document)
    assert refused.value.code == "bad_sample"
    assert reason in refused.value.message


def test_every_reason_is_named_at_once():
    document = changed("metrics.cpu.usage", 250)
    document["metrics"]["memory"]["used"] = "much"
    with pytest.raises(BadSample) as refused:
        parse(document)
    assert refused.value.facts["reasons"] == [
        "metrics.cpu.usage is 250, which is not in 0..100",
        "metrics.memory.used is 'much', which is not a number",
    ]


NUMBERS = st.one_of(st.none(), st.integers(0, 2**63), st.floats(0, 1e15))
SAMPLES = st.builds(
    Sample,
    st.floats(1, 1e10),
    st.just("shop"),
    st.sampled_from(["shop1", "shöp2"]),
    st.builds(Cpu, st.one_of(st.none(), st.floats(0, 100)), st.sampled_from([(), (0.0, 0.0, 3.5)])),
    st.builds(lambda total, used: Memory(min(used, total), None, None, total), st.integers(1), st.integers(0)).filter(
        lambda memory: memory.total < 2**64
    ),
    st.builds(Network, NUMBERS, NUMBERS, NUMBERS),
    st.builds(
        Application,
        NUMBERS,
        NUMBERS,
        st.lists(st.floats(0, 1e9), min_size=3, max_size=3).map(sorted).map(tuple),
        NUMBERS,
    ),
    pooler=st.builds(Pooler, NUMBERS),
)


@given(SAMPLES)
def test_what_is_rendered_is_read_back_also_by_way_of_json(sample):
    assert parse(json.loads(json.dumps(render(sample), allow_nan=False))) == sample


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.text(), st.integers()),
        lambda inner: st.one_of(
            st.lists(inner), st.dictionaries(st.sampled_from(["metrics", "cpu", "usage", "counters", "latency"]), inner)
        ),
    )
)
def test_garbage_is_refused_and_never_crashes(document):
    with pytest.raises(BadSample):
        parse(document)
