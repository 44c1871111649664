# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hand the lead of a Patroni cluster over while the poolers hold requests; whatever happens, they let go again."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    Refused,
    ScaleoutError,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.failover.switch import Outcome, Transaction
from ansible_collections.scaleout.platform.plugins.module_utils.operations.cluster_members import Members
from ansible_collections.scaleout.platform.plugins.module_utils.operations.poolers import Poolers
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import LEADERS
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Endpoint, Session

_LOOK = 0.05
"""Seconds between two looks at the member that is to lead."""

_ANSWER = 30.0
"""Seconds within which Patroni says how a switchover went; it looks for 20 s."""

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))

_OPEN = """SELECT pid, coalesce(usename, '') AS user, coalesce(datname, '') AS database,
  application_name AS application, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND xact_start < clock_timestamp() - %s * interval '1 second'
ORDER BY xact_start"""


class Interrupted(ScaleoutError):
    """A signal that came while the lead changed hands; the poolers have let go."""

    CODE = "interrupted"


class NotSwitched(Refused):
    """The leader leads as before, or no member does."""

    CODE = "not_switched"


class Server:
    """The PostgreSQL beside the task: that of the leader, where the task runs there.

    :param where: None where the options name none.
    """

    def __init__(self, where: Endpoint | None) -> None:
        self._where = where

    def open_for(self, seconds: float) -> list[Transaction]:
        """Return the transactions that have been open for longer; none where it cannot be asked."""
        with contextlib.suppress(ScaleoutError), contextlib.closing(self._session()) as session:
            return [Transaction(**row) for row in session.rows(_OPEN, (seconds,))]
        return []

    def checkpoint(self) -> None:
        """Write out what the shutdown of a leader would have to write while all clients wait."""
        with contextlib.suppress(ScaleoutError), contextlib.closing(self._session()) as session:
            session.run("CHECKPOINT")

    def _session(self) -> Session:
        if self._where is None:
            raise ScaleoutError("No server is beside the task.")
        return Session(self._where)


class HandOver:
    """Takes the lead from one member and gives it to another.

    :param server: that of the leader; it is asked for a checkpoint, and may be another one's.
    """

    def __init__(self, members: Members, poolers: Poolers, server: Server) -> None:
        self.members, self.poolers, self.server = members, poolers, server

    def run(self, former: str, candidate: str) -> Outcome:
        """Hold, switch, let go.

        :raises NotSwitched: it did not come about; :raises Interrupted: a signal came.
        """
        self.server.checkpoint()
        with _interruptible():
            try:
                return self._held(former, candidate)
            finally:
                _ignore_signals()
                self.poolers.release()
                self.poolers.settle()

    def _held(self, former: str, candidate: str) -> Outcome:
        began = time.monotonic()
        bound = began + self.poolers.seconds
        self.poolers.hold()
        drained = self.poolers.drained
        order = _Order(self.members, former, candidate)
        leader, late = "", []
        while not leader or self.poolers.holding:
            if time.monotonic() > bound:
                late = self.poolers.holding
                self.poolers.release()
                break
            if not leader:
                leader = self._leads(candidate) or order.another()
                if leader:
                    self.members.wake_followers(leader)
            if leader:
                self.poolers.release_those_at(self.members.server(leader))
            elif order.failed:
                break
            time.sleep(_LOOK)
        held = time.monotonic() - began
        self.poolers.release()
        return Outcome(leader or order.outcome(), former, held, drained, tuple(late))

    def _leads(self, name: str) -> str:
        """Return the name if the member takes writes."""
        with contextlib.suppress(Unreachable):
            itself = self.members.itself(name)
            if itself.get("role") in LEADERS and itself.get("state") == "running":
                return name
        return ""


class _Order:
    """What Patroni was told; it answers when it is done, so another thread waits for that."""

    def __init__(self, members: Members, former: str, candidate: str) -> None:
        self._members, self._former, self._candidate = members, former, candidate
        self._error: ScaleoutError | None = None
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether Patroni has said that it does not do it."""
        return self._error is not None and not self._thread.is_alive()

    def another(self) -> str:
        """Return who leads instead, once Patroni has said that it is done."""
        if self._thread.is_alive() or self._error:
            return ""
        return self._leader()

    def outcome(self) -> str:
        """Wait for Patroni's word, and return who leads.

        :raises NotSwitched: still the former leader, or none; :raises Denied: the login is wrong.
        """
        self._thread.join(_ANSWER)
        if isinstance(self._error, Denied):
            raise self._error
        leader = ""
        for view in self._members.views(time.monotonic() + _ANSWER):
            leader = view.leader.name if view.leader else ""
            if leader and view.leader and view.leader.runs:
                break
        if leader and leader != self._former:
            return leader
        who = f"{leader} leads as before" if leader else "no member leads"
        said = self._error.message if self._error else "Patroni does not know what came of it."
        raise NotSwitched(f"The lead was not handed to {self._candidate}; {who}. {said}", leader=leader or None)

    def _leader(self) -> str:
        with contextlib.suppress(Unreachable):
            leader = self._members.look().leader
            return leader.name if leader and leader.runs and leader.name != self._former else ""
        return ""

    def _tell(self) -> None:
        try:
            with contextlib.closing(self._members.client(self._former, _ANSWER)) as client:
                client.switch_over(self._former, self._candidate)
        except ScaleoutError as error:
            self._error = error


@contextlib.contextmanager
def _interruptible() -> t.Iterator[None]:
    """Turn signals that end a process into an error, so that what is held is let go."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: t.Any) -> t.NoReturn:
        raise Interrupted(f"{signal.Signals(number).name} came while the lead changed hands; the poolers have let go.")

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """Let nothing come between a hold and its end."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
