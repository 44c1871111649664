# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the outside asks about this process: is it alive, can it serve, what does it count."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .cluster import Cluster
from .watch import Watch

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive. Touches nothing else."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """Whether this server can serve: 503 only when it can serve no shard at all.

    A lost shard is no reason to take the server out of the load balancer, for it serves the others. It answers from
    what the watch knows, without I/O, so a check every few seconds costs nothing.
    """
    report = readiness(request.app.state.cluster)
    return JSONResponse(report, 503 if report["status"] == "unavailable" else 200)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def readiness(cluster: Cluster) -> dict[str, t.Any]:
    shards = {shard_id: _shard(watch) for shard_id, watch in cluster.watches.items()}
    primaries = [bool(watch.primary.up) for watch in cluster.watches.values()]
    replicas = [bool(replica.up) for watch in cluster.watches.values() for replica in watch.replicas]
    status = "ready" if all(primaries + replicas) else "degraded"
    if not any(primaries):
        status = "unavailable"
    return {
        "status": status,
        "map": {"version": cluster.map_version, "trouble": cluster.reader.trouble},
        "shards": shards,
    }


def _shard(watch: Watch) -> dict[str, t.Any]:
    return {
        "primary": {"server": watch.primary.name, "up": bool(watch.primary.up), "reason": watch.primary.reason},
        "replicas": [
            {"server": replica.name, "up": bool(replica.up), "reason": replica.reason, "in_use": watch.in_use(replica)}
            for replica in watch.replicas
        ],
    }
