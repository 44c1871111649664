#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_member
short_description: Take one member's step in the restore of a PostgreSQL cluster
version_added: 0.2.0
description:
  - Looks at a member of a cluster under Patroni, or takes one step of a restore from pgBackRest's repository. The
    playbook C(restore.yml) says which member takes which step, and when; use that.
  - A step may be killed at any point, and be taken again. A step that is done changes nothing.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.patroni
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
options:
  patroni_host:
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  member:
    description: Name of the member, which is that of the host.
    type: str
    required: true
  state:
    description:
      - V(looked) only looks.
      - V(stopped) marks the host, so that its Patroni does not start until the restore lets it, and stops Patroni and
        PostgreSQL.
      - V(forgotten) removes the cluster's keys from Consul but for C(config), the dynamic configuration.
      - V(restored) restores beside the data directory, replays to the point, and puts the result in its place.
      - V(led) starts Patroni, and waits until the member leads.
      - V(followed) removes the data directory, starts Patroni, and waits until the member follows with its copy.
      - V(finished) notes that the restore has ended.
    type: str
    choices: [looked, stopped, forgotten, restored, led, followed, finished]
    default: looked
  data:
    description: The server's data directory.
    type: path
    required: true
  programs:
    description: The folder of PostgreSQL's programs.
    type: path
    required: true
  restore:
    description:
      - What the restore is told, the same on all members. C(id) is its name, C(member) who restores, C(asked) what was
        typed, C(told) the point for a person, C(command) what pgBackRest is told of the point, C(set) the backup,
        C(keep) whether the data of before stay beside, C(stanza) pgBackRest's name for the cluster, C(lost) the members
        that are off, and C(run) which run this is.
      - Required unless O(state=looked).
    type: dict
    default: {}
  wait:
    description: Seconds after which the task ends, also if its step is not done. What it has begun goes on.
    type: float
    default: 10
notes:
  - Run it as root, on the member itself.
seealso:
  - module: scaleout.platform.backup_info
  - module: scaleout.platform.cluster_restore
"""

EXAMPLES = r"""
- name: Look at the member
  scaleout.platform.restore_member:
    cluster: main
    member: "{{ inventory_hostname }}"
    data: /var/lib/postgresql/17/main
    programs: /usr/lib/postgresql/17/bin
    patroni_host: "{{ ansible_facts.default_ipv4.address }}"
  become: true
"""

RETURN = r"""
done:
  description: Whether the step is done.
  returned: unless O(state=looked)
  type: bool
  sample: true
doing:
  description: What is waited for.
  returned: when O(state) is V(restored), V(led) or V(followed)
  type: str
  sample: copies the backup
bytes:
  description: Bytes that have been restored so far.
  returned: when O(state) is V(restored) or V(followed)
  type: int
  sample: 73400320
timeline:
  description: The timeline on which the member leads; V(0) where there are no data.
  returned: when O(state) is V(looked) or V(led)
  type: int
  sample: 4
kept:
  description: Where the data of before are; empty where they are not kept.
  returned: when O(state) is V(led) or V(finished)
  type: str
  sample: /var/lib/postgresql/17/main.before-20261129T212411Z
removed:
  description: The keys that were removed from Consul.
  returned: when O(state=forgotten)
  type: list
  elements: str
  sample: [service/main/history, service/main/initialize]
mark:
  description: What the mark of a restore says that has begun and not led yet; none without one.
  returned: when O(state=looked)
  type: dict
  sample: null
note:
  description: What is noted of a restore that leads and has not ended; none without one.
  returned: when O(state=looked)
  type: dict
  sample: null
runs:
  description: Whether Patroni or PostgreSQL runs.
  returned: when O(state=looked)
  type: bool
  sample: true
data:
  description: Whether there is a data directory.
  returned: when O(state=looked)
  type: bool
  sample: true
limits:
  description: The limits with which the server was started last.
  returned: when O(state=looked)
  type: dict
  sample: {max_connections: 200}
given:
  description: The limits that the dynamic configuration gives.
  returned: when O(state=looked)
  type: dict
  sample: {max_connections: 200}
free:
  description: Bytes that are free where the data directory is.
  returned: when O(state=looked)
  type: int
  sample: 107374182400
fixed:
  description: Why the data directory cannot be renamed; empty where it can.
  returned: when O(state=looked)
  type: str
  sample: ""
leader:
  description: Who leads, as Consul has it; empty for none.
  returned: when O(state=looked)
  type: str
  sample: pg1
code:
  description: Why it failed, such as V(restore_failed), V(not_whole) or V(busy).
  returned: failure
  type: str
  sample: restore_failed
"""

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.consul import client
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.restore_member import STATES, RestoreMember


def main() -> None:
    run(
        lambda module: RestoreMember.of(module.params),
        {
            **client.ARGUMENTS,
            **patroni.ARGUMENTS,
            "patroni_host": {"type": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "member": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(STATES), "default": "looked"},
            "data": {"type": "path", "required": True},
            "programs": {"type": "path", "required": True},
            "restore": {"type": "dict", "default": {}},
            "wait": {"type": "float", "default": 10},
        },
    )


if __name__ == "__main__":
    main()
