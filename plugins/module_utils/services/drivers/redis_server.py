# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Redis server on this host: its protocol, its data, and how it hands them over before it stops."""

from __future__ import annotations

import contextlib
import glob
import io
import os
import pathlib
import pwd
import socket
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import host, journal
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services import redis_conf
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import (
    ACTIVATE_TIMEOUT,
    states,
)

#: What Debian's package starts by itself.
PACKAGE_UNIT = "redis-server.service"
PACKAGE_CONFIGURATION = "/etc/redis/redis.conf"
PACKAGE_DIRECTORY = "/var/lib/redis"
#: The first line of each file that the role writes.
OWN = "# Written by the redis role of scaleout.platform"

_TIMEOUT = 5.0
_PAUSE = 0.2
#: What Redis reads at its start.
_DATA = ("appendonlydir", "appendonly.aof", "dump.rdb")
_OVERCOMMIT = "/proc/sys/vm/overcommit_memory"


class NoAnswer(Exception):
    """The server cannot be reached, does not let us in, or refuses a command."""


class Busy(NoAnswer):
    """The server runs and cannot answer for now: it reads its data, or a script runs."""


class Server:
    """A connection to a server, made when it is first used.

    :param addresses: tried in order.
    :param password: of the default user; empty for none.
    """

    def __init__(self, addresses: t.Sequence[str], port: int, password: str) -> None:
        self._addresses = addresses
        self._port = port
        self._password = password
        self._stream: io.BufferedRWPair | None = None

    @classmethod
    def of(cls, text: str) -> Server:
        """Return the server that runs with a configuration."""
        directives = redis_conf.parse(text)
        addresses = [one.lstrip("-") for one in redis_conf.last(directives, "bind", "127.0.0.1").split()]
        everywhere = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::*": "::1", "::": "::1"}
        port = redis_conf.last(directives, "port", "6379")
        return cls(
            [everywhere.get(address, address) for address in addresses],
            int(port) if port.isdigit() else 6379,
            redis_conf.last(directives, "requirepass"),
        )

    def _connect(self) -> io.BufferedRWPair:
        reason = "it listens nowhere"
        for address in self._addresses:
            try:
                connection = socket.create_connection((address, self._port), timeout=_TIMEOUT)
            except OSError as error:
                reason = error.strerror or str(error)
                continue
            with connection:
                # The file keeps the connection open.
                return connection.makefile("rwb")
        raise NoAnswer(f"port {self._port} takes no connections ({reason})")

    def ask(self, *words: str) -> t.Any:
        """Send one command and return its answer: a text, a number, a list or None.

        :raises NoAnswer: there is none, or the server refuses.
        """
        if self._stream is None:
            self._stream = self._connect()
            if self._password:
                self._send(self._stream, "AUTH", self._password)
        return self._send(self._stream, *words)

    def _send(self, stream: io.BufferedRWPair, *words: str) -> t.Any:
        encoded = [word.encode("utf-8", "surrogateescape") for word in words]
        try:
            stream.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in encoded))
            stream.flush()
            answer = self._read(stream)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NoAnswer(f"port {self._port} gives no answer to {words[0]} ({reason})") from error
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    def _read(self, stream: io.BufferedRWPair) -> t.Any:
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            raise ValueError("the connection was closed")
        kind, rest = line[:1], line[1:-2].decode("utf-8", "surrogateescape")
        if kind == b"+":
            return rest
        if kind == b"-":
            busy = rest.split(" ", 1)[0] in ("LOADING", "BUSY")
            return (Busy if busy else NoAnswer)(f"port {self._port} answers {rest}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else stream.read(length + 2)[:-2].decode("utf-8", "surrogateescape")
        if kind == b"*":
            return [self._read(stream) for _each in range(int(rest))]
        raise ValueError("the answer is not Redis' protocol")

    def serves(self) -> bool:
        """Whether it answers a PING."""
        try:
            return bool(self.ask("PING") == "PONG")
        except NoAnswer:
            return False

    def settings(self) -> dict[str, str]:
        """Return what it runs with."""
        answer = self.ask("CONFIG", "GET", "*")
        return dict(zip(answer[::2], answer[1::2]))

    def information(self, section: str) -> dict[str, str]:
        """Return a section of INFO."""
        lines = [line.partition(":") for line in str(self.ask("INFO", section)).splitlines()]
        return {name: value for name, colon, value in lines if colon}


class Unit(t.NamedTuple):
    """A server's systemd unit and the folder of its data."""

    name: str
    directory: str


class Mark:
    """A note on the disk that something was begun which another process may have to undo."""

    def __init__(self, path: str) -> None:
        self._path = pathlib.Path(path)

    @property
    def there(self) -> bool:
        """Whether it was set, by whatever process."""
        return self._path.exists()

    def set(self) -> None:
        """Write it down."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch()
        journal.sync_folder(str(self._path.parent))

    def clear(self) -> None:
        """Remove it."""
        self._path.unlink(missing_ok=True)


def text_of(path: str) -> str:
    """Return a file's text; nothing where there is no such file."""
    return journal.read(path).content or ""


def directory_of(text: str) -> str:
    """Return where a server with this configuration keeps its data."""
    return redis_conf.last(redis_conf.parse(text), "dir") or PACKAGE_DIRECTORY


def kept(name: str, path: str) -> str:
    """Return a file of an open transaction as it was last proven; nothing without one."""
    return journal.Journal(name).kept(path) or ""


def has_data(directory: str) -> bool:
    """Whether there is anything that a start would read."""
    return any(os.path.exists(os.path.join(directory, name)) for name in _DATA)


def make_folder(directory: str) -> None:
    """Make the folder of an instance's data, for the server's account only."""
    if not os.path.isdir(directory):
        account = pwd.getpwnam("redis")
        os.makedirs(directory, mode=0o750, exist_ok=True)
        os.chown(directory, account.pw_uid, account.pw_gid)
        os.chmod(directory, 0o750)


def move_data(source: str, target: str) -> None:
    """Move data from a folder into another one. What is there already was moved by a run that was killed."""
    if source == target:
        return
    for name in _DATA:
        old, new = os.path.join(source, name), os.path.join(target, name)
        if os.path.exists(old) and not os.path.exists(new):
            os.rename(old, new)
    for folder in (target, source):
        journal.sync_folder(folder)


def rename(path: str, suffix: str) -> None:
    """Keep a file under another name, in place of an older one of that name."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path + suffix)


def append_only(configuration: str) -> None:
    """Have a configuration read the append-only file, which has the data by now."""
    if redis_conf.last(redis_conf.parse(text_of(configuration)), "appendonly") != "yes":
        with open(configuration, "a", encoding="utf-8") as stream:
            stream.write("\nappendonly yes\n")


def _save_of(text: str) -> str:
    return redis_conf.last(redis_conf.parse(text), "save")


def _appends(text: str) -> bool:
    return redis_conf.last(redis_conf.parse(text), "appendonly") == "yes"


def hand_over(unit: Unit, texts: t.Sequence[str], after: str, timeout: float, mark: Mark) -> str:
    """Have a server keep its data in such a way that it reads them at its next start, with another configuration.

    With an append-only file a server reads nothing else at its start: that file has to have all data before. Without
    one it reads the snapshot, and takes one as it stops, if it takes any at all.

    :param texts: the configurations that it may run with, the likeliest first.
    :param after: the one that it will have.
    :param mark: set before an append-only file is begun.
    :return: why it cannot; empty when it has.
    """
    if not _appends(after) and not _save_of(after):
        return ""
    if not states([unit.name])[0].active:
        if _appends(texts[0]) == _appends(after) or not has_data(unit.directory):
            # What is on the disk is read the same way again.
            return ""
        # Only the server itself can read its data.
        run(["systemctl", "reset-failed", unit.name])
        run(["systemctl", "start", unit.name], timeout=ACTIVATE_TIMEOUT)
    text = _which_answers(texts)
    if text is None:
        if _appends(texts[0]) == _appends(after) or not has_data(unit.directory):
            return ""
        return (
            f"the server does not answer, so it cannot hand over what is in {unit.directory}; start it or move that "
            "away"
        )
    server = Server.of(text)
    try:
        if _appends(after):
            return "" if _appends(text) else _write_append_only(server, timeout, mark)
        server.ask("CONFIG", "SET", "save", _save_of(after))
    except NoAnswer as error:
        return f"the server cannot hand over its data: {error}"
    return ""


def _which_answers(texts: t.Sequence[str]) -> str | None:
    end = time.monotonic() + _TIMEOUT
    while True:
        for text in texts:
            if Server.of(text).serves():
                return text
        if time.monotonic() >= end:
            return None
        time.sleep(_PAUSE)


def _write_append_only(server: Server, timeout: float, mark: Mark) -> str:
    mark.set()
    server.ask("CONFIG", "SET", "appendonly", "yes")
    end = time.monotonic() + timeout
    whole = {
        "aof_enabled": "1",
        "aof_rewrite_in_progress": "0",
        "aof_rewrite_scheduled": "0",
        "aof_last_bgrewrite_status": "ok",
    }
    while not whole.items() <= server.information("persistence").items():
        if time.monotonic() >= end:
            server.ask("CONFIG", "SET", "appendonly", "no")
            mark.clear()
            return f"the append-only file was not written within {timeout:g} s; redis_health_timeout may be too short"
        time.sleep(_PAUSE)
    return ""


# What the host has


def look() -> dict[str, t.Any]:
    """Return what decides which instances the host may have."""
    here = host.look(files.found, 1)
    return {
        "memory": here.memory * 1024 if here else 0,
        "overcommit": _overcommit(),
        "package_server": _package_server(),
        "instances": sorted(_own_instances()),
    }


def _overcommit() -> str:
    if (files.found(_OVERCOMMIT) or "1").strip() == "1":
        return "allowed"
    return "refused" if os.access(_OVERCOMMIT, os.W_OK) else "fixed"


def _package_server() -> dict[str, t.Any] | None:
    state = states([PACKAGE_UNIT])[0]
    text = files.found(PACKAGE_CONFIGURATION)
    if text is None or not (state.active or (state.known and state.enabled)):
        return None
    directory = directory_of(text)
    port = redis_conf.last(redis_conf.parse(text), "port", "6379")
    keys = False
    if state.active:
        with contextlib.suppress(NoAnswer):
            keys = Server.of(text).ask("DBSIZE") > 0
    return {
        "port": int(port) if port.isdigit() else 0,
        "directory": directory,
        "data": keys or has_data(directory),
    }


def _own_instances() -> t.Iterator[str]:
    for path in glob.glob("/etc/redis/redis-*.conf"):
        if files.text(path).startswith(OWN):
            yield os.path.basename(path)[len("redis-") : -len(".conf")]
