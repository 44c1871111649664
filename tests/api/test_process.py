# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process: how it starts, what it says of itself, how it ends; and the migrations."""

from __future__ import annotations

import json
import os
import pathlib
import resource
import signal
import socket
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
from api_lab.lab import Lab
from api_lab.postgres import APPLICATION, PASSWORD
from api_lab.server import PACKAGE, ApiServer, environment, run
from api_lab.waiting import until
from reference_api.migrate import load, migrate
from reference_api.settings import Settings
from reference_api.shard_map import Address


def test_a_missing_setting_ends_it_with_one_sentence() -> None:
    result = run("reference_api", environment("http://127.0.0.1:1", DATABASE_USER=""))
    assert (result.returncode, result.stderr) == (78, "The environment variable DATABASE_USER is not set.\n")


def test_it_is_alive_before_it_is_ready(another: t.Callable[..., ApiServer], lab: Lab) -> None:
    api = another()
    lab.consul.delete("scaleout/shard_map")
    try:
        api.start(wait=False)
        until(lambda: _answers(api), 10, "the process answers")
        assert api.get("/healthz").body == {"status": "alive"}
        report = api.get("/readyz")
        assert (report.status, report.body["status"], report.body["map"]["version"]) == (503, "unavailable", 0)
        for answer in (api.get("/users"), api.post("/users", {"name": "Ann", "email": "a@example.org"})):
            assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "no_shard_map", "1")
    finally:
        lab.publish_and_wait()
    until(api.is_ready, 4, "it is ready")


def test_it_is_not_ready_when_it_can_serve_no_shard(lab: Lab) -> None:
    """One lost shard leaves it in the load balancer (test_failures.py); the loss of all takes it out."""
    nowhere = {"name": "nowhere", "host": "127.0.0.1", "port": 1}
    shards = {
        str(shard): {**lab.shard(shard), "members": [nowhere, *lab.shard(shard)["members"][1:]]} for shard in range(4)
    }
    try:
        lab.publish_and_wait(lab.document(shards=shards))
        until(lambda: lab.a.get("/readyz").status == 503, 3, "it says that it cannot serve")
        report = lab.a.get("/readyz").body
        assert report["status"] == "unavailable"
        reason = f"cannot be reached from {report['watcher']['server']}"
        primary = {"server": "nowhere", "up": False, "reason": reason, "trouble": ""}
        assert report["shards"]["0"]["primary"] == primary
        assert report["shards"]["0"]["replicas"][0]["up"]
    finally:
        lab.publish_and_wait()


def test_it_finishes_its_requests_before_it_ends(another: t.Callable[..., ApiServer], lab: Lab) -> None:
    user_id, _unused = lab.user_on("0")
    api = another()
    api.start()
    connection = lab.pg1.connect("shard_0")
    connection.execute("BEGIN")
    connection.execute("SELECT 1 FROM users WHERE id = %s FOR UPDATE", [user_id])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(api.patch(f"/users/{user_id}", {"name": "last"})))
    thread.start()
    until(lambda: lab.pg1.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 2, "it waits")
    threading.Timer(0.5, connection.close).start()
    # Newer releases of uvicorn end by the signal itself, once all is done; systemd takes both for a clean end.
    assert api.stop() in (0, -signal.SIGTERM)
    thread.join()
    assert answers[0].status == 200
    assert lab.row(lab.pg1, "0", user_id)[0][0] == "last"
    assert "Traceback" not in api.log.read_text()


