#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_info
short_description: Read what a host has of PgBouncer and of the PostgreSQL behind it
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Asks PgBouncer for its settings and PostgreSQL for what the pooler needs of it, and changes nothing.
  - A bare host, a pooler that is down and a live one are all answers, not errors. It has to run as root.
options:
  databases:
    description: The databases in which to look for the function by which PgBouncer finds its clients' secrets.
    type: list
    elements: str
    default: []
  port:
    description: The pooler's port. By default the one that its configuration on the host names.
    type: int
  server_port:
    description: PostgreSQL's port.
    type: int
    default: 5432
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
seealso:
  - module: scaleout.platform.service_check
"""

EXAMPLES = r"""
- name: Read the state of the pooler
  scaleout.platform.pgbouncer_info:
    databases: [shop]
  become: true
  register: found

- name: Show how many connections a pool may have
  ansible.builtin.debug:
    msg: "{{ found.settings.default_pool_size | default('It does not answer: ' ~ found.reason) }}"
"""

RETURN = r"""
user:
  description: Whether the user that PgBouncer runs as is there.
  returned: success
  type: bool
  sample: true
settings:
  description: What C(SHOW CONFIG) shows; empty where PgBouncer does not answer.
  returned: success
  type: dict
  sample: {default_pool_size: "20", listen_port: "6432"}
fixed:
  description: The settings that PgBouncer reads when it starts only.
  returned: success
  type: list
  elements: str
  sample: [listen_port]
reason:
  description: Why PgBouncer does not answer; empty when it does.
  returned: success
  type: str
  sample: ""
server:
  description:
    - What PostgreSQL is and has, V(null) where it does not answer.
    - Whether it is C(in_recovery), the C(connections) that it has for others than superusers, its C(databases), whether
      it has the C(role) that PgBouncer logs in as, and the C(functions) by which it finds its clients' secrets.
  returned: success
  type: dict
  sample: {in_recovery: false, connections: 97, role: true, databases: [postgres, shop], functions: {}}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import pgbouncer


def main() -> None:
    module = AnsibleModule(
        {
            "databases": {"type": "list", "elements": "str", "default": []},
            "port": {"type": "int"},
            "server_port": {"type": "int", "default": 5432},
        },
        supports_check_mode=True,
    )
    params = module.params
    module.exit_json(changed=False, **pgbouncer.read(params["databases"], params["server_port"], params["port"]))


if __name__ == "__main__":
    main()
