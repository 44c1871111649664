# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a decision reads of the metric store, on a real Redis."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import socket
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.metrics import rates
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import parse
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import decide_on
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import read as read_policy
from ansible_collections.scaleout.platform.plugins.plugin_utils import metric_codec, metric_source
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_source import Want, read
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_store import Settings, Store
from tests.unit import redis_server
from tests.unit.plugins.callback.runs import COLLECTIONS
from tests.unit.plugins.plugin_utils.samples import counted, document

NOW = 1_800_000_000.0
COUNT = itertools.count(1)


@pytest.fixture(name="store")
def _store(store_settings):
    return store_settings


def put(server, *documents, at=None, service="shop"):
    """Push samples as if it had been at a time, by default that of the newest of them."""
    at = max(one["timestamp"] for one in documents) if at is None else at
    packed = metric_codec.encode([metric_codec.sample(one) for one in documents])
    server.xadd(f"scaleout:metrics:{service}:raw", {"z": packed}, id=f"{int(at * 1000)}-{next(COUNT)}")


def readings(store, services, since, until, own=()):
    """All readings of services, with the values of all the time."""
    return read(store, [Want(service, since) for service in services], until, own)


def rates_of(found, service="shop", metric="requests"):
    return [one["values"].get(metric) for one in found.readings[service]]


def codes(found):
    return [problem.code for problem in found.problems]


def test_the_whole_window_of_each_member_is_read(server, store):
    for age in (60, 45, 30, 15, 0):
        put(server, *(counted(f"shop{n}", NOW - age, requests=100 * n * (100 - age)) for n in (1, 2)))
    put(server, counted("x1", NOW, service="other"), service="other")
    found = readings(store, ["shop", "other"], NOW - 50, NOW)
    assert [(one["instance"], NOW - one["at"]) for one in found.readings["shop"]] == [
        (name, age) for name in ("shop1", "shop2") for age in (45, 30, 15, 0)
    ]
    assert rates_of(found) == [None, *[pytest.approx(100)] * 3, None, *[pytest.approx(200)] * 3]
    assert [one["instance"] for one in found.readings["other"]] == ["x1"]
    assert found.problems == []


def test_j5_a_counter_that_restarts_drops_its_interval(server, store):
    for age, requests, started in ((45, 900, 1.0), (30, 1050, 1.0), (15, 30, 9.0), (0, 180, 9.0)):
        put(server, counted("shop1", NOW - age, requests=requests, started=started))
    assert rates_of(readings(store, ["shop"], NOW - 60, NOW)) == [None, 10.0, None, 10.0]


def test_b5_duplicates_count_once_and_the_order_of_arrival_changes_nothing(server, store):
    documents = [counted(f"shop{n}", NOW - age, requests=600 - age) for age in (45, 30, 15, 0) for n in (1, 2)]
    for one in documents:
        put(server, one, at=NOW)
    straight = readings(store, ["shop"], NOW - 60, NOW)
    server.flushall()
    for one in [*reversed(documents), *documents]:
        put(server, one, at=NOW)
    assert readings(store, ["shop"], NOW - 60, NOW, documents) == straight
    assert len(straight.readings["shop"]) == 8


def test_the_newest_samples_are_those_of_the_run_itself(server, store):
    put(server, counted("shop1", NOW - 15, requests=0))
    own = [counted("shop1", NOW, requests=150), counted("x1", NOW, service="other")]
    found = readings(store, ["shop"], NOW - 60, NOW, own)
    assert rates_of(found) == [None, 10.0]
    # Pushed meanwhile, it is still one.
    put(server, own[0])
    assert readings(store, ["shop"], NOW - 60, NOW, own) == found


@pytest.mark.parametrize(
    ("garbage", "says"),
    [
        ("sample", "is not a mapping"),
        (document(at=NOW * 1000), "has a timestamp that is not seconds"),
        (document(at=NOW, cpu={"usage": 101}), "metrics.cpu.usage is 101"),
        (document(at=NOW, cpu={"usage": True}), "metrics.cpu.usage is a bool"),
        (document(at=NOW, cpu={"heat": 1}), "has 'heat', which is unknown"),
    ],
)
def test_a_sample_of_the_run_that_is_none_is_left_out_and_named(server, store, garbage, says):
    put(server, document("shop2", NOW))
    found = readings(store, ["shop"], NOW - 60, NOW, [garbage, document("shop1", NOW)])
    assert [one["instance"] for one in found.readings["shop"]] == ["shop1", "shop2"]
    assert codes(found) == ["bad_sample"]
    assert says in str(found.problems[0])


def test_b4_an_empty_store_is_missing_data(server, store):
    found = readings(store, ["shop", "other"], NOW - 60, NOW, [document("shop1", NOW)])
    assert found.readings == {"shop": [{"instance": "shop1", "at": NOW, "values": {"cpu": 50.0}}], "other": []}
    assert codes(found) == ["no_samples", "no_samples"]
    assert "of shop" in str(found.problems[0])


