# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module ``release``: transfers the archive to hosts that need it, and prepares a release once in a run."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.look_first import LooksFirst
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger, Turn


class ActionModule(LooksFirst):
    """Transfers the archive where it is missing, and lets one host prepare a release for all."""

    MODULE = "scaleout.platform.release"

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        archive = arguments.pop("archive", None)
        looked = self._look(arguments, task_vars)
        if looked.get("failed") or self._task.check_mode or not looked.get("changed"):
            if self._task.check_mode and looked.get("turn", "none") != "none":
                # What is staged already, and does not run, is started by the tasks that follow.
                looked["changed"] = True
            return {**result, **looked}
        if arguments.get("state") == "prepared":
            return {**result, **self._prepare(arguments, task_vars or {})}
        if archive and looked.get("missing"):
            arguments["archive"] = self._transfer(os.path.expanduser(archive), "release.tar.gz")
        return {**result, **self._carry_out(arguments, task_vars)}

    def _prepare(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Let the first host that gets here run the command. Another one notes that, or is held when it failed."""
        host, folder = str(task_vars["inventory_hostname"]), run.FOLDER
        name, version = str(arguments["name"]), str(arguments["version"])
        ledger = Ledger(folder)
        with Turn(folder, f"prepare {name} {version}") as turn:
            broken_by = turn.holds(host)
            if broken_by:
                message = f"{name} stays as it is on {host}, because preparing release {version} failed elsewhere."
                ledger.note("held", host, service=name, broken_by=broken_by)
                held = {"held": True, "code": "held", "broken_by": broken_by, "msg": message}
                return {"changed": False, "warnings": [message], **held}
            entries = [entry for entry in ledger.entries() if entry["kind"] == "prepared"]
            if any((entry["service"], entry["version"]) == (name, version) for entry in entries):
                arguments = {**arguments, "command": []}
            with turn.breaks_unless_done(host) as done:
                result: dict[str, t.Any] = self._execute_module(
                    module_name=self.MODULE, module_args=arguments, task_vars=task_vars
                )
                if not result.get("failed"):
                    ledger.note("prepared", host, service=name, version=version)
                    done()
        if not arguments.get("command"):
            # Only the host that ran something has changed anything; this one has noted it.
            result["changed"] = False
        return {"held": False, **result}
