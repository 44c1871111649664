# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restart the members of a Patroni cluster one at a time, and take back what keeps the first one from starting."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Conflict,
    Denied,
    InvalidInput,
    Refused,
    ScaleoutError,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide, switch
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import Seen, Step, View
from ansible_collections.scaleout.platform.plugins.module_utils.operations.cluster_members import POLL, Members
from ansible_collections.scaleout.platform.plugins.module_utils.operations.hand_over import HandOver, Server
from ansible_collections.scaleout.platform.plugins.module_utils.operations.poolers import Poolers
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Endpoint
from ansible_collections.scaleout.platform.plugins.module_utils.process import run

_LOOP = 10
"""Seconds between Patroni's loops where the dynamic configuration does not say."""

_ANSWER = 30.0
"""Seconds beside its time-out within which Patroni says how a restart went."""


class NotStarted(ScaleoutError):
    """A member that did not come back; the facts say which, and whether the settings were taken back."""

    CODE = "not_started"


class RestartCluster(Task):
    """Looks at all members, plans, and restarts one after the other.

    :param patroni: any member.
    :param timeout: seconds that each member may take.
    :param take_back: parameters that the dynamic configuration gets back when the first member does not start.
    :param hand_over: takes the lead from the leader before it restarts.
    :param unit: of the one member's Patroni on this host, which is restarted with its server; empty for servers alone.
    """

    def __init__(
        self,
        hand_over: HandOver,
        patroni: Patroni,
        wanted: decide.Wanted,
        timeout: float,
        take_back: t.Mapping[str, t.Any],
        unit: str = "",
    ) -> None:
        if timeout < 1:
            raise InvalidInput("timeout", timeout, "is less than a second")
        self._patroni, self._wanted, self._timeout, self._take_back = patroni, wanted, timeout, dict(take_back)
        self._restarted: list[str] = []
        self._hand_over, self._members, self._unit = hand_over, hand_over.members, unit
        self._held: float | None = None

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> RestartCluster:
        """The task that the options of the module ``cluster_restart`` describe.

        :raises InvalidInput: an option that can never work.
        """
        members = params["members"]
        if members is not None and (not members or len(set(members)) < len(members)):
            raise InvalidInput("members", members, "is empty, or names one twice")
        unit = params["unit"]
        if unit and (members is None or len(members) > 1 or params["only_pending"]):
            reason = "restarts the member of this host: members has to name it alone, and only_pending has to be false"
            raise InvalidInput("unit", unit, reason)
        wanted = decide.Wanted(
            None if members is None else tuple(members), params["only_pending"], params["switch_over_first"]
        )
        # A restart is answered when it is done; what does not answer at all is seen earlier, when it is looked at.
        patroni = t.cast(Patroni, Patroni.from_options(params))
        hand_over = HandOver(Members(patroni, params["expected"]), Poolers.of(params), Server(Endpoint.of(params)))
        return cls(hand_over, patroni, wanted, params["timeout"], params["take_back"] or {}, unit)

    def plan(self) -> Plan:
        view = self._members.look()
        if self._wanted.only_pending:
            view = self._settled(view)
        steps = self._steps(view)
        if steps:
            decide.check_whole(view, steps[0].member)
        pools = self._hand_over.poolers.look() if any(step.action == decide.SWITCH_OVER for step in steps) else []
        switch.check_pools(pools)
        before = {seen.name: "waits for a restart" if seen.pending else "runs" for seen in view.members}
        after = {**before, **{step.member: "is restarted" for step in steps}}
        return Plan(
            before=before,
            after=after,
            actions=steps,
            result={
                "steps": [step.facts() for step in steps],
                "restarted": list(dict.fromkeys(step.member for step in steps)),
                "leader": view.leader.name if view.leader else None,
                "pending": {seen.name: sorted(seen.reasons) for seen in view.members if seen.pending},
                "poolers": [pool.name for pool in pools if not pool.missing],
                "without_poolers": [pool.name for pool in pools if pool.missing],
            },
            warnings=(*decide.warnings(view, self._wanted), *switch.of_pools(pools)),
        )

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        for step in plan.actions:
            view = self._members.look()
            seen = view.of(step.member)
            if seen is None or seen.leads != step.leads:
                raise self._stopped(
                    Conflict(f"{step.member} {'leads no longer' if step.leads else 'leads now'}; run again.")
                )
            if step.if_pending and not seen.pending:
                continue
            try:
                decide.check_whole(view, step.member)
            except decide.NotWhole as error:
                raise self._stopped(error) from None
            if step.action == decide.SWITCH_OVER:
                self._switch_over(step, seen)
            else:
                self._restart(step, seen)
            self._restarted.append(step.member)
        leader = self._members.look().leader
        return {
            "restarted": list(dict.fromkeys(self._restarted)),
            "leader": leader.name if leader else None,
            **({} if self._held is None else {"held": round(self._held, 3)}),
        }

    def close(self) -> None:
        self._hand_over.poolers.close()
        self._patroni.close()

    def _steps(self, view: View) -> tuple[Step, ...]:
        if self._unit and self._wanted.members:
            return decide.alone(view, self._wanted.members[0])
        return decide.steps(view, self._wanted)

    def _settled(self, view: View) -> View:
        """Look again after each member has begun two more of its loops: what was just changed waits there then.

        :raises ScaleoutError: one does not loop, so that it cannot be told what waits there.
        """
        loop = float(self._patroni.settings().get("loop_wait") or _LOOP)
        deadline = time.monotonic() + 3 * loop + _ANSWER
        loops: dict[str, set[t.Any]] = {seen.name: set() for seen in view.members if seen.answers and not seen.pending}
        while True:
            for name in loops:
                loops[name].add(self._members.itself(name).get("dcs_last_seen"))
            # The first may be from before, and the second from a loop that has not ended.
            behind = [name for name, seen in loops.items() if len(seen) <= 2]
            if not behind:
                return self._members.look()
            if time.monotonic() > deadline:
                raise ScaleoutError(
                    f"Patroni of {', '.join(behind)} does not read what all members share.", code="timeout"
                )
            time.sleep(POLL)

    def _restart(self, step: Step, seen: Seen) -> None:
        """Restart a member, and wait until it is back and the cluster is whole.

        :raises NotStarted: it is not.
        """
        deadline = time.monotonic() + self._timeout
        said = ""
        if self._unit:
            # Patroni stops its server, and starts it again. Its time-out is that of the unit.
            done = run(["systemctl", "restart", self._unit], self._timeout)
            self._wait(step, seen.started, deadline, done.said if done.status else "")
            return
        client = self._members.client(seen.name, self._timeout + _ANSWER)
        try:
            client.restart(int(self._timeout))
        except Denied as error:
            raise self._stopped(error) from None
        except Unreachable as error:
            said = error.message
        except Refused as error:
            said = error.message
            # It was not even stopped.
            if seen.started and client.itself().get("postmaster_start_time") == seen.started:
                raise self._stopped(error) from None
        finally:
            client.close()
        self._wait(step, seen.started, deadline, said)

    def _switch_over(self, step: Step, seen: Seen) -> None:
        """Hand the lead to a replica, and wait until the former leader follows it.

        :raises Refused: none of them may lead now.
        """
        deadline = time.monotonic() + self._timeout
        synchronous = bool(self._patroni.settings().get("synchronous_mode"))
        views = self._members.views(deadline)
        candidate = next((name for each in views for name in decide.candidates(each, synchronous)), None)
        if candidate is None:
            raise self._stopped(Refused(f"No replica may lead now instead of {step.member}.", code="no_candidate"))
        try:
            self._held = self._hand_over.run(step.member, candidate).held
        except ScaleoutError as error:
            raise self._stopped(error) from None
        # Whatever waits for its restart waits no longer, unless a limit falls.
        self._wait(step._replace(keeps=None), seen.started, deadline, "")

    def _wait(self, step: Step, started: str | None, deadline: float, said: str) -> None:
        """Wait until a member has restarted and the cluster is whole.

        :param said: what Patroni has against it.
        """
        reach, seen, missing = None, None, ["no member answers"]
        for view in self._members.views(deadline):
            seen, missing = view.of(step.member), decide.missing(view)
            reach = decide.end_of_wal(view, step, started) if reach is None else reach
            if reach is not None and decide.back(view, step, reach):
                return
            if said and decide.failed(view, step.member):
                break
        if seen and seen.started == started and started:
            raise self._stopped(
                ScaleoutError(
                    f"{step.member} did not restart within {self._timeout:g} s. {said}".rstrip(), code="timeout"
                )
            )
        if seen and seen.started:
            waits = f"it waits for a restart with {', '.join(sorted(seen.reasons))}" if seen.reasons else ""
            reason = "; ".join(missing) or waits or "a replica has not what its leader wrote"
            within = f"within {self._timeout:g} s"
            raise self._stopped(
                ScaleoutError(
                    f"{step.member} restarted, and the cluster is not whole {within}: {reason}.", code="timeout"
                )
            )
        taken_back = step.trial and bool(self._take_back) and self._put_back(step.member)
        outcome = "No member after it was touched"
        if taken_back:
            outcome = "The settings were taken back, and it runs again. No other member was touched"
        raise self._stopped(
            NotStarted(
                f"{step.member} did not start: it is {seen.state if seen else 'gone'}. {outcome}. {said}".rstrip(),
                member=step.member,
                taken_back=taken_back,
                changed=True,
            )
        )

    def _put_back(self, name: str) -> bool:
        """Give the dynamic configuration its former parameters, and wait until the member runs; whether it does."""
        self._patroni.change_settings({"postgresql": {"parameters": self._take_back}})
        # Patroni starts it in each of its loops.
        views = self._members.views(time.monotonic() + self._timeout)
        return any(seen.runs for view in views for seen in view.members if seen.name == name)

    def _stopped(self, error: ScaleoutError) -> ScaleoutError:
        """Add to an error what was done before."""
        if self._restarted:
            error.facts.update(changed=True, restarted=list(dict.fromkeys(self._restarted)))
        return error
