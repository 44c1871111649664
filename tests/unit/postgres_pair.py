# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real server and a copy that follows it, without Patroni: for tests of the programs that Patroni calls."""

from __future__ import annotations

import contextlib
import importlib.util
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import time

import psycopg2
import pytest

from tests.unit import postgres_server

FILES = pathlib.Path(__file__).parents[2] / "roles" / "postgres" / "files"
#: Seconds.
PATIENCE = 120
#: Those that the tests call, beside a server's own.
NEEDED = ("pg_rewind", "pg_waldump", "pg_basebackup")


def program(name):
    """Import a program of the role."""
    spec = importlib.util.spec_from_file_location(name, FILES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def running(**settings):
    """Run both; yields a :class:`Pair`.

    :param settings: of both servers.
    """
    programs = postgres_server.programs()
    lacking = [name for name in NEEDED if not (programs / name).exists()]
    if lacking:
        pytest.skip(f"{programs} lacks {', '.join(lacking)}")
    prefix, user = postgres_server.as_user()
    if prefix and (not shutil.which("runuser") or user not in {one.pw_name for one in pwd.getpwall()}):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres to run it as")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scaleout-pair-", dir=postgres_server.base()))
    made = None
    try:
        if prefix:
            shutil.chown(folder, user)
        made = Pair(folder, programs, prefix, settings)
        yield made
    finally:
        for name in ("one", "two") if made else ():
            made.stop(name)
        shutil.rmtree(folder, ignore_errors=True)


class Pair:
    """A server ``one`` and its copy ``two``, which follows it."""

    def __init__(self, folder, programs, prefix, settings):
        self.folder, self.programs, self.prefix = folder, programs, prefix
        self._settings = "".join(f" -c {name}={value}" for name, value in settings.items())
        self.data = {name: folder / name for name in ("one", "two")}
        self.run("initdb", "-D", self.data["one"], "-A", "trust", "-U", "postgres", "-N", "-k", "--locale=C.UTF-8")
        self.start("one")
        where = ["-h", str(folder), "-p", "5431", "-U", "postgres"]
        self.run("pg_basebackup", *where, "-D", self.data["two"], "-R", "--checkpoint=fast", "--no-sync")
        self.start("two")

    def run(self, program, *words, check=True):
        command = [*self.prefix, str(self.programs / program), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd="/", check=check)

    def run_as(self, command):
        """Run another program as the servers' user."""
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, cwd="/", check=True)

    def start(self, name):
        port = {"one": 5431, "two": 5432}[name]
        options = (
            f"-k {self.folder} -p {port} -c listen_addresses='' -c wal_keep_size=128MB -c fsync=off{self._settings}"
        )
        command = [*self.prefix, str(self.programs / "pg_ctl"), "-D", str(self.data[name]), "-w", "-s"]
        log = self.folder / f"{name}.log"
        subprocess.run([*command, "-l", str(log), "-o", options, "start"], cwd="/", check=True)

    def stop(self, name):
        self.run("pg_ctl", "-D", self.data[name], "-w", "-s", "-m", "fast", "stop", check=False)

    def execute(self, name, statement):
        port = {"one": 5431, "two": 5432}[name]
        connection = psycopg2.connect(host=str(self.folder), port=port, dbname="postgres", user="postgres")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def promote(self):
        """Have the copy lead, whatever the other one does."""
        self.run("pg_ctl", "-D", self.data["two"], "-w", "-s", "promote")
        self.execute("two", "CHECKPOINT")

    def execute_all(self, name, *statements):
        """Execute statements, each for itself."""
        for statement in statements:
            self.execute(name, statement)

    def flushed(self):
        """Return up to where the first server has written its log."""
        return self.execute("one", "SELECT pg_current_wal_flush_lsn()::text")[0][0]

    def wait(self, until):
        """Wait until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < deadline, "it never came to be so"
            time.sleep(0.1)