def test_no_store_leaves_the_samples_of_the_run():
    found = readings(None, ["shop"], NOW - 60, NOW, [document("shop1", NOW)])
    assert len(found.readings["shop"]) == 1
    assert codes(found) == ["invalid_input"]


def of_own(settings):
    """What is left where the store says nothing: the run's own samples, and one reason for all services."""
    began = time.monotonic()
    found = readings(settings, ["shop", "other"], NOW - 60, NOW, [document("shop1", NOW)])
    assert [len(found.readings[service]) for service in ("shop", "other")] == [1, 0]
    assert len(found.problems) == 1
    return found.problems[0], time.monotonic() - began


def test_a_dead_store():
    problem, seconds = of_own(Settings("127.0.0.1", redis_server.free_port()))
    assert problem.code == "unreachable"
    assert seconds < 1


def test_a_store_that_is_silent():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        problem, seconds = of_own(Settings("127.0.0.1", silent.getsockname()[1], timeout=0.3))
    assert problem.code == "unreachable"
    assert seconds < 2


def test_a_store_that_trickles_is_given_up(monkeypatch):
    monkeypatch.setattr(metric_source, "_LEAST", 0.5)
    with redis_server.answering(b"*2\r\n*0\r\n*1\r\n$9999999\r\n", trickle=0.05) as port:
        problem, seconds = of_own(Settings("127.0.0.1", port, timeout=0.3))
    assert problem.code == "timeout"
    assert seconds < 2


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\r\n" * 50, b"$-7\r\n", b":1\r\n:1\r\n"]
)
def test_what_is_not_redis(answer):
    with redis_server.answering(answer) as port:
        assert of_own(Settings("127.0.0.1", port, timeout=0.3))[0].code in ("stranger", "unreachable")


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password(server, port, password):
    problem, _seconds = of_own(Settings("127.0.0.1", port, password=password))
    assert problem.code == "denied"
    assert "wrong" not in str(problem)


def test_garbage_in_the_store_is_left_out_and_named(server, store):
    put(server, document("shop1", NOW), document("shop2", NOW, cpu={"usage": 200}), document("shop3", NOW))
    put(server, document("x1", NOW, service="other"))
    key = "scaleout:metrics:shop:raw"
    server.xadd(key, {"z": b"\xff\x00garbage"}, id=f"{int(NOW * 1000)}-{next(COUNT)}")
    server.xadd(key, {"other": "field"}, id=f"{int(NOW * 1000)}-{next(COUNT)}")
    server.set("scaleout:metrics:shop:minutes", "a text")
    found = readings(store, ["shop"], NOW - 60, NOW)
    assert [one["instance"] for one in found.readings["shop"]] == ["shop1", "shop3"]
    assert codes(found) == ["bad_sample", "bad_sample"]
    entries, samples = found.problems
    assert str(entries).startswith("4 entries of shop in the metric store are left out: ")
    ends = ("is not a stream (WRONGTYPE)", "is not compressed JSON", "has no field z", "is of another service")
    assert [sum(reason.endswith(end) for reason in entries.facts["reasons"]) for end in ends] == [1] * 4
    assert str(samples).startswith("1 samples of shop in the metric store are left out: metrics.cpu.usage is 200")


def test_garbage_alone_is_no_data(server, store):
    server.xadd("scaleout:metrics:shop:raw", {"z": "?"}, id=f"{int(NOW * 1000)}-{next(COUNT)}")
    found = readings(store, ["shop"], NOW - 60, NOW)
    assert found.readings == {"shop": []}
    assert codes(found) == ["bad_sample"]


@pytest.mark.parametrize("path", [("metrics", "cpu", "usage"), ("metrics", "cpu")])
def test_two_columns_of_one_number_are_judged_as_the_document_they_make(server, store, path):
    packed = metric_codec.unpack(metric_codec.encode([metric_codec.sample(document("shop1", NOW))]))
    doubled = [*packed.columns, (path, [7.0])]
    body = {"format": 1, "service": "shop", "timestamp": [NOW], "instance": ["shop1"], "columns": doubled}
    server.xadd("scaleout:metrics:shop:raw", {"z": redis_server.packed(body)}, id=f"{int(NOW * 1000)}-{next(COUNT)}")
    found = readings(store, ["shop"], NOW - 60, NOW)
    if path == ("metrics", "cpu"):
        assert codes(found) == ["bad_sample"]
    else:
        assert found.readings["shop"][0]["values"] == {"cpu": 7.0}


