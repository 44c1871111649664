# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks at a systemd unit, at the port that it should listen on, and at its health path."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.health.gate import Answer, Observation, Verdict, judge

#: Seconds between two looks, and the most that the health path may take to answer one.
_PAUSE = 0.25
_PATIENCE = 5.0
_EXCERPT = 200
_PROPERTIES = ("ActiveState", "UnitFileState", "NRestarts", "Result", "ExecMainStatus")


class Service:
    """A service on this host.

    :param unit: name of its systemd unit, such as ``shop.service``.
    :param port: the port on which it listens on the loopback address.
    :param path: the path that answers 2xx when it is healthy.
    """

    def __init__(self, unit: str, port: int, path: str) -> None:
        self._unit = unit
        self._port = port
        self._path = path

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
            strangers=self._strangers() if running else (),
            answer=self._ask(patience) if running else None,
        )

    def wait(self, timeout: float) -> tuple[Observation, Verdict]:
        """Look until the service is ready, or cannot become so, or ``timeout`` seconds have passed."""
        end = time.monotonic() + timeout
        seen = self.look(min(_PATIENCE, max(1.0, timeout)))
        restarts = seen.restarts
        while True:
            verdict = judge(seen, self._path, restarts)
            left = end - time.monotonic()
            if verdict.ready or verdict.hopeless or left <= 0:
                return seen, verdict
            time.sleep(min(_PAUSE, left))
            seen = self.look(min(_PATIENCE, max(1.0, left)))

    def last_words(self, lines: int) -> str:
        """Return the last lines that the service itself wrote to the journal, oldest first."""
        return _output(
            ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}", f"_SYSTEMD_UNIT={self._unit}"]
        ).strip()

    def _properties(self) -> dict[str, str]:
        output = _output(["systemctl", "show", f"--property={','.join(_PROPERTIES)}", self._unit])
        shown = dict.fromkeys(_PROPERTIES, "")
        shown.update(line.split("=", 1) for line in output.splitlines() if "=" in line)
        return shown

    def _ask(self, patience: float) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=patience)
        try:
            connection.request("GET", self._path, headers={"User-Agent": "scaleout.platform health gate"})
            response = connection.getresponse()
            text = response.read(_EXCERPT).decode("utf-8", "replace")
            return Answer(response.status, " ".join(text.split()))
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, getattr(error, "strerror", None) or str(error) or type(error).__name__)
        finally:
            connection.close()

    def _strangers(self) -> tuple:
        """Name who listens on the port, when somebody does and it is not the unit."""
        listening = _listening(self._port)
        if not listening:
            return ()
        owners = [owner for owner in _owners(listening) if owner is not None]
        if any(self._unit in cgroup.split("/") for _name, cgroup in owners):
            return ()
        return tuple(sorted({name for name, _cgroup in owners}))


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            encoding="utf-8",
            errors="replace",
        ).stdout
    except OSError as error:
        raise ScaleoutError(f"Cannot run {command[0]}: {error.strerror}.") from error


def _listening(port: int) -> set[str]:
    """Return the inodes of the sockets that listen on a TCP port (proc(5), /proc/net/tcp)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as lines:
            next(lines)
            for line in lines:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _owners(inodes: set[str]) -> t.Iterator[tuple[str, str] | None]:
    """Yield name and control group of each process that has one of the sockets open."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if any(os.readlink(link.path) in inodes for link in os.scandir(f"/proc/{pid}/fd")):
                yield _process(pid)
        except OSError:
            # It ended while we looked, or it is not ours to look at.
            continue


def _process(pid: str) -> tuple[str, str]:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
        name = stream.read().strip()
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
        groups = [line.rstrip("\n").split(":", 2)[2] for line in stream]
    return f"{name} (pid {pid})", "/".join(groups)
