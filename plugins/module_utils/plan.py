# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a planner hands to the edge: a value, so that planners need no Ansible."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a task is going to do; a value without I/O.

    :param before: the part of the present state that the task governs, as the diff shows it.
    :param after: the same part once the plan is applied; equal to ``before`` when nothing changes.
    :param actions: what to carry out, in order; the task gives them their meaning.
    :param result: what the module returns beside ``changed`` and ``diff``, the same in check mode.
    :param warnings: sentences for the user that do not stop the task.
    """

    before: t.Any
    after: t.Any
    actions: tuple = ()
    result: dict = dataclasses.field(default_factory=dict)
    warnings: tuple = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to carry out."""
        return bool(self.actions)
