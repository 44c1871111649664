# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the modules that keep the databases of a host, one after another; one that fails stops no other."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.module_utils.operations.upkeep_steps import Step, steps, told
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger


class ActionModule(ActionBase):
    """Each module plans and applies by itself; check mode and diff mode go through to it."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _validation, options = self.validate_argument_spec(
            {
                "databases": {"type": "list", "elements": "dict", "required": True},
                "verify": {"type": "bool", "default": False},
                "login": {"type": "dict", "default": {}},
            }
        )
        lines: list[str] = []
        failed: list[dict[str, t.Any]] = []
        changed, diffs, warnings = False, [], []
        for step in steps(options["databases"], options["verify"]):
            done = self._run(step, options["login"], task_vars)
            lines += told(step, done, self._task.check_mode)
            changed = changed or bool(done.get("changed"))
            diffs += [done["diff"]] if done.get("changed") and done.get("diff") else []
            warnings += [f"{step.place}: {_warning(one)}" for one in done.get("warnings") or ()]
            if done.get("failed"):
                failed.append({"database": step.database, "label": step.label, **_outcome(done)})
        host = str(task_vars.get("inventory_hostname", ""))
        ledger = Ledger(run.FOLDER)
        for line in lines:
            ledger.note("told", host, text=line)
        result.update(changed=changed, lines=lines, failures=failed, warnings=warnings)
        if diffs:
            result["diff"] = diffs
        if failed:
            texts = [f"{one['database']}: {one['label']}: {one['msg']}" for one in failed]
            codes = {one["code"] for one in failed}
            code = codes.pop() if len(codes) == 1 else "incomplete"
            result.update(failed=True, code=code, msg="\n".join(texts))
        return result

    def _run(self, step: Step, login: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Run a module; a connection that breaks is for Ansible to tell."""
        arguments = {**login, **step.options}
        found: dict[str, t.Any] = self._execute_module(
            module_name=step.module, module_args=arguments, task_vars=task_vars
        )
        return found


def _warning(one: t.Any) -> str:
    """The words of a module's warning, which ansible-core hands to actions as an object of its own."""
    return str(getattr(getattr(one, "event", None), "msg", one))


def _outcome(done: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {"code": str(done.get("code") or "failed"), "msg": str(done.get("msg") or "it failed without a word.")}
