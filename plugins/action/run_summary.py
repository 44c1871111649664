# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/run_summary.py``: reads the run's ledger and touches no host."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.module_utils.operations.summarize import done, troubles
from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger


class ActionModule(ActionBase):
    """Shows the lines, and fails with what is wrong."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _validation, options = self.validate_argument_spec(
            {"lines": {"type": "list", "elements": "str", "default": []}}
        )
        groups, entries = task_vars["groups"], Ledger(run.FOLDER).entries()
        found = troubles(
            [str(host) for host in task_vars["ansible_play_hosts_all"]],
            {str(host) for host in groups.get("platform_reached", ())},
            {str(host) for host in task_vars["ansible_play_hosts"]},
            entries,
        )
        for line in [*options["lines"], *done(entries)]:
            self._display.display(line)
        if not found:
            return {**result, "changed": False, "troubles": []}
        return {**result, "failed": True, "code": "incomplete", "troubles": found, "msg": "\n".join(found)}
