# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What list pages and ``/stats`` of one user cost where the tasks are in 60 partitions.

    PYTHONPATH=…:tests/api:roles/reference_api/files python -m tests.bench.months [--rounds N] [--times N] [--counted]

One PostgreSQL server with two shards, the same tasks in a plain table and in 60 monthly partitions with the summary
that maintenance keeps; one API server; 50 clients over connections that stay open. Each round asks both shards in
turns, the plain one first. Two ratios are printed: of answers a second, and of the processor time of the API and
PostgreSQL for one answer, which other processes disturb least.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import http.server
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import threading
import time
import typing as t
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api_lab import months
from api_lab.postgres import APPLICATION, Postgres
from api_lab.server import ApiServer, environment, run
from reference_api.pagination import encode_row
from reference_api.shard_map import ShardMap
from reference_api.uuid7 import Uuid7

from ansible_collections.scaleout.platform.plugins.module_utils.operations import keep_summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection

PARTITIONS, AHEAD, CLIENTS, USERS = 60, 3, 50, 40
PLAIN, BY_MONTH = "0", "1"
#: What each kind of user has: how many tasks, and the days over which they are spread until today.
KINDS = {
    "30 a month": (30 * (PARTITIONS - AHEAD - 1), 30 * (PARTITIONS - AHEAD - 1)),
    "5 a month": (5 * (PARTITIONS - AHEAD - 1), 30 * (PARTITIONS - AHEAD - 1)),
    "10 in a week": (10, 7),
    "none": (0, 1),
}
#: The summary that maintenance keeps, as options of summary_table.
SUMMARY = {
    "name": "user_stats",
    "every": {"table": "users", "schema": None, "columns": ["id"]},
    "readers": [APPLICATION],
    "tables": [
        {
            "table": "tasks",
            "schema": None,
            "group_by": ["user_id"],
            "columns": [
                {"name": "total_tasks", "function": "count", "column": None, "filter": None},
                {"name": "completed_tasks", "function": "count", "column": None, "filter": "status = 'completed'"},
            ],
        },
        {
            "table": "habits",
            "schema": None,
            "group_by": ["user_id"],
            "columns": [
                {"name": "total_habits", "function": "count", "column": None, "filter": None},
                {"name": "best_streak", "function": "max", "column": "best_streak", "filter": None},
            ],
        },
    ],
}
_REST = {
    "schema": "public",
    "state": "present",
    "owner": None,
    "reseed": False,
    "lock_timeout": 500,
    "lock_patience": 60,
}
_TASK = "COPY tasks (user_id, id, title, status) FROM STDIN"

Paths = dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Figures:
    """
    :param rate: answers a second.
    :param api: milliseconds of a processor for one answer in the API, and ``database`` in PostgreSQL.
    """

    rate: float
    api: float
    database: float


class Consul:
    """Answers for the one key that the API reads; a query that waits for something newer is held forever."""

    def __init__(self, document: bytes) -> None:
        entry = json.dumps([{"Value": base64.b64encode(document).decode()}]).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: t.Any) -> None:
                """Nothing is worth a line."""

            def do_GET(self) -> None:
                if "index=0&" not in self.path:
                    time.sleep(3600)
                self.send_response(200)
                self.send_header("X-Consul-Index", "1")
                self.end_headers()
                self.wfile.write(entry)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"


