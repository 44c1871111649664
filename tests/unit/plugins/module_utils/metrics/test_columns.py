# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Samples out of columns are those that their documents hold, or there are none."""

from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.metrics import columns
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import BadSample, parse

GB = 1024**3
#: A document with all that there is.
FULL = {
    "timestamp": 1_800_000_000.5,
    "service": "shop",
    "instance": "shop1",
    "metrics": {
        "cpu": {"usage": 50.0, "load": [1.0, 0.5, 0.25]},
        "memory": {"used": 3 * GB, "free": 5 * GB, "cached": GB, "total": 8 * GB},
        "network": {"rx_bytes": 10, "tx_bytes": 20, "connections": 3},
        "application": {"requests": 7, "errors": 1, "latency": [1.0, 2.0, 2.0], "shard_errors": 2},
        "pooler": {"wait": 0.5},
        "unit": {"cpu": {"usage": 5, "load": []}, "memory": {"used": 1, "free": 1, "total": 2}},
    },
    "counters": {
        "boot": "a/1",
        "uptime": 5.0,
        "started": 1.0,
        "chosen": "ab",
        "interfaces": "cd",
        "host": {"name": "machine", "cpu_seconds": 4.0, "cpus": 2},
        "unit": {"name": "shop#1", "cpu_seconds": 1.0, "cpus": 0.5},
        "latency": {"bounds": [1.0, 2.0], "counts": [1, 1, 3]},
    },
}


def leaves(part, path=()):
    if not isinstance(part, dict):
        return {path: part}
    return {at: leaf for key, value in part.items() for at, leaf in leaves(value, (*path, key)).items()}


PATHS = [path for path in leaves(FULL) if len(path) > 1]


def with_leaf(document, path, value):
    """The document with another value at a path; without one for None, and without mappings that have become empty."""
    document = copy.deepcopy(document)
    parts = [document]
    for key in path[:-1]:
        parts.append(parts[-1].setdefault(key, {}))
    if value is not None:
        parts[-1][path[-1]] = value
        return document
    parts[-1].pop(path[-1], None)
    for part, key in zip(reversed(parts[:-1]), reversed(path[:-1]), strict=True):
        if not part[key] and key != "metrics":
            del part[key]
    return document


def of_columns(documents):
    """What the columns of documents hold."""
    by_path = {}
    for number, document in enumerate(documents):
        for path, leaf in leaves({key: document[key] for key in ("metrics", "counters") if key in document}).items():
            by_path.setdefault(path, [None] * len(documents))[number] = leaf
    times, instances = ([one[key] for one in documents] for key in ("timestamp", "instance"))
    return columns.samples(documents[0]["service"], times, instances, by_path)


def of_parse(documents):
    try:
        return [parse(one) for one in documents]
    except BadSample:
        return None


def test_all_that_there_is():
    assert of_columns([FULL, FULL]) == [parse(FULL)] * 2


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 200),
    st.sampled_from([math.nan, math.inf, -math.inf, 2.0**64, 2**65, 1e11, 1e12, 0, 0.0, 10**400, 8 * GB + 1]),
    st.sampled_from(["", "x", "\n", "ä", "x" * 256]),
    st.lists(st.sampled_from([0, 1, 1.5, 2, 3, -1, math.nan, True, "1", None]), max_size=4),
    st.just({"a": 1}),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from([*PATHS, ("metrics", "cpu", "heat")]), VALUES), max_size=2), max_size=4)
)
def test_columns_hold_what_their_documents_hold(changes):
    documents = [FULL]
    for each in changes:
        document = FULL
        for path, value in each:
            document = with_leaf(document, path, value)
        documents.append(document)
    assert of_columns(documents) == of_parse(documents)


@pytest.mark.parametrize("path", PATHS, ids=[".".join(path) for path in PATHS])
def test_each_number_is_judged_and_may_be_missing(path):
    missing = with_leaf(FULL, path, None)
    if path not in [("counters", "latency", key) for key in ("bounds", "counts")]:
        several = of_columns([FULL, missing, FULL])
        assert several is not None
        assert several == of_parse([FULL, missing, FULL])
        assert of_columns([missing]) == of_parse([missing])
    assert of_columns([FULL, with_leaf(FULL, path, -1)]) is None
    assert of_columns([with_leaf(FULL, path, True)]) is None


@pytest.mark.parametrize("key", ["timestamp", "instance", "service"])
@pytest.mark.parametrize("value", [0, -1, math.nan, True, "", "\x00", None, 1e12])
def test_who_and_when_is_judged(key, value):
    document = {**FULL, key: value}
    assert of_columns([document, document]) is None
    assert of_parse([document]) is None
