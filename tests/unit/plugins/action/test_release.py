# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind ``release`` on several hosts of one run; what the module does on a host is played here."""

from __future__ import annotations

import types
from unittest import mock

import pytest

from ansible_collections.scaleout.platform.plugins.action.release import ActionModule
from ansible_collections.scaleout.platform.plugins.plugin_utils import run


class Host:
    """A host on which release 1 is unpacked and not prepared.

    :param fails: whether the command fails here.
    """

    def __init__(self, name, fails=False):
        self.name = name
        self._fails = fails
        self.ran = []

    def _module(self, module_name, module_args, task_vars):
        if self._task.check_mode:
            return {"changed": True}
        self.ran.append(module_args["command"])
        return {"failed": True, "changed": False} if self._fails else {"changed": True, "prepared": True}

    def prepares(self, command):
        """Prepare the release."""
        arguments = {"name": "shop", "state": "prepared", "version": "1", "command": command}
        self._task = mock.MagicMock(async_val=0, check_mode=False, diff=False, args=arguments, action="release")
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        action = ActionModule(self._task, connection, mock.MagicMock(check_mode=False), None, None, None)
        with mock.patch.object(action, "_execute_module", self._module):
            return action.run(task_vars={"inventory_hostname": self.name})


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "FOLDER", str(tmp_path))


def test_only_the_host_that_ran_the_command_is_changed():
    hosts = [Host("api1"), Host("api2"), Host("api3")]
    results = [host.prepares(["./migrate"]) for host in hosts]
    assert [host.ran for host in hosts] == [[["./migrate"]], [[]], [[]]]
    assert [result["changed"] for result in results] == [True, False, False]
    assert all(result["prepared"] and not result["held"] for result in results)


def test_a_host_that_joins_runs_nothing_and_is_not_changed():
    host = Host("api4")
    assert host.prepares([])["changed"] is False
    assert host.ran == [[]]


def test_where_the_command_failed_the_others_are_held():
    first, second = Host("api1", fails=True), Host("api2")
    assert first.prepares(["./migrate"])["failed"]
    result = second.prepares(["./migrate"])
    assert (result["held"], result["broken_by"], result["changed"]) == (True, "api1", False)
    assert second.ran == []
