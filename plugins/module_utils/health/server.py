# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks at a systemd unit, at the port that it should listen on, and at its health path."""

from __future__ import annotations

import dataclasses
import http.client
import os
import pwd
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.health.gate import (
    PASSES,
    Answer,
    Observation,
    Readiness,
    judge,
    stays,
)
from ansible_collections.scaleout.platform.plugins.module_utils.process import NO_ANSWER, NO_PROGRAM, run

#: Seconds between the first two looks and, by and by, between the last; a service may write a line for each.
_FIRST_PAUSE = 0.25
_LAST_PAUSE = 2.0
#: Seconds between two looks at a service that is healthy and watched; systemd starts it again after a second.
_WATCH_PAUSE = 0.5
#: Seconds that the health path may take to answer one look.
_PATIENCE = 5.0
#: Seconds that systemd may take to answer; a large journal on a slow disk takes some.
_COMMAND_TIMEOUT = 60.0
#: How far back in the journal to search for lines that are not about our own looking.
_HORIZON = 500
_EXCERPT = 200
_PROPERTIES = (
    "ActiveState",
    "ActiveEnterTimestampMonotonic",
    "UnitFileState",
    "NRestarts",
    "Result",
    "ExecMainStatus",
    "UID",
    "InvocationID",
)
#: The state of a listening socket in /proc/net/tcp.
_LISTEN = "0A"


class Service:
    """A service on this host.

    :param unit: name of its systemd unit, such as ``shop.service``.
    :param port: the port on which it listens on the loopback address.
    :param path: the path that answers 2xx when it is healthy.
    :param host: the name that the request carries, for an application that answers to its own name only.
    :param patience: seconds that the health path may take to answer one look.
    """

    def __init__(self, unit: str, port: int, path: str, host: str = "", patience: float = _PATIENCE) -> None:
        self.unit = unit
        self._port = port
        self._path = path
        self._host = host
        self._patience = patience

    def look(self, patience: float = _PATIENCE) -> Observation:
        """Look once.

        :param patience: seconds that the health path may take.
        """
        shown = self._properties()
        active = shown["ActiveState"]
        running = active in ("active", "reloading")
        return Observation(
            active=active,
            enabled=shown["UnitFileState"] == "enabled",
            restarts=int(shown["NRestarts"] or 0),
            result=shown["Result"],
            status=int(shown["ExecMainStatus"] or 0),
            strangers=self._strangers(shown["UID"]) if running else (),
            answer=self._answer(shown, patience) if running else None,
        )

    def _answer(self, _shown: dict[str, str], patience: float) -> Answer:
        return self._ask(patience)

    def wait(self, timeout: float) -> tuple[Observation, Readiness]:
        """Look until the service is ready, or cannot become so, or ``timeout`` seconds have passed.

        Without a timeout one look decides; otherwise it takes :data:`PASSES` good ones in a row.
        """
        end, pause = time.monotonic() + timeout, _FIRST_PAUSE
        seen = self.look(min(self._patience, max(1.0, timeout)))
        restarts, failure, passes = seen.restarts, seen, 0
        while True:
            if seen.result != "success" or seen.status:
                failure = seen
            elif seen.restarts > restarts:
                # Just started once more: what it ended with is the last look's to tell.
                seen = dataclasses.replace(seen, result=failure.result, status=failure.status)
            readiness = judge(seen, self._path, restarts)
            passes = passes + 1 if readiness.ready else 0
            left = end - time.monotonic()
            if passes == PASSES or readiness.hopeless or left <= 0:
                return seen, readiness
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LAST_PAUSE)
            seen = self.look(min(self._patience, max(1.0, left)))

    def watch(self, seconds: float) -> tuple[Observation, Readiness]:
        """Look for so long whether a service that is healthy stays that.

        A process that ends is noticed even if another one has taken its place; of answers, it takes :data:`PASSES` bad
        ones in a row, as load balancers do.
        """
        begin = time.monotonic()
        seen = self.look(self._patience)
        restarts, misses = seen.restarts, 0
        while True:
            passed = time.monotonic() - begin
            readiness = stays(seen, self._path, restarts, passed)
            misses = 0 if readiness.ready else misses + 1
            if readiness.hopeless or misses == PASSES or (readiness.ready and passed >= seconds):
                return seen, readiness
            time.sleep(_WATCH_PAUSE)
            seen = self.look(self._patience)

    def last_words(self, lines: int) -> list[str]:
        """Return what the last process wrote last to the journal, oldest line first, without its log of our looking.

        When it has written nothing, those of the processes before it.
        """
        process = f"_SYSTEMD_INVOCATION_ID={self._properties()['InvocationID']}"
        for match in (process, f"_SYSTEMD_UNIT={self.unit}"):
            command = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={_HORIZON}", match]
            words = [
                line for line in _output(command).splitlines() if not self._path or f"GET {self._path}" not in line
            ]
            if words:
                return words[-lines:]
        return []

    def _properties(self) -> dict[str, str]:
        output = _output(["systemctl", "show", f"--property={','.join(_PROPERTIES)}", self.unit])
        shown = dict.fromkeys(_PROPERTIES, "")
        pairs = (line.partition("=") for line in output.splitlines())
        shown.update((name, value) for name, sign, value in pairs if sign)
        return shown

    def _ask(self, patience: float) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=patience)
        headers = {"User-Agent": "scaleout.platform health gate", **({"Host": self._host} if self._host else {})}
        try:
            connection.request("GET", self._path, headers=headers)
            response = connection.getresponse()
            text = response.read(_EXCERPT).decode("utf-8", "replace")
            return Answer(response.status, " ".join(text.split()))
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, getattr(error, "strerror", None) or str(error) or type(error).__name__)
        finally:
            connection.close()

    def _strangers(self, uid: str) -> tuple[str, ...]:
        """Name the owners of the processes that listen on the port, if none of them is the unit's user.

        The kernel tells a socket's user to everyone; its process it tells only to who may trace it, and
        root in a container may not.
        """
        listening = _listening_users(self._port)
        own = int(uid) if uid.isdigit() else 0
        return () if own in listening else tuple(sorted(map(_user_name, listening)))


