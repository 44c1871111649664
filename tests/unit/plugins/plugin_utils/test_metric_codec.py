# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an entry of the metric store holds, and what a minute becomes."""

from __future__ import annotations

import json
import math
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.plugin_utils import metric_codec as codec
from tests.unit.plugins.plugin_utils.samples import document

NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
NUMBERS = st.one_of(st.integers(0, 2**63), st.floats(0, 1e18, allow_nan=False))
LEAVES = st.one_of(NUMBERS, st.text(max_size=10), st.lists(NUMBERS, max_size=4), st.just({}))
PARTS = st.dictionaries(NAMES, st.one_of(LEAVES, st.dictionaries(NAMES, LEAVES, max_size=4)), max_size=5)
DOCUMENTS = st.fixed_dictionaries(
    {
        "timestamp": st.floats(1e9, 2e9),
        "service": st.just("shop"),
        "instance": st.text(min_size=1, max_size=20),
        "metrics": PARTS,
    },
    optional={"counters": PARTS},
)


@given(st.lists(DOCUMENTS, min_size=1, max_size=6))
def test_what_goes_in_comes_out(documents):
    samples = [codec.sample(one) for one in documents]
    assert codec.decode(codec.encode(samples)) == samples


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is not a mapping"),
        ("sample", "is not a mapping"),
        ({}, "lacks timestamp, service, instance, metrics"),
        ({**document(), "timestamp": "now"}, "has a timestamp that is not seconds since 1970"),
        ({**document(), "timestamp": True}, "has a timestamp that is not seconds since 1970"),
        ({**document(), "timestamp": 1_800_000_000_000}, "has a timestamp that is not seconds since 1970"),
        ({**document(), "timestamp": math.nan}, "has a number that is not finite"),
        ({**document(), "service": "a:raw"}, "has a service that is not a name of letters"),
        ({**document(), "instance": ""}, "has an instance that is not a name"),
        ({**document(), "metrics": [1]}, "has metrics that are not a mapping"),
        ({**document(), "counters": 1}, "has counters that are not a mapping"),
        (document(cpu={"usage": math.inf}), "has a number that is not finite"),
        (document(cpu={"usage": 10**400}), "has a number that no counter holds"),
        (document(cpu={1: 2}), "has a key that is a int"),
        (document(cpu={"usage": object()}), "has a object"),
        (document(text="x" * codec.LARGEST_SAMPLE), "has more than 32768 bytes"),
    ],
)
def test_garbage_is_refused_with_its_reason(value, reason):
    with pytest.raises(codec.Garbage, match=reason):
        codec.sample(value)


def test_what_refers_to_itself_is_refused():
    endless = document()
    endless["metrics"]["again"] = endless["metrics"]
    with pytest.raises(codec.Garbage, match="nested deeper"):
        codec.sample(endless)


GOOD = json.loads(zlib.decompress(codec.encode([codec.sample(document())])))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (b"", "is torn"),
        (b"hello", "is not compressed JSON"),
        (codec.encode([codec.sample(document())])[:-9], "is torn"),
        (zlib.compress(b"{"), "is not compressed JSON"),
        (zlib.compress(b"[" * 100_000), "is not compressed JSON"),
        (zlib.compress(b"[]"), "has not the format 1"),
        (zlib.compress(json.dumps({**GOOD, "format": 2}).encode()), "has not the format 1"),
        (zlib.compress(json.dumps({"format": 1}).encode()), "has no columns"),
        (zlib.compress(json.dumps({**GOOD, "instance": []}).encode()), "has no columns"),
        (zlib.compress(json.dumps({**GOOD, "instance": [1]}).encode()), "an instance that is none"),
        (zlib.compress(json.dumps({**GOOD, "timestamp": ["x"]}).encode()), "has a time"),
        (zlib.compress(json.dumps({**GOOD, "columns": [[["metrics", "a"], [1, 2]]]}).encode()), "different lengths"),
        (
            zlib.compress(json.dumps({**GOOD, "columns": [[["service"], ["x"]]]}).encode()),
            "a column that is of no sample",
        ),
        (zlib.compress(json.dumps({**GOOD, "columns": [[[], [1]]]}).encode()), "has no columns"),
        (zlib.compress(json.dumps({**GOOD, "columns": [[["metrics"], [5]]] * 2 + GOOD["columns"]}).encode()), "has no"),
        (zlib.compress(b" " * (codec.LARGEST_ENTRY + 1)), "has more than 67108864 bytes"),
    ],
)
def test_a_broken_entry_is_named(entry, reason):
    with pytest.raises(codec.Garbage, match=reason):
        codec.decode(entry)


