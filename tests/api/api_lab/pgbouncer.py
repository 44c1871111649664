# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private PgBouncer before a PostgreSQL server, set up as the role ``pgbouncer`` sets it up.

A database leads to the leader of the cluster, and one with ``_local`` behind its name to the server itself.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

from .ports import free_ports
from .postgres import APPLICATION, PASSWORD, SYSTEM_USER, Postgres

_SETTINGS = """
[databases]
{databases}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 20
query_wait_timeout = 2
client_login_timeout = 2
server_connect_timeout = 2
server_login_retry = 1
"""


class PgBouncer:
    def __init__(self, server: Postgres, leader: Postgres, databases: t.Sequence[str]) -> None:
        self._server = server
        self._databases = [f"{name} = host=127.0.0.1 port={leader.port}" for name in databases]
        self._databases += [f"{name}_local = host=127.0.0.1 port={server.port} dbname={name}" for name in databases]
        self._process: subprocess.Popen[bytes] | None = None
        (self.port,) = free_ports(1)

    def start(self) -> None:
        users = self._write("users", f'"{APPLICATION}" "{PASSWORD}"\n')
        settings = _SETTINGS.format(databases="\n".join(self._databases), port=self.port, users=users)
        command: list[t.Any] = ["/usr/sbin/pgbouncer", self._write("ini", settings)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", SYSTEM_USER, "--", *command]
        with open(f"{self._server.data}.pgbouncer.log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _write(self, what: str, text: str) -> pathlib.Path:
        path = pathlib.Path(f"{self._server.data}.pgbouncer.{what}")
        path.write_text(text)
        return path
