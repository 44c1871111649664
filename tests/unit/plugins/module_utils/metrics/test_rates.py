# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From samples to readings: what an interval says, and what makes it doubtful."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.metrics import rates
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import (
    Application,
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

T = 1790000000.0
MB = 1024**2


def sample(
    at=0.0,
    requests=0.0,
    errors=0.0,
    cpu_seconds=0.0,
    cpus=2.0,
    moved=0.0,
    counts=None,
    uptime=-1.0,
    boot="a/1",
    name="machine",
    started=5.0,
    chosen="1",
    interfaces="eth0",
    instance="shop1",
    **more,
):
    return Sample(
        T + at,
        "shop",
        instance,
        memory=Memory(300 * MB, 700 * MB, None, 1000 * MB),
        network=Network(moved, moved / 2, 3),
        application=Application(requests, errors),
        counters=Counters(
            boot=boot,
            uptime=1000 + at if uptime == -1.0 else uptime,
            host=Group(name, cpu_seconds, cpus),
            unit=Group("shop.service#1", cpu_seconds / 4, 1.0),
            started=started,
            chosen=chosen,
            interfaces=interfaces,
            latency=counts and Histogram((10.0, 20.0), counts),
        ),
        **more,
    )


BEFORE = {"requests": 100.0, "errors": 10.0, "cpu_seconds": 50.0, "moved": 1000.0, "counts": (5.0, 6.0, 7.0)}
AFTER = {
    "at": 10.0,
    "requests": 300.0,
    "errors": 10.0,
    "cpu_seconds": 60.0,
    "moved": 3000.0,
    "counts": (105.0, 106.0, 107.0),
}
MEMORY = {"memory": 30.0, "memory_free": 700.0}
FULL = {
    **MEMORY,
    "cpu": 50.0,
    "requests": 20.0,
    "application": 20.0,
    "errors": 0.0,
    "network": 300.0,
    "latency": pytest.approx(9.9),
}
WITHOUT_APPLICATION = {key: FULL[key] for key in (*MEMORY, "cpu", "network")}


def without(*keys):
    return {key: value for key, value in FULL.items() if key not in keys}


CASES = {
    "J4 J5: rates are of the interval, and stamped at its end": ({}, {}, FULL),
    "J5: a counter of requests that fell drops its rate": ({}, {"requests": 99.0}, without("requests", "application")),
    "J5: errors that fell drop theirs": ({}, {"errors": 9.0}, without("errors")),
    "J5: bytes that fell drop the network's": ({}, {"moved": 999.0}, without("network")),
    "J5: processor time that fell drops its mean": ({}, {"cpu_seconds": 49.0}, without("cpu")),
    "J5: buckets that fell drop the latency": ({}, {"counts": (4.0, 106.0, 107.0)}, without("latency")),
    "J5: a counter that began again above where it was is no rate": ({}, {"started": 6.0}, WITHOUT_APPLICATION),
    "J5: nor where only one side knows when it started": ({}, {"started": None}, WITHOUT_APPLICATION),
    "J5: a host that started again has no interval": ({}, {"boot": "b/1"}, MEMORY),
    "J5: nor a container that started again on its machine": ({}, {"boot": "a/2"}, MEMORY),
    "J5: nor a host without a boot id whose clock began again": ({"boot": ""}, {"boot": "", "uptime": 5.0}, MEMORY),
    "J5: another metric is another counter": ({}, {"chosen": "2"}, WITHOUT_APPLICATION),
    "J5: other interfaces are other bytes": ({}, {"interfaces": "eth1"}, without("network")),
    "another control group is another counter": ({}, {"name": "/docker/2"}, without("cpu")),
    "a changed limit drops the mean over it": ({}, {"cpus": 4.0}, without("cpu")),
    "J3: more processor time than there is is garbage": ({}, {"cpu_seconds": 70.5}, without("cpu")),
    "a quota's period at the edge is not": ({}, {"cpu_seconds": 70.2}, {**FULL, "cpu": 100.0}),
    "no request has no latency": ({}, {"counts": (5.0, 6.0, 7.0)}, without("latency")),
    "a host with no clock of its own is measured by the wall's": ({"uptime": None, "boot": ""}, {"boot": ""}, FULL),
    "a wall clock that was set by 4 s is no matter": ({}, {"at": 14.0, "uptime": 1010.0}, FULL),
    "B5: one that was set by 6 s hides when it was": ({}, {"at": 16.0, "uptime": 1010.0}, MEMORY),
    "B5: also backwards": ({}, {"at": 3.0, "uptime": 1010.0}, MEMORY),
    "an interval as long as allowed": ({}, {"at": 30.0}, {
        **FULL, "cpu": pytest.approx(50 / 3), "network": 100.0,
        "requests": pytest.approx(20 / 3), "application": pytest.approx(20 / 3),
    }),
    "a gap is no interval": ({}, {"at": 30.1}, MEMORY),
    "two looks within 0.1 s are one": ({}, {"at": 0.05}, MEMORY),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "values"), CASES.values(), ids=CASES)
