# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module ``partition_set`` with the controller's time, which a host whose own clock is wrong cannot know."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action.normal import ActionModule as NormalAction


class ActionModule(NormalAction):  # type: ignore[misc]  # ansible-core is untyped
    """As any module, but for one argument more."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        self._task.args = {"controller_time": time.time(), **self._task.args}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        return result
