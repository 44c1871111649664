# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an application's answer says of its requests, errors and latency; pure."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import exposition, latency
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.exposition import BadMetrics, Scrape, Selector
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import Application, Histogram
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.spec import Spec

#: When the application's process started; clients of Prometheus state it by themselves.
_STARTED = "process_start_time_seconds"


class NoMetric(ScaleoutError):
    """The application's answer has none of the metrics that were named."""

    CODE = "no_metric"


@dataclasses.dataclass(frozen=True)
class Told:
    """What an application told.

    :param histogram: of the durations of its requests.
    :param started: when its process started, in seconds since 1970.
    :param chosen: tells which metrics were counted, so that no rate is made of two different ones.
    :param lacks: what it did not tell.
    """

    application: Application = dataclasses.field(default_factory=Application)
    histogram: Histogram | None = None
    started: float | None = None
    chosen: str = ""
    lacks: tuple[ScaleoutError, ...] = ()


def read(spec: Spec, body: bytes) -> Told:
    """Read an application's answer. What is wrong with one number does not cost the others."""
    durations = [name for selector in spec.latency for name in latency.names(selector)]
    counters = [selector.name for selector in (*spec.requests, *spec.errors, *spec.shard_errors)]
    try:
        scrape = exposition.parse(body, {*counters, *durations, _STARTED})
    except BadMetrics as error:
        return Told(lacks=(error,))
    reading = _Reading(scrape)
    requests = reading.total("requests", spec.requests)
    errors = reading.total("errors", spec.errors)
    # Few applications have shards, so one that counts no such errors lacks nothing, unless it was named.
    shard_errors = reading.total("shard_errors", spec.shard_errors, lacks=spec.names_shard_errors)
    histogram, quantiles = reading.latency(spec.latency)
    started = [value for _labels, value in scrape.series.get(_STARTED, ()) if moments.is_time(value)]
    return Told(
        Application(requests, errors, quantiles, shard_errors),
        histogram,
        started[0] if len(started) == 1 else None,
        digest(reading.chosen),
        tuple(reading.lacks),
    )


def digest(texts: t.Sequence[str]) -> str:
    """Return a short text that tells a choice from another one; empty where nothing was chosen."""
    return hashlib.sha256("\n".join(texts).encode("utf-8")).hexdigest()[:8] if texts else ""


class _Reading:
    """Chooses the first metric that is there, and keeps which one, and what is not."""

    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape
        self.chosen: list[str] = []
        self.lacks: list[ScaleoutError] = []

    def total(self, what: str, selectors: t.Sequence[Selector], lacks: bool = True) -> float | None:
        try:
            for selector in selectors:
                found = exposition.total(self._scrape, selector)
                if found is not None:
                    self._choose(what, selector)
                    return found
            if lacks:
                self._none(what, selectors)
        except BadMetrics as error:
            self.lacks.append(error)
        return None

    def latency(self, selectors: t.Sequence[Selector]) -> tuple[Histogram | None, tuple[float, ...]]:
        try:
            for selector in selectors:
                histogram = latency.histogram(self._scrape, selector)
                summary = latency.summary(self._scrape, selector)
                # One that is declared has not measured anything yet.
                if histogram or summary or selector.name in self._scrape.declared:
                    self._choose("latency", selector)
                    return histogram, summary
            self._none("latency", selectors)
        except BadMetrics as error:
            self.lacks.append(error)
        return None, ()

    def _choose(self, what: str, selector: Selector) -> None:
        self.chosen.append(f"{what} {selector}")

    def _none(self, what: str, selectors: t.Sequence[Selector]) -> None:
        if selectors:
            names = ", ".join(dict.fromkeys(selector.name for selector in selectors))
            text = f"The application has no metric for {what}: none of {names} with the labels asked for."
            self.lacks.append(NoMetric(text))
