# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report's arithmetic."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tools.ledger import report
from tools.ledger.judge import Outcome
from tools.ledger.report import Sample


@dataclasses.dataclass
class Options:
    rate: int = 2


def sample(at, seconds=0.01, outcome=Outcome.OK, kind="", is_write=False, server="api1", shard="0"):
    return Sample(at, seconds, "read user", is_write, outcome, kind, f"GET: {kind}" if kind else "", server, shard)


LOAD = [
    sample(0.0),
    sample(0.5),
    sample(1.0, 10.0, Outcome.FAILED, "TimeoutError", is_write=True, server=""),
    sample(1.5, outcome=Outcome.FAILED, kind="503", shard="2"),
    sample(2.9, outcome=Outcome.WRONG, kind="404", is_write=True, shard=""),
]


@pytest.fixture
def told():
    return report.summary(Options(), 1000.0, 3.04, LOAD, [sample(4.0)])


def test_counts(told):
    assert (told["requests"], told["ok"], told["failed"]["total"], told["wrong"]["total"]) == (5, 2, 2, 1)
    assert told["failed"]["by_kind"] == {"TimeoutError": 1, "503": 1}
    assert told["unknown_writes"] == 2


def test_times(told):
    assert (told["failed"]["first_at"], told["failed"]["last_at"]) == (1.0, 1.5)
    assert told["latency_ms"] == {"p50": 10.0, "p99": 10000.0, "max": 10000.0}


def test_series(told):
    assert told["series"] == {"requests": [2, 2, 1], "failed": [0, 2, 0], "wrong": [0, 0, 1]}


def test_who_and_where(told):
    assert told["by_server"] == {"api1": {"ok": 2, "503": 1, "wrong": 1}, "unknown": {"TimeoutError": 1}}
    assert told["by_shard"] == {"0": {"ok": 2, "TimeoutError": 1}, "2": {"503": 1}, "unknown": {"wrong": 1}}


def test_examples_say_when_who_and_what(told):
    assert told["failed"]["examples"]["503"] == ["1.5 s, api1: GET: 503"]
    assert told["failed"]["examples"]["TimeoutError"] == ["1.0 s, no server: GET: TimeoutError"]


def test_it_is_json(told):
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize(
    ("load", "verification", "right"),
    [
        (Outcome.OK, Outcome.OK, True),
        (Outcome.FAILED, Outcome.OK, True),
        (Outcome.WRONG, Outcome.OK, False),
        (Outcome.OK, Outcome.FAILED, False),
        (Outcome.OK, Outcome.WRONG, False),
    ],
)
def test_right(load, verification, right):
    told = report.summary(Options(), 0.0, 1.0, [sample(0.0, outcome=load)], [sample(1.0, outcome=verification)])
    assert report.is_right(told) is right


def test_nothing_happened():
    told = report.summary(Options(), 0.0, 0.0, [], [])
    assert told["failed"]["first_at"] is None
    assert told["series"]["requests"] == []


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, 0.0),
        ([3], 99, 3),
        ([1, 2, 3, 4], 50, 2),
        ([4, 3, 2, 1], 75, 3),
        (range(1, 101), 99, 99),
        ([1, 2], 100, 2),
    ],
)
def test_percentile(values, percent, expected):
    assert report.percentile(list(values), percent) == expected