def test_an_interval(before, after, values):
    samples = [sample(**{**BEFORE, **before}), sample(**{**AFTER, **after})]
    first, second = rates.readings(samples, longest=30.0)
    assert first == {"instance": "shop1", "at": T, "values": MEMORY}
    assert second == {"instance": "shop1", "at": samples[1].timestamp, "values": values}


def test_b4_what_is_missing_on_either_side_is_missing_and_never_zero():
    bare = Sample(T + 10, "shop", "shop1")
    assert rates.readings([sample(), bare])[1]["values"] == {}
    assert rates.readings([bare, sample(at=20.0)])[1]["values"] == MEMORY
    assert rates.readings([]) == []


def test_what_the_look_measured_stands_where_there_is_no_interval():
    looked = sample(cpu=Cpu(12.5))
    looked = dataclasses.replace(looked, application=Application(5, 0, (1.0, 2.0, 3.0)))
    assert rates.readings([looked])[0]["values"] == {**MEMORY, "cpu": 12.5, "latency": 3.0}
    later = sample(at=10.0, requests=105.0, cpu_seconds=10.0, cpu=Cpu(99.0))
    assert rates.readings([looked, later])[1]["values"]["cpu"] == 50.0


def test_a_unit_is_judged_by_its_own_processor_and_memory():
    memory = Memory(10 * MB, 50 * MB, None, 200 * MB)
    samples = [sample(**BEFORE), dataclasses.replace(sample(**AFTER), unit_memory=memory)]
    values = rates.readings(samples, scope=rates.UNIT)[1]["values"]
    assert values == {**FULL, "cpu": 25.0, "memory": 75.0, "memory_free": 50.0}


def test_two_looks_make_one_sample():
    before = sample(at=0.0, counts=(0.0, 0.0, 0.0))
    after = sample(at=0.5, cpu_seconds=0.25, counts=(100.0, 100.0, 100.0))
    looked = rates.looked(before, after)
    assert (looked.cpu, looked.unit_cpu) == (Cpu(25.0), Cpu(12.5))
    assert looked.application.latency == pytest.approx((5.0, 9.5, 9.9))
    assert looked.counters == after.counters
    assert parse(render(looked)) == looked
    assert rates.looked(dataclasses.replace(before, counters=Counters(boot="b")), after) == after


def test_b5_what_contradicts_itself_is_the_beginning_of_no_interval():
    odd = sample(at=10.0, requests=9000.0)
    found = rates.readings([sample(), sample(at=10.0, requests=50.0), odd, sample(at=20.0, requests=9900.0)])
    assert [one["values"].get("requests") for one in found] == [None, 5.0, 900.0, None]


def test_instances_do_not_mix():
    found = rates.readings([sample(), sample(at=10.0, requests=9e9, instance="shop2"), sample(at=20.0, requests=40.0)])
    assert [(one["instance"], one["values"].get("requests")) for one in found] == [
        ("shop1", None),
        ("shop1", 2.0),
        ("shop2", None),
    ]


