# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running playbooks, and reading what they did from their output as JSON lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.end_to_end import things
from tests.end_to_end.lab import LOGS, ROOT

#: The tail of a log that a failure shows.
TAIL = 40
#: A controller's forks take nothing from its hosts, but here they share one machine, where requests of visitors fail
#: if the hosts have to wait.
POLITELY = ("nice", "-n", "5")
#: The task that ends a run red.
RESULT = "Result of this run"


@dataclass(frozen=True, order=True)
class Change:
    """A task that changed something on a host.

    :param task: after its role's name, as in `nginx : Write the configuration`.
    :param things: see things.py; empty where only the screen told of the change.
    """

    host: str
    task: str
    is_handler: bool = field(compare=False, default=False)
    things: tuple[tuple[str, bool], ...] = field(compare=False, default=())

    def __str__(self) -> str:
        return f"{self.host}: {self.task}"


@dataclass
class Run:
    """What a command did.

    :param tasks: how many tasks each host went through.
    :param failures: one line for each failed task.
    """

    status: int
    seconds: float
    log: Path
    text: str
    changes: list[Change] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    tasks: dict[str, int] = field(default_factory=dict)
    stats: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def changed(self) -> set[Change]:
        """The changes by tasks; a handler's are their consequence."""
        return {change for change in self.changes if not change.is_handler}

    @property
    def summary(self) -> str:
        """What a run that ends red says at its end."""
        return "\n".join(line for line in self.failures if RESULT in line)

    @property
    def other_failures(self) -> list[str]:
        """What failed before the summary."""
        return [line for line in self.failures if RESULT not in line]

    def things(self, host: str) -> set[str]:
        """The packages, files, services and so on that the run left changed on a host."""
        return things.lasting(thing for change in self.changes if change.host == host for thing in change.things)

    def succeeded(self) -> Run:
        """Fail here, with what is needed to understand it, unless the command succeeded."""
        assert self.status == 0, f"status {self.status}, see {self.log}:\n" + "\n".join(self.failures or self.tail())
        return self

    def tail(self) -> list[str]:
        """The end of the log, for a person."""
        return [line for line in self.text.splitlines() if not line.startswith('{"')][-TAIL:]


def playbook(name: str, *arguments: str, log: str, **environment: str) -> Run:
    """Run a playbook of the collection, or any by its path."""
    path = name if os.path.isabs(name) else f"playbooks/{name}"
    return run("ansible-playbook", path, *arguments, log=log, **environment)


def run(*command: str, log: str, as_json: bool = True, folder: Path = ROOT, **environment: str) -> Run:
    """Run a command of which playbooks are part.

    :param log: the name under which its output is kept.
    :param as_json: make the playbooks tell everything in JSON lines; otherwise what a person sees.
    :param folder: where it runs.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    # By a task's options the tests name what it changed; ansible-core 2.21 keeps them to itself unless it is asked.
    as_lines = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl", "ANSIBLE_INJECT_INVOCATION": "true"}
    told = as_lines if as_json else {"ANSIBLE_NOCOLOR": "1"}
    begin = time.monotonic()
    with path.open("w") as output:
        done = subprocess.run(
            [*POLITELY, *command],
            cwd=folder,
            env={**os.environ, **told, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    made = Run(done.returncode, time.monotonic() - begin, path, path.read_text())
    if as_json:
        _read_events(made)
    else:
        _read_screen(made)
    return made


def _read_events(made: Run) -> None:
    """Fill in what the JSON lines tell."""
    handlers: set[str] = set()
    tasks: defaultdict[str, int] = defaultdict(int)
    stats: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for event in _events(made.text.splitlines()):
        kind, task = event["_event"], event.get("task", {})
        if kind == "v2_playbook_on_handler_task_start":
            handlers.add(task["id"])
        if kind == "v2_playbook_on_stats":
            for host, counts in event["stats"].items():
                stats[host] = {name: stats[host].get(name, 0) + count for name, count in counts.items()}
        if not kind.startswith("v2_runner_on_") or kind == "v2_runner_on_start":
            continue
        for host, result in event["hosts"].items():
            tasks[host] += 1
            if result.get("changed"):
                name = task["name"].removeprefix("scaleout.platform.")
                made.changes.append(Change(host, name, task["id"] in handlers, tuple(things.things(name, result))))
            if kind in ("v2_runner_on_failed", "v2_runner_on_unreachable"):
                made.failures.append(f"{host}: {task['name']}: {_message(result)}")
    made.tasks, made.stats = dict(tasks), dict(stats)


def _message(result: Mapping[str, Any]) -> str:
    """What a failed task said; of a loop, what its items said; of preflight, what is wrong."""
    if result.get("code") == "invalid_inventory":
        return "; ".join(": ".join(filter(None, (one["host"], one["text"]))) for one in result["problems"])
    items = [item for item in result.get("results", []) if item.get("failed")]
    return "; ".join(str(item.get("msg", item)) for item in items or [result])


def _events(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        if line.startswith('{"_event"'):
            yield json.loads(line)


def _read_screen(made: Run) -> None:
    """Fill in what a person sees: changes, the recap, and the lab's count of tasks."""
    title, is_handler = "", False
    for line in made.text.splitlines():
        heading = re.match(r"(TASK|RUNNING HANDLER) \[(?:scaleout\.platform\.)?(.*)\] \*+$", line)
        if heading:
            title, is_handler = heading[2], heading[1] != "TASK"
        changed = re.match(r"changed: \[([^\]]+)\]", line)
        if changed:
            made.changes.append(Change(changed[1].split(" -> ")[0], title, is_handler))
        recap = re.match(r"(\S+)\s+: (ok=\d+ .*)", line)
        if recap:
            counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap[2])}
            before = made.stats.get(recap[1], {})
            made.stats = {**made.stats, recap[1]: {key: counts[key] + before.get(key, 0) for key in counts}}
        counted = re.match(r"Tasks by host: (.*);", line)
        if counted:
            for host, count in re.findall(r"(\S+) (\d+)", counted[1]):
                made.tasks[host] = made.tasks.get(host, 0) + int(count)
