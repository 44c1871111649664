# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one way a module of this collection runs: plan, check, diff, apply, fail.

A module supplies a :class:`~.plan.Task`: an object with ``plan()``, which reads the present
state and returns a :class:`~.plan.Plan`, and ``apply(plan)``, which carries the plan
out once. Check mode stops before ``apply`` and returns the same plan; diff
mode shows the plan's before and after, never a second reading of the server.
"""

from __future__ import annotations

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.scaleout.platform.plugins.module_utils.errors import MissingLibrary, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = {chr(0xDC00 + byte): rf"\x{byte:02x}" for byte in range(0x80, 0x100)}
"""How a byte that is not UTF-8 is written, by the half of a surrogate pair that it is read as."""


class _Module(AnsibleModule):  # type: ignore[misc]  # ansible-core is untyped
    """Knows of secrets that are only a part of an option, so that ``no_log`` cannot name them.

    Ansible logs the options to the target's journal while it is being
    constructed; ``log`` is the one place to stop a secret on its way there.
    """

    def __init__(self, secrets_in: t.Callable[[dict[str, t.Any]], set[str]], **options: t.Any) -> None:
        self._secrets_in = secrets_in
        super().__init__(**options)
        self.no_log_values |= secrets_in(self.params)

    def log(self, msg: str, log_args: dict[str, t.Any] | None = None) -> None:
        self.no_log_values |= self._secrets_in(self.params)
        super().log(msg, remove_values(log_args, self.no_log_values))


def printable(value: t.Any) -> t.Any:
    """Return a result that every reader can take: a byte that was not UTF-8 where we read it becomes ``\\xfc``."""
    if isinstance(value, str):
        return _SURROGATE.sub(lambda half: _ESCAPES.get(half[0], "\ufffd"), value)
    if isinstance(value, dict):
        return {printable(name): printable(element) for name, element in value.items()}
    return [printable(element) for element in value] if isinstance(value, (list, tuple)) else value


def run(
    build: t.Callable[[AnsibleModule], Task],
    argument_spec: dict[str, t.Any],
    secrets_in: t.Callable[[dict[str, t.Any]], set[str]] = lambda _params: set(),
    **module_options: t.Any,
) -> None:
    """Run a module from its options to its result.

    :param build: makes the task from the module's checked parameters; it may
        raise :class:`~.errors.InvalidInput` and must not change anything.
    :param argument_spec: the module's options.
    :param secrets_in: finds, in the options, texts that may appear neither in the result nor in a log.
    :param module_options: passed on to ``AnsibleModule`` (``required_if`` and the like).
    """
    module = _Module(secrets_in, argument_spec=argument_spec, supports_check_mode=True, **module_options)
    task = None
    try:
        task = build(module)
        plan = task.plan()
        result = dict(plan.result)
        if plan.changed and not module.check_mode:
            outcome = task.apply(plan)
            if isinstance(outcome, Plan):
                plan, outcome = outcome, outcome.result
            result.update(outcome or {})
    except MissingLibrary as error:
        module.fail_json(**{**printable(error.result()), "msg": missing_required_lib(error.library)})
    except ScaleoutError as error:
        facts = printable(error.result())
        # ansible-core wants them told, and not in the result.
        for warning in facts.pop("warnings", ()):
            module.warn(warning)
        module.fail_json(**facts)
    finally:
        if task is not None:
            task.close()
    for warning in plan.warnings:
        module.warn(printable(warning))
    module.exit_json(
        changed=plan.changed,
        **printable({"diff": {"before": plan.before, "after": plan.after}, **result}),
    )
