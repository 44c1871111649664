# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a planner hands to the edge, and what carries it out; values and an interface, so that neither needs Ansible."""

from __future__ import annotations

import abc
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
    actions: tuple[t.Any, ...] = ()
    result: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to carry out."""
        return bool(self.actions)


class Task(abc.ABC):
    """A use case that reads, plans and applies; ``module.run`` runs one for a module."""

    @abc.abstractmethod
    def plan(self) -> Plan:
        """Read the present state once and plan; changes nothing."""

    @abc.abstractmethod
    def apply(self, plan: Plan) -> Plan | dict[str, t.Any] | None:
        """Carry out ``plan.actions``.

        :return: values that update the result; or another plan, when another client was faster, the one carried out.
        """

    def close(self) -> None:
        """Give connections back; called in every case."""