def test_the_means_of_minutes_are_read_beside_what_was_pushed(server, store, port):
    day = 24 * 3600
    now = float(int(time.time()))
    for age in (day + 600, day + 570):
        put(server, counted("shop1", now - age, requests=2 * day - age))
    with contextlib.closing(Store(store)) as pusher:
        pusher.push([metric_codec.sample(counted("shop1", now, requests=2 * day))])
    found = readings(store, ["shop"], now - day - 900, now)
    # The newer of the minute's two counters, and the rate over the day since.
    assert len(found.readings["shop"]) <= 3
    assert rates_of(found)[-1] == pytest.approx(1)


POLICY = {"min": 1, "max": 9, "interval": 30, "alerts": [{"metric": "errors", "condition": "gt", "threshold": 5}]}


def decided(policy, found, now=NOW, names=("shop1", "shop2", "shop3")):
    """The decision's document on what was read."""
    members = [{"name": name, "healthy": True, "in_rotation": True, "reached": True} for name in names]
    parsed, pool = read_policy(policy, {"desired": len(members), "members": members}, now)
    found = decide_on(parsed, Readings(found), pool, History([]), now).document()
    # A window that lacks something proves nothing. What it lacks has another name where nothing older was read.
    return re.sub(r"no sample|stale|too short|too few samples|a gap", "a fault", json.dumps(found))


def test_of_the_time_before_the_window_a_reading_says_only_that_there_was_one(server, store):
    policy, _pool = read_policy(POLICY, {"desired": 1, "members": []}, NOW)
    for age in range(2040, -1, -30):
        put(server, *(counted(f"shop{n}", NOW - age, requests=2000 - age) for n in (1, 2) if n == 1 or age > 600))
    found = read(store, [Want.by("shop", policy, NOW)], NOW)
    mine = [one for one in found.readings["shop"] if one["instance"] == "shop1"]
    assert [one.get("reported", False) for one in mine] == [True] * 50 + [False] * 17
    # As much as an interval may have comes before what a policy looks at, so that its first sample has rates.
    assert NOW - mine[0]["at"] == policy.horizon + 90
    # One that has not been heard since then has, as long as it said anything.
    quiet = [one for one in found.readings["shop"] if one["instance"] == "shop2"]
    assert {"at" in one and one.get("reported") for one in quiet} == {True}
    assert NOW - quiet[-1]["at"] == 630


def test_a_member_that_sends_nothing_but_garbage_has_not_reported(server, store):
    policy, _pool = read_policy(POLICY, {"desired": 1, "members": []}, NOW)
    for age in range(2040, 900, -30):
        put(
            server, document("shop1", NOW - age), document("shop2", NOW - age, cpu={"usage": 50 if age > 1500 else 500})
        )
    found = read(store, [Want.by("shop", policy, NOW)], NOW)
    newest = {one["instance"]: NOW - one["at"] for one in found.readings["shop"] if one.get("reported")}
    assert newest == {"shop1": 930, "shop2": 1530}


AGES = st.lists(st.integers(-200, 2100).map(lambda age: age / 1.0), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    # When each member fell silent and came back, in seconds ago.
    silences=st.tuples(*[st.lists(st.integers(0, 2000), max_size=4)] * 3),
    stray=AGES,
    load=st.integers(0, 300),
    bad=st.sampled_from([None, "shop1", "shop2"]),
    dead_after=st.sampled_from([300, 600, 900, 1800]),
    seed=st.integers(0, 9),
)
def test_a_decision_on_what_was_read_is_that_on_all_of_it(silences, stray, load, bad, dead_after, seed):
    dice = random.Random(seed)
    names = ("shop1", "shop2", "shop3")
    silences_of = dict(zip(names, silences, strict=True))
    entries = []
    documents = []
    for age in range(2100, -1, -30):
        present = [name for name in names if sum(age >= edge for edge in silences_of[name]) % 2 == 0]
        these = [counted(name, NOW - age - dice.random(), requests=load * (2100 - age)) for name in present]
        for one in these:
            if one["instance"] == bad:
                one["metrics"] = {"cpu": {"usage": 500.0}}
        documents.append(these)
    documents += [[counted("shop3", NOW - age, requests=load * 10)] for age in stray]
    for number, these in enumerate(documents):
        if these:
            entries.append((str(number), metric_codec.encode([metric_codec.sample(one) for one in these])))
    policy = {**POLICY, "dead_after": dead_after}
    parsed, _pool = read_policy(policy, {"desired": 1, "members": []}, NOW)
    want = Want.by("shop", parsed, NOW)
    problems = []
    thin = metric_source.of_entries(want, metric_source.Entries(entries, []), [], problems)
    full = metric_source.of_entries(
        Want("shop", want.since, None, want.longest), metric_source.Entries(entries, []), [], problems
    )
    assert decided(policy, thin) == decided(policy, full)


