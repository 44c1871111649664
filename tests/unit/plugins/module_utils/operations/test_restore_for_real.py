# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cluster of two under a real Patroni, with its state in a real Consul, is restored from a real pgBackRest.

``SCALEOUT_PGBACKREST`` and ``SCALEOUT_CONSUL`` name the programs where they are not installed. Only systemd is missing:
Patroni is a process of the test, which starts none whose host has the mark.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import psycopg2
import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.failover import restore, server, target
from ansible_collections.scaleout.platform.plugins.module_utils.operations.restore_member import RestoreMember
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import wal
from ansible_collections.scaleout.platform.plugins.module_utils.services import backups
from tests.unit import patroni_cluster, postgres_server

NAMES = ("one", "two")
PATIENCE = 240

pytestmark = pytest.mark.long_tier


def program(variable, name):
    """Return a program that a variable names, or that is installed; skip the test where there is none."""
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        pytest.skip(f"there is no {name} here: name it in {variable}")
    return found


class Member(server.Host):
    """A member's host; its unit is a process of Patroni."""

    def __init__(self, lab, name):
        super().__init__(str(lab.folder / name / "main"), str(lab.programs), str(lab.folder / name / "marks"), lab.user)
        self.name, self._lab, self._process = name, lab, None

    def is_active(self):
        return self._process is not None and self._process.poll() is None

    def unit(self, verb):
        if verb == "stop":
            self._process.terminate()
            self._process.wait(60)
            return
        # What the unit's conditions are.
        assert not self.mark_file.exists()
        assert not self.joined_file.exists() or (self.data / "PG_VERSION").exists()
        with (self._lab.folder / f"{self.name}.log").open("a") as log:
            self._process = subprocess.Popen(
                [*self._lab.prefix, sys.executable, "-m", "patroni", str(self._lab.folder / f"{self.name}.yml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=str(self._lab.folder),
            )


class Lab:
    """Consul, two members, and a repository."""

    def __init__(self, folder):
        self.folder, self.programs = folder, postgres_server.programs()
        _runuser, self.user = postgres_server.as_user()
        self.prefix = []
        if os.geteuid() == 0:
            may_look = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
            self.prefix = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", *may_look, "--"]
        ports = patroni_cluster.free_ports(9)
        self.consul_port = ports[0]
        self.consul_ports = dict(zip(("http", "dns", "server", "serf_lan", "serf_wan"), ports[:5], strict=True))
        self.rest, self.postgres = dict(zip(NAMES, ports[5:7], strict=True)), dict(zip(NAMES, ports[7:9], strict=True))
        self.members = {name: Member(self, name) for name in NAMES}
        self._consul = None

    def run(self, *command):
        done = subprocess.run(
            [*self.prefix, *map(str, command)], capture_output=True, text=True, check=False, cwd="/", timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def begin(self, consul, pgbackrest):
        for part in ("repo", "log", "spool", "lock", "consul", *NAMES, *(f"{name}/marks" for name in NAMES)):
            self._own(self.folder / part)
        (self.folder / "pgbackrest.conf").write_text(
            f"[global]\nrepo1-path={self.folder}/repo\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=a passphrase\n"
            f"repo1-bundle=y\nrepo1-retention-full=9\nlog-path={self.folder}/log\nspool-path={self.folder}/spool\n"
            f"lock-path={self.folder}/lock\nstart-fast=y\narchive-async=y\nlog-level-console=warn\n"
            f"[main]\npg1-path={self.folder}/one/main\n"
        )
        script = self.folder / "pgbackrest"
        script.write_text(f'#!/bin/sh\nexec {pgbackrest} --config={self.folder}/pgbackrest.conf "$@"\n')
        script.chmod(0o755)
        with (self.folder / "consul.log").open("a") as log:
            self._consul = subprocess.Popen(
                [consul, "agent", "-dev", "-bind=127.0.0.1", "-config-file", self._consul_file()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for name in NAMES:
            (self.folder / f"{name}.yml").write_text(yaml.safe_dump(self._configuration(name)))
        self.wait(self._consul_leads)
        self.members["one"].unit("start")
        self.wait(lambda: self.leader() == "one")
        self.members["two"].unit("start")
        self.wait(self.streams)
        self.pgbackrest("one", "stanza-create")

    def _own(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, self.user)

    def _consul_file(self):
        path = self.folder / "consul.json"
        path.write_text(json.dumps({"ports": {**self.consul_ports, "grpc": -1}, "log_level": "warn"}))
        return str(path)

    def _consul_leads(self):
        with contextlib.suppress(Exception):
            self.consul().ask("/v1/status/leader")
            return True
        return False

    def _configuration(self, name):
        rest, postgres = f"127.0.0.1:{self.rest[name]}", f"127.0.0.1:{self.postgres[name]}"
        settings = {key: value for key, value in postgres_server.SETTINGS.items() if key != "listen_addresses"}
        archive = f'{self.folder}/pgbackrest --stanza=main --pg1-path="$PWD" archive-push %p'
        dynamic = {
            "ttl": 20,
            "loop_wait": 1,
            "retry_timeout": 5,
            "failsafe_mode": True,
            "synchronous_mode": True,
            "maximum_lag_on_failover": 1048576,
            "postgresql": {
                "use_pg_rewind": False,
                "parameters": {
                    **settings,
                    "wal_level": "logical",
                    "archive_mode": "on",
                    "archive_command": archive,
                    "wal_retrieve_retry_interval": "200ms",
                },
            },
        }
        return {
            "scope": "main",
            "name": name,
            "consul": {"host": f"127.0.0.1:{self.consul_port}", "checks": [], "register_service": False},
            "restapi": {"listen": rest, "connect_address": rest},
            "bootstrap": {"dcs": dynamic, "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "no-sync"]},
            "postgresql": {
                "listen": postgres,
                "connect_address": postgres,
                "data_dir": str(self.folder / name / "main"),
                "bin_dir": str(self.programs),
                "pgpass": str(self.folder / name / "pgpass"),
                "parameters": {"unix_socket_directories": str(self.folder / name)},
                "authentication": {
                    "superuser": {"username": "postgres"},
                    "replication": {"username": "replicator", "password": "replicates"},
                },
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
            },
        }

    def end(self):
        for member in self.members.values():
            if member.is_active():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    member.unit("stop")
            member.stop()
        if self._consul:
            self._consul.kill()
            self._consul.wait(30)

    def consul(self):
        return Consul("127.0.0.1", self.consul_port)

    def patroni(self, name):
        return Patroni("127.0.0.1", self.rest[name])

    def wait(self, until):
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(Exception):
                if until():
                    return
            if time.monotonic() > deadline:
                raise AssertionError("\n".join(path.read_text()[-3000:] for path in self.folder.glob("*.log")))
            time.sleep(0.3)

    def leader(self):
        found = self.consul().get("service/main/leader")
        return found.value.decode() if found else ""

    def streams(self):
        members = self.patroni("one").cluster().members
        return {one.state for one in members if not one.leads} == {"streaming"} and len(members) == len(NAMES)

    @contextlib.contextmanager
    def connect(self, name):
        client = postgres_server.Client(
            psycopg2.connect(host="127.0.0.1", port=self.postgres[name], dbname="postgres", user="postgres")
        )
        try:
            yield client
        finally:
            client.connection.close()

    def pgbackrest(self, name, *words):
        where = [f"--pg1-path={self.folder}/{name}/main", f"--pg1-socket-path={self.folder}/{name}"]
        return self.run(
            self.folder / "pgbackrest", "--stanza=main", *where, f"--pg1-port={self.postgres[name]}", *words
        )

    def repository(self):
        """What backup_info tells of it."""
        ask = self.folder / "pgbackrest"
        info = json.loads(self.run(ask, "info", "--output=json"))
        archive = json.loads(self.run(ask, "repo-ls", "archive/main", "--recurse", "--output=json"))
        histories = {
            timeline: wal.history(self.run(ask, "--stanza=main", "repo-get", f"archive/main/{path}"))
            for timeline, path in backups.timelines(archive).items()
        }
        (found,) = backups.stanzas(["main"], info, {"main": archive}, {"main": histories})
        return target.read(found.document())

    def write(self, rows):
        """Write so many rows and drop them; returns the moment between, once the archive covers it."""
        leader = self.leader()
        with self.connect(leader) as client:
            client.run("DROP TABLE IF EXISTS orders")
            client.run(f"CREATE TABLE orders AS SELECT id, md5(id::text) AS what FROM generate_series(1, {rows}) AS id")
            moment = client.one("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
            client.run("SELECT pg_sleep(1.1)")
            client.run("DROP TABLE orders")
            client.run("SELECT pg_switch_wal()")
        point = target.parse(f"{moment}+00")
        self.wait(lambda: target.choose(self.repository(), point))
        return point

    def task(self, name, state, told):
        found = RestoreMember(self.members[name], self.consul(), self.patroni(name), name, "main", state, told)
        found._wait = PATIENCE
        return found

    def take(self, name, state, told):
        task = self.task(name, state, told)
        plan = task.plan()
        done = task.apply(plan) if plan.changed else {"done": True}
        assert done["done"], done
        return done

    def restore(self, point, name, keep=True):
        """Do what the playbook does, one host after the other."""
        looked = {one: self.task(one, "looked", {}).plan().result for one in NAMES}
        members = [restore.seen(one, looked[one]) for one in NAMES]
        there = self.repository()
        told = {
            "id": f"for-{name}",
            "cluster": "main",
            "member": name,
            "asked": {},
            "told": str(point),
            "command": target.arguments(point, max(target.newest_timeline(there), *(one.timeline for one in members))),
            "set": target.choose(there, point).label,
            "keep": keep,
            "stanza": "main",
            "run": "one",
        }
        way = restore.way(members, name, self.leader())
        for one in [*way.first, way.last]:
            self.take(one, "stopped", told)
        for state in ("forgotten", "restored", "led"):
            self.take(name, state, told)
        for one in way.others:
            self.take(one, "followed", told)
        return self.take(name, "finished", told)

    def rows(self, name):
        with self.connect(name) as client:
            if client.one("SELECT to_regclass('orders')") is None:
                return None
            return client.rows("SELECT count(*), md5(string_agg(what, '' ORDER BY id)) FROM orders")[0]


@pytest.fixture(scope="module", name="lab")
def _lab():
    pgbackrest, consul = program("SCALEOUT_PGBACKREST", "pgbackrest"), program("SCALEOUT_CONSUL", "consul")
    lacking = [name for name in ("patroni", "consul") if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"Python lacks {', '.join(lacking)}: requirements.txt has it")
    if postgres_server.as_user()[1] != "postgres":
        pytest.skip("who runs this is neither root nor postgres, and a member knows PostgreSQL as its own user")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scaleout-real-", dir=postgres_server.base()))
    folder.chmod(0o755)
    before, lab = server.PGBACKREST, Lab(folder)
    server.PGBACKREST = str(folder / "pgbackrest")
    try:
        lab.begin(consul, pgbackrest)
        yield lab
    finally:
        server.PGBACKREST = before
        lab.end()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_cluster_is_restored_again_and_again(lab):
    lab.pgbackrest("one", "--type=full", "backup")
    config = lab.consul().get("service/main/config").value
    sums = {}

    # 1. To a moment, on the leader. The position of before, which Consul has, is behind it.
    point = lab.write(1000)
    done = lab.restore(point, "one")
    assert (lab.folder / "one" / "main.before-for-one" / "PG_VERSION").exists()
    assert done["kept"].endswith("main.before-for-one")
    lab.wait(lambda: lab.rows("two") is not None)
    sums["first"] = lab.rows("one")
    assert sums["first"][0] == 1000
    assert lab.rows("two") == sums["first"]
    assert lab.leader() == "one"
    assert lab.consul().get("service/main/config").value == config

    # 2. The restored cluster archives, without a gap, also where its timeline began.
    with lab.connect("one") as client:
        client.run("INSERT INTO orders SELECT id, 'more' FROM generate_series(1001, 1500) AS id")
    there = lab.repository()
    assert len(there.windows) == 1
    assert target.newest_timeline(there) >= 2
    lab.pgbackrest("one", "--type=incr", "backup")

    # 3. To the newest, on the other member, over its data: what the stop archives is there.
    with lab.connect("one") as client:
        client.run("INSERT INTO orders SELECT id, 'last' FROM generate_series(1501, 1600) AS id")
    lab.restore(target.parse("newest"), "two", keep=False)
    assert lab.leader() == "two"
    assert lab.rows("two")[0] == 1600
    lab.wait(lambda: lab.rows("one") == lab.rows("two"))

    # 4. Back to the first moment: the newest backup before it is chosen by its timeline, over two restores.
    lab.restore(point, "two")
    assert lab.rows("two") == sums["first"]
    lab.wait(lab.streams)
    assert lab.rows("one") == sums["first"]
    with lab.connect("two") as client:
        assert (
            client.one("SELECT count(*) FROM pg_settings WHERE name LIKE 'recovery_target%' AND source = 'file'") == 0
        )
        client.run("CREATE TABLE after AS SELECT 1")
        client.run("SELECT pg_switch_wal()")
        assert (
            client.one("SELECT count(*) FROM pg_ls_dir('pg_wal/archive_status') WHERE pg_ls_dir LIKE '%.failed'") == 0
        )
