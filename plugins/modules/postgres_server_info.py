#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_server_info
short_description: Read what a host has of its PostgreSQL cluster
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads the data directory, the configuration and the server of the cluster C(main), as Debian makes it, and changes
    nothing.
  - A bare host, a server that is down and a live one are all answers, not errors. It has to run as root.
options:
  version:
    description: PostgreSQL's major version; that of the host's Debian release when V(0).
    type: int
    default: 0
  port:
    description: The server's port.
    type: int
    default: 5432
  patroni_host:
    description: The address at which this host's Patroni answers. Without it, Patroni is not asked.
    type: str
    default: ""
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
seealso:
  - module: scaleout.platform.service_check
"""

EXAMPLES = r"""
- name: Read the state of the server
  scaleout.platform.postgres_server_info:
  become: true
  register: found

- name: Show whether it takes writes
  ansible.builtin.debug:
    msg: "{{ found.server is not none and not found.server.in_recovery }}"
"""

RETURN = r"""
version:
  description: PostgreSQL's major version on this host; V(0) where none is known for its release.
  returned: success
  type: int
  sample: 17
release:
  description: The host's release in words.
  returned: success
  type: str
  sample: Debian GNU/Linux 13 (trixie)
configured:
  description: Whether the cluster is configured.
  returned: success
  type: bool
  sample: true
foreign_hba:
  description: Whether its C(pg_hba.conf) is another's than the role's.
  returned: success
  type: bool
  sample: false
initialised:
  description: Whether its data directory holds a database.
  returned: success
  type: bool
  sample: true
standby_signal:
  description: Whether it is a standby's.
  returned: success
  type: bool
  sample: false
ever_started:
  description: Whether a server has run in it.
  returned: success
  type: bool
  sample: true
used:
  description: Whether it holds anything of a user.
  returned: success
  type: bool
  sample: true
memory:
  description: The memory that the host may use, in bytes; V(0) where it does not say.
  returned: success
  type: int
  sample: 1073741824
patroni:
  description:
    - What there is of Patroni. Its C(version), whether it is C(configured), whether the member has C(joined) its
      cluster once, whether a restore that has not ended keeps it from starting (C(restoring)), the C(scope) and the
      C(cluster) with its C(leader), C(members) and whether it is C(paused).
  returned: success
  type: dict
  sample: {version: [4, 0, 7], configured: true, joined: true, restoring: false, scope: pg1, cluster: null}
others:
  description: Other clusters that are configured for O(port).
  returned: success
  type: list
  elements: str
  sample: []
server:
  description:
    - What the server says of itself on its socket, V(null) where none answers.
    - Its C(version), C(started), C(system) identifier, C(in_recovery), C(lsn), C(receiver), C(active_slots),
      C(lost_slots), C(logins) with the role that each acts as, whether a former leader C(rewinds) itself by its files,
      C(databases) with their owners, C(limits), C(restart_pending), C(archive_command), C(hba_unread) and
      C(hba_errors).
  returned: success
  type: dict
  sample: {version: 17, in_recovery: false, active_slots: [pg1r]}
last_words:
  description: Why the server ended, by its log; empty while one answers.
  returned: success
  type: str
  sample: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import postgres


def main() -> None:
    module = AnsibleModule(
        {
            "version": {"type": "int", "default": 0},
            "port": {"type": "int", "default": 5432},
            "patroni_host": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    found = postgres.read(module.params["version"], module.params["port"], module.params["patroni_host"])
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
