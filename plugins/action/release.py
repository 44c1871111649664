# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module ``release``, and transfers the archive to those hosts that need it."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

_MODULE = "scaleout.platform.release"


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        archive = arguments.pop("archive", None)
        looked = self._look(arguments, task_vars)
        if looked.get("failed") or self._task.check_mode or not looked.get("changed"):
            return {**result, **looked}
        if archive and looked.get("missing"):
            arguments["archive"] = self._transfer(os.path.expanduser(archive))
        done = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return {**result, **done}

    def _look(self, arguments: dict, task_vars: dict | None) -> dict[str, t.Any]:
        """Run the module in check mode: on most runs there is nothing to do, and that costs one round trip."""
        check_mode, self._task.check_mode = self._task.check_mode, True
        try:
            return self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        finally:
            self._task.check_mode = check_mode

    def _transfer(self, archive: str) -> str:
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "release.tar.gz")
        self._transfer_file(archive, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return remote
