# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one way a module of this collection runs: plan, check, diff, apply, fail.

A module supplies a *task*: an object with ``plan()``, which reads the present
state and returns a :class:`~.plan.Plan`, and ``apply(plan)``, which carries the plan
out once. Check mode stops before ``apply`` and returns the same plan; diff
mode shows the plan's before and after, never a second reading of the server.
"""

from __future__ import annotations

import abc
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.scaleout.platform.plugins.module_utils.errors import MissingLibrary, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan


class Task(abc.ABC):
    """What a module hands to :func:`run`."""

    @abc.abstractmethod
    def plan(self) -> Plan:
        """Read the present state once and plan; changes nothing."""

    @abc.abstractmethod
    def apply(self, plan: Plan) -> dict | None:
        """Carry out ``plan.actions``; may return values that update the result."""

    def close(self) -> None:
        """Give connections back; called in every case."""


def run(
    build: t.Callable[[AnsibleModule], Task],
    argument_spec: dict,
    **module_options: t.Any,
) -> None:
    """Run a module from its options to its result.

    :param build: makes the task from the module's checked parameters; it may
        raise :class:`~.errors.InvalidInput` and must not change anything.
    :param argument_spec: the module's options.
    :param module_options: passed on to ``AnsibleModule`` (``required_if`` and the like).
    """
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, **module_options)
    task = None
    try:
        task = build(module)
        plan = task.plan()
        result = dict(plan.result)
        if plan.changed and not module.check_mode:
            result.update(task.apply(plan) or {})
    except MissingLibrary as error:
        module.fail_json(msg=missing_required_lib(error.library))
    except ScaleoutError as error:
        module.fail_json(msg=error.message, **error.facts)
    finally:
        if task is not None:
            task.close()
    for warning in plan.warnings:
        module.warn(warning)
    module.exit_json(
        changed=plan.changed,
        diff={"before": plan.before, "after": plan.after},
        **result,
    )
