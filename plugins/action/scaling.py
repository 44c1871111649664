# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/scaling.py``: decides on the controller, and has a Consul server carry it out."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.members import asked as requests
from ansible_collections.scaleout.platform.plugins.module_utils.members.outcome import tell
from ansible_collections.scaleout.platform.plugins.module_utils.operations import scale_pool
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.inventory import platform_of
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger

_STATES = ("asked", "planned", "joined", "lost", "left", "shown", "written_off")

Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """One step of scale.yml."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        self._vars = task_vars or {}
        _validation, options = self.validate_argument_spec(
            {
                "state": {"type": "str", "choices": list(_STATES), "required": True},
                "consul_token": {"type": "str", "no_log": True},
            }
        )
        self._token = options["consul_token"]
        self._platform = platform_of(self._vars, self._templar)
        try:
            self._given = load_extra_vars(self._loader)
            if options["state"] != "written_off":
                self._request = requests.read(self._platform, self._given)
            answer: Result = getattr(self, f"_{options['state']}")()
        except ScaleoutError as error:
            return {**result, "failed": True, **error.result()}
        return {**result, "changed": False, **answer}

    def _asked(self) -> Result:
        """All that can be wrong has been said when the request was read."""
        return {}

    def _planned(self) -> Result:
        """Look first, so that what cannot be carried out is not recorded."""
        static = (self._vars.get("fleet_static_members") or {}).get(self._request.group) or ()
        options = scale_pool.members_options(self._platform, self._request, self._templar.template(static))
        now = self._members({"group": self._request.group, "state": "settled", "services": []}, check=True)
        if now.get("failed"):
            return now
        if not self._task.check_mode:
            forgotten = self._forget(scale_pool.lingering(self._platform, self._request.group, now), "absent")
            # A name whose agent came back is not chosen. Any other failure would leave names that could be chosen.
            if forgotten.get("failed") and forgotten.get("code") != "still_known":
                return forgotten
        planned = self._members(options, check=True)
        if planned.get("failed"):
            return planned
        scale_pool.donor(planned, self._request.group)
        if not self._task.check_mode:
            planned = self._members(options)
        if planned.get("failed"):
            return planned
        acts = not self._task.check_mode
        return {
            **planned,
            "told": scale_pool.told(self._request, planned),
            "hosts": scale_pool.entries(self._platform, self._request, planned) if acts else [],
            "made": scale_pool.made(self._platform, self._request, planned) if acts else [],
        }

    def _joined(self) -> Result:
        return self._settle(joined=self._done("scale_joining"))

    def _lost(self) -> Result:
        """Take those that could not be cleaned out of the catalog, and say who is given back."""
        leaving = self._departure()
        released = [one for one in self._plan["leaving"] if one["name"] in leaving.released]
        answer = self._forget(leaving.lost, "deregistered")
        listed = scale_pool.listed(self._platform, self._request, leaving.lost)
        return {**answer, "released": released, "listed": listed}

    def _left(self) -> Result:
        if "localhost" in self._group("platform_failed"):
            return {}
        leaving = self._departure()
        answer = self._forget(leaving.forgotten, "absent")
        return answer if answer.get("failed") else self._settle(left=leaving.left)

    def _shown(self) -> Result:
        if "hosts" not in self._vars["scale_plan"]:
            return {"failed": True, **{key: self._plan[key] for key in ("code", "msg") if key in self._plan}}
        services = scale_pool.services_of(self._platform, self._request)
        now = self._members({"group": self._request.group, "state": "settled", "services": services}, check=True)
        if now.get("failed"):
            return now
        was = {kind: [one["name"] for one in self._plan[kind]] for kind in ("joining", "leaving")}
        still = {kind: [one["name"] for one in now[kind]] for kind in was}
        gone = {kind: [name for name in names if name not in still[kind]] for kind, names in was.items()}
        health = now["health"] or self._plan["health"]
        lines, troubles = tell(
            self._request.group,
            health,
            was["joining"],
            gone["joining"],
            was["leaving"],
            gone["leaving"],
            Ledger(run.FOLDER).entries(),
        )
        for line in lines:
            self._display.display(line)
        if not troubles:
            return {"lines": lines, "troubles": []}
        text = "\n".join(["The pool is not as requested:", *troubles])
        return {"failed": True, "code": "incomplete", "lines": lines, "troubles": troubles, "msg": text}

    def _written_off(self) -> Result:
        host = scale_pool.lost_host(self._platform, self._given)
        answers = {}
        for group in scale_pool.pools(self._platform):
            static = (self._vars.get("fleet_static_members") or {}).get(group) or ()
            request = requests.Asked(group, (), None)
            options = scale_pool.members_options(self._platform, request, self._templar.template(static))
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
        lines = scale_pool.written_off(host, answers, answer.get("forgotten", ()))
        for line in lines:
            self._display.display(line)
        return {"changed": bool(changed), "lines": lines}

    # What the steps have in common

    @property
    def _plan(self) -> Result:
        """What the step V(planned) registered; without hosts where it failed."""
        return {"joining": [], "leaving": [], "health": {}, **self._vars["scale_plan"]}

    def _group(self, name: str) -> list[str]:
        return [str(host) for host in self._vars["groups"].get(name, ())]

    def _done(self, group: str) -> list[str]:
        """The hosts of a group of this run that answered and did not fail."""
        reached, failed = self._group("platform_reached"), self._group("platform_failed")
        return [host for host in self._group(group) if host in reached and host not in failed]

    def _departure(self) -> t.Any:
        return scale_pool.departure(self._plan, self._group("scale_unneeded"), self._done("scale_leaving"))

    def _settle(self, **names: t.Sequence[str]) -> Result:
        if not any(names.values()):
            return {}
        return self._members({"group": self._request.group, "state": "settled", **names})

    def _forget(self, names: t.Sequence[str], state: str) -> Result:
        if not names:
            return {}
        return self._module("consul_member", {"names": list(names), "state": state})

    def _members(self, options: Result, check: bool = False) -> Result:
        before, self._task.check_mode = self._task.check_mode, check or self._task.check_mode
        try:
            return self._module("members", options)
        finally:
            self._task.check_mode = before

    def _module(self, name: str, options: Result) -> Result:
        answer: Result = self._execute_module(
            module_name=f"scaleout.platform.{name}",
            module_args={**options, "consul_token": self._token},
            task_vars=self._vars,
        )
        return answer
