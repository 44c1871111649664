# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The callback ``lines``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lines
type: stdout
short_description: Show only what actions say, and what failed
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Leaves plays, tasks and recaps out. What actions of this collection say is shown, such as the line that
    C(autoscale.yml) has for each pool, and each failure in a line of its own.
  - It is for runs that a timer repeats, whose output goes to a journal.
requirements:
  - set as C(stdout_callback) in C(ansible.cfg), or as C(ANSIBLE_STDOUT_CALLBACK)
"""

EXAMPLES = r"""
# ANSIBLE_STDOUT_CALLBACK=scaleout.platform.lines ansible-playbook scaleout.platform.autoscale
"""

import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Prints failures; all else is shown by those who have something to say."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "scaleout.platform.lines"

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            data = getattr(result, "result", None) or result._result
            said = "a result that is not shown" if "censored" in data else str(data.get("msg") or "failed")
            self._display.display(f"  {self._host(result)}: {said}", color="red")

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        task = getattr(result, "task", None) or result._task
        if not task.ignore_unreachable:
            self._display.display(f"  {self._host(result)} does not answer.", color="red")

    @staticmethod
    def _host(result: t.Any) -> str:
        return str((getattr(result, "host", None) or result._host).get_name())
