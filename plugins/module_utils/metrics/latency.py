# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what an application counted of its requests' durations to p50, p95 and p99; pure."""

from __future__ import annotations

import math
import operator
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.metrics.exposition import (
    BadMetrics,
    Scrape,
    Selector,
)
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import (
    LARGEST,
    MOST_BUCKETS,
    Histogram,
)

QUANTILES = (0.5, 0.95, 0.99)
#: By the end of a metric's name, so many milliseconds is one of its units; seconds, unless it says otherwise.
_UNITS = {"_milliseconds": 1.0, "_ms": 1.0, "_microseconds": 1e-3, "_us": 1e-3}
_SECOND = 1e3


def names(selector: Selector) -> tuple[str, str]:
    """Return the names of the series that a selector of durations needs: of a histogram, and of a summary."""
    return f"{selector.name}_bucket", selector.name


def histogram(scrape: Scrape, selector: Selector) -> Histogram | None:
    """Return the histogram of all series that a selector means, in milliseconds; None where there is none.

    :raises BadMetrics: its buckets do not rise, or differ between the series.
    """
    bucket = names(selector)[0]
    rows = scrape.selected(Selector(bucket, selector.matchers)) or []
    sums: dict[float, float] = {}
    seen: dict[float, int] = {}
    for labels, value in rows:
        try:
            bound = float(labels["le"])
        except (KeyError, ValueError):
            raise BadMetrics(f"{bucket} has a bucket without an upper bound.") from None
        sums[bound] = sums.get(bound, 0.0) + value
        seen[bound] = seen.get(bound, 0) + 1
    if not sums:
        return None
    bounds = sorted(sums)
    counts = [sums[bound] for bound in bounds]
    unit = _unit(selector.name)
    found = Histogram(tuple(bound * unit for bound in bounds[:-1]), tuple(counts))
    if len(set(seen.values())) > 1 or bounds[-1] != math.inf or not _is_one(found):
        raise BadMetrics(f"{bucket} has buckets that do not rise to +Inf, or differ between its series.")
    if len(counts) > MOST_BUCKETS:
        raise BadMetrics(f"{bucket} has {len(counts)} buckets; at most {MOST_BUCKETS} are read.")
    return found


def summary(scrape: Scrape, selector: Selector) -> tuple[float, ...]:
    """Return p50, p95 and p99 in milliseconds as a summary states them; empty where it has not got all three.

    Quantiles of several series cannot be merged; the largest of each stands for all.
    """
    rows = scrape.selected(selector) or []
    found, unit = [], _unit(selector.name)
    for quantile in QUANTILES:
        values = [value for labels, value in rows if _is(labels.get("quantile", ""), quantile) and value >= 0]
        if not values or max(values) * unit > LARGEST:
            return ()
        found.append(max(values) * unit)
    return tuple(sorted(found))


def between(before: Histogram | None, after: Histogram | None) -> Histogram | None:
    """Return the histogram of what was counted between two; None where one is missing, fell or has other bounds."""
    if before is None or after is None or before.bounds != after.bounds:
        return None
    counts = tuple(map(operator.sub, after.counts, before.counts))
    return Histogram(after.bounds, counts) if counts and min(counts) >= 0 and _rises(counts) else None


def quantiles(counted: Histogram | None, wanted: t.Sequence[float] = QUANTILES) -> tuple[float, ...]:
    """Return quantiles in milliseconds, by default p50, p95 and p99; empty where nothing was counted."""
    if counted is None or not counted.bounds or not counted.counts[-1]:
        return ()
    return tuple(_quantile(counted, quantile) for quantile in wanted)


def _quantile(counted: Histogram, quantile: float) -> float:
    """Interpolate within the bucket, as Prometheus's ``histogram_quantile`` does.

    What lies beyond the last bound is that bound: the real value is larger.
    """
    rank = quantile * counted.counts[-1]
    lower, below = 0.0, 0.0
    for bound, count in zip(counted.bounds, counted.counts):
        if count >= rank:
            share = (rank - below) / (count - below) if count > below else 1.0
            return max(lower + (bound - lower) * share, 0.0)
        lower, below = bound, count
    return max(counted.bounds[-1], 0.0)


def _is_one(found: Histogram) -> bool:
    """Whether bounds and counts rise and are in range; a NaN is not, though it would pass for sorted."""
    if not all(0 <= number <= LARGEST for number in (*found.bounds, *found.counts)):
        return False
    return _rises(found.counts) and list(found.bounds) == sorted(set(found.bounds))


def _rises(counts: t.Sequence[float]) -> bool:
    return list(counts) == sorted(counts)


def _is(text: str, quantile: float) -> bool:
    try:
        return math.isclose(float(text), quantile)
    except ValueError:
        return False


def _unit(name: str) -> float:
    return next((size for end, size in _UNITS.items() if name.endswith(end)), _SECOND)
