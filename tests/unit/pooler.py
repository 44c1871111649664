# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real PgBouncer for tests, in front of a cluster of ``patroni_cluster``, and the watch of the role beside it.

The role's watch asks Consul. Here it asks Patroni, since there is no Consul: what it does to the pooler is its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import psycopg2
import pytest

from tests.unit import patroni_cluster, postgres_server

USER, PASSWORD = "pgbouncer", "Console: pass'word"
WRITER = "postgres"
DATABASE = "shop"
#: What a hold may change. On a busy machine a login takes its time.
SETTINGS = {"query_wait_timeout": 60, "client_login_timeout": 60, "min_pool_size": 2}
WATCH = pathlib.Path(__file__).parents[2] / "roles" / "pgbouncer" / "files" / "leader_watch.py"


def program():
    """Return the path of PgBouncer; skip the test where there is none."""
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if not found:
        pytest.skip("there is no PgBouncer here: the package pgbouncer has it")
    return found


def load_watch():
    """Return the role's watch as a module."""
    spec = importlib.util.spec_from_file_location("leader_watch_of_the_pooler", WATCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def following(cluster, name="vm1"):
    """Run a pooler whose database follows the leader of a cluster; yields a :class:`Pooler`."""
    leader = cluster.leader()
    with cluster.connect(leader) as sql:
        if not sql.one(f"SELECT count(*) FROM pg_database WHERE datname = '{DATABASE}'"):
            sql.run(f"CREATE DATABASE {DATABASE}")
    stop = threading.Event()
    with running(cluster.folder, name, "127.0.0.1", cluster.ports[leader]["postgres"]) as pooler:
        follower = threading.Thread(target=pooler.follow, args=(cluster, stop))
        follower.start()
        try:
            yield pooler
        finally:
            stop.set()
            follower.join()


@contextlib.contextmanager
def running(base, name, host, port):
    """Run a pooler in a folder below another one, in front of a server; yields a :class:`Pooler`."""
    path = program()
    prefix, user = postgres_server.as_user()
    folder = base / f"pooler-{name}"
    folder.mkdir()
    pooler = Pooler(folder, patroni_cluster.free_ports(1)[0], name)
    pooler.write(host, port)
    if prefix:
        for one in [folder, *folder.iterdir()]:
            shutil.chown(one, user)
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen([*prefix, path, str(folder / "pgbouncer.ini")], cwd=str(folder), **quiet)
    try:
        pooler.wait()
        yield pooler
    finally:
        process.terminate()
        process.wait(30)


class Pooler:
    """Where a pooler is, and its console for the test's own questions."""

    def __init__(self, folder, port, name):
        self.folder, self.port, self.name = folder, port, name
        self.watch = load_watch()
        self.databases = folder / "leader.ini"

    @property
    def options(self):
        """The options of a module that holds it."""
        return {"name": self.name, "host": "127.0.0.1", "port": self.port}

    def write(self, host, port):
        """Write its files."""
        self.databases.write_text(self.watch.render([DATABASE], host, port))
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": self.folder / "userlist.txt",
            "admin_users": USER,
            "pool_mode": "transaction",
            "default_pool_size": 20,
            "server_connect_timeout": 30,
            "server_login_retry": 1,
            "logfile": self.folder / "log",
            **SETTINGS,
        }
        lines = ["[databases]", f"%include {self.databases}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self.folder / "pgbouncer.ini").write_text("\n".join([*lines, ""]))
        (self.folder / "userlist.txt").write_text(f'"{USER}" "{PASSWORD}"\n"{WRITER}" "write"\n')

    def wait(self):
        deadline = time.monotonic() + patroni_cluster.PATIENCE
        while True:
            with contextlib.suppress(psycopg2.OperationalError):
                return self.show("SHOW VERSION")
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)

    def connect(self, database=DATABASE, user=WRITER, password="write"):
        """A client's connection."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=user, password=password, connect_timeout=30
        )
        connection.autocommit = True
        return connection

    def show(self, *commands):
        """Give the console commands, and return the rows of the last one."""
        with contextlib.closing(self.connect("pgbouncer", USER, PASSWORD)) as console, console.cursor() as cursor:
            for command in commands:
                cursor.execute(command)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []

    def paused(self):
        """Whether it holds requests."""
        return [row["paused"] for row in self.show("SHOW DATABASES") if row["name"] == DATABASE] == [1]

    def settings(self):
        """Return those of its settings that a hold changes."""
        return {row["key"]: int(row["value"]) for row in self.show("SHOW CONFIG") if row["key"] in SETTINGS}

    def console(self):
        """Return the console as the role's watch has it, over TCP: peer needs a user of the operating system."""
        ask, base = self.show, self.watch.PgBouncer

        class Console(base):
            def _rows(self, *commands):
                try:
                    return ask(*commands)
                except psycopg2.Error as error:
                    raise OSError(str(error)) from error

            def reload(self):
                self.take_up()

        return Console(self.port)

    def follow(self, cluster, stop):
        """Be the watch, until the test ends."""
        console = self.console()
        while not stop.wait(0.05):
            with contextlib.suppress(OSError, KeyError, StopIteration):
                name = next(one["name"] for one in cluster.seen().values() if one["role"] == "leader")
                place = self.watch.Leader(name, "127.0.0.1", cluster.ports[name]["postgres"])
                self.watch.follow(self.databases, [DATABASE], place, console, time)
