# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module ``service_config``: all hosts look in parallel, those with something to activate take turns."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger, Turn

_MODULE = "scaleout.platform.service_config"


class ActionModule(ActionBase):
    """Looks first; on most runs there is nothing to do, and that costs one round trip."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = dict(self._task.args)
        looked = self._execute_module(
            module_name=_MODULE, module_args={**arguments, "apply": False}, task_vars=task_vars
        )
        if looked.get("failed") or self._task.check_mode or not looked.get("pending"):
            return {**result, **looked}
        host = str(task_vars["inventory_hostname"])
        # A service that is not in use yet makes no other host wait.
        group = str(arguments.get("group") or "") if looked.get("serving") else ""
        with Turn(run.FOLDER, group) as turn:
            broken_by = turn.holds(host)
            if broken_by:
                return {**result, **self._held(arguments, host, broken_by)}
            with turn.breaks_unless_done(host) as done:
                applied = self._execute_module(
                    module_name=_MODULE, module_args={**arguments, "apply": True}, task_vars=task_vars
                )
                if not applied.get("failed"):
                    done()
        # The second look shows what it found after the files were exchanged; the first has the difference.
        return {**result, **applied, **({"diff": looked["diff"]} if looked.get("diff") else {})}

    @staticmethod
    def _held(arguments: dict[str, t.Any], host: str, broken_by: str) -> dict[str, t.Any]:
        message = f"{arguments.get('name')} keeps its configuration, because {broken_by} failed first."
        Ledger(run.FOLDER).note("held", host, service=str(arguments.get("name")), broken_by=broken_by)
        return {"changed": False, "held": True, "code": "held", "msg": message}
