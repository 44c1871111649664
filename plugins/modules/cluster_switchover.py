#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_switchover
short_description: Hand the lead of a Patroni cluster to another member
version_added: 0.2.0
description:
  - Looks at all members, has the poolers hold requests, hands the lead to a replica through Patroni, waits until it
    takes writes and each pooler sends its clients there, and lets the poolers go on. Then it waits until the former
    leader follows the new one.
  - It changes nothing, and says why, where the lead cannot be handed over safely.
  - The poolers let go in every case, also when the switchover fails, when O(hold) is over, and when the module is
    stopped by a signal. If its host is lost, the watch that the role P(scaleout.platform.pgbouncer#role) runs beside
    each pooler lets go after 20 s.
  - Each run hands the lead over. Without O(candidate), two runs bring it to another member twice.
author:
  - The scaleout.platform team (@scaleout)
extends_documentation_fragment:
  - scaleout.platform.patroni
  - scaleout.platform.pgbouncer
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
      - It is asked for a checkpoint first, so that its shutdown has little left to write, and for long transactions.
        A server that does not let the module in, or does not lead, is left out.
  candidate:
    description:
      - Name of the member that is to lead. It has to stream, to be at most 16 MB behind, and to be allowed to lead. If
        commits wait for a replica, it has to be one that they wait for.
      - Without it, the one that is least behind is chosen among those.
    type: str
  members:
    description:
      - Names of the members that the cluster should have. With it, a cluster that has others is refused, as their
        poolers would not hold requests.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds within which the former leader has to follow the new one.
    type: int
    default: 300
notes:
  - Run it on a member, best on the leader. Patroni admits members only, where its C(allowlist) says so.
seealso:
  - module: scaleout.platform.cluster_restart
"""

EXAMPLES = r"""
- name: Hand the lead to pg2 while two poolers hold requests
  scaleout.platform.cluster_switchover:
    patroni_host: "{{ ansible_facts.default_ipv4.address }}"
    patroni_user: patroni
    patroni_password: "{{ postgres_patroni_password }}"
    candidate: pg2
    poolers:
      - {name: pg1, host: 192.0.2.31}
      - {name: pg2, host: 192.0.2.32}
    pooler_password: "{{ pgbouncer_password }}"
    databases: [shop]
  become: true
  become_user: postgres
"""

RETURN = r"""
leader:
  description: Name of the member that leads now; in check mode, of the one that would.
  returned: success
  type: str
  sample: pg2
former:
  description: Name of the member that led before.
  returned: success
  type: str
  sample: pg1
timelines:
  description: The timeline before and, unless in check mode, the one after.
  returned: success
  type: list
  elements: int
  sample: [4, 5]
lag:
  description: Bytes that the new leader was behind when it was chosen.
  returned: success
  type: int
  sample: 0
held:
  description:
    - Seconds from the first request that had to wait until the last pooler let go. Without poolers, until the new
      leader took writes.
  returned: success, not in check mode
  type: float
  sample: 1.4
drained:
  description: Whether all transactions had ended within O(drain).
  returned: success, not in check mode
  type: bool
  sample: true
late:
  description: Names of the poolers that let go when O(hold) was over, before they sent clients to the new leader.
  returned: success, not in check mode
  type: list
  elements: str
  sample: []
follows_after:
  description: Seconds until the former leader followed, and all members were there.
  returned: success, not in check mode
  type: float
  sample: 3.2
poolers:
  description: Names of the poolers that hold requests.
  returned: success
  type: list
  elements: str
  sample: [pg1, pg2]
without_poolers:
  description: Names of the poolers that could not be asked, so that their clients may get errors.
  returned: success
  type: list
  elements: str
  sample: []
drain:
  description: Seconds that transactions may take to end.
  returned: success
  type: float
  sample: 0.5
hold:
  description: Seconds after which the poolers let go in any case.
  returned: success
  type: float
  sample: 10.0
patience:
  description: Seconds that the poolers let a client wait by themselves, the least of them; 0 without a limit.
  returned: success
  type: float
  sample: 2.0
transactions:
  description: Transactions that have been open on the leader for a second or more. Those that do not end are cut off.
  returned: success
  type: list
  elements: dict
  sample: [{pid: 4711, user: shop, database: shop, application: report, seconds: 93.4}]
  contains:
    pid:
      description: The process of its session.
      type: int
      sample: 4711
    user:
      description: The role.
      type: str
      sample: shop
    database:
      description: The database.
      type: str
      sample: shop
    application:
      description: What the client calls itself.
      type: str
      sample: report
    seconds:
      description: How long it has been open.
      type: float
      sample: 93.4
missing:
  description: Who does not follow in time, each with the reason.
  returned: when RV(ignore:code) is V(timeout)
  type: list
  elements: str
  sample: ["pg1 is starting"]
code:
  description:
    - Why it failed. V(single_member), V(unknown_member), V(patroni_paused), V(no_leader), V(already_leads),
      V(not_ready), V(no_candidate), V(unknown_database) and V(held_already) come before anything is changed.
    - After V(not_held), V(not_switched) and V(interrupted), the poolers have let go.
  returned: failure
  type: str
  sample: not_ready
"""

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations import poolers
from ansible_collections.scaleout.platform.plugins.module_utils.operations.switch_cluster import SwitchCluster
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection


def main() -> None:
    run(
        lambda module: SwitchCluster.of(module.params),
        dict(
            patroni.ARGUMENTS,
            **poolers.ARGUMENTS,
            **connection.ARGUMENT_SPEC,
            patroni_host={"type": "str", "required": True},
            candidate={"type": "str"},
            members={"type": "list", "elements": "str", "default": []},
            timeout={"type": "int", "default": 300},
        ),
        connection.secrets_in,
    )


if __name__ == "__main__":
    main()
