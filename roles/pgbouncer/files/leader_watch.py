# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends this host's PgBouncer to the leader of its PostgreSQL cluster, whoever that is.

It asks the local Consul agent for Patroni's key ``leader`` with a blocking query, so it learns of each change at once.
An answer without a leader, or none, changes nothing: the last one stays, as Patroni keeps a leader that cannot reach
Consul while all members answer it.

When the leader changes, PgBouncer reads its databases again. Connections to the former leader are closed as soon as
their transactions end. Those that are left after :data:`GRACE_SECONDS` hang on a server that is lost or paused: they
are cut off, with their clients, who then know that they do not know.

A pooler that is told to pause keeps what it was told until it is resumed: playbooks that hand the lead over hold
requests for some seconds, and let go again. If the one who paused it is gone, it is resumed here, after
:data:`FORGOTTEN_SECONDS`.

With ``--seed`` it only writes the first file, and leaves a file that is already there alone.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import ipaddress
import json
import os
import pathlib
import re
import socket
import sys
import threading
import time
import typing as t
import urllib.parse

#: PgBouncer's configuration includes it.
DATABASES = pathlib.Path("/var/lib/pgbouncer/leader.ini")

#: Seconds that Consul may keep a question when nothing changes.
WAIT_SECONDS = 60

#: Seconds to pause after a failure.
PAUSE_SECONDS = 1

#: Seconds between two questions at least, however fast Consul's answers change.
BREATH_SECONDS = 0.1

#: Seconds that transactions on the former leader may take to end. A leader that is demoted ends them itself.
GRACE_SECONDS = 2.0

#: Seconds after which a pause counts as forgotten. No playbook holds requests for so long.
FORGOTTEN_SECONDS = 20

#: Seconds between two looks for one.
LOOK_SECONDS = 2

#: Settings that whoever pauses the pooler changes for that time; its files say what they are otherwise.
OF_A_PAUSE = ("min_pool_size", "query_wait_timeout", "client_login_timeout")

_LINE = re.compile(r"^(\S+) = host=(\S+) port=(\d+)$", re.M)


class Refused(ValueError):
    """An address that must not reach PgBouncer's configuration; the message says why."""


class Leader(t.NamedTuple):
    """Where the leader's server is."""

    name: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.name} ({self.host}:{self.port})"


def leader(name: str, member: bytes) -> Leader:
    """Read where a member's server is from the document that Patroni keeps of it.

    :raises Refused: it does not say, or says what is no address.
    """
    try:
        parts = urllib.parse.urlsplit(json.loads(member)["conn_url"])
        host, port = str(ipaddress.ip_address(parts.hostname or "")), int(parts.port or 5432)
    except (ValueError, KeyError, TypeError):
        raise Refused(f"Patroni does not say where the leader {name} is") from None
    return Leader(name, host, port)


def render(databases: t.Iterable[str], host: str, port: int) -> str:
    """Return the text of the file: where each database is."""
    lines = [f"{name} = host={host} port={port}" for name in databases]
    return "\n".join(["; Written by the watch that follows the leader.", *lines, ""])


def in_file(text: str) -> str:
    """Return the address to which the file sends clients; empty where it does not say."""
    found = _LINE.search(text)
    return found[2] if found else ""


