# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real PostgreSQL on a unix socket and the loopback interface, for the tests of what only a server can say.

Its programs come from the folder that ``SCALEOUT_POSTGRES`` names, or from where Debian's packages have them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Endpoint, Session
from tests.unit.redis_server import free_port

MISSING = "there is no PostgreSQL server: set SCALEOUT_POSTGRES to the folder that has postgres, initdb and pg_ctl"
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "autovacuum": "off", "max_wal_senders": "4"}


def programs():
    """Return the folders with PostgreSQL's programs, the oldest version first."""
    named = os.environ.get("SCALEOUT_POSTGRES")
    folders = [pathlib.Path(named)] if named else sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    return [folder for folder in folders if (folder / "initdb").exists()]


@dataclasses.dataclass(frozen=True)
class Server:
    """A server that runs."""

    folder: pathlib.Path
    port: int

    def endpoint(self, database="postgres", user="postgres", **parameters):
        return Endpoint(host=str(self.folder), port=self.port, user=user, database=database, parameters=parameters)

    @contextlib.contextmanager
    def session(self, database="postgres", user="postgres", **parameters):
        """A session of ours."""
        session = Session(self.endpoint(database, user, **parameters))
        try:
            yield session
        finally:
            session.close()


def _account():
    """The account that the server runs as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return {}


@contextlib.contextmanager
def running(folder_of_programs, **settings):
    """Run a server of its own; yields a :class:`Server`."""
    account = _account()
    home = pathlib.Path(tempfile.mkdtemp(prefix="scaleout-pg-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    process = None
    try:
        if account:
            os.chown(home, account["user"], account["group"])
        data = home / "data"
        made = subprocess.run(
            [folder_of_programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync",
             "--locale=C"],
            capture_output=True, text=True, check=False, cwd="/", **account,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        port = free_port()
        words = [f"-c{name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        with open(home / "log", "w") as log:
            process = subprocess.Popen(
                [folder_of_programs / "postgres", "-D", data, "-k", home, "-h", "127.0.0.1", "-p", str(port), *words],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", **account,
            )  # fmt: skip
        server = Server(home, port)
        _await(server, process, home / "log")
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()
        shutil.rmtree(home, ignore_errors=True)


def _await(server, process, log):
    """Wait until it answers."""
    for _attempt in range(600):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(Exception), server.session() as session:
            session.rows("SELECT 1 AS one")
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
