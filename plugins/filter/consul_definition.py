# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``consul_definition``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_definition
short_description: Make the definition of a service as Consul reads it
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Adds to a service what its checks leave out, the token that registers it, and the mark by which
    M(scaleout.platform.service_config) sees that the agent has read it.
  - Checks with C(ttl), C(alias_service) or C(alias_node) have no interval and take none of O(check_defaults).
positional: check_defaults, token
options:
  _input:
    description: The service, with the names that Consul's service definitions have.
    type: dict
    required: true
  check_defaults:
    description: What checks have unless they say otherwise.
    type: dict
    required: true
  token:
    description: UUID of the token that registers the service.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show how the shop would be registered
  ansible.builtin.debug:
    msg: "{{ {'name': 'shop', 'port': 8000, 'checks': [{'tcp': '127.0.0.1:8000'}]}
      | scaleout.platform.consul_definition({'interval': '5s'}, token) }}"
  vars:
    token: "{{ consul_agent_token | scaleout.platform.consul_host_token(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The definition.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.scaleout.platform.plugins.module_utils.services import consul


def consul_definition(service: t.Any, check_defaults: t.Any, token: t.Any) -> dict[str, t.Any]:
    """Return the definition of a service.

    :raises AnsibleFilterError: the service has no name, or its port is no number.
    """
    if not isinstance(service, t.Mapping) or not service.get("name"):
        raise AnsibleFilterError("consul_definition: a service is a mapping with a name.")
    try:
        return consul.definition(service, check_defaults, str(token))
    except (TypeError, ValueError):
        raise AnsibleFilterError(f"consul_definition: the service {service['name']} is not one.") from None


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"consul_definition": consul_definition}
