# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prometheus's text format, selectors, and from histograms to percentiles."""

from __future__ import annotations

import contextlib
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from ansible_collections.scaleout.platform.plugins.module_utils.metrics import exposition, latency, sample
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.exposition import BadMetrics, BadSelector

FAILED = 'requests_total{status=~"5.."}'


@pytest.fixture
def registry():
    return CollectorRegistry()


def total(body, selector):
    chosen = exposition.select(selector)
    return exposition.total(exposition.parse(body if isinstance(body, bytes) else body.encode(), {chosen.name}), chosen)


@pytest.mark.parametrize("generate", [generate_latest, generate_openmetrics])
def test_what_the_client_library_writes(registry, generate):
    counter = Counter("requests", 'Requests; "all" of\nthem.', ["route", "status"], registry=registry)
    assert total(generate(registry), "requests_total") == 0
    for route, status, count in [("/", "200", 5), ('/a"}{\\\n,é', "200", 2), ("/", "503", 3), ("/healthz", "200", 70)]:
        counter.labels(route, status).inc(count, exemplar={"id": "a 1"} if generate is generate_openmetrics else None)
    body = generate(registry)
    for selector, expected in {
        "requests_total": 80,
        FAILED: 3,
        'requests_total{route!="/healthz"}': 10,
        'requests_total{route!~"/health.*|/", }': 2,
        'requests_total{route="/a\\"}{\\\\\\n,é"}': 2,
        'requests_total{status="404"}': 0,
        'requests_total{nonesuch=""}': 80,
        'requests_total{status=~"5"}': 0,
    }.items():
        assert total(body, selector) == expected, selector
    assert total(body, 'requests_total{code=~"5.."}') is None
    assert total(body, "requests") is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", None),
        ("# nothing but a comment\n\n  \n", None),
        ("other_total 5\n", None),
        ("requests_total 5", 5),
        ("requests_total 5 1790000000000\r\n", 5),
        ('\trequests_total { status = "500" , } \t +5e0\t-1\n', 5),
        ("requests_total{} .5\n", 0.5),
        ("# TYPE requests_total counter\n", 0),
        ("# TYPE requests counter\n", None),
        ("# TYPE requests counter\n# EOF\n", 0),
    ],
)
def test_empty_is_missing_and_declared_is_zero(body, expected):
    assert total(body, "requests_total") == expected


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html>\n<title>404</title>",
        b'{"status": "alive"}',
        b"requests_total\n",
        b"requests_total five\n",
        b"requests_total 5 x\n",
        b"requests_total5\n",
        b"requests_total 1_000\n",
        b"requests_total 1.2.3\n",
        b'requests_total{status="500} 5\n',
        b"requests_total{status=500} 5\n",
        b'requests_total{status="500" route="/"} 5\n',
        b'requests_total{status="500",status="500"} 5\n',
        b"requests_total 5\nrequests_total 6\n",
        b"requests_total 5\nother_total garbage\n",
        b"requests_total -5\n",
        b"requests_total NaN\n",
        b"requests_total +Inf\n",
        b"\xff\xfe\n",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_garbage_is_an_error_with_a_code(body):
    with pytest.raises(BadMetrics) as refused:
        total(body, "requests_total")
    assert refused.value.code == "bad_metrics"
    assert len(refused.value.message) < 150


@given(st.one_of(st.binary(max_size=200), st.text('ab_{}="\\,~!# \t\n0123.eE+-', max_size=80).map(str.encode)))
def test_any_answer_is_read_or_refused(body):
    with contextlib.suppress(BadMetrics):
        exposition.parse(body, {"a", "b"})


