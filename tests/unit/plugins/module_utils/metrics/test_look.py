# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A sample of files that were captured, and of hosts and applications that do not say all."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import spec
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.look import Look, Unit
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import (
    Application,
    Counters,
    Cpu,
    Group,
    Memory,
    Sample,
    parse,
    render,
)
from ansible_collections.scaleout.platform.plugins.modules.service_metrics_info import ARGUMENTS

DEFAULTS = {name: option.get("default") for name, option in ARGUMENTS.items()}
PARAMS = {**DEFAULTS, "service": "shop", "instance": "shop1"}
FILES = json.loads((pathlib.Path(__file__).parent / "captured" / "docker_v1.json").read_text())


def look(files=FILES, body=None, unit=None, **options):
    looked = Look(files.get, 100, spec.read({**PARAMS, **options}))
    sample = looked.sample(lambda: (1790000000.0, 43960.45), unit, body)
    assert parse(render(sample)) == sample
    assert set(map(id, looked.failed)) <= set(map(id, looked.problems))
    return sample, [problem.code for problem in looked.problems]


def test_a_container_as_it_was_captured():
    sample, problems = look()
    assert problems == []
    assert (sample.service, sample.instance, sample.timestamp) == ("shop", "shop1", 1790000000.0)
    assert sample.cpu == Cpu(None, (3.34, 7.73, 8.63))
    assert sample.memory.total == 256 * 1024**2
    assert sample.counters.host == Group("/docker/c0ffee", 0.218771239, 0.5)
    assert sample.counters.uptime == 43960.45
    assert sample.counters.boot == "/4395978"
    assert sample.application == Application()


def test_nothing_to_read_is_nothing_measured_and_says_so():
    sample, problems = look({})
    assert sample == Sample(1790000000.0, "shop", "shop1", counters=Counters(uptime=43960.45))
    assert problems == ["not_measured", *["unreadable"] * 6]


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/proc/meminfo", {"memory": {"used": None, "free": None, "cached": None, "total": None}}),
        ("/proc/loadavg", {"cpu": {"load": ()}}),
        ("/proc/stat", {"counters": {"host": Group()}}),
        ("/proc/1/stat", {"counters": {"boot": ""}}),
        ("/proc/net/snmp", {"network": {"connections": None}}),
        ("/proc/net/dev", {"network": {"rx_bytes": None, "tx_bytes": None}, "counters": {"interfaces": ""}}),
    ],
)
def test_one_broken_file_costs_what_it_says_and_nothing_else(path, missing):
    whole, _problems = look()
    sample, problems = look({**FILES, path: "garbage\n"})
    assert problems == ["unreadable"]
    parts = {name: dataclasses.replace(getattr(whole, name), **changes) for name, changes in missing.items()}
    assert sample == dataclasses.replace(whole, **parts)


def test_connections_to_the_port_are_counted_in_both_families():
    line = "  {}: 0100007F:1F40 0100007F:D2F0 01 0:0\n"
    files = {**FILES, "/proc/net/tcp": FILES["/proc/net/tcp"] + line, "/proc/net/tcp6": FILES["/proc/net/tcp6"] + line}
    assert look(files, port=8000)[0].network.connections == 2
    # No IPv6 on this host.
    assert look({**files, "/proc/net/tcp6": None}, port=8000)[0].network.connections == 1


def test_a_unit_that_does_not_run_or_is_not_accounted_for():
    assert look(unit=Unit())[1] == ["not_measured"]
    path = "/docker/c0ffee/system.slice/shop.service"
    files = {**FILES, f"/sys/fs/cgroup/systemd{path}/cgroup.procs": ""}
    sample, problems = look(files, unit=Unit(path, "7"))
    assert (problems, sample.unit_memory, sample.counters.unit) == (["not_measured"] * 2, Memory(), Group())
    files |= {
        f"/sys/fs/cgroup/unified{path}/cpu.stat": "usage_usec 1500000\n",
        f"/sys/fs/cgroup/unified{path}/cgroup.events": "populated 1\n",
        f"/sys/fs/cgroup/memory{path}/memory.usage_in_bytes": "5000000\n",
        f"/sys/fs/cgroup/memory{path}/memory.stat": "total_active_file 1000000\n",
    }
    sample, problems = look(files, unit=Unit(path, "7"))
    assert (problems, sample.unit_memory.used) == ([], 4000000)
    assert sample.counters.unit == Group(f"{path}#7", 1.5, 0.5)


@pytest.fixture
def registry():
    return CollectorRegistry()


def test_the_reference_api_without_the_requests_for_its_health(registry):
    requests = Counter("reference_api_requests", "R", ["method", "route", "status"], registry=registry)
    seconds = Histogram("reference_api_request_seconds", "S", ["method", "route"], buckets=(0.1, 1), registry=registry)
    ProcessCollector(registry=registry)
    sample, problems = look(body=generate_latest(registry))
    assert (sample.application, problems, sample.counters.latency) == (Application(0, 0), [], None)
    for route, status in [("/users", "200"), ("/users", "503"), ("/readyz", "503"), ("/metrics", "200")]:
        requests.labels("GET", route, status).inc()
        seconds.labels("GET", route).observe(0.5)
    sample, problems = look(body=generate_latest(registry))
    assert (sample.application, problems) == (Application(2, 1), [])
    assert (sample.counters.latency.bounds, sample.counters.latency.counts) == ((100, 1000), (0, 2, 2))
    assert 1.7e9 < sample.counters.started < 1e10


