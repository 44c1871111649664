# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let one member of a Patroni cluster throw its data away and copy the leader again, and look how far it is."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.failover import reinit
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import View
from ansible_collections.scaleout.platform.plugins.module_utils.operations.cluster_members import Members
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Endpoint, Session

_COPYING = """SELECT backup_streamed AS copied, backup_total AS size
FROM pg_catalog.pg_stat_progress_basebackup JOIN pg_catalog.pg_stat_activity USING (pid)
WHERE client_addr = nullif(%s, '')::inet ORDER BY backup_streamed DESC LIMIT 1"""


class RebuildMember(Task):
    """Tells a member to copy its leader again, and waits.

    :param begins: False to only look, at a copy that an earlier task has begun.
    :param before: when the member's PostgreSQL was started before, as the task that began has said; empty if it did not
        run.
    :param wait: seconds after which the task ends in any case; the copy goes on.
    :param leader: the server that is copied, which says how many bytes it has sent.
    """

    def __init__(self, patroni: Patroni, name: str, begins: bool, before: str, wait: float, leader: Endpoint) -> None:
        if wait < 0:
            raise InvalidInput("wait", wait, "is less than 0")
        self._patroni, self._members = patroni, Members(patroni)
        self._name, self._begins, self._before, self._wait, self._leader = name, begins, before, wait, leader

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> RebuildMember:
        """The task that the options of the module ``cluster_reinit`` describe.

        :raises InvalidInput: an option that can never work.
        """
        patroni = t.cast(Patroni, Patroni.from_options(params))
        begins, before = params["state"] == "begun", params["before"]
        return cls(patroni, params["member"], begins, before, params["wait"], Endpoint.of(params))

    def plan(self) -> Plan:
        view = self._members.look()
        if not self._begins:
            return Plan({}, {}, result=self._result(self._watched(self._before or None), self._before))
        reinit.check(view, self._name)
        seen, leader = view.of(self._name), view.leader
        state, before = reinit.state_of(view, self._name), (seen.started if seen else None) or ""
        progress = reinit.Progress(state, lag=seen.lag if seen else None)
        return Plan(
            before={self._name: state},
            after={self._name: f"a new copy of {leader.name if leader else 'the leader'}"},
            actions=(self._name,),
            result={**self._result(progress, before), "leader": leader.name if leader else None},
            warnings=tuple(reinit.warnings(view, self._name)),
        )

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        with contextlib.closing(self._members.client(self._name)) as client:
            client.reinitialize()
        before = plan.result["before"]
        return self._result(self._watched(before or None), before)

    def close(self) -> None:
        self._patroni.close()

    def _watched(self, before: str | None) -> reinit.Progress:
        """Look until the member follows, or the time is over; returns what was seen last."""
        progress = reinit.Progress("unknown")
        for view in self._members.views(time.monotonic() + self._wait):
            progress = self._progress(view, before)
            if progress.done:
                break
        return progress

    def _progress(self, view: View, before: str | None) -> reinit.Progress:
        seen = view.of(self._name)
        state, done = reinit.state_of(view, self._name), reinit.follows(view, self._name, before)
        copied = {} if done else self._copied()
        return reinit.Progress(state, copied.get("copied"), copied.get("size"), seen.lag if seen else None, done)

    def _copied(self) -> dict[str, t.Any]:
        with contextlib.suppress(ScaleoutError, KeyError), contextlib.closing(Session(self._leader)) as session:
            return next(iter(session.rows(_COPYING, (self._members.server(self._name)[0],))), {})
        return {}

    def _result(self, progress: reinit.Progress, before: str) -> dict[str, t.Any]:
        return {**progress._asdict(), "before": before}
