#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_reinit
short_description: Let a member of a Patroni cluster copy its leader again
version_added: 0.2.0
description:
  - Has Patroni remove the data directory of one replica and copy the leader, and looks how far it is.
  - The leader is refused, since what it has would be lost.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.patroni
  - scaleout.platform.postgres
  - scaleout.platform.postgres.client
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_patroni
  - scaleout.platform.attributes.planned
options:
  patroni_host:
    required: true
  login_host:
    description:
      - Name or address of the leader's server. When empty, it is the one on the host where the module runs.
      - It says how many bytes it has sent. A server that does not let the module in is left out.
  member:
    description: Name of the member.
    type: str
    required: true
  state:
    description:
      - V(begun) begins the copy, and waits. Each run begins another one.
      - V(looked) begins none, and waits for one that has been begun.
    type: str
    choices: [begun, looked]
    default: begun
  before:
    description: With O(state=looked), the RV(before) that the task which began the copy has returned.
    type: str
    default: ''
  wait:
    description: Seconds after which the task ends, also if the member does not follow yet. The copy goes on.
    type: int
    default: 86400
notes:
  - Run it on a member, best on the leader. Patroni admits members only, where its C(allowlist) says so.
seealso:
  - module: scaleout.platform.cluster_switchover
"""

EXAMPLES = r"""
- name: Let pg2 copy its leader again
  scaleout.platform.cluster_reinit:
    patroni_host: "{{ ansible_facts.default_ipv4.address }}"
    patroni_user: patroni
    patroni_password: "{{ postgres_patroni_password }}"
    member: pg2
  become: true
  become_user: postgres
  register: copy
  failed_when: copy is failed or not copy.done
"""

RETURN = r"""
done:
  description: Whether the member follows the leader with its new copy.
  returned: success
  type: bool
  sample: true
state:
  description: The member's state, as Patroni has it, such as C(creating replica).
  returned: success
  type: str
  sample: streaming
copied:
  description: Bytes that the leader has sent; V(null) when it sends none, or where that is not known.
  returned: success
  type: int
  sample: 73400320
size:
  description: Bytes that there are to copy, as the leader estimates it.
  returned: success
  type: int
  sample: 104857600
lag:
  description: Bytes that the member is behind, once it follows.
  returned: success
  type: int
  sample: 0
before:
  description: When the member's PostgreSQL was started before; empty if it did not run.
  returned: success
  type: str
  sample: "2026-03-01 12:00:00.123456+00:00"
leader:
  description: Name of the member that is copied.
  returned: when O(state=begun)
  type: str
  sample: pg1
code:
  description: Why it failed, such as V(is_leader), V(no_leader), V(not_ready) or V(patroni_paused).
  returned: failure
  type: str
  sample: is_leader
"""

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.rebuild_member import RebuildMember
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection


def main() -> None:
    run(
        lambda module: RebuildMember.of(module.params),
        dict(
            patroni.ARGUMENTS,
            **connection.ARGUMENT_SPEC,
            patroni_host={"type": "str", "required": True},
            member={"type": "str", "required": True},
            state={"type": "str", "choices": ["begun", "looked"], "default": "begun"},
            before={"type": "str", "default": ""},
            wait={"type": "int", "default": 86400},
        ),
        connection.secrets_in,
    )


if __name__ == "__main__":
    main()
