# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger client beside a test: load that goes on until the test has seen enough."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.end_to_end import lab

RATE = 50
WRITES = 0.3
SETUP_SECONDS = 60
VERIFICATION_SECONDS = 120


class Ledger:
    """Load that runs.

    :param name: of its files among the logs.
    :param longest: seconds of load at the most, should a test not come to its end.
    :param url: where to, if not to the lab.
    :param rate: requests in a second.
    """

    def __init__(self, name: str, longest: int, url: str = "", rate: int = RATE) -> None:
        self._report = lab.LOGS / f"ledger-{name}.json"
        self._errors = lab.LOGS / f"ledger-{name}.err"
        lab.LOGS.mkdir(parents=True, exist_ok=True)
        options = [f"--url={url or lab.url()}", f"--rate={rate}", f"--writes={WRITES}", f"--seconds={longest}"]
        with self._report.open("w") as output, self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.ledger", *options], cwd=lab.ROOT, stdout=output, stderr=errors
            )
        begun = lab.wait_for(self._has_begun, SETUP_SECONDS)
        assert begun is not None, self._errors.read_text()
        assert self._process.poll() is None, self._errors.read_text()
        self._begin = time.monotonic()

    def _has_begun(self) -> bool:
        return self._process.poll() is not None or "load begins" in self._errors.read_text()

    @property
    def now(self) -> float:
        """Seconds of load so far, as the report counts them (to half a second)."""
        return time.monotonic() - self._begin

    def report(self) -> dict[str, Any]:
        """End the load, let it verify every row, and return its report."""
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(VERIFICATION_SECONDS)
        assert status in (0, 1), self._errors.read_text()
        return json.loads(self._report.read_text())

    def stop(self) -> None:
        """End it, whatever it is doing."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def ledger(name: str, longest: int = 240, url: str = "", rate: int = RATE) -> Iterator[Ledger]:
    """Load during the block."""
    running = Ledger(name, longest, url, rate)
    try:
        yield running
    finally:
        running.stop()


def tell(title: str, told: dict[str, Any]) -> None:
    """Print a report in a few lines."""
    failed, checked, latency = told["failed"], told["verification"], told["latency_ms"]
    print(f"\n{title}: {told['requests']} requests in {told['lasted']} s, {WRITES:.0%} writes, no retries")
    print(f"  failed {failed['total']} {failed['by_kind'] or ''}, wrong answers {told['wrong']['total']}")
    if failed["total"]:
        print(f"  failures between {failed['first_at']} s and {failed['last_at']} s; each second:")
        print("  " + " ".join(str(count) if count else "." for count in told["series"]["failed"]))
    print(f"  latency p50 {latency['p50']} ms, p99 {latency['p99']} ms, worst {latency['max']} ms")
    print(f"  by server {told['by_server']}")
    lost = {"wrong": checked["wrong"]["total"], "failed": checked["failed"]["total"]}
    print(f"  {checked['requests']} reads of all rows afterwards: {lost}")


def assert_right(told: dict[str, Any]) -> None:
    """No wrong answer; afterwards everything that was acknowledged is there."""
    assert told["wrong"]["total"] == 0, told["wrong"]["answers"]
    assert told["verification"]["wrong"]["total"] == 0, told["verification"]["wrong"]["answers"]
    assert told["verification"]["failed"]["total"] == 0, told["verification"]["failed"]
