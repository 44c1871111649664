# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/run_note.py``: writes to the run's ledger and touches no host."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.plugin_utils import groups, run
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger


class ActionModule(ActionBase):
    """Lets the host join the group of those that failed."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(
            {
                "service": {"type": "str", "required": True},
                "reason": {"type": "str", "default": ""},
                "task": {"type": "str", "default": ""},
                "group": {"type": "str", "default": "platform_failed"},
            }
        )
        host = str((task_vars or {})["inventory_hostname"])
        Ledger(run.FOLDER).note(
            "failed", host, service=options["service"], task=options["task"], reason=options["reason"]
        )
        return {**result, "changed": False, **groups.join(self, options["group"], task_vars or {})}
