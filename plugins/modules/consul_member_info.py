#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_member_info
short_description: Look at Consul on a host
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads which version is installed, whether the agent answers on the loopback address, and who leads its cluster.
  - With O(token) it reads what an operator may see of the cluster as well.
options:
  token:
    description: A token that may read the operator's side of the cluster, such as the management token.
    type: str
  gossip_key:
    description: The key that the cluster's gossip should be encrypted with.
    type: str
  host_token:
    description: The token that the host should have of its own.
    type: str
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
seealso:
  - module: scaleout.platform.service_check
"""

EXAMPLES = r"""
- name: Look at Consul
  scaleout.platform.consul_member_info:
    token: "{{ consul_management_token }}"
  register: consul
"""

RETURN = r"""
version:
  description: The version that is installed; empty where there is none.
  returned: success
  type: str
  sample: 1.8.7
answers:
  description: Whether the agent answers.
  returned: success
  type: bool
  sample: true
leader:
  description: Address and port of the cluster's leader; empty where none is known.
  returned: success
  type: str
  sample: 192.0.2.61:8300
gossip_key_in_use:
  description: Whether the cluster's gossip uses O(gossip_key) and no other key; null where that could not be read.
  returned: success
  type: bool
  sample: true
autopilot:
  description: The settings of the leader's autopilot; empty where they could not be read.
  returned: success
  type: dict
  sample: {CleanupDeadServers: false}
host_token:
  description:
    - The description of O(host_token), which names what the host may register.
    - Null where Consul does not know the token, or could not be asked.
  returned: success
  type: str
  sample: "api1: shop"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.consul import read_member

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "token": {"type": "str", "no_log": True},
    "gossip_key": {"type": "str", "no_log": True},
    "host_token": {"type": "str", "no_log": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.exit_json(changed=False, **read_member(**module.params))


if __name__ == "__main__":
    main()