@pytest.mark.parametrize(
    ("rows", "application"),
    [
        (['http_requests_total{code="200"} 5', 'http_requests_total{code="502"} 2'], Application(7, 2)),
        (['http_requests_total{status="2xx"} 5', 'http_requests_total{status="5xx"} 2'], Application(7, 2)),
        (['http_server_requests_seconds_count{status="200"} 5'], Application(5, 0)),
        (['http_server_request_duration_seconds_count{http_response_status_code="500"} 5'], Application(5, 5)),
        # It does not say how requests ended.
        (['http_requests_total{path="/"} 5'], Application(5, None)),
    ],
)
def test_exporters_that_are_common(rows, application):
    sample, problems = look(body="\n".join(rows).encode())
    assert sample.application == application
    assert problems == ["no_metric"] * (2 if application.errors is None else 1)  # none of them has a histogram


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (Unreachable("the metrics", "127.0.0.1", 1, "Connection refused"), ["unreachable"]),
        (b"", ["no_metric"] * 3),
        (b"<html>", ["bad_metrics"]),
        (b"http_requests_total NaN\n", ["bad_metrics", "no_metric", "no_metric"]),
    ],
)
def test_b4_an_application_without_an_answer_has_no_requests_and_not_zero(body, codes):
    sample, problems = look(body=body)
    assert (sample.application, problems) == (Application(), codes)
    assert "application" not in render(sample)["metrics"]


def test_another_choice_of_metrics_or_interfaces_is_told_from_the_first():
    body = b"# TYPE http_requests_total counter\norders_total 5\n"
    seen = [look(body=body)[0], look(body=body + b'http_requests_total{status="200"} 7\n')[0]]
    assert len({one.counters.chosen for one in seen}) == 1
    seen.append(look(body=body, requests_metrics=["orders_total"])[0])
    assert len({one.counters.chosen for one in seen}) == 2
    assert len({one.counters.interfaces for one in (look()[0], look(interfaces=["lo"])[0])}) == 2


@pytest.mark.parametrize("value", ["1e308", "1.9e19", "18446744073709551616", "1e-320", "0"])
def test_what_a_sample_cannot_hold_is_not_measured(value):
    """A sample that is refused later would be lost as a whole."""
    rows = ["http_requests_total {0}", "process_start_time_seconds {0}", 'http_requests_total{{status="500"}} {0}']
    rows += [f'http_request_duration_seconds_bucket{{{{le="{le}"}}}} {{0}}' for le in (value, "+Inf")]
    rows += [f'a{{{{quantile="{quantile}"}}}} {{0}}' for quantile in (0.5, 0.95, 0.99)]
    body = "\n".join(rows).format(value).encode()
    look(body=body)
    look(body=body, latency_metrics=["a"])


def test_a_histogram_of_more_buckets_than_a_sample_holds():
    rows = [f'http_request_duration_seconds_bucket{{le="{number}"}} 1' for number in (*range(500), "+Inf")]
    sample, problems = look(body="\n".join(rows).encode())
    assert (sample.counters.latency, problems[-1]) == (None, "bad_metrics")


def test_what_is_not_asked_for_is_no_problem():
    options = {"requests_metrics": ["orders_total"], "errors_metrics": [], "latency_metrics": []}
    sample, problems = look(body=b"orders_total 5\n", **options)
    assert (sample.application, problems) == (Application(5), [])


@pytest.mark.parametrize(
    ("body", "options", "expected"),
    [
        (
            b'reference_api_shard_errors_total{shard="1",code="a"} 2\nreference_api_shard_errors_total{shard="2"} 3\n',
            {},
            5,
        ),
        (b"# TYPE reference_api_shard_errors_total counter\n", {}, 0),
        (b"shard_errors_total 4\n", {}, 4),
        # Few applications have shards.
        (b"", {}, None),
        (b"lost_shards 7\n", {"shard_errors_metrics": ["lost_shards"]}, 7),
    ],
)
def test_w3_errors_of_shards_are_counted_where_there_are_any(body, options, expected):
    options = {"requests_metrics": [], "errors_metrics": [], "latency_metrics": [], **options}
    sample, problems = look(body=body, **options)
    assert (sample.application.shard_errors, problems) == (expected, [])


def test_counters_of_shards_that_are_named_have_to_be_there():
    options = {"requests_metrics": [], "errors_metrics": [], "latency_metrics": []}
    assert look(body=b"", shard_errors_metrics=["lost_shards"], **options)[1] == ["no_metric"]


def test_w3_how_long_clients_wait_for_the_pooler():
    rows = [["database", "maxwait", "maxwait_us"], ["shop", "1", "500000"], ["other", "9", "0"]]
    looked = Look(FILES.get, 100, spec.read({**PARAMS, "pooler_port": 6432, "pooler_databases": ["shop"]}))
    sample = looked.sample(lambda: (1790000000.0, 43960.45), None, None, rows)
    assert parse(render(sample)) == sample
    assert (sample.pooler.wait, looked.problems) == (1.5, [])


def test_b4_a_pooler_that_does_not_answer_is_said_and_is_no_wait_of_zero():
    looked = Look(FILES.get, 100, spec.read({**PARAMS, "pooler_port": 6432}))
    sample = looked.sample(lambda: (1790000000.0, 43960.45), None, None, Unreachable("PgBouncer", "pg1", 6432, "gone"))
    assert sample.pooler.wait is None
    assert [problem.code for problem in looked.problems] == ["unreachable"]
    assert looked.failed == []