def replace(path: pathlib.Path, text: str) -> None:
    """Write a file so that a reader, or the next boot, finds the old text or the new one and nothing between."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.chmod(0o644)
    new.replace(path)


class PgBouncer:
    """The console of this host's pooler, over its unix socket.

    :param port: of the pooler.
    """

    def __init__(self, port: int, sockets: str = "/run/pgbouncer") -> None:
        self._port = port
        self._sockets = sockets

    def reload(self) -> None:
        """Take up the files. A pooler that does not run takes them up when it starts."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as console:
            try:
                console.connect(f"{self._sockets}/.s.PGSQL.{self._port}")
            except (FileNotFoundError, ConnectionRefusedError):
                return
        self.take_up()

    def take_up(self) -> None:
        """Take up the files, and keep what a pause has changed for as long as it lasts."""
        kept = []
        if self.paused():
            now = {row["key"]: row["value"] for row in self._rows("SHOW CONFIG")}
            kept = [f"SET {name} = {now[name]}" for name in OF_A_PAUSE]
        self._rows("RELOAD", *kept)

    def paused(self) -> list[str]:
        """Return the databases whose clients wait; none where the pooler does not run."""
        return sorted(row["name"] for row in self._rows("SHOW DATABASES") if int(row["paused"]))

    def resume(self, databases: t.Iterable[str]) -> None:
        """Let their clients go on, with the settings of the files."""
        self._rows(*(f'RESUME "{name}"' for name in databases), "RELOAD")

    def hanging(self, address: str) -> list[str]:
        """Return the databases that have connections in use to a server."""
        rows = self._rows("SHOW SERVERS")
        return sorted({row["database"] for row in rows if row["addr"] == address and row["state"] == "active"})

    def cut(self, database: str) -> None:
        """Close all connections of a database, and take new ones."""
        self._rows(f'KILL "{database}"', f'RESUME "{database}"')

    def _rows(self, *commands: str) -> list[dict[str, t.Any]]:
        """Run commands one right after the other, and return the rows of the last one."""
        # Here, so that the rest of this file can be read where there is no driver.
        import psycopg2

        place = {"host": self._sockets, "port": self._port, "user": "pgbouncer", "dbname": "pgbouncer"}
        try:
            with contextlib.closing(psycopg2.connect(connect_timeout=5, **place)) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    for command in commands:
                        cursor.execute(command)
                    if cursor.description is None:
                        return []
                    names = [column[0] for column in cursor.description]
                    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except psycopg2.Error as error:
            raise OSError(f"PgBouncer does not take {commands[0]}: {' '.join(str(error).split())}") from error


class Consul:
    """The local agent.

    :param address: of its HTTP interface, ``host:port``.
    :param token_file: holds the token that may read Patroni's keys.
    :param cluster: its name.
    """

    def __init__(self, address: str, token_file: pathlib.Path, cluster: str) -> None:
        self._address = address
        self._token_file = token_file
        self._cluster = cluster

    def ask(self, index: int, wait: float) -> tuple[int, str]:
        """Return the leader's name once it differs from that of ``index``, or after about ``wait`` seconds.

        :raises OSError: the agent does not answer, or answers with an error.
        """
        # Any server may answer a stale query. Others go to the leader, and hang for half a minute when it is lost.
        query = {"stale": "", "index": index, "wait": f"{max(1, round(wait * 1000))}ms"}
        newest, value = self._key("leader", query, wait * 1.1 + 10)
        return newest, value.decode("utf-8", "replace")

    def member(self, name: str) -> bytes:
        """Return what Patroni keeps of a member; empty where there is nothing."""
        return self._key(f"members/{urllib.parse.quote(name)}", {"stale": ""}, 10)[1]

    def _key(self, key: str, query: t.Mapping[str, t.Any], timeout: float) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=timeout)
        try:
            token = self._token_file.read_text(encoding="utf-8").strip()
            path = f"/v1/kv/service/{self._cluster}/{key}?{urllib.parse.urlencode(query)}"
            connection.request("GET", path, headers={"X-Consul-Token": token})
            answer = connection.getresponse()
            text = answer.read()
            index = max(1, int(answer.getheader("X-Consul-Index") or 1))
            if answer.status == 404:
                return index, b""
            if answer.status != 200:
                raise OSError(f"Consul answers {answer.status}: {text[:200].decode('utf-8', 'replace').strip()}")
            return index, base64.b64decode(json.loads(text)[0]["Value"] or "")
        except (http.client.HTTPException, ValueError, KeyError, IndexError, TypeError) as error:
            raise OSError(f"Consul's answer cannot be read: {error!r}") from error
        finally:
            connection.close()


