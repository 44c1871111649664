# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``consul_configuration``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_configuration
short_description: Make the configuration of a member of Consul
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Adds secrets and settings of the user's own to what M(scaleout.platform.service_check) returns for Consul, and the
    mark by which M(scaleout.platform.service_config) sees what the agent runs with.
positional: settings, gossip_key, agent_token, management_token
options:
  _input:
    description: The C(wanted) of M(scaleout.platform.service_check).
    type: dict
    required: true
  settings:
    description: Settings that win over all others.
    type: dict
    required: true
  gossip_key:
    description: Key of the gossip.
    type: str
    required: true
  agent_token:
    description: UUID of the agent's token.
    type: str
    required: true
  management_token:
    description: UUID of the management token, which only a server's configuration has.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write a configuration for a look at it
  ansible.builtin.copy:
    content: "{{ checked.wanted | scaleout.platform.consul_configuration({}, consul_gossip_key, token,
      consul_management_token) | to_nice_json }}"
    dest: /root/consul.json
    mode: "0600"
  vars:
    token: "{{ consul_agent_token | scaleout.platform.consul_host_token(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The configuration.
  type: dict
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.services import consul


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"consul_configuration": consul.configuration}
