# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/scaling.py``: decides on the controller, and has a Consul server carry it out."""

from __future__ import annotations

import getpass
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.members import asked as requests
from ansible_collections.scaleout.platform.plugins.module_utils.members import outcome
from ansible_collections.scaleout.platform.plugins.module_utils.members.outcome import Departure
from ansible_collections.scaleout.platform.plugins.module_utils.operations import scale_pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import FAILED
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.journal import MANUAL_PAUSE
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.pool_steps import Options, PoolAction, Result
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger

_KINDS = ("joining", "leaving")


class ActionModule(PoolAction):
    """One step of scale.yml, and of autoscale.yml once it has decided."""

    STATES = ("asked", "planned", "joined", "lost", "left", "shown", "written_off")
    OPTIONS: t.ClassVar[Options] = {**PoolAction.OPTIONS, "requests": {"type": "list", "elements": "dict"}}

    def _prepare(self, options: Result) -> None:
        super()._prepare(options)
        if options["state"] in ("asked", "planned"):
            asked = options["requests"]
            self._requests = (
                [requests.read(self._platform, self._given)] if asked is None else [requests.of(one) for one in asked]
            )

    def _asked(self) -> Result:
        """All that can be wrong has been said when the request was read."""
        return {}

    def _planned(self) -> Result:
        """Record each pool. One that cannot be carried out does not keep the others from it."""
        pools = [self._plan(request) for request in self._requests]
        sound = [pool for pool in pools if not pool.get("failed")]
        if not sound:
            return {**pools[0], "pools": pools}
        hosts = [host for pool in sound for host in pool.pop("hosts")]
        made = [host for pool in sound for host in pool.pop("made")]
        diffs = [pool.pop("diff") for pool in sound if "diff" in pool]
        return {
            "changed": any(pool.get("changed") for pool in sound),
            "pools": pools,
            "told": "\n".join(pool.get("told") or f"{pool['request']['group']}: {pool['msg']}" for pool in pools),
            "hosts": scale_pool.merged(hosts),
            "made": made,
            **({"diff": diffs[0] if len(diffs) == 1 else diffs} if diffs else {}),
        }

    def _plan(self, request: requests.Asked) -> Result:
        try:
            planned = self._record(request)
        except ScaleoutError as error:
            planned = {"failed": True, **error.result()}
        return {**planned, "request": request.document()}

    def _record(self, request: requests.Asked) -> Result:
        """Look first, so that what cannot be carried out is not recorded."""
        options = self._options(request)
        now = self._members({"group": request.group, "state": "settled", "services": []}, check=True)
        if now.get("failed"):
            return now
        acts = not self._task.check_mode
        if acts:
            forgotten = self._forget(scale_pool.lingering(self._platform, request.group, now), "absent")
            # A name whose agent came back is not chosen. Any other failure would leave names that could be chosen.
            if forgotten.get("failed") and forgotten.get("code") != "still_known":
                return forgotten
        planned = self._members(options, check=True)
        if planned.get("failed"):
            return planned
        scale_pool.donor(planned, request.group)
        action = request.action(scale_pool.size(now, options["static_members"]))
        if acts:
            planned = self._begin(request, action)
            if not planned.get("failed"):
                planned = self._members(options)
            self._end(request.group, action, planned)
        if planned.get("failed"):
            return planned
        return {
            **planned,
            "action": action,
            "told": scale_pool.told(request, planned),
            "hosts": scale_pool.entries(self._platform, request, planned) if acts else [],
            "made": scale_pool.made(self._platform, request, planned) if acts else [],
        }

    def _begin(self, request: requests.Asked, action: Result | None) -> Result:
        """Write to the journal what begins; what another run has left there has broken off, as we hold the lease."""
        if action is None:
            return {}
        begun = self._journal(request.group, "begun", action=action)
        if begun.get("code") == "action_runs":
            begun = self._journal(request.group, "broken_off")
            if not begun.get("failed"):
                begun = self._journal(request.group, "begun", action=action)
        if begun.get("failed") or not request.is_manual or action["from"] == action["to"]:
            return begun
        why = f"scale.yml of {getpass.getuser()} changed the size from {action['from']} to {action['to']}"
        pause = {"duration": str(MANUAL_PAUSE), "why": why, "by": getpass.getuser(), "keep_longer": True}
        return self._journal(request.group, "paused", **pause)

    def _end(self, group: str, action: Result | None, planned: Result) -> None:
        """Have an action that could not even be recorded end in the journal."""
        if action is not None and planned.get("failed"):
            self._journal(group, "finished", outcome=FAILED, why=str(planned.get("msg") or ""))

    def _joined(self) -> Result:
        """Record who serves. What a decision wanted and does not serve leaves again; a person may try once more."""
        serving = self._done(scale_pool.JOINING)
        back: dict[str, list[str]] = {}
        hosts: list[Result] = []
        for request, plan in self._plans():
            names = [one["name"] for one in plan["joining"]]
            answer = self._settle(request, joined=[name for name in names if name in serving])
            failed = [name for name in names if name not in serving]
            if answer.get("failed"):
                return answer
            if failed and not request.is_manual:
                answer = self._give_back(request, plan, failed)
                if answer.get("failed"):
                    return answer
                back[request.group] = failed
                hosts += scale_pool.given_back(self._platform, request, answer)
        return {"returned": back, "hosts": scale_pool.merged(hosts)}

    def _give_back(self, request: requests.Asked, plan: Result, failed: t.Sequence[str]) -> Result:
        there = len(plan["staying"]) + len(plan["joining"]) - len(failed)
        leaving = requests.Asked(request.group, request.applications, there, tuple(failed), requests.CLEAN_UP)
        return self._members(self._options(leaving))

    def _lost(self) -> Result:
        """Take those that could not be cleaned out of the catalog, and say who is given back."""
        lost: list[str] = []
        released: list[Result] = []
        listed: list[Result] = []
        for request, plan in self._plans():
            leaving = self._departure(plan)
            lost += leaving.lost
            released += [one for one in plan["leaving"] if one["name"] in leaving.released]
            listed += scale_pool.listed(self._platform, request, leaving.lost)
        return {**self._forget(lost, "deregistered"), "released": released, "listed": listed}

    def _left(self) -> Result:
        """Have those forgotten that are gone, record it, and write to the journal what became of it."""
        answers: list[Result] = [{}]
        for request, plan in self._plans():
            if "localhost" not in self._group("platform_failed"):
                leaving = self._departure(plan)
                answers.append(self._forget(leaving.forgotten, "absent"))
                if not answers[-1].get("failed"):
                    answers.append(self._settle(request, left=leaving.left))
            answers.append(self._finish(request.group, plan))
        return next((one for one in answers if one.get("failed")), answers[-1])

    def _finish(self, group: str, plan: Result) -> Result:
        """Write to the journal what became of the action of a pool; nothing where it was none."""
        if not plan.get("action"):
            return {}
        now = self._members({"group": group, "state": "settled"}, check=True)
        if now.get("failed"):
            return now
        became, why = scale_pool.became(plan, now["record"], self._kept(group))
        return self._journal(group, "finished", outcome=became, why=why)

    def _shown(self) -> Result:
        plan = self._vars["scale_plan"]
        lines: list[str] = []
        troubles: list[str] = []
        failed = [pool for pool in plan.get("pools") or [plan] if pool.get("failed") or "hosts" not in plan]
        if len(failed) == len(plan.get("pools") or [plan]):
            return {"failed": True, **{key: failed[0][key] for key in ("code", "msg") if key in failed[0]}}
        for pool in failed:
            troubles.append(f"{pool['request']['group']}: {pool['msg']}")
        pools = list(self._plans())
        for request, plan in pools:
            said = self._show(request, plan)
            if said.get("failed"):
                return said
            mark = f"{request.group}: " if len(pools) > 1 else ""
            lines += [f"{mark}{line}" for line in said["lines"]]
            troubles += said["troubles"]
        return self._ended(lines, troubles, "The pool is not as requested:")

    def _show(self, request: requests.Asked, plan: Result) -> Result:
        services = scale_pool.services_of(self._platform, request)
        now = self._members({"group": request.group, "state": "settled", "services": services}, check=True)
        if now.get("failed"):
            return now
        was = {kind: [one["name"] for one in plan[kind]] for kind in _KINDS}
        still = {kind: [one["name"] for one in now[kind]] for kind in _KINDS}
        gone = {kind: [name for name in names if name not in still[kind]] for kind, names in was.items()}
        back = self._returned(request.group)
        lines, troubles = outcome.tell(
            request.group,
            now["health"] or plan["health"],
            was["joining"],
            [name for name in gone["joining"] if name not in back],
            was["leaving"],
            gone["leaving"],
            Ledger(run.FOLDER).entries(),
            back,
        )
        return {"lines": lines, "troubles": troubles}

    def _written_off(self) -> Result:
        host = scale_pool.lost_host(self._platform, self._given)
        answers = {}
        for group in self._platform.pools:
            options = self._options(requests.Asked(group, (), None))
            wanted = {name: options[name] for name in ("group", "services", "static_members", "provider")}
            wanted = {**wanted, "state": "written_off", "left": [host]}
            looked = self._members(wanted, check=True)
            if looked.get("failed"):
                return looked
            scale_pool.refuse_alive(host, looked)
            answers[group] = looked if self._task.check_mode else self._members(wanted)
            if answers[group].get("failed"):
                return answers[group]
        answer = self._forget([host], "absent")
        if answer.get("failed"):
            return answer
        changed = answer.get("changed") or any(one.get("changed") for one in answers.values())
        lines = scale_pool.written_off(host, answers, answer.get("forgotten", ()), answer.get("revoked", ()))
        for line in lines:
            self._display.display(line)
        return {"changed": bool(changed), "lines": lines}

    # What the steps have in common

    def _plans(self) -> t.Iterator[tuple[requests.Asked, Result]]:
        """Yield what the step V(planned) registered of each pool that is carried out, as later steps left it."""
        for pool in self._vars["scale_plan"].get("pools") or ():
            if pool.get("failed"):
                continue
            request = requests.of(pool["request"])
            kept = self._kept(request.group)
            back = [one for one in pool["joining"] if one["name"] in self._returned(request.group)]
            leaving = [one for one in (*pool["leaving"], *back) if one["name"] not in kept]
            yield request, {**pool, "leaving": leaving}

    def _returned(self, group: str) -> list[str]:
        """Those that leave again because they did not come to serve."""
        return list(((self._vars.get("scale_joined") or {}).get("returned") or {}).get(group) or ())

    def _kept(self, group: str) -> list[str]:
        """Those that were leaving and stay after all."""
        return list(((self._vars.get("scale_watch") or {}).get("kept") or {}).get(group) or ())

    def _done(self, group: str) -> list[str]:
        """The hosts of a group of this run that answered and did not fail."""
        reached, failed = self._group("platform_reached"), self._group("platform_failed")
        return [host for host in self._group(group) if host in reached and host not in failed]

    def _departure(self, plan: Result) -> Departure:
        return scale_pool.departure(plan, self._group(scale_pool.UNNEEDED), self._done(scale_pool.LEAVING))

    def _settle(self, request: requests.Asked, **names: t.Sequence[str]) -> Result:
        if not any(names.values()):
            return {}
        return self._members({"group": request.group, "state": "settled", **names})

    def _forget(self, names: t.Sequence[str], state: str) -> Result:
        if not names:
            return {}
        return self._module("consul_member", {"names": list(names), "state": state})