def test_its_metrics(lab: Lab) -> None:
    user_id, _unused = lab.user_on("0")
    lab.a.get(f"/users/{user_id}")
    lab.a.get("/users/nonsense")
    lab.a.get("/nothing/at/all")
    lab.a.call("BREW", "/users")
    metrics = lab.a.get("/metrics").body
    for line in (
        'reference_api_requests_total{method="POST",route="/users",status="201"}',
        'reference_api_requests_total{method="GET",route="/users/{user_id}",status="422"}',
        'reference_api_requests_total{method="GET",route="unmatched",status="404"}',
        'reference_api_requests_total{method="other",route="/users",status="405"}',
        'reference_api_request_seconds_bucket{le="0.1",method="GET",route="/users/{user_id}"}',
        'reference_api_pool{database="shard_0",server="pg1",what="pool_size"}',
        f"reference_api_shard_map_version {float(lab.version)}",
        'reference_api_server_up{role="primary",server="pg1",shard="0"} 1.0',
        'reference_api_replica_in_use{server="pg1r",shard="0"}',
        'reference_api_replica_age_seconds{server="pg1r",shard="0"}',
        'reference_api_reads_total{role="replica"}',
        "# TYPE reference_api_shard_errors_total counter",
    ):
        assert line in metrics
    assert user_id not in metrics


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_h3_a_server_without_descriptors_does_not_spin_and_serves_again(
    another: t.Callable[..., ApiServer], lab: Lab, tmp_path: pathlib.Path, loop: str
) -> None:
    """uvloop, where it is installed, closes what it has no descriptor for; asyncio reports it again and again."""
    (tmp_path / "uvloop.py").write_text("raise ImportError")
    api = another(**({"PYTHONPATH": f"{tmp_path}:{PACKAGE}"} if loop == "asyncio" else {}))
    api.log.write_text("")
    api.start()
    assert api.process is not None
    resource.prlimit(api.process.pid, resource.RLIMIT_NOFILE, (100, 100))
    before = seconds_of_cpu(api.process.pid)
    idle = [socket.create_connection(("127.0.0.1", api.port)) for _unused in range(150)]
    try:
        if loop == "asyncio":
            until(lambda: "no file descriptor is left of 100" in api.log.read_text(), 10, "it says so")
        time.sleep(4)
        assert len(api.log.read_text().splitlines()) < 30
        assert "Traceback" not in api.log.read_text()
        assert seconds_of_cpu(api.process.pid) - before < 3
    finally:
        for connection in idle:
            connection.close()
    until(lambda: _answers(api), 5, "it serves again")
    metrics = api.get("/metrics").body
    assert "process_max_fds 100.0" in metrics
    assert "process_open_fds " in metrics


