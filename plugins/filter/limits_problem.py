# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``limits_problem``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: limits_problem
short_description: Say what is wrong with the limits of a process
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Says what M(scaleout.platform.release) would refuse of its O(scaleout.platform.release#module:limits), but for what
    depends on the host.
options:
  _input:
    description:
      - Limits by the name of what holds them, such as a variable's. Limits are some of C(memory_min), C(memory_max),
        C(memory_swap_max), C(cpu_shares) and C(cpu_quota).
    type: dict
    required: true
seealso:
  - module: scaleout.platform.release
"""

EXAMPLES = r"""
- name: Refuse limits that contradict each other
  ansible.builtin.assert:
    that: "{'shop_limits': shop_limits} | scaleout.platform.limits_problem == ''"
    fail_msg: "{{ {'shop_limits': shop_limits} | scaleout.platform.limits_problem }}."
"""

RETURN = r"""
_value:
  description: One sentence, without its full stop; empty when nothing is wrong.
  type: str
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.releases import limits as core


def limits_problem(limits_by_name: t.Mapping[str, t.Any]) -> str:
    """Return the first thing that is wrong with limits, as a sentence without its full stop."""
    for name, limits in limits_by_name.items():
        if not isinstance(limits, t.Mapping):
            return f"{name} is {limits!r} and must be a dictionary of limits"
        try:
            core.settings(name, limits)
        except ScaleoutError as error:
            return error.message.rstrip(".")
    return ""


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"limits_problem": limits_problem}
