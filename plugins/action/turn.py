# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``plugins/modules/turn.py``: hosts of one run tell each other who has failed."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger, Turn


class ActionModule(ActionBase):
    """Runs on the controller and touches no host."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(
            {
                "group": {"type": "str", "required": True},
                "name": {"type": "str", "required": True},
                "state": {"type": "str", "choices": ["taken", "done", "failed"], "default": "taken"},
                "alone": {"type": "bool", "default": False},
                "batch": {"type": "str", "default": ""},
            }
        )
        host = str((task_vars or {})["inventory_hostname"])
        with Turn(run.FOLDER, options["group"], options["batch"]) as turn:
            if options["state"] != "taken":
                (turn.fail if options["state"] == "failed" else turn.end)(host)
                return {**result, "changed": False}
            broken_by, first = turn.holds(host), turn.is_first()
            if options["alone"] and not broken_by:
                turn.begin(host)
        if not broken_by:
            return {**result, "changed": False, "held": False, "first": first}
        name = options["name"]
        Ledger(run.FOLDER).note("held", host, service=name, broken_by=broken_by)
        message = f"{name} stays as it is on {host}, because the same rollout failed or broke off on {broken_by}."
        held = {"held": True, "code": "held", "broken_by": broken_by, "msg": message}
        return {**result, "changed": False, "warnings": [message], **held}
