# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The members of a Patroni cluster, each asked by itself."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError, Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import Seen, View
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import FOLLOWING, SYNCHRONOUS, Member, Patroni

POLL = 0.5
"""Seconds between two looks."""


class Members:
    """Looks at a cluster through one of its members, and speaks to each.

    :param patroni: any member.
    :param expected: names of the members that the cluster should have.
    """

    def __init__(self, patroni: Patroni, expected: t.Iterable[str] = ()) -> None:
        self.patroni, self._expected = patroni, tuple(expected)
        self._known: dict[str, Member] = {}

    def look(self) -> View:
        """Ask the cluster, and then each member.

        :raises Unreachable: the member that is asked for the cluster does not answer.
        """
        cluster = self.patroni.cluster()
        self._known = {member.name: member for member in cluster.members}
        return View(tuple(self._see(member) for member in cluster.members), cluster.paused, self._expected)

    def views(self, deadline: float) -> t.Iterator[View]:
        """Look again and again until a moment, and once after it.

        :raises Unreachable: no answer then; before, as while the lead changes hands, it is only another look.
        """
        while True:
            late = time.monotonic() > deadline
            try:
                yield self.look()
            except Unreachable:
                if late:
                    raise
            if late:
                return
            time.sleep(POLL)

    def itself(self, name: str) -> dict[str, t.Any]:
        """Return what a member says of itself.

        :raises Unreachable: it does not answer.
        """
        with contextlib.closing(self.client(name)) as client:
            return client.itself()

    def wake_followers(self, leader: str) -> None:
        """Have all but the leader look whom to follow, and wait for none of them; a commit may wait for one."""
        for name in self._known:
            if name != leader:
                threading.Thread(target=self._wake, args=(name,), daemon=True).start()

    def client(self, name: str, timeout: float | None = None) -> Patroni:
        """Return a client of a member that was seen."""
        return self.patroni.beside(self._known[name], timeout)

    def server(self, name: str) -> tuple[str, int]:
        """Return where a member's PostgreSQL is, as it was seen last."""
        return self._known[name].host, self._known[name].port

    def _wake(self, name: str) -> None:
        # One that does not answer looks by itself.
        with contextlib.suppress(ScaleoutError), contextlib.closing(self.client(name)) as client:
            client.wake()

    def _see(self, member: Member) -> Seen:
        seen = Seen(
            member.name,
            member.leads,
            member.state,
            member.state in (("running",) if member.leads else FOLLOWING),
            member.timeline,
            member.lag,
            synchronous=member.role in SYNCHRONOUS,
            may_lead=not member.tags.get("nofailover"),
            pending=member.pending_restart,
        )
        try:
            its_own = self.itself(member.name)
        except Unreachable:
            return seen._replace(answers=False)
        # The cluster learns of it later.
        state = its_own.get("state")
        xlog = its_own.get("xlog") or {}
        received, replayed = (
            int(xlog.get("location") or xlog.get(f"{what}_location") or 0) for what in ("received", "replayed")
        )
        return seen._replace(
            state=seen.state if state in (None, "running") else str(state),
            serves=seen.serves and state in (None, "running"),
            started=its_own.get("postmaster_start_time"),
            received=received,
            replayed=replayed,
            pending=bool(its_own.get("pending_restart")),
            reasons={
                str(name): (str(change.get("old_value", "")), str(change.get("new_value", "")))
                for name, change in (its_own.get("pending_restart_reason") or {}).items()
            },
        )