class Bench:
    def __init__(self, directory: pathlib.Path, summed: bool) -> None:
        self.server = Postgres("pg1", directory)
        self._log = directory / "api.log"
        self.api: ApiServer | None = None
        #: Requests that the database did not answer in time.
        self.refused = 0
        self._summed = summed

    def start(self) -> Paths:
        self.server.create_primary(["shard_0", "shard_1"])
        member = {"name": "pg1", "host": "127.0.0.1", "port": self.server.port}
        document = json.dumps(
            {
                "format": 2,
                "version": 1,
                "buckets": 4096,
                "clusters": {"pg1": [member]},
                "shards": {shard: {"cluster": "pg1", "database": f"shard_{shard}"} for shard in (PLAIN, BY_MONTH)},
                "ranges": [[0, 2047, PLAIN], [2048, 4095, BY_MONTH]],
            }
        )
        consul = Consul(document.encode())
        migration = run("reference_api.migrate", environment(consul.address))
        assert migration.returncode == 0, migration.stderr
        last = months.following(months.this_month(), AHEAD)
        months.partition(self.server, "shard_1", months.following(last, 1 - PARTITIONS), last)
        paths = self._fill(ShardMap.parse(document))
        if self._summed:
            summarize(self.server, "shard_1")
        self.api = ApiServer(consul.address, self._log)
        self.api.start()
        return paths

    def stop(self) -> None:
        if self.api is not None:
            self.api.kill()
        if (self.server.data / "postmaster.pid").exists():
            self.server.stop()

    def _fill(self, shard_map: ShardMap) -> Paths:
        """Make the users with their tasks; return the paths to ask, by question and shard."""
        now = datetime.now(UTC)
        paths: Paths = {}
        users: dict[str, list[uuid.UUID]] = {PLAIN: [], BY_MONTH: []}
        needed = USERS * len(KINDS)
        while min(map(len, users.values())) < needed:
            user_id = uuid.uuid4()
            users[shard_map.shard_of(user_id).id].append(user_id)
        for shard, own in users.items():
            with self.server.connect(f"shard_{shard}") as session:
                for number, (kind, (tasks, days)) in enumerate(KINDS.items()):
                    some = own[number * USERS : (number + 1) * USERS]
                    made = [now - timedelta(days=days) * (at + 0.5) / tasks for at in range(tasks)][::-1]
                    for user_id in some:
                        session.execute("INSERT INTO users VALUES (%s, 'Ann', 'ann@example.org')", [user_id])
                        new_id = Uuid7(clock=iter([int(at.timestamp() * 1000) for at in made]).__next__)
                        ids = [new_id() for _at in made]
                        with session.cursor().copy(_TASK) as copy:
                            for place, row_id in enumerate(ids):
                                copy.write_row(
                                    (user_id, row_id, "Water the plants", ("pending", "completed")[place % 2])
                                )
                        path = f"/users/{user_id}"
                        ask = {f"first page, {kind}": f"{path}/tasks", f"stats, {kind}": f"{path}/stats"}
                        if tasks > 100:
                            cursor = encode_row("tasks", ids[tasks // 2])
                            ask[f"a later page, {kind}"] = f"{path}/tasks?cursor={cursor}"
                        for question, one in ask.items():
                            paths.setdefault(question, {}).setdefault(shard, []).append(one)
                session.execute("VACUUM ANALYZE")
        return paths

    async def rate(self, paths: t.Sequence[str], times: int) -> Figures:
        """What 50 clients get, each of which asks so many times, again as soon as it has its answer."""
        begun, used = time.perf_counter(), self._used()
        counts = await asyncio.gather(*(self._client(paths[at::CLIENTS] or paths, times) for at in range(CLIENTS)))
        api, database = (after - before for before, after in zip(used, self._used(), strict=True))
        answers = sum(counts)
        return Figures(answers / (time.perf_counter() - begun), api / answers, database / answers)

    def _used(self) -> tuple[float, float]:
        """Milliseconds of a processor that the API and PostgreSQL have used so far."""
        postmaster = int((self.server.data / "postmaster.pid").read_text().split()[0])
        children = pathlib.Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        assert self.api is not None
        assert self.api.process is not None
        return _milliseconds(self.api.process.pid), sum(map(_milliseconds, map(int, children)))

    async def _client(self, paths: t.Sequence[str], times: int) -> int:
        assert self.api is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.api.port)
        answers = 0
        for asked in range(times):
            path = paths[asked % len(paths)]
            writer.write(f"GET {path} HTTP/1.1\r\nHost: api\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            body = await reader.readexactly(int(head.split("content-length: ")[1].split("\r")[0]))
            # A machine with much else to do: it is no answer.
            refused = b'"code":"shard_unavailable"' in body
            assert refused or head.startswith("http/1.1 200"), body
            self.refused += refused
            answers += not refused
        writer.close()
        return answers


def summarize(server: Postgres, database: str) -> None:
    """Do what the module summary_table does."""
    login = {"login_host": "127.0.0.1", "login_port": server.port, "login_user": "postgres", "login_db": database}
    options = {name: option.get("default") for name, option in connection.ARGUMENT_SPEC.items()}
    task = keep_summary.task({**options, **login, **_REST, **SUMMARY})
    try:
        task.apply(task.plan())
    finally:
        task.close()


def _costs(found: t.Sequence[Figures]) -> str:
    api, database = (statistics.median(getattr(one, who) for one in found) for who in ("api", "database"))
    return f"{api:.2f} + {database:.2f}"


def _spread(ratios: t.Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _milliseconds(pid: int) -> float:
    user, system = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * 1000 / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=10, help="that each client asks in its turn")
    parser.add_argument("--counted", action="store_true", help="without the view user_stats")
    arguments = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-months-"))
    directory.chmod(0o755)
    bench = Bench(directory, not arguments.counted)
    try:
        paths = bench.start()
        print(
            f"{CLIENTS} clients; {PARTITIONS} partitions beside a plain table, which is 1; median (lowest to highest)"
        )
        print(f"{'':<28}{'answers a second':<24}{'the same by processor time':<30}ms of it in API + PostgreSQL")
        for question, by_shard in paths.items():
            rates: dict[str, list[Figures]] = {PLAIN: [], BY_MONTH: []}
            for shard in (PLAIN, BY_MONTH):
                asyncio.run(bench.rate(by_shard[shard], 2))
            for _round in range(arguments.rounds):
                for shard, found in rates.items():
                    found.append(asyncio.run(bench.rate(by_shard[shard], arguments.times)))
            both = list(zip(rates[BY_MONTH], rates[PLAIN], strict=True))
            by_rate = [one.rate / other.rate for one, other in both]
            by_time = [(other.api + other.database) / (one.api + one.database) for one, other in both]
            costs = " beside ".join(_costs(rates[shard]) for shard in (BY_MONTH, PLAIN))
            print(f"{question:<28}{_spread(by_rate):<24}{_spread(by_time):<30}{costs}", flush=True)
        if bench.refused:
            print(f"{bench.refused} requests got no answer in time and do not count.")
    finally:
        bench.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
