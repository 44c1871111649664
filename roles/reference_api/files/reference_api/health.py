# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the outside asks about this process: is it alive, can it serve, what does it count."""

from __future__ import annotations

import time
import typing as t

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .cache.caches import Caches
from .cluster import Cluster
from .pulse import Pulse
from .queue_watch import QueueWatch
from .watch import Watch

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive. Touches nothing else."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "No shard can be served."}})
async def readyz(request: Request) -> JSONResponse:
    """Whether this server can serve: 503 only when it can serve no shard at all.

    A lost shard is no reason to take the server out of the load balancer, for it serves the others; a lost cache or
    queue is none, for all servers have the same. It answers from what the watches know, without I/O, so a check every
    few seconds costs nothing.
    """
    state = request.app.state
    report = readiness(state.cluster, state.caches, state.queue, state.pulse)
    return JSONResponse(report, 503 if report["status"] == "unavailable" else 200)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def readiness(cluster: Cluster, caches: Caches, queue: QueueWatch | None, pulse: Pulse) -> dict[str, t.Any]:
    """
    :returns: ``status`` (``ready``, ``degraded`` or ``unavailable``) and what it comes from: ``map``, ``shards`` by id,
        ``caches`` by address, and ``queue``; what is not set up is empty or null. ``watcher`` is who says so, and how
        many seconds of the last few it was late by.
    """
    watches = cluster.watches.values()
    primaries = [bool(watch.primary.up) for watch in watches]
    others = [bool(replica.up) for watch in watches for replica in watch.replicas]
    others += [server.up for server in caches.servers.values()]
    others += [queue.up] if queue else []
    others += [not watch.primary.trouble for watch in watches]
    status = "ready" if all(primaries + others) else "degraded"
    if not any(primaries):
        status = "unavailable"
    return {
        "status": status,
        "watcher": {"server": pulse.watcher, "late_seconds": round(pulse.lately(time.monotonic()), 3)},
        "map": {"version": cluster.map_version, "trouble": cluster.reader.trouble},
        "shards": {shard_id: _shard(watch) for shard_id, watch in cluster.watches.items()},
        "caches": {
            str(address): {"up": server.up, "reason": server.reason} for address, server in caches.servers.items()
        },
        "queue": {"up": queue.up, "reason": queue.reason} if queue else None,
    }


def _shard(watch: Watch) -> dict[str, t.Any]:
    return {
        "primary": {
            "server": watch.primary.name,
            "up": bool(watch.primary.up),
            "reason": watch.primary.state,
            "trouble": watch.primary.trouble,
        },
        "replicas": [
            {"server": replica.name, "up": bool(replica.up), "reason": replica.reason, "in_use": watch.in_use(replica)}
            for replica in watch.replicas
        ],
    }
