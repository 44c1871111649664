# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``partition_set``; what the module does on a host is played here."""

from __future__ import annotations

import time
from unittest import mock

from ansible_collections.scaleout.platform.plugins.action.partition_set import ActionModule


def test_the_module_is_told_the_time_of_the_controller():
    task = mock.MagicMock(async_val=0, check_mode=False, diff=False, args={"table": "visits"}, action="partition_set")
    action = ActionModule(task, mock.MagicMock(), mock.MagicMock(check_mode=False), None, None, None)
    with mock.patch.object(action, "_execute_module", return_value={"changed": False}):
        assert action.run(task_vars={})["changed"] is False
    assert task.args["table"] == "visits"
    assert abs(task.args["controller_time"] - time.time()) < 60
