# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real PostgreSQL for tests of rooms: a process of our own, in a folder of our own, reached by a unix socket.

Its programs are in the folder that ``SCALEOUT_POSTGRES`` names, or else the newest of Debian's. Where there are none
the tests that need one are skipped, and the integration targets alone try the modules on a server.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

import psycopg2
import pytest

#: Durability costs time, and nothing here outlives its test.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "''",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "log_min_messages": "warning",
}


def programs():
    """Return the folder that has ``postgres``, ``initdb`` and ``pg_ctl``; skip the test where there is none."""
    given = os.environ.get("SCALEOUT_POSTGRES")
    if given:
        return pathlib.Path(given)
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("there is no PostgreSQL here: name the folder of its programs in SCALEOUT_POSTGRES")
    return found[-1].parent


def as_user():
    """Return the words that run a program as someone other than root, whom PostgreSQL refuses; and who that is."""
    if os.geteuid() != 0:
        return [], getpass.getuser()
    return ["runuser", "-u", "postgres", "--"], "postgres"


def base():
    """Return the folder for data: memory, where the machine has some."""
    memory = pathlib.Path("/dev/shm")
    return str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None


@contextlib.contextmanager
def running(**settings):
    """Run a server; yields a :class:`Server`.

    :param settings: of postgresql.conf, beside or instead of :data:`SETTINGS`.
    """
    bin_folder = programs()
    prefix, user = as_user()
    if prefix and (not shutil.which("runuser") or user not in {one.pw_name for one in pwd.getpwall()}):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres to run it as")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scaleout-pg-", dir=base()))
    try:
        if prefix:
            shutil.chown(folder, user)
        data = folder / "data"
        initdb = [*prefix, str(bin_folder / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "-N"]
        _run([*initdb, "--locale=C.UTF-8", "-E", "UTF8"])
        words = [f"-c {name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        options = " ".join([f"-k {folder}", *words])
        control = [*prefix, str(bin_folder / "pg_ctl"), "-D", str(data), "-w", "-s"]
        _run([*control, "-l", str(folder / "log"), "-o", options, "start"])
        try:
            yield Server(folder)
        finally:
            _run([*control, "-m", "fast", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command):
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        check=False,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()


class Server:
    """Where a server is."""

    def __init__(self, folder):
        self.folder = folder
        self._count = 0

    def database(self, **roles):
        """Create a database and return its name; each test has one of its own."""
        self._count += 1
        name = f"test_{self._count}"
        with self.connect("postgres") as admin:
            admin.run(f"CREATE DATABASE {name}")
        return name

    @contextlib.contextmanager
    def connect(self, database, user="postgres", port=5432):
        """A connection in autocommit, of the test's own; yields a :class:`Client`."""
        client = Client(psycopg2.connect(host=str(self.folder), port=port, dbname=database, user=user))
        try:
            yield client
        finally:
            client.connection.close()

    def parameters(self, database, **options):
        """Return the connection options of a module."""
        return {
            "login_host": "",
            "login_unix_socket": str(self.folder),
            "login_port": 5432,
            "login_db": database,
            "login_user": "postgres",
            "login_password": "",
            "ssl_mode": "prefer",
            "ca_cert": None,
            "ssl_cert": None,
            "ssl_key": None,
            "connect_params": {},
            **options,
        }


class Client:
    """A connection that asks for itself, so that no code of ours is its own witness."""

    def __init__(self, connection):
        self.connection = connection
        connection.autocommit = True

    def run(self, statement, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    def rows(self, statement, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall()

    def one(self, statement, parameters=None):
        return self.rows(statement, parameters)[0][0]
