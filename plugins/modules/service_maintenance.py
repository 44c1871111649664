#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_maintenance
short_description: Take an instance of a service out of Consul's lists for a while
version_added: 0.2.0
description:
  - Begins or ends the maintenance of an instance that is registered with the Consul agent of its host.
  - The last instance that passes its checks is not taken out, since load balancers would have no other.
options:
  id:
    description: Id of the instance.
    type: str
    required: true
  service:
    description: Name of the service; without it O(id).
    type: str
  address:
    description: Address of the instance, which tells it from the service's other instances.
    type: str
    default: ""
  state:
    description:
      - With V(present) maintenance begins, if another instance passes its checks.
      - With V(absent) it ends, and the agent has to find the instance healthy within O(timeout). One that was not in
        maintenance is not waited for.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description: Seconds to wait for the agent's checks.
    type: int
    default: 60
  url:
    description: Where the agent's HTTP API is.
    type: str
    default: http://127.0.0.1:8500
  token:
    description:
      - SecretID of a token that may write the service.
      - If it is refused, the token in force is used, which the instance was registered with.
    type: str
  when_revoked:
    description:
      - What to do if Consul knows neither O(token) nor the one in force, since the host was written off.
      - With V(refuse) the task fails. With V(skip) it does nothing, since such a host has nothing in the catalog.
    type: str
    choices: [refuse, skip]
    default: refuse
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
author:
  - The scaleout.platform team (@scaleout)
"""

EXAMPLES = r"""
- name: Take the shop out of the load balancers
  scaleout.platform.service_maintenance:
    id: shop
    address: "{{ platform_address }}"
    token: "{{ consul_agent_token | scaleout.platform.consul_host_token(inventory_hostname) }}"

- name: Bring it back
  scaleout.platform.service_maintenance:
    id: shop
    state: absent
    token: "{{ consul_agent_token | scaleout.platform.consul_host_token(inventory_hostname) }}"
"""

RETURN = r"""
registered:
  description: Whether the agent knows the instance.
  returned: success
  type: bool
others:
  description: Addresses of the other instances that pass their checks.
  returned: success
  type: list
  elements: str
maintenance:
  description: Whether the instance is in maintenance once the task is done.
  returned: success
  type: bool
code:
  description: Why the task failed, C(no_consul) or C(not_passing).
  returned: failure
  type: str
  sample: not_passing
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.maintenance import REFUSE, SKIP, Maintenance


def main() -> None:
    run(
        lambda module: Maintenance(module.params),
        {
            "id": {"type": "str", "required": True},
            "service": {"type": "str"},
            "address": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "int", "default": 60},
            "url": {"type": "str", "default": "http://127.0.0.1:8500"},
            "token": {"type": "str", "no_log": True},
            "when_revoked": {"type": "str", "choices": [REFUSE, SKIP], "default": REFUSE},
        },
    )


if __name__ == "__main__":
    main()
