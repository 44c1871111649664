# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run's tasks took and which of them failed, in bounded memory and without a word that a task said; pure.

A task is known by the place where it is written, its action, and its name as it stands in the file: a name that
Ansible has rendered may hold a secret. Of a failure, only the code is kept.
"""

from __future__ import annotations

import re
import typing as t

#: Tasks that are told apart, by their place. What comes after them counts under one name.
MOST_TASKS = 1000
#: Failures that are kept, and tasks that the report names: those that took longest.
MOST_FAILURES = 50
REPORTED_TASKS = 20
_LONGEST = 200
_OTHERS = ("", "", "")
_CODE = re.compile(r"[a-z][a-z_]{0,39}")


class Task(t.NamedTuple):
    """A task as it is written.

    :param where: file and line.
    :param name: as it stands in the file; empty where it has none, or none that may be told.
    """

    where: str
    action: str
    name: str


class _Spent:
    __slots__ = ("failed", "longest", "results", "seconds")

    def __init__(self) -> None:
        self.results = 0
        self.failed = 0
        self.seconds = 0.0
        self.longest = 0.0


class RunLog:
    """Follows one playbook.

    :param started: when it began, in seconds since 1970.
    """

    def __init__(self, run: str, playbook: str, started: float) -> None:
        self._head = {"run": run, "playbook": playbook[:_LONGEST], "started": round(started, 3)}
        self._started = started
        self._spent: dict[Task, _Spent] = {}
        #: A host works on one task at a time, with any strategy.
        self._running: dict[str, tuple[Task, float]] = {}
        self._failures: list[dict[str, t.Any]] = []
        self._failed = 0

    def begins(self, host: str, task: Task, now: float) -> None:
        """Note that a host begins a task.

        :param now: seconds on a clock that no one sets.
        """
        if task not in self._spent and len(self._spent) >= MOST_TASKS:
            task = Task(*_OTHERS)
        self._running[host] = (task, now)

    def ends(self, host: str, now: float, failed: str = "", code: t.Any = None, hidden: bool = False) -> None:
        """Note that a host has done what it began.

        :param failed: ``failed``, ``ignored`` or ``unreachable``; empty where it succeeded.
        :param code: what the result gave as its code.
        :param hidden: nothing of the result may be told, as with ``no_log``.
        """
        task, began = self._running.pop(host, (Task(*_OTHERS), now))
        spent = self._spent.setdefault(task, _Spent())
        took = max(0.0, now - began)
        spent.results += 1
        spent.seconds += took
        spent.longest = max(spent.longest, took)
        if not failed:
            return
        spent.failed += 1
        self._failed += 1
        if len(self._failures) < MOST_FAILURES:
            told = isinstance(code, str) and not hidden and _CODE.fullmatch(code)
            self._failures.append(
                {"host": host[:_LONGEST], "where": task.where, "action": task.action, "kind": failed}
                | ({"code": str.__str__(code)} if told else {})
            )

    def report(self, now: float, hosts: int) -> dict[str, t.Any]:
        """Return what is kept of the run: a few kilobytes.

        :param now: seconds since 1970.
        """
        slowest = sorted(self._spent.items(), key=lambda item: item[1].seconds, reverse=True)[:REPORTED_TASKS]
        return {
            **self._head,
            "seconds": round(now - self._started, 3),
            "hosts": hosts,
            "results": sum(spent.results for spent in self._spent.values()),
            "failed": self._failed,
            "tasks": [
                {
                    **{key: value for key, value in task._asdict().items() if value},
                    "results": spent.results,
                    "failed": spent.failed,
                    "seconds": round(spent.seconds, 3),
                    "longest": round(spent.longest, 3),
                }
                for task, spent in slowest
            ],
            "failures": self._failures,
        }


def task_of(path: t.Any, action: t.Any, written: t.Any, hidden: t.Any) -> Task:
    """Describe a task.

    :param path: file and line; the last three parts of it are kept.
    :param written: the task as it was read from its file.
    :param hidden: the task's ``no_log``. Unless it is known to be false, the name is left out.
    """
    name = written.get("name") if isinstance(written, dict) and hidden in (None, False) else None
    return Task(
        "/".join(str(path or "").split("/")[-3:])[-_LONGEST:],
        str(action or "")[:_LONGEST],
        str.__str__(name)[:_LONGEST] if isinstance(name, str) else "",
    )
