# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole of it: two clusters of a leader and a replica, the second one behind PgBouncer, four shards, Consul with
their map, and two API servers. Maintenance has been to half of the shards (see ``months.py``)."""

from __future__ import annotations

import json
import pathlib
import typing as t
import uuid
from concurrent.futures import ThreadPoolExecutor

from reference_api.shard_map import ShardMap

from . import months
from .consul import Consul
from .pgbouncer import PgBouncer
from .postgres import Postgres
from .server import ApiServer, environment, run
from .waiting import until

KEY = "scaleout/shard_map"
#: The shards whose tasks are partitioned by month, and those with the view ``user_stats``: each way once.
BY_MONTH, SUMMED = "13", "23"
#: Months with a partition before the current one, and after it.
PAST, AHEAD = 23, 2


class Lab:
    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.postgres = {name: Postgres(name, directory) for name in ("pg1", "pg1r", "pg2", "pg2r")}
        self.pg1, self.pg1r, self.pg2, self.pg2r = self.postgres.values()
        pooled = ["shard_2", "shard_3"]
        self.poolers = {server.name: PgBouncer(server, self.pg2, pooled) for server in (self.pg2, self.pg2r)}
        self.consul = Consul(directory)
        self.a = ApiServer(self.consul.address, directory / "api-a.log")
        self.b = ApiServer(self.consul.address, directory / "api-b.log")
        self.version = 0

    def start(self) -> None:
        with ThreadPoolExecutor() as executor:
            jobs = [
                executor.submit(self._start_pair, self.pg1, self.pg1r, (0, 1)),
                executor.submit(self._start_pair, self.pg2, self.pg2r, (2, 3)),
                executor.submit(self.consul.start),
            ]
            for job in jobs:
                job.result()
        for pooler in self.poolers.values():
            pooler.start()
        self.publish()
        migration = run("reference_api.migrate", environment(self.consul.address))
        assert migration.returncode == 0, migration.stderr
        self._maintain()
        for api in (self.a, self.b):
            api.start()

    def _maintain(self) -> None:
        for shard in BY_MONTH:
            first, last = (months.following(months.this_month(), by) for by in (-PAST, AHEAD))
            months.partition(self.primary_of(shard), f"shard_{shard}", first, last)
        for shard in SUMMED:
            months.summarize(self.primary_of(shard), f"shard_{shard}")

    @staticmethod
    def _start_pair(primary: Postgres, standby: Postgres, shards: t.Iterable[int]) -> None:
        primary.create_primary([f"shard_{shard}" for shard in shards])
        standby.create_standby(primary)

    def stop(self) -> None:
        for api in (self.a, self.b):
            api.kill()
        self.consul.stop()
        for pooler in self.poolers.values():
            pooler.stop()
        for server in self.postgres.values():
            if (server.data / "postmaster.pid").exists():
                server.thaw()
                server.stop()

    def document(self, **changes: t.Any) -> dict[str, t.Any]:
        """The map of the lab, with another version than any before.

        :param changes: replace fields of the document. A shard is as :meth:`shard` returns it; shards with the same
            members are in one cluster.
        """
        self.version += 1
        described = changes.pop("shards", {str(shard): self.shard(shard) for shard in range(4)})
        clusters = {cluster_of(shard): shard["members"] for shard in described.values()}
        shards = {
            name: {"cluster": cluster_of(shard), "database": shard["database"]} for name, shard in described.items()
        }
        ranges = [[shard * 1024, shard * 1024 + 1023, str(shard)] for shard in range(4)]
        document = {"format": 2, "version": self.version, "buckets": 4096, "clusters": clusters, "shards": shards}
        return {**document, "ranges": ranges, **changes}

    def shard(self, shard: int, with_replica: bool = True) -> dict[str, t.Any]:
        primary, replica = (self.pg1, self.pg1r) if shard < 2 else (self.pg2, self.pg2r)
        return {
            "database": f"shard_{shard}",
            "members": [self._endpoint(primary)] + ([self._endpoint(replica)] if with_replica else []),
        }

    def _endpoint(self, server: Postgres) -> dict[str, t.Any]:
        endpoint = {"name": server.name, "host": "127.0.0.1", "port": server.port}
        pooler = self.poolers.get(server.name)
        return {**endpoint, "pooler_port": pooler.port} if pooler else endpoint

    def publish(self, document: t.Mapping[str, t.Any] | None = None) -> int:
        """Publish a map (the lab's own when none is given) and return its version."""
        document = document or self.document()
        self.consul.put(KEY, json.dumps(document).encode())
        return int(document["version"])

    def publish_and_wait(self, document: t.Mapping[str, t.Any] | None = None) -> None:
        version = self.publish(document)
        for api in (self.a, self.b):
            until(
                lambda api=api: api.get("/readyz").body["map"] == {"version": version, "trouble": ""},
                5,
                f"map version {version} is in force",
            )

    def heal(self) -> None:
        """Wait until nothing of what a test did is left."""
        for primary, standby in ((self.pg1, self.pg1r), (self.pg2, self.pg2r)):
            standby.wait_for_replay_of(primary)
        for api in (self.a, self.b):
            until(lambda api=api: all_in_use(api), 10, "every replica is in use")

    def shard_of(self, user_id: str) -> str:
        return ShardMap.parse(json.dumps(self.document())).shard_of(uuid.UUID(user_id)).id

    def primary_of(self, shard: str) -> Postgres:
        return self.pg1 if shard in "01" else self.pg2

    def replica_of(self, shard: str) -> Postgres:
        return self.pg1r if shard in "01" else self.pg2r

    def user_on(self, shard: str, api: ApiServer | None = None, name: str = "Ann") -> tuple[str, str]:
        """Make a user whose shard this is; return the id and the token of the write."""
        for _unused in range(200):
            answer = (api or self.a).post("/users", {"name": name, "email": "ann@example.org"})
            assert answer.status == 201, answer.body
            if answer.shard == shard:
                return answer.body["id"], answer.token
        raise AssertionError(f"no user fell on shard {shard}")

    def events(self, shard: str, user_id: str) -> list[tuple[str, dict[str, t.Any]]]:
        """What the outbox holds of a user: kinds and payloads, in order."""
        query = "SELECT kind, payload FROM outbox WHERE user_id = %s ORDER BY id"
        return self.primary_of(shard).execute(query, [user_id], f"shard_{shard}")

    def row(self, server: Postgres, shard: str, user_id: str) -> list[tuple[t.Any, ...]]:
        return server.execute("SELECT name, email FROM users WHERE id = %s", [user_id], f"shard_{shard}")


def cluster_of(shard: t.Mapping[str, t.Any]) -> str:
    return "-".join(member["name"] for member in shard["members"])


def all_in_use(api: ApiServer) -> bool:
    report = api.get("/readyz").body
    replicas = [replica for shard in report["shards"].values() for replica in shard["replicas"]]
    return report["status"] == "ready" and len(replicas) == 4 and all(replica["in_use"] for replica in replicas)
