# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hand the lead of a Patroni cluster to another member, and wait until the former leader follows it."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide, switch
from ansible_collections.scaleout.platform.plugins.module_utils.operations.cluster_members import Members
from ansible_collections.scaleout.platform.plugins.module_utils.operations.hand_over import HandOver, Server
from ansible_collections.scaleout.platform.plugins.module_utils.operations.poolers import Poolers
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Endpoint


class SwitchCluster(Task):
    """Looks at all members and poolers, decides who is to lead, and hands the lead over.

    :param known: names of the members that there should be; empty for those that Patroni has.
    :param to: who is to lead; None for whoever is nearest.
    :param timeout: seconds within which the former leader has to follow.
    """

    def __init__(
        self, patroni: Patroni, hand_over: HandOver, known: t.Sequence[str], to: str | None, timeout: float
    ) -> None:
        if timeout < 1:
            raise InvalidInput("timeout", timeout, "is less than a second")
        self._patroni, self._hand_over = patroni, hand_over
        self._known, self._to, self._timeout = known, to, timeout

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> SwitchCluster:
        """The task that the options of the module ``cluster_switchover`` describe.

        :raises InvalidInput: an option that can never work.
        """
        patroni = t.cast(Patroni, Patroni.from_options(params))
        hand_over = HandOver(Members(patroni), Poolers.of(params), Server(Endpoint.of(params)))
        return cls(patroni, hand_over, params["members"], params["candidate"], params["timeout"])

    def plan(self) -> Plan:
        members, poolers = self._hand_over.members, self._hand_over.poolers
        view = members.look()
        synchronous = bool(self._patroni.settings().get("synchronous_mode"))
        candidate = switch.choose(view, self._known, self._to, synchronous)
        pools = poolers.look()
        switch.check_pools(pools)
        leader = t.cast(decide.Seen, view.leader)
        chosen = t.cast(decide.Seen, view.of(candidate))
        open_for_long = self._hand_over.server.open_for(switch.LONG)
        return Plan(
            before={"leader": leader.name},
            after={"leader": candidate},
            actions=((leader, candidate),),
            result={
                "leader": candidate,
                "former": leader.name,
                "timelines": [leader.timeline],
                "lag": chosen.lag,
                "poolers": [pool.name for pool in pools if not pool.missing],
                "without_poolers": [pool.name for pool in pools if pool.missing],
                "drain": poolers.drain,
                "hold": poolers.seconds,
                "patience": min((pool.patience for pool in pools if not pool.missing), default=0.0),
                "transactions": [one._asdict() for one in open_for_long],
            },
            warnings=tuple(switch.warnings(view, self._known, pools, open_for_long, poolers.drain)),
        )

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        [(former, candidate)] = plan.actions
        outcome = self._hand_over.run(former.name, candidate)
        follows_after, timeline = self._follows(outcome)
        return {
            "leader": outcome.leader,
            "timelines": [former.timeline, timeline],
            "held": round(outcome.held, 3),
            "drained": outcome.drained,
            "late": list(outcome.late),
            "follows_after": round(follows_after, 1),
        }

    def close(self) -> None:
        self._hand_over.poolers.close()
        self._patroni.close()

    def _follows(self, outcome: switch.Outcome) -> tuple[float, int | None]:
        """Wait until the cluster is whole again; returns after how many seconds, and the timeline.

        :raises ScaleoutError: it is not, in time; the lead has changed hands all the same.
        """
        began, missing = time.monotonic(), ["no member answers"]
        for view in self._hand_over.members.views(began + self._timeout):
            missing = decide.missing(view)
            if not missing and view.leader and view.leader.name == outcome.leader:
                return time.monotonic() - began, view.leader.timeline
        raise ScaleoutError(
            f"{outcome.leader} leads, and the cluster is not whole within {self._timeout:g} s: {'; '.join(missing)}.",
            code="timeout",
            changed=True,
            leader=outcome.leader,
            former=outcome.former,
            held=round(outcome.held, 3),
            missing=missing,
        )
