# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``fleet_plan``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_plan
short_description: Say which containers of a fleet come and go
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Compares the containers that M(community.docker.docker_host_info) found with the hosts that are asked for.
options:
  _input:
    description: The containers, with C(verbose_output).
    type: list
    elements: dict
    required: true
  hosts:
    description: The hosts that are asked for, each with a C(name).
    type: list
    elements: dict
    required: true
  owner:
    description: The owner of the containers that this checkout makes; others are in the way.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: See what is missing
  ansible.builtin.debug:
    msg: "{{ (engine.containers | scaleout.platform.fleet_plan([{'name': 'api4'}], 'me')).missing }}"
"""

RETURN = r"""
_value:
  description:
    - C(members) are those that are there. C(foreign) names those of another owner that are in the way, C(missing) are
      the hosts to create or to start. When the hosts are to be gone, C(released) are the members that go, and C(left)
      those that stay.
  type: dict
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.members import fleet


def fleet_plan(
    containers: t.Sequence[t.Mapping[str, t.Any]], hosts: t.Sequence[t.Mapping[str, t.Any]], owner: str = ""
) -> dict[str, t.Any]:
    """Compare what is there with what is asked for."""
    return fleet.plan(fleet.containers(containers), hosts, owner)


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"fleet_plan": fleet_plan}
