# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Prometheus scrapes."""

from __future__ import annotations

import typing as t

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from .cache.caches import Caches
from .cluster import Cluster
from .pulse import Pulse
from .troubles import LASTING

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Of the process: open_fds and max_fds among others.
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "reference_api_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "reference_api_request_seconds",
            "Time to answer a request.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.shard_errors = Counter(
            "reference_api_shard_errors",
            "Requests answered with 503 because of a shard, by the code of the error.",
            ["shard", "code"],
            registry=self.registry,
        )
        self.ids_refused = Counter(
            "reference_api_ids_refused",
            "New rows that no partition takes, because of this server's clock or for lack of a partition.",
            ["shard", "cause"],
            registry=self.registry,
        )
        self.reads = Counter(
            "reference_api_reads", "Reads that a database answered, by its role.", ["role"], registry=self.registry
        )

        self.cache_reads = Counter(
            "reference_api_cache_reads",
            "Reads that a cache might answer: hit, miss or off.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.cache_fills = Counter(
            "reference_api_cache_fills",
            "Rows brought to a cache: kept, or refused because a write came between.",
            ["kind", "outcome"],
            registry=self.registry,
        )

    def observe(self, cluster: Cluster, caches: Caches, pulse: Pulse) -> None:
        """Let each scrape show the state of the cluster and of the caches, and how late the process was."""
        self.registry.register(_ClusterCollector(cluster))
        self.registry.register(_CachesCollector(caches))
        self.registry.register(_PulseCollector(pulse))


class _ClusterCollector:
    """Reads the state at the time of the scrape, so that nothing has to be kept up to date in between."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def describe(self) -> t.Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> t.Iterable[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "reference_api_shard_map_version",
            "Version of the map in force; 0 is none.",
            value=self._cluster.map_version,
        )
        up = GaugeMetricFamily(
            "reference_api_server_up", "Whether a shard's server is up.", labels=["shard", "server", "role"]
        )
        age = GaugeMetricFamily(
            "reference_api_replica_age_seconds",
            "How old a replica's data may be at the most.",
            labels=["shard", "server"],
        )
        in_use = GaugeMetricFamily(
            "reference_api_replica_in_use", "Whether a replica serves every caller.", labels=["shard", "server"]
        )
        trouble = GaugeMetricFamily(
            "reference_api_server_trouble",
            "Whether a primary refuses writes, by the cause: disk_full or read_only.",
            labels=["shard", "server", "cause"],
        )
        ahead = GaugeMetricFamily(
            "reference_api_clock_ahead_seconds",
            "Seconds by which this server's clock is ahead of a primary's, or behind if negative.",
            labels=["shard", "server"],
        )
        for shard_id, watch in self._cluster.watches.items():
            ahead.add_metric([shard_id, watch.primary.name], watch.ahead)
            for cause in LASTING:
                trouble.add_metric([shard_id, watch.primary.name, cause], float(watch.primary.trouble == cause))
            up.add_metric([shard_id, watch.primary.name, "primary"], float(bool(watch.primary.up)))
            for replica in watch.replicas:
                up.add_metric([shard_id, replica.name, "replica"], float(bool(replica.up)))
                age.add_metric([shard_id, replica.name], watch.age(replica))
                in_use.add_metric([shard_id, replica.name], float(watch.in_use(replica)))
        yield from (up, age, in_use, trouble, ahead)

        pool = GaugeMetricFamily(
            "reference_api_pool",
            "State of the connection pools, in psycopg_pool's terms.",
            labels=["server", "database", "what"],
        )
        for address, server in self._cluster.servers.items():
            stats = server.pool_stats()
            for what in ("pool_size", "pool_available", "requests_waiting"):
                pool.add_metric([address.name, address.database, what], float(stats.get(what, 0)))
        yield pool


class _CachesCollector:
    def __init__(self, caches: Caches) -> None:
        self._caches = caches

    def describe(self) -> t.Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> t.Iterable[GaugeMetricFamily]:
        up = GaugeMetricFamily("reference_api_cache_up", "Whether a cache answers.", labels=["server"])
        for server in self._caches.servers.values():
            up.add_metric([str(server.address)], float(server.up))
        yield up


class _PulseCollector:
    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def describe(self) -> t.Iterable[CounterMetricFamily]:
        return ()

    def collect(self) -> t.Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(
            "reference_api_late_seconds",
            "Time that the process itself was late by, for lack of CPU or because something held up its loop.",
            value=self._pulse.total,
        )
