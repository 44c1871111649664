# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stdout of runs that a timer repeats: what actions say, and what failed; nothing of a secret."""

from __future__ import annotations

import subprocess

from tests.unit.plugins.callback.runs import Project

SAYS = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        self._display.display(self._task.args["line"])
        return {**result, "changed": True}
"""
PLAY = """
- name: All
  hosts: shop1
  gather_facts: false
  tasks:
    - name: Say something
      say: {line: "14:03:07 shop: 3, nothing to do"}
    - name: Fail and go on
      ansible.builtin.fail: {msg: not of interest}
      ignore_errors: true
    - name: Fail with a secret
      ansible.builtin.fail: {msg: the-secret}
      no_log: true
      ignore_errors: true
    - name: Fail
      ansible.builtin.fail: {msg: this is of interest}
"""


def test_only_what_actions_say_and_what_failed_is_shown(tmp_path):
    project = Project(tmp_path / "project")
    (project.folder / "action_plugins/say.py").write_text(SAYS)
    (project.folder / "play.yml").write_text(PLAY)
    done = subprocess.run(
        ["ansible-playbook", "-i", str(project.inventory), "play.yml"],
        cwd=project.folder,
        env={**project.environment, "ANSIBLE_STDOUT_CALLBACK": "scaleout.platform.lines"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert [line for line in done.stdout.splitlines() if line] == [
        "14:03:07 shop: 3, nothing to do",
        "  shop1: this is of interest",
    ]


def test_a_failure_with_a_secret_says_where_it_was(tmp_path):
    project = Project(tmp_path / "project")
    play = PLAY.replace("      no_log: true\n      ignore_errors: true\n", "      no_log: true\n")
    (project.folder / "action_plugins/say.py").write_text(SAYS)
    run = project.play(play, ANSIBLE_STDOUT_CALLBACK="scaleout.platform.lines")
    assert run.status == 2
    assert "shop1: a result that is not shown" in run.said
    assert "the-secret" not in run.said
