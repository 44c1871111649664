# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happened, as numbers. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .judge import Outcome

#: Of each kind of failure, and of wrong answers, so many are told in full.
EXAMPLES = 5
WRONG_EXAMPLES = 50


@dataclass(frozen=True)
class Sample:
    """One request.

    :param at: seconds from the load's begin at which it was due.
    :param seconds: from when it was due until it was over.
    :param kind: of a failure: the status or the error's name.
    :param server: who answered, empty when none did or the answer did not say.
    :param shard: of the user as far as known, else empty.
    """

    at: float
    seconds: float
    step: str
    is_write: bool
    outcome: Outcome
    kind: str = ""
    detail: str = ""
    server: str = ""
    shard: str = ""


def summary(
    options: Any, started_at: float, lasted: float, load: Sequence[Sample], verification: Sequence[Sample]
) -> dict[str, Any]:
    """Return the whole report, ready for JSON.

    :param options: a dataclass, told as it is.
    :param started_at: the load's begin, seconds since 1970.
    :param lasted: seconds of load.
    """
    return {
        "options": dataclasses.asdict(options),
        "started_at": started_at,
        "lasted": round(lasted, 1),
        **_tell(load),
        "latency_ms": _latency(load),
        "unknown_writes": sum(sample.is_write and sample.outcome is not Outcome.OK for sample in load),
        "series": _series(load),
        "by_step": _by(load, lambda sample: sample.step),
        "by_server": _by(load, lambda sample: sample.server),
        "by_shard": _by(load, lambda sample: sample.shard),
        "verification": _tell(verification),
    }


def is_right(told: dict[str, Any]) -> bool:
    """Whether a report has no wrong answer, and each row could be verified."""
    checked = told["verification"]
    return not told["wrong"]["total"] and not checked["wrong"]["total"] and not checked["failed"]["total"]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not below `percent` of the values (nearest rank); 0 for none."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1] if ordered else 0.0


def _tell(samples: Sequence[Sample]) -> dict[str, Any]:
    failed = [sample for sample in samples if sample.outcome is Outcome.FAILED]
    wrong = [sample for sample in samples if sample.outcome is Outcome.WRONG]
    examples: dict[str, list[str]] = defaultdict(list)
    for sample in failed:
        if len(examples[sample.kind]) < EXAMPLES:
            examples[sample.kind].append(_line(sample))
    return {
        "requests": len(samples),
        "ok": len(samples) - len(failed) - len(wrong),
        "failed": {
            "total": len(failed),
            "by_kind": dict(Counter(sample.kind for sample in failed)),
            "first_at": min((round(sample.at, 1) for sample in failed), default=None),
            "last_at": max((round(sample.at, 1) for sample in failed), default=None),
            "examples": dict(examples),
        },
        "wrong": {"total": len(wrong), "answers": [_line(sample) for sample in wrong[:WRONG_EXAMPLES]]},
    }


def _line(sample: Sample) -> str:
    return f"{sample.at:.1f} s, {sample.server or 'no server'}: {sample.detail}"


def _latency(samples: Sequence[Sample]) -> dict[str, float]:
    """Of all requests, failed ones too: who waits ten seconds for nothing has waited ten seconds."""
    milliseconds = [sample.seconds * 1000 for sample in samples]
    return {
        "p50": round(percentile(milliseconds, 50), 1),
        "p99": round(percentile(milliseconds, 99), 1),
        "max": round(max(milliseconds, default=0.0), 1),
    }


def _series(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """For each second in which requests were due, how many, and what became of them."""
    length = int(max((sample.at for sample in samples), default=-1.0)) + 1
    series = {name: [0] * length for name in ("requests", "failed", "wrong")}
    for sample in samples:
        series["requests"][int(sample.at)] += 1
        if sample.outcome is not Outcome.OK:
            series[sample.outcome.value][int(sample.at)] += 1
    return series


def _by(samples: Sequence[Sample], key: Callable[[Sample], str]) -> dict[str, dict[str, int]]:
    """Counts of outcomes; failures by kind. What has no key counts as `unknown`."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        outcome = sample.kind if sample.outcome is Outcome.FAILED else sample.outcome.value
        counts[key(sample) or "unknown"][outcome] += 1
    return {name: dict(counts[name]) for name in sorted(counts)}
