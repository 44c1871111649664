# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/site_gate.py``: the inventory says what to ask, the host asks."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.module_utils.services import nginx
from ansible_collections.scaleout.platform.plugins.plugin_utils.inventory import platform_of


class ActionModule(ActionBase):
    """Hands the module its questions."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        options = dict(self._task.args)
        if options.get("questions") is None:
            host = str(task_vars["inventory_hostname"])
            asked = nginx.questions(platform_of(task_vars, self._templar), host)
            options["questions"] = [{name: str(value) for name, value in each._asdict().items()} for each in asked]
        return {
            **result,
            **self._execute_module(module_name="scaleout.platform.site_gate", module_args=options, task_vars=task_vars),
        }
