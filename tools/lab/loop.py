"""The control loop in the foreground: one cycle of autoscale.yml after the other, a line for each pool and cycle.

Ctrl-C ends it once the cycle is over; a second one breaks the cycle off, and the next one cleans up what it left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .labs import Lab
from .paths import ROOT, VENV


def environment() -> dict[str, str]:
    """Return the environment of a cycle: samples are pushed, and only lines are shown."""
    return {
        **os.environ,
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_STDOUT_CALLBACK": "scaleout.platform.lines",
        "ANSIBLE_CALLBACKS_ENABLED": "scaleout.platform.push_metrics",
    }


def command(inventory: Path, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command of a cycle."""
    playbook = str(ROOT / "playbooks/autoscale.yml")
    return [str(VENV / "bin/ansible-playbook"), f"--inventory={inventory}", playbook, *arguments]


class Stopping:
    """Counts Ctrl-C: the first one asks for an end, the second one breaks off."""

    def __init__(self) -> None:
        self.asked = 0
        self.cycle: subprocess.Popen[bytes] | None = None

    def __call__(self, _signal: int, _frame: object) -> None:
        self.asked += 1
        if self.cycle is None:
            return
        if self.asked == 1:
            print("\nEnds after this cycle. Ctrl-C again breaks it off.", flush=True)
        else:
            self.cycle.send_signal(signal.SIGINT)


def run(lab: Lab, interval: float, arguments: Sequence[str] = (), rest: Callable[[float], None] = time.sleep) -> int:
    """Run cycles until Ctrl-C.

    :param interval: seconds from the beginning of a cycle to that of the next.
    :returns: the status of the last cycle.
    """
    stopping = Stopping()
    before = signal.signal(signal.SIGINT, stopping)
    status = 0
    print(f"Scaling the pools of {lab.name}, a cycle each {interval:g} s. Ctrl-C ends it.", flush=True)
    try:
        while not stopping.asked:
            began = time.monotonic()
            # In a session of its own, so that Ctrl-C does not reach it.
            stopping.cycle = subprocess.Popen(
                command(lab.inventory, arguments), cwd=ROOT, env=environment(), start_new_session=True
            )
            status = stopping.cycle.wait()
            stopping.cycle = None
            end = began + interval
            while not stopping.asked and time.monotonic() < end:
                rest(min(0.2, max(0.0, end - time.monotonic())))
    finally:
        signal.signal(signal.SIGINT, before)
    print("The loop has ended.", flush=True)
    return status