BAD = {
    "blanks": b"a" + b" " * 2_000_000 + b"x",
    "blanks after the value": b"a 1" + b" " * 2_000_000 + b"x",
    "digits": b"a " + b"1" * 2_000_000 + b"x",
    "a name": b"a" * 2_000_000,
    "an open label": b'a{b="' + b"\\n" * 1_000_000,
    "labels": b"a{" + b'b="c",' * 300_000 + b"!} 1",
    "braces": b"a{" * 1_000_000,
    "a type": b"# TYPE " + b" " * 2_000_000 + b"!",
    "lines": b"b 1\n" * 500_000,
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_the_time_is_in_proportion_to_the_size(body):
    started = time.process_time()
    with contextlib.suppress(BadMetrics):
        exposition.parse(body, {"a"})
    assert time.process_time() - started < 20  # some 2 MB; what goes back over them would take hours


@pytest.mark.parametrize(
    "text", ["", "5", "a b", "a{", "a{b}", 'a{b="c"', 'a{b="c" d="e"}', 'a{b=~"("}', 'a{b="c"} 5', "sum(a)", "a{,}"]
)
def test_what_selects_no_metric(text):
    with pytest.raises(BadSelector):
        exposition.select(text)


def durations(body, name="seconds"):
    chosen = exposition.select(name)
    scrape = exposition.parse(body, set(latency.names(chosen)))
    return latency.histogram(scrape, chosen), latency.summary(scrape, chosen)


def test_a_histogram_of_all_routes_in_milliseconds(registry):
    histogram = Histogram("seconds", "S", ["route"], buckets=(0.01, 0.1, 1), registry=registry)
    assert durations(generate_latest(registry)) == (None, ())
    for route, value in [("/", 0.005), ("/", 0.05), ("/a", 0.05), ("/a", 0.5), ("/a", 7), ("/healthz", 0.001)]:
        histogram.labels(route).observe(value)
    counted, summary = durations(generate_latest(registry), 'seconds{route!="/healthz"}')
    assert counted == sample.Histogram((10, 100, 1000), (1, 3, 4, 5))
    assert summary == ()


def test_a_summary_states_its_quantiles(registry):
    quantiles = 'seconds{{route="{}",quantile="{}"}} {}\n'
    body = "".join(quantiles.format("/", one, value) for one, value in [(0.5, 0.001), (0.95, 0.01), (0.99, 0.02)])
    other = "".join(
        quantiles.format("/b", one, value) for one, value in [("0.50", 0.002), (0.95, 0.003), (0.99, "NaN")]
    )
    assert durations((body + other).encode()) == (None, (2, 10, 20))
    assert durations(other.encode()) == (None, ())
    # Python's own has a sum and a count only.
    Summary("seconds", "S", registry=registry).observe(1)
    assert durations(generate_latest(registry)) == (None, ())


@pytest.mark.parametrize(("name", "unit"), [("a_ms", 1), ("a_milliseconds", 1), ("a_us", 1e-3), ("a", 1000)])
def test_the_name_says_the_unit(name, unit):
    counted, _summary = durations(f'{name}_bucket{{le="4"}} 1\n{name}_bucket{{le="+Inf"}} 1\n'.encode(), name)
    assert counted.bounds == (4 * unit,)


@pytest.mark.parametrize(
    "rows",
    [
        ['le="1"} 5', 'le="+Inf"} 4'],
        ['le="1"} 5'],
        ['le="-1"} 0', 'le="+Inf"} 4'],
        ['le="x"} 5', 'le="+Inf"} 5'],
        ['le="NaN"} 5', 'le="+Inf"} 5'],
        ['route="/"} 5'],
        ['le="1"} NaN', 'le="+Inf"} 5'],
        ['le="1"} -1', 'le="+Inf"} 5'],
        ['route="/",le="1"} 5', 'route="/",le="+Inf"} 5', 'route="/b",le="2"} 5', 'route="/b",le="+Inf"} 5'],
    ],
)
def test_buckets_that_cannot_be(rows):
    with pytest.raises(BadMetrics):
        durations("".join(f"seconds_bucket{{{row}\n" for row in rows).encode())


BOUNDS = (10.0, 20.0, 40.0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((0, 0, 0, 0), ()),
        ((100, 100, 100, 100), (5, 9.5, 9.9)),
        ((0, 100, 100, 100), (15, 19.5, 19.9)),
        ((50, 50, 100, 100), (10, 38, 39.6)),
        ((0, 0, 0, 7), (40, 40, 40)),
        ((1, 1, 1, 1), (5, 9.5, 9.9)),
        ((98, 98, 98, 100), (10 * 50 / 98, 10 * 95 / 98, 40)),
    ],
)
def test_j4_percentiles_of_an_interval(counts, expected):
    start = sample.Histogram(BOUNDS, (5, 6, 7, 8))
    end = sample.Histogram(BOUNDS, tuple(early + more for early, more in zip(start.counts, counts, strict=True)))
    assert latency.quantiles(latency.between(start, end)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, sample.Histogram(BOUNDS, (1, 1, 1, 1))),
        (sample.Histogram(BOUNDS, (1, 1, 1, 1)), None),
        (sample.Histogram(BOUNDS, (1, 2, 3, 4)), sample.Histogram(BOUNDS, (1, 2, 3, 3))),
        (sample.Histogram(BOUNDS, (0, 2, 3, 4)), sample.Histogram(BOUNDS, (3, 3, 3, 4))),
        (sample.Histogram((1.0, 20.0, 40.0), (1, 1, 1, 1)), sample.Histogram(BOUNDS, (9, 9, 9, 9))),
    ],
)
def test_j5_buckets_that_fell_are_no_interval(start, end):
    assert latency.between(start, end) is None


@given(st.lists(st.floats(0.001, 5000), min_size=1, max_size=200))
def test_a_percentile_lies_in_the_bucket_of_the_real_one(values):
    bounds = (1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1000.0)
    counts = [sum(value <= bound for value in values) for bound in bounds]
    found = latency.quantiles(sample.Histogram(bounds, (*counts, len(values))))
    for quantile, got in zip(latency.QUANTILES, found, strict=True):
        real = sorted(values)[math.ceil(quantile * len(values)) - 1]
        upper = next((bound for bound in bounds if real <= bound), None)
        lower = max((bound for bound in bounds if bound < real), default=0)
        assert (lower <= got <= upper) if upper else got == bounds[-1]
    assert list(found) == sorted(found)
