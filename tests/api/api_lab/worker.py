# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The worker as a process of its own."""

from __future__ import annotations

import pathlib
import re
import signal
import subprocess
import sys

from .server import environment


class Worker:
    def __init__(self, consul_address: str, log: pathlib.Path, **variables: str) -> None:
        self.log = log
        self._variables = environment(consul_address, **variables)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "reference_api.worker"], env=self._variables, stdout=log, stderr=log
            )

    def stop(self) -> int:
        """Ask it to end, as systemd would; return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def done(self, what: str) -> int:
        """How often it did this, by its log; the last report is written at its end."""
        counts = re.findall(rf"done:.*?(\d+) {re.escape(what)}\b", self.log.read_text())
        return sum(map(int, counts))

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