def seconds_of_cpu(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_x1_it_listens_only_where_it_is_told_to(another: t.Callable[..., ApiServer], lab: Lab) -> None:
    api = another(LISTEN_ADDRESSES="127.0.0.1,127.0.0.3")
    api.start()
    for address, answers in (("127.0.0.1", True), ("127.0.0.3", True), ("127.0.0.2", False)):
        with socket.socket() as connection:
            assert (connection.connect_ex((address, api.port)) == 0) is answers
    assert api.stop() in (0, -signal.SIGTERM)
    # An address that is not there yet ends it with one sentence, and systemd tries again.
    variables = environment(lab.consul.address, LISTEN_ADDRESSES="127.0.0.1,192.0.2.7", PORT=str(api.port))
    result = run("reference_api", variables)
    sentence = f"Cannot listen on 192.0.2.7 port {api.port}: Cannot assign requested address.\n"
    assert (result.returncode, result.stderr) == (69, sentence)


def test_the_description_of_the_api_is_complete(lab: Lab) -> None:
    paths = lab.a.get("/openapi.json").body["paths"]
    assert {"/users", "/users/{user_id}", "/users/{user_id}/tasks", "/users/{user_id}/tasks/{task_id}"} <= set(paths)


def test_migrations_change_nothing_the_second_time(lab: Lab) -> None:
    variables = environment(lab.consul.address)
    results = [None, None, None]

    def migrate(number: int) -> None:
        results[number] = run("reference_api.migrate", variables)

    threads = [threading.Thread(target=migrate, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines() == [f"shard {shard}: up to date" for shard in range(4)]


def test_migrations_at_the_same_time_apply_each_once(lab: Lab) -> None:
    """Three at once on a database that has nothing yet."""
    lab.pg1.execute("CREATE DATABASE shard_9 OWNER reference_api")
    entry = {"database": "shard_9", "members": lab.shard(0)["members"][:1]}
    document = lab.document(shards={"9": entry}, ranges=[[0, 4095, "9"]])
    key = "scaleout/another_map"
    lab.consul.put(key, json.dumps(document).encode())
    variables = environment(lab.consul.address, SHARD_MAP_KEY=key)
    outputs: list[str] = []
    threads = [
        threading.Thread(target=lambda: outputs.append(run("reference_api.migrate", variables).stdout))
        for _unused in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [migration.name for migration in load()]
    applied = [name for output in outputs for name in output.partition(": ")[2].strip().split(", ")]
    # Whoever comes first to a migration applies it.
    assert sorted(name for name in applied if name != "up to date") == names
    tables = lab.pg1.execute(
        "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", database="shard_9"
    )
    assert {"habits", "outbox", "schema_migrations", "tasks", "users"} <= {table for table, _owner in tables}
    assert {owner for _table, owner in tables} == {"reference_api"}


def test_c1_an_index_is_made_while_its_table_is_written_to(lab: Lab) -> None:
    """Also where an earlier attempt was interrupted, and while others wait for their turn to migrate."""
    address = Address("pg1", "127.0.0.1", lab.pg1.port, "shard_8")
    settings = Settings.from_environment({"DATABASE_USER": APPLICATION, "DATABASE_PASSWORD": PASSWORD})
    migrations = load()
    (indexes,) = [migration for migration in migrations if migration.index]
    lab.pg1.execute("CREATE DATABASE shard_8 OWNER reference_api")
    migrate([address], settings, migrations[: indexes.version - 1])
    # A row that is written just now keeps an index that is made concurrently from its end.
    row = "gen_random_uuid(), gen_random_uuid(), 'a.b', '{}'"
    insert = f"INSERT INTO outbox (user_id, id, kind, payload) VALUES ({row})"
    with lab.pg1.connect("shard_8") as writer:
        writer.execute("BEGIN")
        writer.execute(insert)
        with ThreadPoolExecutor() as executor:
            jobs = [executor.submit(migrate, [address], settings, migrations) for _unused in range(3)]
            waits = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%CONCURRENTLY%%' AND wait_event_type = 'Lock'"
            until(lambda: lab.pg1.execute(waits), 10, "the index waits for the writer")
            began = time.monotonic()
            for _unused in range(10):
                lab.pg1.execute(insert, database="shard_8")
            assert time.monotonic() - began < 1
            writer.execute("COMMIT")
            applied = [name for job in jobs for name in job.result()]
    assert applied == [migration.name for migration in migrations[indexes.version - 1 :]]
    state = "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass"
    assert lab.pg1.execute(state, [indexes.index], "shard_8") == [(True,)]

    lab.pg1.execute("DELETE FROM schema_migrations WHERE version = %s", [indexes.version], "shard_8")
    lab.pg1.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [indexes.index], "shard_8"
    )
    assert indexes.name in migrate([address], settings, migrations)
    assert lab.pg1.execute(state, [indexes.index], "shard_8") == [(True,)]
    # It was made, and the process that made it was killed before it could write that down.
    lab.pg1.execute("DELETE FROM schema_migrations WHERE version = %s", [indexes.version], "shard_8")
    assert indexes.name in migrate([address], settings, migrations)


def test_a_migration_that_cannot_reach_a_shard_says_which(lab: Lab) -> None:
    entry = {**lab.shard(0), "members": [{"name": "pg7", "host": "127.0.0.1", "port": 1}]}
    key = "scaleout/broken_map"
    lab.consul.put(key, json.dumps(lab.document(shards={"0": entry}, ranges=[[0, 4095, "0"]])).encode())
    result = run("reference_api.migrate", environment(lab.consul.address, SHARD_MAP_KEY=key))
    assert result.returncode == 1
    assert "Cannot migrate shard_0 at 127.0.0.1:1: " in result.stderr
    assert "Traceback" not in result.stderr
    missing = run("reference_api.migrate", environment(lab.consul.address, SHARD_MAP_KEY="scaleout/none"))
    assert (missing.returncode, missing.stderr) == (1, "There is no key scaleout/none in Consul.\n")


def _answers(api: ApiServer) -> bool:
    try:
        return api.get("/healthz").status == 200
    except OSError:
        return False