STEPS = st.tuples(
    st.floats(0.01, 100),  # seconds
    st.floats(0, 1e6),  # requests
    st.floats(0, 1),  # share of the processors
    st.sampled_from(["goes on"] * 6 + ["application", "host", "container"]),
    st.sampled_from([0.0] * 6 + [-30.0, -2.0, 2.0, 3600.0]),  # the wall clock is set
)


@st.composite
def histories(draw):
    """Samples of a host whose counters are true, and what its rates really were."""
    at, clock, requests, cpu, life, started = 0.0, 0.0, 0.0, 0.0, 1, 1.0
    found, rate = [sample(0.0, uptime=0.0, boot="a/1", started=1.0)], 0.0
    for seconds, more, share, event, jump in draw(st.lists(STEPS, max_size=30)):
        at, clock = at + seconds + jump, clock + seconds
        requests, cpu, rate = requests + more, cpu + share * 2 * seconds, max(rate, more / seconds)
        if event != "goes on":
            # It begins again with what it has done since; sometimes that is more than before.
            started, requests = started + 1, more
        if event in ("host", "container"):
            life, cpu = life + 1, share * 2 * seconds
        if event == "host":
            clock = 0.0
        found.append(sample(at, requests=requests, cpu_seconds=cpu, uptime=clock, boot=f"a/{life}", started=started))
    return found, rate


@given(histories())
def test_j5_no_restart_and_no_set_clock_is_a_spike(history):
    samples, fastest = history
    for one in rates.readings(samples):
        values = one["values"]
        # The wall clock may put samples in another order; an interval over several is a mean of theirs.
        assert values.get("requests", 0) <= fastest * (1 + 1e-6) + 1e-6
        assert 0 <= values.get("cpu", 0) <= 100
        assert values.get("errors", 0) == values.get("network", 0) == 0


@given(histories(), st.randoms(use_true_random=False))
def test_b5_order_and_duplicates_change_nothing(history, order):
    samples = history[0] + history[0][::2]
    expected = rates.readings(history[0])
    order.shuffle(samples)
    assert rates.readings(samples) == expected
    assert rates.readings(iter([parse(render(one)) for one in samples])) == expected


def test_the_readings_of_a_week_take_a_moment():
    week = [sample(at=60.0 * number, requests=number * 600.0) for number in range(7 * 1440)]
    random.Random(1).shuffle(week)
    assert {one["values"].get("requests") for one in rates.readings(week)} == {None, 10.0}


def counted(at, errors, wait=None, **more):
    return dataclasses.replace(sample(at, **more), application=Application(0.0, 0.0, (), errors), pooler=Pooler(wait))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (counted(0, 5.0), counted(10, 25.0), {"shard_errors": 2.0}),
        (counted(0, 5.0), counted(10, 5.0), {"shard_errors": 0.0}),
        (counted(0, 5.0), counted(10, 4.0), {}),
        (counted(0, 5.0), counted(10, 9.0, started=9.0), {}),
        (counted(0, None), counted(10, 9.0), {}),
        # A wait is what is seen now, so that it needs no interval.
        (None, counted(10, None, 1.5), {"pooler_wait": 1.5}),
        (counted(0, None, 9.0), counted(10, None, 0.0), {"pooler_wait": 0.0}),
        (counted(0, None, 9.0), counted(10, None), {}),
    ],
)
def test_w3_what_guards_judge(before, after, expected):
    values = rates.reading(before, after)["values"]
    assert {key: values[key] for key in ("shard_errors", "pooler_wait") if key in values} == expected


@pytest.mark.parametrize(("first", "second", "expected"), [(2.0, 0.5, 2.0), (None, 0.5, 0.5), (1.0, None, 1.0)])
def test_of_two_looks_the_longer_wait_counts(first, second, expected):
    assert rates.looked(counted(0, 0.0, first), counted(0.5, 0.0, second)).pooler.wait == expected