@settings(max_examples=50, deadline=None)
@given(order=st.permutations(range(12)), twice=st.lists(st.integers(0, 11), max_size=5))
def test_neither_order_nor_duplicates_nor_the_way_there_change_a_reading(order, twice):
    documents = [counted(f"shop{n % 3}", NOW - 30 * (n // 3), requests=1000 - 90 * (n // 3)) for n in range(12)]
    kept = [metric_codec.sample(one) for one in documents]
    entries = [(str(n), metric_codec.encode([kept[n]])) for n in (*order[:6], *twice)]
    own = [parse(kept[n]) for n in (*order[6:], *twice)]
    found = metric_source.of_entries(Want("shop", NOW - 600), metric_source.Entries(entries, []), own, [])
    assert found == rates.readings(map(parse, kept))


#: Asks what the store's settings are, row for row, where Ansible's loader of plugins is at work.
ASK = """
import json, os, sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_source import configured
said = []
for variables, environment in json.load(sys.stdin):
    os.environ.update(environment)
    try:
        found = configured(variables)
        said.append(vars(found) if found else None)
    except ScaleoutError as error:
        said.append(str(error))
    for name in environment:
        del os.environ[name]
print(json.dumps(said))
"""
#: Variables, the environment, and the settings that they make.
ROWS = [
    ({}, {}, None),
    ({"push_metrics_store_host": "a"}, {}, Settings("a")),
    (
        {"push_metrics_store_host": "a", "push_metrics_store_port": "7", "push_metrics_store_tls": "yes"},
        {},
        Settings("a", 7, tls=True),
    ),
    (
        {"push_metrics_store_password": "sesame", "push_metrics_handover": "no such"},
        {"SCALEOUT_STORE_HOST": "b", "SCALEOUT_STORE_TIMEOUT": "0.5"},
        Settings("b", password="sesame", timeout=0.5),
    ),
    ({"push_metrics_store_host": "a"}, {"SCALEOUT_STORE_HOST": "b"}, Settings("a")),
    (
        {"push_metrics_store_host": "a", "push_metrics_store_port": "sesame"},
        {},
        "push_metrics: 'push_metrics_store_host, push_metrics_store_port' do not say how the metric store is reached.",
    ),
]


def test_the_store_is_reached_as_the_callback_reaches_it(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SCALEOUT_"))}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps([row[:2] for row in ROWS]),
        cwd=tmp_path,
        env={**kept, "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS, "PYTHONPATH": COLLECTIONS},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [Settings(**one) if isinstance(one, dict) else one for one in json.loads(done.stdout)]
    assert said == [row[2] for row in ROWS]


def errors_of(instance, at, errors):
    found = counted(instance, at)
    found["metrics"]["application"]["shard_errors"] = errors
    return found


@pytest.mark.parametrize(
    ("guards", "wait", "errors", "held"),
    [
        ([("pooler_wait", 1)], 1.5, 0, ["The guard pooler_wait > 1 sees 1.5 s on pg1."]),
        ([("pooler_wait", 1)], 0.0, 0, []),
        ([("shard_errors", 5)], 0.0, 300, [f"The guard shard_errors > 5 sees 20/s on shop{n}." for n in (1, 2)]),
        ([("shard_errors", 5)], 0.0, 30, []),
        ([("pooler_wait", 1), ("shard_errors", 5)], None, None, []),
    ],
)
def test_w3_guards_judge_what_lies_in_the_store(server, store, guards, wait, errors, held):
    """From the samples of a database server and of the members to a growth that is held, or not."""
    for age in range(600, -1, -15):
        taken = [errors_of(name, NOW - age, errors and errors * (600 - age) / 15) for name in ("shop1", "shop2")]
        taken = [{**one, "metrics": {**one["metrics"], "cpu": {"usage": 95.0}}} for one in taken]
        if wait is not None:
            taken.append(document("pg1", NOW - age, pooler={"wait": wait}))
        put(server, *taken)
    members = [{"name": name, "healthy": True, "in_rotation": True} for name in ("shop1", "shop2")]
    watches = [{"metric": metric, "condition": "gt", "threshold": threshold} for metric, threshold in guards]
    rules = [{"metric": "cpu", "threshold": 70}]
    asked = {"min": 1, "max": 4, "interval": 15, "rules": rules, "guards": watches}
    policy, pool = read_policy(asked, {"desired": 2, "members": members}, NOW)
    found = read(store, [Want.by("shop", policy, NOW)], NOW)
    made = decide_on(policy, Readings(found.readings["shop"]), pool, History([]), NOW)
    assert found.problems == []
    assert (made.choice.direction, made.choice.outcome) == ("up", "hold" if held else "scale")
    assert [reason.text for reason in made.choice.reasons] == held
    # A guard that sees nothing holds nothing, and says so.
    unseen = [f"missing:guard {metric} > {threshold}" for metric, threshold in guards] if wait is None else []
    assert [alert.key for alert in made.alerts.now if alert.kind == "missing"] == unseen
