# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the API counts of the requests that a shard failed, as a guard of the control loop reads it (W3)."""

from __future__ import annotations

import asyncio
import pathlib
import sys
import uuid
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest

from ansible_collections.scaleout.platform.plugins.module_utils.metrics import application, spec
from ansible_collections.scaleout.platform.plugins.modules.service_metrics_info import ARGUMENTS

sys.path.insert(0, str(pathlib.Path(__file__).parents[4] / "roles" / "reference_api" / "files"))

from reference_api import errors
from reference_api.envelope import Envelope
from reference_api.metrics import Metrics

PARAMS = {name: option.get("default") for name, option in ARGUMENTS.items()}
SPEC = spec.read({**PARAMS, "service": "api", "instance": "api1"})
NAME = "reference_api_shard_errors_total"
NOON = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()) * 1000


def server(*raised):
    """Return the API without its routes, with one that raises each error in turn; and its metrics."""
    metrics, left = Metrics(), list(raised)
    app = FastAPI()
    app.state.metrics = metrics
    errors.install(app)
    app.add_middleware(Envelope, metrics=metrics)

    @app.get("/rows")
    async def rows():
        raise left.pop(0)

    return app, metrics


async def ask(app):
    """Return the status of one request."""
    found = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event):
        found.append(event)

    scope = {"type": "http", "method": "GET", "path": "/rows", "raw_path": b"/rows", "query_string": b"", "headers": []}
    more = {"asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("api", 1)}
    await app({**scope, **more, "client": ("me", 2)}, receive, send)
    return found[0]["status"]


def read(metrics):
    return application.read(SPEC, generate_latest(metrics.registry)).application.shard_errors


@pytest.mark.parametrize(
    ("error", "status", "counted"),
    [
        (errors.ShardUnavailable("2", "it is slow"), 503, f'{NAME}{{code="shard_unavailable",shard="2"}} 1.0'),
        (errors.OutcomeUnknown("0", uuid.UUID(int=7)), 503, f'{NAME}{{code="outcome_unknown",shard="0"}} 1.0'),
        (errors.IdOutOfRange("1", NOON, 3600.0), 503, f'{NAME}{{code="id_out_of_range",shard="1"}} 1.0'),
        # No shard is to blame for these.
        (errors.IdOutOfRange("1", NOON, 100 * 86400.0), 503, None),
        (errors.NoMap(), 503, None),
        (errors.NotFound("user", uuid.UUID(int=7)), 404, None),
    ],
)
def test_w3_a_503_that_comes_from_a_shard_is_counted_by_shard_and_code(error, status, counted):
    app, metrics = server(error)
    # A server that has just started has none; that is zero and not missing.
    assert read(metrics) == 0
    assert asyncio.run(ask(app)) == status
    shown = [line for line in generate_latest(metrics.registry).decode().splitlines() if line.startswith(NAME)]
    assert shown == ([counted] if counted else [])
    assert read(metrics) == (1 if counted else 0)


@pytest.mark.parametrize(
    ("ahead", "made", "cause", "said"),
    [
        (0.3, NOON, "partition", "Shard 2 takes no row of 2026-11-24, which has no partition yet."),
        (-40_000.0, NOON, "partition", "Shard 2 takes no row of 2026-11-24, which has no partition yet."),
        (
            63 * 86400.0,
            NOON,
            "clock",
            "Shard 2 takes no row of 2026-11-24, by this server's clock, which is 63 days ahead of the database's.",
        ),
        (
            -20_000 * 86400.0,
            0,
            "clock",
            "Shard 2 takes no row of 1970-01-01, by this server's clock, which is 20000 days behind the database's.",
        ),
        (1e11, 2**48 - 1, "clock", None),
    ],
)
def test_an_id_without_a_partition_is_refused_in_words_and_counted_by_cause(ahead, made, cause, said):
    error = errors.IdOutOfRange("2", made, ahead)
    assert said in (error.message, None)
    app, metrics = server(error)
    assert asyncio.run(ask(app)) == 503
    shown = generate_latest(metrics.registry).decode().splitlines()
    assert f'reference_api_ids_refused_total{{cause="{cause}",shard="2"}} 1.0' in shown
