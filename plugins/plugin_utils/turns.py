# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns: of the hosts of a group one at a time changes something, and the first that fails holds the rest.

The forks of one ``ansible-playbook`` share a temporary folder. A lock on a file there makes them wait for each other;
the kernel releases it when a fork dies, however it dies. The file says whose turn has begun, and who failed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
import typing as t

_BEGUN, _ENDED, _FAILED = "begun", "ended", "failed"


class Turn:
    """One host's turn within its group; a context manager.

    :param folder: what all forks of this run share, such as ``C.DEFAULT_LOCAL_TMP``.
    :param group: those who take turns; none for a host that waits for no other.
    :param batch: those who have theirs together, within the group; none for a host that has it alone.
    """

    def __init__(self, folder: str, group: str, batch: str = "") -> None:
        name = hashlib.sha256(group.encode()).hexdigest()[:16]
        self._group = group
        self._batch = "".join(batch.split())
        self._path = os.path.join(folder, f"scaleout-turn-{name}")
        self._stream: t.IO[str] | None = None
        #: The host that failed before, or that never came back from its turn; None where all went well.
        self.broken_by: str | None = None

    def __enter__(self) -> Turn:
        if self._group:
            self._stream = open(self._path, "a+", encoding="utf-8")
            fcntl.flock(self._stream, fcntl.LOCK_EX)
            self._stream.seek(0)
            self.broken_by = _broken_by((line.split() for line in self._stream), self._batch)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._stream:
            self._stream.close()

    def holds(self, host: str) -> str | None:
        """Return the host whose failure holds another one; None for one that failed itself and tries something else."""
        return None if self.broken_by == host else self.broken_by

    def is_first(self) -> bool:
        """Return whether no host of the group has noted anything yet."""
        return not self.outcome()

    def begin(self, host: str) -> None:
        """Note that a turn of several tasks begins. Whoever asks before its :meth:`end` is held: the host is lost."""
        self._note(_BEGUN, host)

    def end(self, host: str) -> None:
        """Note that this turn has ended well."""
        self._note(_ENDED, host)

    def fail(self, host: str) -> None:
        """Hold the rest of the group from now on."""
        self._note(_FAILED, host)

    def outcome(self) -> dict[str, tuple[str, ...]]:
        """Return what each host of the group has noted, oldest first: ``begun``, ``ended`` and ``failed``."""
        found: dict[str, tuple[str, ...]] = {}
        if self._stream:
            self._stream.seek(0)
            for line in self._stream:
                what, host = line.split()[:2]
                found[host] = (*found.get(host, ()), what)
        return found

    def _note(self, what: str, host: str) -> None:
        if self._stream:
            self._stream.write(f"{what} {host} {self._batch}\n")
            self._stream.flush()

    @contextlib.contextmanager
    def breaks_unless_done(self, host: str) -> t.Iterator[t.Callable[[], None]]:
        """Hold the rest of the group unless the block says that it is done; a lost connection ends it before that.

        :return: what to call when all went well.
        """
        done = []
        try:
            yield lambda: done.append(True)
        finally:
            if not done:
                self.fail(host)


def _broken_by(notes: t.Iterable[t.Sequence[str]], own: str) -> str | None:
    begun: dict[str, None] = {}
    for what, host, *batch in notes:
        if what == _FAILED:
            return host
        if what == _BEGUN:
            if not own or batch != [own]:
                begun[host] = None
        else:
            begun.pop(host, None)
    return next(iter(begun), None)


#: What no later step needs of a module's answer; an error's own is no value for a file.
_NOT_KEPT = ("invocation", "diff", "warnings", "exception", "deprecations")


def kept(answer: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what a :class:`Ledger` may have of a module's answer."""
    return {key: value for key, value in answer.items() if key not in _NOT_KEPT}


class Ledger:
    """What happened to hosts in this run, beyond what Ansible itself counts; its summary reads it.

    :param folder: as for :class:`Turn`.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, "scaleout-ledger.jsonl")

    def note(self, kind: str, host: str, **facts: t.Any) -> None:
        """Add a line. One write of less than a page is not torn by those of other forks.

        :param kind: such as ``held``.
        """
        line = json.dumps({"kind": kind, "host": host, "time": round(time.time(), 3), **facts}) + "\n"
        with open(self._path, "a", encoding="utf-8") as stream:
            stream.write(line)

    def entries(self) -> list[dict[str, t.Any]]:
        """Return all lines, oldest first."""
        try:
            with open(self._path, encoding="utf-8") as stream:
                return [json.loads(line) for line in stream]
        except FileNotFoundError:
            return []