@given(st.binary(max_size=60))
def test_no_bytes_make_a_reader_fail_otherwise(entry):
    for packed in (entry, zlib.compress(entry)):
        with pytest.raises(codec.Garbage):
            codec.decode(packed)


def test_core_s_own_strings_and_mappings_become_plain_ones():
    class Tagged(str):
        def __str__(self):
            raise AssertionError

    found = codec.sample(document(instance=Tagged("shop1"), cpu={Tagged("usage"): 1}))
    assert all(one.__class__ is str for one in (found["instance"], *found["metrics"]["cpu"]))


MINUTE = 1_800_000_000.0


def minute(*documents):
    return codec.minute_means([codec.sample(one) for one in documents])


def test_a_gauge_becomes_its_mean_and_a_counter_keeps_its_newest_value():
    first = document(
        at=MINUTE + 10,
        cpu={"usage": 10.0, "load": [1, 2, 3]},
        network={"rx_bytes": 900, "connections": 2},
        application={"requests": 70, "latency": [1, 2, 3]},
    )
    second = document(
        at=MINUTE + 40,
        cpu={"usage": 20.0, "load": [3, 4, 5]},
        network={"rx_bytes": 100, "connections": 4},
        application={"requests": 90, "latency": []},
    )
    first["counters"], second["counters"] = {"boot": "a", "uptime": 5}, {"boot": "b", "uptime": 1}
    (mean,) = minute(second, first)
    assert mean == {
        "timestamp": MINUTE + 40,
        "service": "shop",
        "instance": "shop1",
        "metrics": {
            "cpu": {"usage": 15.0, "load": [2.0, 3.0, 4.0]},
            "network": {"rx_bytes": 100, "connections": 3.0},
            # That no request fell into one look takes no weight.
            "application": {"requests": 90, "latency": [1.0, 2.0, 3.0]},
        },
        "counters": {"boot": "b", "uptime": 1},
    }


def test_what_was_not_measured_is_no_zero():
    (mean,) = minute(document(at=MINUTE, cpu={"usage": 30}), document(at=MINUTE + 1, memory={"free": 5}))
    assert mean["metrics"] == {"cpu": {"usage": 30}, "memory": {"free": 5}}


def test_a_counter_that_the_newest_sample_lacks_is_left_out():
    (mean,) = minute(document(at=MINUTE, network={"rx_bytes": 5}), document(at=MINUTE + 1, network={"connections": 1}))
    assert mean["metrics"] == {"network": {"connections": 1}}


def test_minutes_and_instances_are_apart_and_duplicates_count_once():
    one = document(at=MINUTE + 59.5, cpu={"usage": 10.0})
    means = minute(
        one,
        one,
        document(at=MINUTE + 1, cpu={"usage": 40.0}),
        document(at=MINUTE + 60, cpu={"usage": 70.0}),
        document("shop2", at=MINUTE + 5, cpu={"usage": 90.0}),
    )
    assert [(m["instance"], m["timestamp"] - MINUTE, m["metrics"]["cpu"]["usage"]) for m in means] == [
        ("shop2", 5.0, 90.0),
        ("shop1", 59.5, 25.0),
        ("shop1", 60.0, 70.0),
    ]


@given(st.permutations([document(at=MINUTE + second % 3, cpu={"usage": second}) for second in range(5)]))
def test_the_order_of_arrival_changes_nothing(documents):
    samples = [codec.sample(one) for one in documents]
    assert codec.distinct(samples + samples) == codec.distinct(sorted(samples, key=json.dumps))
    assert len(codec.distinct(samples)) == 5
