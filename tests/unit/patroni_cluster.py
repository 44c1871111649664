# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real cluster under Patroni for tests: processes of our own in a folder of our own, all of them on 127.0.0.1.

Its PostgreSQL is that of ``postgres_server``. Patroni keeps its state in its own Raft, so that no Consul is needed: its
REST API, which is what these tests are about, is the same with every store.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import pytest
import yaml

from tests.unit import postgres_server

USER, PASSWORD = "patroni", "Rest: pass'word"
SCOPE = "unit"
#: Those of PostgreSQL's that Patroni starts, beside a server's own.
PROGRAMS = ("pg_isready", "pg_controldata", "pg_basebackup")
#: Seconds that a cluster may take to be as it is waited for; on a busy machine each step may.
PATIENCE = 240


@contextlib.contextmanager
def running(members=2, **dynamic):
    """Run a cluster of members ``one``, ``two`` …; yields a :class:`Cluster` whose members all run.

    :param dynamic: of the dynamic configuration, beside what makes it quick.
    """
    if importlib.util.find_spec("patroni") is None:
        pytest.skip("there is no Patroni here: requirements.txt has it")
    programs = postgres_server.programs()
    lacking = [name for name in PROGRAMS if not (programs / name).exists()]
    if lacking:
        pytest.skip(f"Patroni needs more than a server's programs, and {programs} lacks {', '.join(lacking)}")
    prefix, user = postgres_server.as_user()
    if prefix:
        # Python and Patroni may lie where only root may look, such as below /root.
        may_look = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *may_look, "--"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scaleout-patroni-", dir=postgres_server.base()))
    cluster = None
    try:
        if prefix:
            shutil.chown(folder, user)
        cluster = Cluster(folder, programs, prefix, ["one", "two", "three"][:members], dynamic)
        for name in cluster.names:
            cluster.start(name)
        cluster.wait(lambda seen: all(seen[name]["state"] in ("running", "streaming") for name in cluster.names))
        yield cluster
    finally:
        if cluster:
            cluster.stop_all()
        shutil.rmtree(folder, ignore_errors=True)


class Cluster:
    """Where the members of a cluster are, and a witness that asks them without any code of ours."""

    def __init__(self, folder, programs, prefix, names, dynamic):
        self.folder, self.names = folder, names
        self._prefix, self._programs, self._dynamic = prefix, programs, dynamic
        ports = iter(free_ports(3 * len(names)))
        self.ports = {name: {"rest": next(ports), "raft": next(ports), "postgres": next(ports)} for name in names}
        self._processes = {}

    def start(self, name):
        """Start a member's Patroni."""
        path = self.folder / f"{name}.yml"
        path.write_text(yaml.safe_dump(self._configuration(name)))
        log = (self.folder / f"{name}.log").open("a")
        self._processes[name] = subprocess.Popen(
            [*self._prefix, sys.executable, "-m", "patroni", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=str(self.folder),
        )

    def stop(self, name):
        """End a member's Patroni, which stops its server."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(PATIENCE)

    def stop_all(self):
        """End every member."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def seen(self):
        """Return the members by their names, as the first that answers sees them."""
        for name in self.names:
            with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
                answer = self.ask(name, "/cluster")
                return {member["name"]: member for member in answer["members"]}
        return {}

    def ask(self, name, path):
        """Return what a member's REST API answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]['rest']}{path}", timeout=10) as answer:
            return json.load(answer)

    def wait(self, until):
        """Wait until a condition holds for what is seen."""
        deadline = time.monotonic() + PATIENCE
        while True:
            seen = self.seen()
            with contextlib.suppress(KeyError):
                if seen and until(seen):
                    return seen
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))
                raise AssertionError(f"the cluster is {seen}\n{logs}")
            time.sleep(0.2)

    def wait_for_parameters(self, name, **expected):
        """Wait until a member sees parameters in the dynamic configuration; None for those that are not to be there."""

        def are_there(_seen):
            found = self.ask(name, "/config")["postgresql"]["parameters"]
            return all(found.get(parameter) == value for parameter, value in expected.items())

        self.wait(are_there)

    def leader(self):
        """Return the name of the leader."""
        seen = self.wait(lambda members: any(one["role"] == "leader" for one in members.values()))
        return next(name for name, member in seen.items() if member["role"] == "leader")

    def replica(self):
        """Return the name of one that is not the leader."""
        leader = self.leader()
        return next(name for name in self.names if name != leader)

    def connect(self, name):
        """A connection to a member's PostgreSQL, as its superuser."""
        server = postgres_server.Server(self.folder)
        return server.connect("postgres", port=self.ports[name]["postgres"])

    def options(self, name, **more):
        """Return a module's options of Patroni for a member."""
        return options(patroni_port=self.ports[name]["rest"], **more)

    def _configuration(self, name):
        ports = self.ports[name]
        others = [f"127.0.0.1:{self.ports[other]['raft']}" for other in self.names if other != name]
        settings = {key: value for key, value in postgres_server.SETTINGS.items() if key != "listen_addresses"}
        dynamic = {
            "ttl": 20,
            "loop_wait": 1,
            "retry_timeout": 5,
            "primary_start_timeout": 0,
            "postgresql": {
                "use_pg_rewind": False,
                # A replica asks again soon.
                "parameters": {**settings, "wal_level": "logical", "wal_retrieve_retry_interval": "200ms"},
            },
            **self._dynamic,
        }
        raft = {"self_addr": f"127.0.0.1:{ports['raft']}", "data_dir": str(self.folder / f"{name}-raft")}
        return {
            "scope": SCOPE,
            "name": name,
            "raft": {**raft, "partner_addrs": others},
            "restapi": {
                "listen": f"127.0.0.1:{ports['rest']}",
                "connect_address": f"127.0.0.1:{ports['rest']}",
                "authentication": {"username": USER, "password": PASSWORD},
            },
            "bootstrap": {"dcs": dynamic, "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "no-sync"]},
            "postgresql": {
                "listen": f"127.0.0.1:{ports['postgres']}",
                "connect_address": f"127.0.0.1:{ports['postgres']}",
                "data_dir": str(self.folder / name),
                "bin_dir": str(self._programs),
                "pgpass": str(self.folder / f"{name}.pgpass"),
                "parameters": {"unix_socket_directories": str(self.folder)},
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


def options(**more):
    """Return a module's options of a Patroni on this host."""
    return {
        "patroni_host": "127.0.0.1",
        "patroni_port": 8008,
        "patroni_scheme": "http",
        "patroni_user": USER,
        "patroni_password": PASSWORD,
        "patroni_timeout": 10.0,
        "patroni_ca_file": None,
        "patroni_cert_file": None,
        "patroni_key_file": None,
        "patroni_validate_certs": True,
        **more,
    }


def free_ports(count):
    """Return ports that are free."""
    with contextlib.ExitStack() as stack:
        found = []
        for _each in range(count):
            one = stack.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(one.getsockname()[1])
        return found
