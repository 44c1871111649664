# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts the parts together."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

from fastapi import FastAPI

from . import __version__, descriptors, errors, health
from .analytics.client import AnalyticsClient
from .cache.caches import Caches
from .cluster import Cluster
from .envelope import Envelope
from .freshness import RecentWrites
from .metrics import Metrics
from .pulse import Pulse
from .queue_watch import QueueWatch
from .routers import analytics as analytics_routes
from .routers import goals, habits, notifications, stats, tasks, users
from .schemas.errors import RESPONSES
from .settings import Settings
from .shards import Shared
from .uuid7 import Uuid7


def create_app(settings: Settings) -> FastAPI:
    """Return the ASGI application; it connects to Consul and the databases when it is started."""
    pulse = Pulse()
    cluster = Cluster(settings, pulse)
    metrics = Metrics()
    caches = Caches(settings)
    queue = QueueWatch(settings.amqp, pulse) if settings.amqp else None
    metrics.observe(cluster, caches, pulse)
    analytics = None
    if settings.analytics_database:
        analytics = AnalyticsClient(settings.analytics_database, settings, pulse)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> t.AsyncIterator[None]:
        descriptors.install(asyncio.get_running_loop(), descriptors.Seldom())
        parts = [part for part in (pulse, cluster, caches, queue, analytics) if part]
        for part in parts:
            part.start()
        yield
        for part in reversed(parts):
            await part.stop()

    # No documentation pages: they would load their scripts from other people's servers.
    app = FastAPI(
        title="reference API",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    # FastAPI takes a lifespan argument only from 0.93 on.
    app.router.lifespan_context = lifespan
    app.state.cluster = cluster
    app.state.caches = caches
    app.state.pulse = pulse
    app.state.queue = queue
    app.state.analytics = analytics
    app.state.metrics = metrics
    app.state.shared = Shared(cluster, caches, metrics, RecentWrites(settings.replica_max_lag), Uuid7())
    errors.install(app)
    app.add_middleware(Envelope, metrics=metrics)
    app.include_router(health.router)
    for module in (users, tasks, habits, goals, notifications, stats, analytics_routes):
        app.include_router(module.router, responses=RESPONSES)
    return app
