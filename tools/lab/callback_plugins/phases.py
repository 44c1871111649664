"""Counts a run's seconds by phase and its tasks by host, for the lab's table.

A play belongs to the phase that its variable ``phase`` names, else to `configuration`.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: phases
type: aggregate
short_description: seconds by phase, tasks by host
description: Writes what a run took to the file that LAB_PHASES_FILE names.
requirements: [enabled through ANSIBLE_CALLBACKS_ENABLED]
"""


class CallbackModule(CallbackBase):
    """Aggregates; prints nothing by itself but the count of tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "phases"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._seconds: dict[str, float] = {}
        self._phase = None
        self._since = time.monotonic()
        self._tasks: Counter[str] = Counter()

    def _turn(self, phase):
        now = time.monotonic()
        if self._phase is not None:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def v2_playbook_on_play_start(self, play):
        self._turn(play.get_vars().get("phase", "configuration"))

    def _count(self, result):
        self._tasks[result.host.get_name()] += 1

    v2_runner_on_ok = v2_runner_on_skipped = _count

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._count(result)

    def v2_playbook_on_stats(self, stats):
        self._turn(None)
        path = Path(os.environ["LAB_PHASES_FILE"])
        times = json.loads(path.read_text()) if path.exists() else {}
        for phase, seconds in self._seconds.items():
            times[phase] = times.get(phase, 0.0) + seconds
        path.write_text(json.dumps(times))
        counts = ", ".join(f"{host} {count}" for host, count in sorted(self._tasks.items()))
        self._display.display(f"Tasks by host: {counts}; {sum(self._tasks.values())} in all")
