# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ends a Patroni that hangs, so that systemd starts it again before its lease of the lead ends.

PostgreSQL goes on without its Patroni. When the lease of a leader that hangs has ended, another member leads, while the
former one still acknowledges what a replica has confirmed that has not heard of it yet, and those commits are lost. A
watchdog device would reset such a host; this program is for hosts without one, and costs less than a reset.
"""

from __future__ import annotations

import argparse
import http.client
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

UNIT = "patroni.service"
#: Seconds that one question may take, and between two.
PATIENCE, PAUSE = 2.0, 1.0


def now() -> float:
    """Seconds since the boot, also those that the host slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def answers(host: str, port: int) -> bool:
    """Whether Patroni says anything at all on its REST API, such as that PostgreSQL is down."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/liveness")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def main_process() -> int:
    """The number of Patroni's process; 0 where it does not run, or is being stopped and answers no more for that."""
    command = ["systemctl", "show", "--property=MainPID", "--property=ActiveState", UNIT]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    fields = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    number = fields.get("MainPID", "")
    return int(number) if number.isdigit() and fields.get("ActiveState") != "deactivating" else 0


def started(number: int) -> float:
    """When a process was started, in seconds since the boot; for one that has gone, never."""
    try:
        told = pathlib.Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return float("inf")
    # The name in parentheses may hold anything.
    return int(told.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


class Watch:
    """Knows when Patroni answered last, and decides.

    :param limit: seconds without an answer after which it hangs.
    :param find: returns the number of its process, or 0.
    :param age: returns when a process was started.
    """

    def __init__(self, limit: float, find: t.Callable[[], int], age: t.Callable[[int], float]) -> None:
        self._limit, self._find, self._age = limit, find, age
        self._answered: float | None = None

    def hanging(self, at: float, answered: bool) -> int:
        """Return the process that hangs, or 0.

        One that has not answered yet waits for Consul, or begins, and is left alone.
        """
        if answered:
            self._answered = at
        if self._answered is None or at - self._answered < self._limit:
            return 0
        number = self._find()
        hangs = number and self._age(number) < self._answered
        self._answered = None
        return number if hangs else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("host")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--limit", type=float, required=True, help="seconds without an answer")
    given = parser.parse_args()
    watch = Watch(given.limit, main_process, started)
    while True:
        answered = answers(given.host, given.port)
        number = watch.hanging(now(), answered)
        if number:
            print(f"Patroni, process {number}, has not answered for {given.limit:g} s and is ended", file=sys.stderr)
            os.kill(number, signal.SIGKILL)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