def follow(path: pathlib.Path, databases: t.Sequence[str], found: Leader, pgbouncer: t.Any, clock: t.Any) -> str:
    """Bring the file and the running pooler to the leader.

    :param pgbouncer: has ``reload``, ``hanging`` and ``cut`` as :class:`PgBouncer` has.
    :param clock: the module ``time``.
    :returns: a line for the journal, empty when there was nothing to do.
    :raises OSError: PgBouncer does not take it; it is told again.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = render(databases, found.host, found.port)
    if after == before:
        return ""
    former = in_file(before)
    replace(path, after)
    try:
        pgbouncer.reload()
    except OSError:
        # Else the next look would find nothing to do.
        replace(path, before)
        raise
    if not former or former == found.host:
        return f"the leader is {found}"
    until, hanging = clock.monotonic() + GRACE_SECONDS, pgbouncer.hanging(former)
    while hanging and clock.monotonic() < until:
        clock.sleep(BREATH_SECONDS)
        hanging = pgbouncer.hanging(former)
    for database in hanging:
        pgbouncer.cut(database)
    return f"the leader is {found}" + (f"; cut off from {former}: {', '.join(hanging)}" if hanging else "")


def let_go(databases: t.Collection[str], pgbouncer: t.Any, since: dict[str, float], now: float) -> str:
    """Resume what has been paused for too long.

    :param pgbouncer: has ``paused`` and ``resume`` as :class:`PgBouncer` has.
    :param since: when each was first seen paused; it is kept up to date.
    :returns: a line for the journal, empty when there was nothing to do.
    """
    paused = {name for name in pgbouncer.paused() if name in databases}
    for name in [*since]:
        if name not in paused:
            del since[name]
    for name in paused:
        since.setdefault(name, now)
    forgotten = sorted(name for name in since if now - since[name] >= FORGOTTEN_SECONDS)
    if not forgotten:
        return ""
    pgbouncer.resume(forgotten)
    return f"resumed what was paused for more than {FORGOTTEN_SECONDS} s: {', '.join(forgotten)}"


def look_for_pauses(databases: t.Sequence[str], pgbouncer: t.Any, clock: t.Any) -> None:
    """Resume what is forgotten, forever."""
    since: dict[str, float] = {}
    while True:
        # What keeps the pooler from answering is said where it has to follow the leader.
        with contextlib.suppress(OSError):
            line = let_go(databases, pgbouncer, since, clock.monotonic())
            if line:
                print(line, flush=True)
        clock.sleep(LOOK_SECONDS)


def watch(
    path: pathlib.Path, databases: t.Sequence[str], consul: t.Any, pgbouncer: t.Any, state: pathlib.Path, clock: t.Any
) -> None:
    """Follow the leader forever.

    :param consul: has ``ask`` and ``member`` as :class:`Consul` has.
    :param state: is kept to what is wrong, in one line; empty when nothing is.
    """
    index, wait, said = 0, 0.0, ""
    while True:
        problem = ""
        try:
            newest, name = consul.ask(index, wait)
            # After a restore, Consul begins to count again.
            index, wait = (newest if newest >= index else 0), float(WAIT_SECONDS)
            note = "the cluster has no leader, the last one stays"
            if name:
                note = follow(path, databases, leader(name, consul.member(name)), pgbouncer, clock)
        except (OSError, ValueError) as error:
            problem, index, wait = str(error), 0, 0.0
            note = problem
        if note and note != said:
            print(note, flush=True)
        said = note or said
        if not state.exists() or state.read_text(encoding="utf-8") != problem:
            replace(state, problem)
        clock.sleep(PAUSE_SECONDS if problem else BREATH_SECONDS)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cluster")
    parser.add_argument("databases", nargs="+", metavar="DATABASE")
    parser.add_argument("--seed", metavar="ADDRESS", help="write the first file and do nothing else")
    parser.add_argument("--consul", default="127.0.0.1:8500", metavar="HOST:PORT", help="the agent's HTTP interface")
    parser.add_argument("--token-file", type=pathlib.Path, default=pathlib.Path("/etc/pgbouncer/consul_token"))
    parser.add_argument("--port", type=int, default=6432, help="PgBouncer's")
    return parser


def main() -> None:
    given = arguments().parse_args()
    if given.seed is None:
        state = pathlib.Path(os.environ.get("RUNTIME_DIRECTORY", "/run")) / "state"
        consul, pgbouncer = Consul(given.consul, given.token_file, given.cluster), PgBouncer(given.port)
        threading.Thread(target=look_for_pauses, args=(given.databases, pgbouncer, time), daemon=True).start()
        watch(DATABASES, given.databases, consul, pgbouncer, state, time)
    if not DATABASES.exists():
        try:
            replace(DATABASES, render(given.databases, str(ipaddress.ip_address(given.seed)), 5432))
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
