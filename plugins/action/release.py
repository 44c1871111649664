# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module ``release``: transfers the archive to hosts that need it, and prepares a release once in a run."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.scaleout.platform.plugins.plugin_utils import run
from ansible_collections.scaleout.platform.plugins.plugin_utils.turns import Ledger, Turn

_MODULE = "scaleout.platform.release"


class ActionModule(ActionBase):
    """Looks first; on most runs there is nothing to do, and that costs one round trip."""

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
            arguments["archive"] = self._transfer(os.path.expanduser(archive))
        done = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return {**result, **done}

    def _look(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """Run the module in check mode."""
        check_mode, self._task.check_mode = self._task.check_mode, True
        try:
            answer: dict[str, t.Any] = self._execute_module(
                module_name=_MODULE, module_args=arguments, task_vars=task_vars
            )
            return answer
        finally:
            self._task.check_mode = check_mode

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
                    module_name=_MODULE, module_args=arguments, task_vars=task_vars
                )
                if not result.get("failed"):
                    ledger.note("prepared", host, service=name, version=version)
                    done()
        if not arguments.get("command"):
            # Only the host that ran something has changed anything; this one has noted it.
            result["changed"] = False
        return {"held": False, **result}

    def _transfer(self, archive: str) -> str:
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        remote: str = self._connection._shell.join_path(self._connection._shell.tmpdir, "release.tar.gz")
        self._transfer_file(archive, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return remote
