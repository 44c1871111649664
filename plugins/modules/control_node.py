#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: control_node
short_description: Bring the collection and an inventory onto the host that runs playbooks
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Copies this collection and an inventory from the controller to the control node, with an C(ansible.cfg). What is
    there already is not transferred again.
  - Copies lie side by side, with a link C(current) to the one in force. A playbook that runs ends with the files that
    it began with.
  - Makes an SSH key that never leaves the control node, and tries which hosts let it in.
  - All of it is below O(path), and O(owner) alone can read it.
  - The role P(scaleout.platform.control#role) and C(control.yml) are made of it.
options:
  path:
    description: The folder of all that the control node has, such as V(/srv/scaleout-control).
    type: path
    required: true
  owner:
    description: The account that runs playbooks. It has to be there, but for check mode.
    type: str
    required: true
  inventory:
    description:
      - The folder of the inventory on the controller, with its C(group_vars) and C(host_vars). Links are followed.
        Hidden files are left out.
      - Files that Ansible Vault has encrypted stay encrypted.
    type: path
    required: true
  variables:
    description:
      - A dictionary of what playbooks get as C(--extra-vars), from a file C(variables.yml). No text in it is a template
        any more.
      - Whoever calls the module without its action gives the text of that file.
    type: raw
    required: true
  vault_password:
    description: The password of the vault of O(inventory); empty for none.
    type: str
    default: ""
  hosts:
    description: The hosts that the control node logs in to.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name in the inventory.
        type: str
        required: true
      address:
        description: Where its SSH server listens.
        type: str
        required: true
      port:
        description: On which port.
        type: int
        default: 22
      user:
        description: The account to log in to.
        type: str
        required: true
  opened:
    description:
      - Names of hosts that have just got the key, and whose own SSH keys the run has read as facts, with the subset
        C(ssh_pub_keys). The control node trusts these keys.
      - With these, the task fails if one of O(hosts) does not let the control node in.
    type: list
    elements: str
    default: []
  host_keys:
    description: The keys of these hosts; the part of the module on the controller sets it.
    type: dict
  digest:
    description: What identifies the copy; the part of the module on the controller sets it.
    type: str
    default: ""
  archive:
    description: The copy, packed; the part of the module on the controller sets it.
    type: path
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
  - scaleout.platform.attributes.action
seealso:
  - module: scaleout.platform.database_upkeep
"""

EXAMPLES = r"""
- name: Bring the collection and the inventory onto the control node
  scaleout.platform.control_node:
    path: /srv/scaleout-control
    owner: scaleout-control
    inventory: "{{ inventory_dir }}"
    variables:
      ansible_ssh_private_key_file: /srv/scaleout-control/ssh/id_ed25519
    hosts:
      - {name: db1, address: 192.0.2.21, user: ops}
  register: node

- name: Show who does not let it in
  ansible.builtin.debug:
    var: node.closed
"""

RETURN = r"""
version:
  description: The name of the copy, the first 12 digits of the digest of what is in it.
  returned: success
  type: str
  sample: 8f434346648f
missing:
  description: Whether the copy was not there, or was edited.
  returned: success
  type: bool
public_key:
  description: The public key of the control node; empty in check mode before there is one.
  returned: success
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ scaleout-control@ctl1
closed:
  description: Those of O(hosts) that do not let the control node in.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: As in O(hosts).
      type: str
      sample: db1
    address:
      description: As in O(hosts).
      type: str
      sample: 192.0.2.21
    port:
      description: As in O(hosts).
      type: int
      sample: 22
    user:
      description: As in O(hosts).
      type: str
      sample: ops
    reason:
      description: What ssh says.
      type: str
      sample: "ops@192.0.2.21: Permission denied (publickey)"
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.control_node import ControlNode

HOST = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "default": 22},
    "user": {"type": "str", "required": True},
}


def main() -> None:
    run(
        lambda module: ControlNode(module.params),
        {
            "path": {"type": "path", "required": True},
            "owner": {"type": "str", "required": True},
            "inventory": {"type": "path", "required": True},
            # One text: of a dictionary, each value would be masked wherever it is a part of a result.
            "variables": {"type": "raw", "required": True, "no_log": True},
            "vault_password": {"type": "str", "default": "", "no_log": True},
            "hosts": {"type": "list", "elements": "dict", "default": [], "options": HOST},
            "opened": {"type": "list", "elements": "str", "default": []},
            "host_keys": {"type": "dict", "no_log": False},
            "digest": {"type": "str", "default": ""},
            "archive": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