class Worker(Service):
    """A service that listens on no port: it is healthy once it has run for a while.

    :param steady_time: seconds that its process has to run.
    """

    def __init__(self, unit: str, steady_time: float) -> None:
        super().__init__(unit, 0, "")
        self._steady_time = steady_time

    def _answer(self, shown: dict[str, str], _patience: float) -> Answer:
        age = time.clock_gettime(time.CLOCK_MONOTONIC) - int(shown["ActiveEnterTimestampMonotonic"] or 0) / 1e6
        return Answer(200) if age >= self._steady_time else Answer(0, f"it has run for {max(0.0, age):.1f} s only")

    def _strangers(self, _uid: str) -> tuple[str, ...]:
        return ()


class Health(t.NamedTuple):
    """How a service and its workers are.

    :param facts: what a module returns: ``ready``, ``reason``, ``active``, ``enabled`` and ``idle_workers``.
    :param blamed: which of them is not ready, or the service.
    """

    facts: dict[str, t.Any]
    blamed: Service


def examine(service: Service, workers: t.Sequence[Worker], timeout: float) -> Health:
    """Look until all are healthy, one cannot become so, or ``timeout`` seconds have passed, as :meth:`Service.wait`."""
    seen, readiness = service.wait(timeout)
    blamed, idle = service, []
    for worker in workers:
        # Those who start together are steady together: only the first one is really waited for.
        looked, judged = worker.wait(timeout if readiness.ready else 0)
        if not looked.runs:
            idle.append(worker.unit)
        if readiness.ready and not judged.ready:
            blamed = worker
            readiness = dataclasses.replace(judged, reason=f"its worker {worker.unit}: {judged.reason}")
    facts = {
        "ready": readiness.ready,
        "reason": readiness.reason,
        "active": seen.runs,
        "enabled": seen.enabled,
        "idle_workers": idle,
    }
    return Health(facts, blamed)


def watch(service: Service, workers: t.Sequence[Worker], seconds: float) -> tuple[str, Service]:
    """Watch a healthy service and its workers for so many seconds.

    :return: why one does not stay healthy, empty where all do; and which, or the service.
    """
    _seen, readiness = service.watch(seconds)
    if not readiness.ready:
        return readiness.reason, service
    for worker in workers:
        # They were watched by systemd meanwhile: one that ended has not run for long enough.
        _seen, readiness = Worker(worker.unit, seconds).wait(0)
        if not readiness.ready:
            return f"its worker {worker.unit}: {readiness.reason}", worker
    return "", service


def _output(command: list[str]) -> str:
    done = run(command, timeout=_COMMAND_TIMEOUT)
    if done.status in (NO_ANSWER, NO_PROGRAM):
        raise ScaleoutError(f"Cannot run {done.error}.", code="missing_command")
    return done.output + done.error


def _listening_users(port: int) -> set[int]:
    """Return the users whose sockets listen on a TCP port (proc(5), /proc/net/tcp)."""
    users = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as lines:
            next(lines)
            for line in lines:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    users.add(int(fields[7]))
    return users


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
