# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/service_check.py``: reads the host once, and judges on the controller."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.module_utils.operations import leaders
from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_platform import SERVICES
from ansible_collections.scaleout.platform.plugins.plugin_utils.inventory import platform_of


class ActionModule(ActionBase):
    """Fails with what is wrong, or returns what is there and what is wanted."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _validation, options = self.validate_argument_spec(
            {"service": {"type": "str", "required": True, "choices": sorted(SERVICES)}}
        )
        service = SERVICES[options["service"]]
        host = str(task_vars["inventory_hostname"])
        platform = platform_of(task_vars, self._templar)
        state = None
        found = service.problems(platform, host)
        if not found and service.STATE_MODULE:
            state = self._state(service, platform, host, task_vars)
            if state.get("failed"):
                return {**result, **state}
            found = service.problems(platform, host, state)
        if found:
            # One a line: a person who has three faults wants to see three.
            text = "\n".join(str(problem) for problem in found)
            facts = [{"code": problem.code, "text": problem.text} for problem in found]
            return {**result, "failed": True, "msg": text, "code": found[0].code, "problems": facts}
        return {
            **result,
            **_facts(state),
            "changed": False,
            "state": state or {},
            "wanted": service.wanted(platform, host, state),
            "health": service.health(platform, host, state or {}),
        }

    def _state(self, service: t.Any, platform: t.Any, host: str, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read the service's state on its host. It only reads, so check mode makes no difference."""
        answer: dict[str, t.Any] = self._execute_module(
            module_name=service.STATE_MODULE, module_args=service.look(platform, host), task_vars=task_vars
        )
        return answer


def _facts(state: t.Any) -> dict[str, t.Any]:
    """Return what the rest of the run is to know of what was read: who leads a database's cluster."""
    patroni = (state or {}).get("patroni") or {}
    leader = (patroni.get("cluster") or {}).get("leader")
    return leaders.facts({patroni["scope"]: leader}) if leader else {}
