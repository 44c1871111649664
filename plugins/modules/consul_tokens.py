#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_tokens
short_description: Keep a token of Consul for each host
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Gives each host a token of its own, with a policy of its own. It may register the host, run its agent, and register
    O(hosts[].services). It reads nodes and services, and no keys.
  - The secrets follow from O(agent_token) and the hosts' names, as the filter
    P(scaleout.platform.consul_host_token#filter) computes them. So none is kept, and no host can compute another's.
  - A host keeps the right to the services that it has registered, until it has taken them out of the catalog.
  - Tokens that nothing uses any more are removed. These are tokens of an earlier O(agent_token), and the one that all
    hosts shared in release 0.1.0. A token is in use as long as a member or a service in the catalog says so. One that
    does not say by which token it is registered counts as a user of the shared token.
  - Tokens of hosts that are not in O(hosts) stay. M(scaleout.platform.consul_member) removes them with their hosts.
options:
  hosts:
    description: The hosts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name in the inventory.
        type: str
        required: true
      node:
        description:
          - Name in Consul; O(hosts[].name) by default.
          - Empty for a program that runs on several hosts, such as Patroni. Its token writes O(hosts[].keys) and locks,
            and registers nothing.
        type: str
      services:
        description: Names of the services that the host registers.
        type: list
        elements: str
        default: []
      keys:
        description: Prefixes of the keys that a program may write.
        type: list
        elements: str
        default: []
  agent_token:
    description: The UUID that the hosts' secrets follow from, C(consul_agent_token). O(state=present) requires it.
    type: str
  state:
    description: With V(absent) the hosts lose their tokens. What they have registered stays in the catalog.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_consul
  - scaleout.platform.attributes.planned
seealso:
  - module: scaleout.platform.consul_member
  - plugin: scaleout.platform.consul_host_token
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Give two hosts their tokens
  scaleout.platform.consul_tokens:
    consul_token: "{{ consul_management_token }}"
    agent_token: "{{ consul_agent_token }}"
    hosts:
      - {name: api1, services: [shop]}
      - {name: cache1}

- name: Revoke the token of a host
  scaleout.platform.consul_tokens:
    consul_token: "{{ consul_management_token }}"
    hosts: [{name: api2}]
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [create the policy of api1, create the token of api1]
in_use:
  description:
    - Hosts with an earlier token, and the nodes that still use it.
    - The token that all hosts shared is under C(scaleout-agent).
  returned: success
  type: dict
  sample: {scaleout-agent: [api2]}
"""

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_tokens import KeepTokens, secrets_in


def main() -> None:
    host = {
        "name": {"type": "str", "required": True},
        "node": {"type": "str"},
        "services": {"type": "list", "elements": "str", "default": []},
        "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    }
    run(
        lambda module: KeepTokens.of(module.params),
        {
            "hosts": {"type": "list", "elements": "dict", "required": True, "options": host},
            "agent_token": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **ARGUMENTS,
        },
        secrets_in,
        required_if=[("state", "present", ("agent_token",))],
    )


if __name__ == "__main__":
    main()
