# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the actions that change pools have in common: they take a step of a playbook that decides on the controller."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.members import asked
from ansible_collections.scaleout.platform.plugins.module_utils.operations import scale_pool
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.inventory import platform_of

Result = dict[str, t.Any]
Options = t.Mapping[str, t.Mapping[str, t.Any]]
"""An argument spec."""


class StepAction(ActionBase):  # type: ignore[misc]  # Ansible is not annotated
    """An action with a method for each step; the option ``state`` says which one a task is."""

    TRANSFERS_FILES = False

    #: The steps: that of ``asked`` is the method ``_asked``.
    STATES: t.ClassVar[tuple[str, ...]] = ()
    #: The other options.
    OPTIONS: t.ClassVar[Options] = {}

    _platform: Platform
    #: The variables of the command line.
    _given: Result
    _vars: Result

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        self._vars = task_vars or {}
        state = {"type": "str", "choices": list(self.STATES), "required": True}
        _validation, options = self.validate_argument_spec({"state": state, **self.OPTIONS})
        self._platform = platform_of(self._vars, self._templar)
        self._given = load_extra_vars(self._loader)
        try:
            self._prepare(options)
            answer: Result = getattr(self, f"_{options['state']}")()
        except ScaleoutError as error:
            return {**result, "failed": True, **self._refused(error)}
        return {**result, "changed": False, **answer}

    def _prepare(self, options: Result) -> None:
        """Read what all steps need.

        :raises ScaleoutError: what was asked for cannot be.
        """

    def _refused(self, error: ScaleoutError) -> Result:
        """Return what a task that fails with an error returns."""
        return error.result()

    def _ended(self, lines: t.Sequence[str], troubles: t.Sequence[str], head: str, code: str = "incomplete") -> Result:
        """Show what a run came to; it fails where something is not as it was asked.

        :param head: what the message begins with then.
        """
        for line in lines:
            self._display.display(line)
        told = {"lines": list(lines), "troubles": list(troubles)}
        if not troubles:
            return told
        return {"failed": True, "code": code, **told, "msg": "\n".join([head, *dict.fromkeys(troubles)])}

    def _group(self, name: str) -> list[str]:
        return [str(host) for host in self._vars["groups"].get(name, ())]


class PoolAction(StepAction):
    """A step of which a Consul server, the host of the task, carries out a part."""

    OPTIONS: t.ClassVar[Options] = {"consul_token": {"type": "str", "no_log": True}}

    _token: str | None = None

    def _prepare(self, options: Result) -> None:
        self._token = options["consul_token"]

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
