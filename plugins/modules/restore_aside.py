#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_aside
short_description: Keep a copy of a PostgreSQL cluster as of a point in the past on the host of the backups
version_added: 0.2.0
description:
  - Restores a cluster from pgBackRest's repository beside everything else, and keeps it running, so that single tables
    can be handed back. The playbook C(restore.yml) uses it with C(-e aside=true).
  - The copy listens on a unix socket alone, is read-only unless a session says otherwise, archives nothing, and runs no
    job, extension's library or subscription. Patroni and Consul do not know it.
  - It may be killed at any point, and be run again.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
options:
  cluster:
    description: pgBackRest's name for the cluster.
    type: str
    required: true
  state:
    description: Whether the copy is to be there. With V(present), one as of another point is refused.
    type: str
    choices: [present, absent]
    default: present
  hosts:
    description: How many servers of the cluster pgBackRest on this host knows.
    type: int
    default: 1
  programs:
    description: The folder of PostgreSQL's programs.
    type: path
    required: true
  restore:
    description:
      - What is restored. C(told) is the point for a person, C(command) what pgBackRest is told of it, C(set) the
        backup, C(size) the bytes of its database, and C(run) which run this is.
      - Required if O(state=present).
    type: dict
    default: {}
  wait:
    description: Seconds after which the task ends, also if the copy is not there yet. What it has begun goes on.
    type: float
    default: 10
notes:
  - Run it as root, on the host that keeps the backups.
seealso:
  - module: scaleout.platform.backup_info
  - module: scaleout.platform.cluster_restore
"""

EXAMPLES = r"""
- name: Remove the copy of the cluster main
  scaleout.platform.restore_aside:
    cluster: main
    programs: /usr/lib/postgresql/17/bin
    state: absent
  become: true
"""

RETURN = r"""
done:
  description: Whether the copy takes questions.
  returned: when O(state=present)
  type: bool
  sample: true
socket:
  description: The folder of its socket.
  returned: when O(state=present)
  type: str
  sample: /var/lib/pgbackrest-proof/main.aside/data.restore
doing:
  description: What is waited for.
  returned: when O(state=present)
  type: str
  sample: replays
bytes:
  description: Bytes that have been restored so far.
  returned: when O(state=present)
  type: int
  sample: 73400320
code:
  description: Why it failed, such as V(restore_failed), V(restore_open) or V(no_space).
  returned: failure
  type: str
  sample: restore_failed
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.restore_aside import RestoreAside


def main() -> None:
    run(
        lambda module: RestoreAside.of(module.params),
        {
            "cluster": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "hosts": {"type": "int", "default": 1},
            "programs": {"type": "path", "required": True},
            "restore": {"type": "dict", "default": {}},
            "wait": {"type": "float", "default": 10},
        },
    )


if __name__ == "__main__":
    main()
