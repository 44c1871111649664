# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the actions that change pools have in common: the modules that they have a Consul server carry out."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.module_utils.members import asked
from ansible_collections.scaleout.platform.plugins.module_utils.operations import scale_pool
from ansible_collections.scaleout.platform.plugins.plugin_utils import run

Result = dict[str, t.Any]


class PoolAction(ActionBase):  # type: ignore[misc]  # Ansible is not annotated
    """An action that decides on the controller; the modules run on the host of the task."""

    TRANSFERS_FILES = False

    _platform: t.Any
    _token: str | None = None
    _vars: Result

    def _group(self, name: str) -> list[str]:
        return [str(host) for host in self._vars["groups"].get(name, ())]

    def _options(self, request: asked.Asked) -> Result:
        """Return the options of the module ``members`` that carry out a request."""
        static = (self._vars.get("fleet_static_members") or {}).get(request.group) or ()
        return scale_pool.members_options(self._platform, request, self._templar.template(static))

    def _members(self, options: Result, check: bool = False) -> Result:
        before, self._task.check_mode = self._task.check_mode, check or self._task.check_mode
        try:
            # Nothing is recorded for a run that has lost its lease, also where it was paused before this task began.
            return self._module("members", {**options, "run": run.ID})
        finally:
            self._task.check_mode = before

    def _journal(self, group: str, state: str, **options: t.Any) -> Result:
        """Read or change the journal of a pool as this run, which has to hold the lease to change it."""
        return self._module("scaling_journal", {"group": group, "state": state, "run": run.ID, **options})

    def _module(self, name: str, options: Result) -> Result:
        answer: Result = self._execute_module(
            module_name=f"scaleout.platform.{name}",
            module_args={**options, "consul_token": self._token},
            task_vars=self._vars,
        )
        return answer
