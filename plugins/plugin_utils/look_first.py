# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Actions whose module looks first what is to be done, and gets a file from the controller only where it needs one."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

Arguments = dict[str, t.Any]


class LooksFirst(ActionBase):  # type: ignore[misc]  # Ansible is not annotated
    """On most runs there is nothing to do, and that costs one round trip."""

    #: The full name of the module.
    MODULE: t.ClassVar[str]

    def _look(self, arguments: Arguments, task_vars: Arguments | None) -> Arguments:
        """Run the module in check mode."""
        check_mode, self._task.check_mode = self._task.check_mode, True
        try:
            answer: Arguments = self._execute_module(
                module_name=self.MODULE, module_args=arguments, task_vars=task_vars
            )
            return answer
        finally:
            self._task.check_mode = check_mode

    def _carry_out(self, arguments: Arguments, task_vars: Arguments | None) -> Arguments:
        """Run the module, and remove what was transferred for it."""
        done: Arguments = self._execute_module(module_name=self.MODULE, module_args=arguments, task_vars=task_vars)
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return done

    def _transfer(self, local: str, name: str) -> str:
        """Transfer a file into the task's own folder on the host, under a name; returns its path there."""
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        remote: str = self._connection._shell.join_path(self._connection._shell.tmpdir, name)
        self._transfer_file(local, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return remote
