# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private PostgreSQL server: a primary, or a streaming standby of one."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import typing as t

import psycopg
from psycopg.rows import tuple_row

from .ports import free_ports
from .waiting import until

APPLICATION, PASSWORD = "reference_api", "a password"
#: PostgreSQL refuses to run as root.
SYSTEM_USER = "postgres"

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = logical
max_connections = 100
fsync = off
autovacuum = off
hot_standby = on
# Half a second at the most for what the tests wait for.
wal_retrieve_retry_interval = 500ms
wal_receiver_status_interval = 1s
"""
_ACCESS = """
host all         postgres 127.0.0.1/32 trust
host replication postgres 127.0.0.1/32 trust
host all         all      127.0.0.1/32 scram-sha-256
"""


def binaries() -> pathlib.Path:
    if named := os.environ.get("SCALEOUT_POSTGRES"):
        return pathlib.Path(named)
    versions = pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    if newest is None:
        raise RuntimeError("There is no PostgreSQL server here: install the package postgresql.")
    return newest.parent


class Postgres:
    def __init__(self, name: str, parent: pathlib.Path) -> None:
        self.name = name
        self.data = parent / name
        (self.port,) = free_ports(1)

    def create_primary(self, databases: t.Sequence[str]) -> None:
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self._configure()
        self.start()
        self.execute(f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{PASSWORD}'")
        for database in databases:
            self.execute(f"CREATE DATABASE {database} OWNER {APPLICATION}")

    def create_standby(self, primary: Postgres) -> None:
        self._run(
            "pg_basebackup",
            "-h",
            "127.0.0.1",
            "-p",
            primary.port,
            "-U",
            "postgres",
            "-D",
            self.data,
            "-R",
            "-C",
            "-S",
            self.name,
            "--checkpoint=fast",
            "--no-sync",
        )
        self._configure()
        self.start()

    def promote(self) -> None:
        """Have a standby take writes, on a timeline of its own."""
        assert self.execute("SELECT pg_promote()") == [(True,)]

    def remove(self) -> None:
        """Stop it, if it runs, and forget all that it holds."""
        if (self.data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.data)

    def _configure(self) -> None:
        (self.data / "postgresql.conf").write_text(f"{_SETTINGS}\nport = {self.port}\n")
        (self.data / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-l", f"{self.data}.log", "-w", "-s", "start")

    def stop(self) -> None:
        """As a power cut would."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "-s", "stop")

    def freeze(self) -> None:
        """The process is there and answers nothing; its kernel still accepts connections."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = pathlib.Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def connect(self, database: str = "postgres") -> psycopg.Connection[t.Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True, row_factory=tuple_row
        )

    def execute(
        self, query: str, parameters: t.Sequence[t.Any] = (), database: str = "postgres"
    ) -> list[tuple[t.Any, ...]]:
        with self.connect(database) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def wait_for_replay_of(self, primary: Postgres) -> None:
        (position,) = primary.execute("SELECT pg_current_wal_flush_lsn()::text")[0]
        until(
            lambda: self.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position])[0][0],
            10,
            f"{self.name} has replayed {position}",
        )

    def pause_replay(self) -> None:
        self.execute("SELECT pg_wal_replay_pause()")
        until(lambda: self.execute("SELECT pg_get_wal_replay_pause_state()") == [("paused",)], 5, "replay is paused")

    def resume_replay(self) -> None:
        self.execute("SELECT pg_wal_replay_resume()")

    def _run(self, program: str, *arguments: t.Any) -> None:
        command = [str(binaries() / program), *map(str, arguments)]
        if os.geteuid() == 0:
            shutil.chown(self.data.parent, SYSTEM_USER)
            command = ["runuser", "-u", SYSTEM_USER, "--", *command]
        # The server inherits the output, so that a pipe would never end.
        with open(f"{self.data}.{program}.out", "a+") as output:
            result = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, check=False)
            if result.returncode:
                output.seek(0)
                raise RuntimeError(f"{' '.join(command)} failed:\n{output.read()}")
