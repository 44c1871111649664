# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets the host of a task join a group."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

_GROUP_BY = "ansible.builtin.group_by"


def join(action: ActionBase, group: str, task_vars: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Let the host of a task join a group, as ``group_by`` does, and return what the task's result has to hold for it.

    ``group_by`` itself is asked: to ansible-core up to 2.20 the result says it, and since 2.21 the action does.

    :param action: that of the task.
    """
    task = action._task.copy()
    task.action, task.args = _GROUP_BY, {"key": group}
    loader = action._shared_loader_obj
    group_by = loader.action_loader.get(
        _GROUP_BY,
        task=task,
        connection=action._connection,
        play_context=action._play_context,
        loader=action._loader,
        templar=action._templar,
        shared_loader_obj=loader,
    )
    joined = group_by.run(task_vars=task_vars)
    return {name: joined[name] for name in ("add_group", "parent_groups")}
