#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_member
short_description: Have Consul forget hosts that are gone
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Takes hosts out of Consul's catalog, with their services and checks, and out of its members, and revokes their
    tokens.
  - Waits until they are gone there, so that another host may have the name. What is said of the old one would hit the
    new one otherwise.
  - An agent that is alive comes back by itself; the module fails then, with the code C(still_known).
options:
  names:
    description: Names of the hosts, as Consul has them. Those that it does not know are ignored.
    type: list
    elements: str
    required: true
  state:
    description:
      - With V(deregistered) they leave the catalog, which load balancers and clients read.
      - With V(absent) they are no members any more either, and lose the tokens that
        M(scaleout.platform.consul_tokens) gave them. An agent that comes back registers nothing then.
    type: str
    choices: [absent, deregistered]
    default: absent
  forget_timeout:
    description: Seconds that they may take to be gone.
    type: float
    default: 30.0
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_consul
  - scaleout.platform.attributes.planned
seealso:
  - module: scaleout.platform.consul_tokens
  - module: scaleout.platform.members
"""

EXAMPLES = r"""
- name: Forget a host whose disk died
  scaleout.platform.consul_member:
    consul_token: "{{ consul_management_token }}"
    names: [api2]
"""

RETURN = r"""
forgotten:
  description: The hosts that Consul knew.
  returned: success
  type: list
  elements: str
  sample: [api2]
revoked:
  description: The hosts that had a token; C(scaleout-agent) for the one of all hosts, if nothing uses it any more.
  returned: success
  type: list
  elements: str
  sample: [api2]
"""

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.forget_nodes import ForgetNodes


def main() -> None:
    run(
        lambda module: ForgetNodes.of(module.params),
        {
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["absent", "deregistered"], "default": "absent"},
            "forget_timeout": {"type": "float", "default": 30.0},
            **ARGUMENTS,
        },
    )


if __name__ == "__main__":
    main()
