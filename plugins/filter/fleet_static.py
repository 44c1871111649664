# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``fleet_static``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_static
short_description: Describe the inventory's own VMs as members of a fleet
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - The provider C(static) makes no hosts. It knows those of the inventory, and takes them to run.
options:
  _input:
    description: What the inventory says of the hosts, each with a C(name). Those that come again are left out.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: List the VMs that wait
  ansible.builtin.debug:
    msg: "{{ groups.fleet_spare | map('extract', hostvars, 'fleet_host') | scaleout.platform.fleet_static }}"
"""

RETURN = r"""
_value:
  description: The members, as C(fleet_members) of the role P(scaleout.platform.fleet#role) has them.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.members import fleet


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"fleet_static": fleet.static}
