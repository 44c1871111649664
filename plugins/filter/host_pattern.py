# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``host_pattern``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_pattern
short_description: Leave out of a pattern of hosts what the inventory does not have
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Returns a pattern that matches the same hosts. It names only groups and hosts that there are, so that Ansible does
    not warn of a group that no host has joined yet, or that the platform can do without.
positional: groups
options:
  _input:
    description:
      - Names of groups and hosts with colons between them, each perhaps behind V(!) or V(&).
      - Wildcards, regular expressions and slices are kept as they are.
    type: str
    required: true
  groups:
    description: The groups of the inventory, as Ansible's variable C(groups) has them.
    type: dict
    required: true
"""

EXAMPLES = r"""
# In a play: hosts: "{{ 'queue:&platform_reached:!platform_failed' | scaleout.platform.host_pattern(groups) }}"
- name: Show who would be asked
  ansible.builtin.debug:
    msg: "{{ query('ansible.builtin.inventory_hostnames', pattern) }}"
  vars:
    pattern: "{{ 'all:!maintenance' | scaleout.platform.host_pattern(groups) }}"
"""

RETURN = r"""
_value:
  description: The pattern. Where no host can match, it is one that matches none.
  type: str
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.plugin_utils.host_pattern import known


def host_pattern(pattern: str, groups: t.Mapping[str, t.Collection[str]]) -> str:
    """Return a pattern that names nothing that is not there."""
    return known(pattern, groups)


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"host_pattern": host_pattern}
