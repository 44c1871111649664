#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: rabbitmq_definitions
short_description: Give a RabbitMQ broker its virtual hosts, users and permissions
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads all definitions of the broker on this host in one call of C(rabbitmqctl), and writes what differs in one.
  - A user that is named has this password, these tags, and permissions in these virtual hosts only. Users and virtual
    hosts that are not named are left alone.
  - Passwords travel as RabbitMQ's salted hashes, in a file that only the broker can read. The stored hash is compared
    with the password, so that a second run changes nothing. Connections that are open stay open.
options:
  vhosts:
    description: Virtual hosts that there must be.
    type: list
    elements: str
    default: []
  users:
    description: Users that there must be.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name to log in with.
        type: str
        required: true
      password:
        description: Password to log in with.
        type: str
        required: true
      tags:
        description: Such as V(monitoring) or V(administrator).
        type: list
        elements: str
        default: []
      vhosts:
        description:
          - Permissions by virtual host. Each has C(configure), C(write) and C(read), regular expressions over the names
            of queues and exchanges.
        type: dict
        default: {}
  absent_users:
    description: Users that there must not be, such as V(guest).
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
notes:
  - The modules of C(community.rabbitmq) take one object each and call C(rabbitmqctl) at least once for each of them. A
    call starts an Erlang machine and takes about a second, so this module takes all objects at once.
  - Run it as root on the broker's host.
seealso:
  - module: scaleout.platform.rabbitmq_server_info
"""

EXAMPLES = r"""
- name: Provide an application's virtual host and user
  scaleout.platform.rabbitmq_definitions:
    vhosts: [/shop]
    users:
      - name: shop
        password: "{{ vault_shop_queue_password }}"
        vhosts:
          /shop: {configure: ".*", write: ".*", read: ".*"}
    absent_users: [guest]
"""

RETURN = r"""
changes:
  description: What differs, as clauses for a person.
  returned: success
  type: list
  elements: str
  sample: ["virtual host /shop: created", "user shop: created", "user shop: permissions in /shop"]
to_create:
  description: What there was not, each a C(kind) of V(vhost), V(user) or V(permissions), a C(name), and a C(vhost).
  returned: success
  type: list
  elements: dict
  sample: [{kind: vhost, name: /shop}, {kind: user, name: shop}, {kind: permissions, name: shop, vhost: /shop}]
to_change:
  description: What was otherwise.
  returned: success
  type: list
  elements: dict
  sample: []
to_delete:
  description: What had to go.
  returned: success
  type: list
  elements: dict
  sample: [{kind: user, name: guest}]
code:
  description: Why the task failed; C(broker_silent), C(broker_refused), C(not_installed) and others of docs/codes.md.
  returned: failure
  type: str
  sample: broker_silent
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.define_broker import DefineBroker
from ansible_collections.scaleout.platform.plugins.module_utils.services.rabbitmq import faults_of_names
from ansible_collections.scaleout.platform.plugins.module_utils.services.rabbitmq_definitions import User, Wanted

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

ARGUMENTS: dict[str, dict] = {
    "vhosts": {"type": "list", "elements": "str", "default": []},
    "users": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "tags": {"type": "list", "elements": "str", "default": []},
            "vhosts": {"type": "dict", "default": {}},
        },
    },
    "absent_users": {"type": "list", "elements": "str", "default": []},
}


def build(module: AnsibleModule) -> DefineBroker:
    params = module.params
    # A user of a virtual host that the definitions do not have is no fault here.
    granted = dict.fromkeys(vhost for user in params["users"] for vhost in user["vhosts"])
    known = [*params["vhosts"], *(vhost for vhost in granted if vhost not in params["vhosts"])]
    for code, text in faults_of_names(known, params["users"]):
        raise ScaleoutError(f"{text}.", code=code)
    users = tuple(User.of(entry) for entry in params["users"])
    wanted = Wanted(tuple(params["vhosts"]), users, tuple(params["absent_users"]))
    return DefineBroker(wanted, predict=module.check_mode)


def main() -> None:
    run(build, ARGUMENTS)


if __name__ == "__main__":
    main()
