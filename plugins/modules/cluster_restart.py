#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_restart
short_description: Restart the members of a Patroni cluster one at a time
version_added: 0.2.0
description:
  - Restarts PostgreSQL on the members of a cluster that Patroni manages, one after the other, and never two at once. By
    default only those restart on which a setting waits for it.
  - The replicas restart first, then the leader. Where a limit falls that a replica needs as much of as its leader,
    such as C(max_connections), the leader restarts before the replicas take it.
  - Before each restart all other members have to run on the leader's timeline, or the task stops and names who does
    not. After it, the module waits until the member runs again, nothing waits for its restart, and all members are
    there.
  - The first member is the trial. If it does not start, O(take_back) is written back to the dynamic configuration,
    Patroni starts the member again, and the task fails. No other member has been touched then.
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
      - It is asked for a checkpoint before the leader hands its lead over. A server that does not let the module in is
        left out.
  only_pending:
    description:
      - Whether only those members restart on which a setting waits for it.
      - As a change may not have reached all of them, the module first lets two of Patroni's loops go by, unless
        something waits on each member already.
      - With V(false) each run restarts all members, or O(members).
    type: bool
    default: true
  members:
    description:
      - Names of the members that may restart. Without it, all may.
      - A leader does not restart with higher limits as long as a replica that is left out waits for them too.
    type: list
    elements: str
  expected:
    description:
      - Names of the members that the cluster should have. With it, nothing restarts while Patroni does not know one of
        them.
    type: list
    elements: str
    default: []
  switch_over_first:
    description:
      - Whether the leader hands its lead to a replica before it restarts, so that clients wait for a switchover and not
        for a restart. O(poolers) hold their requests meanwhile.
      - The replica that is least behind is chosen, of the synchronous ones where there are any. It may be at most 16 MB
        behind, and the module waits for that until O(timeout).
      - A leader on which a limit falls always restarts in place, as no replica can have the lower one before it. So
        does one without a replica. A warning says so.
    type: bool
    default: false
  unit:
    description:
      - Name of Patroni's systemd unit on the host where the module runs, which then has to run as root. With it, the
        unit restarts instead of the server alone, so that a Patroni that was upgraded counts as well. Patroni stops its
        server first, and starts it again.
      - O(members) has to name the member of this host alone, and O(only_pending) has to be V(false). A member that
        leads others is refused.
    type: str
    default: ''
  timeout:
    description:
      - Seconds that each member may take to restart and to follow again, and to start after O(take_back).
      - A leader that takes longer to start loses its lead, if a replica can take it.
    type: int
    default: 300
  take_back:
    description:
      - Values by the names of settings, to be written back to C(postgresql.parameters) of the dynamic configuration if
        the first member does not start; V(null) removes one.
      - M(scaleout.platform.server_settings) returns it under the same name.
    type: dict
    default: {}
notes:
  - A member is restarted through its own REST API, at the address that the cluster gives, with the same login and over
    TLS if O(patroni_scheme=https).
  - Versions of Patroni before 4.0 do not say which settings wait. With them, replicas on which something still waits
    after the leader's restart, such as a limit that fell, are restarted once more.
  - Nothing restarts while Patroni is paused.
seealso:
  - module: scaleout.platform.server_settings
"""

EXAMPLES = r"""
- name: Settings that all members share
  scaleout.platform.server_settings:
    patroni_host: "{{ ansible_facts.default_ipv4.address }}"
    patroni_user: patroni
    patroni_password: "{{ patroni_rest_password }}"
    settings:
      shared_buffers: 8GB
  become: true
  become_user: postgres
  register: settings

- name: Restart where they need it; take them back if PostgreSQL does not start with them
  scaleout.platform.cluster_restart:
    patroni_host: "{{ ansible_facts.default_ipv4.address }}"
    patroni_user: patroni
    patroni_password: "{{ patroni_rest_password }}"
    take_back: "{{ settings.take_back }}"

- name: Restart all members, the leader as a replica
  scaleout.platform.cluster_restart:
    patroni_host: pg1.internal
    patroni_user: patroni
    patroni_password: "{{ patroni_rest_password }}"
    only_pending: false
    switch_over_first: true
    timeout: 600

- name: Restart Patroni and its server on a replica
  scaleout.platform.cluster_restart:
    patroni_host: pg2.internal
    patroni_user: patroni
    patroni_password: "{{ patroni_rest_password }}"
    members: [pg2]
    only_pending: false
    unit: patroni.service
  become: true
"""

RETURN = r"""
steps:
  description: What was planned, in order, the same in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(restart), or V(switch_over), after which another member leads.
      type: str
      sample: restart
    member:
      description: The member's name.
      type: str
      sample: pg2
    leader:
      description: Whether it leads at that moment.
      type: bool
      sample: false
    trial:
      description: Whether it is the one whose failure is taken back.
      type: bool
      sample: true
    if_pending:
      description: Whether it is left out when nothing waits for the member's restart any more.
      type: bool
      sample: false
restarted:
  description: Names of the members that restarted, or would in check mode, in order.
  returned: when a member restarted or would
  type: list
  elements: str
  sample: [pg2, pg3, pg1]
leader:
  description: Name of the member that leads at the end; in check mode, now.
  returned: success
  type: str
  sample: pg1
held:
  description:
    - Seconds from the first request that had to wait until the last pooler let go. Without poolers, until the new
      leader took writes.
  returned: when the lead changed hands
  type: float
  sample: 1.4
poolers:
  description: Names of the poolers that hold requests while the lead changes hands.
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
pending:
  description:
    - The settings that waited for a restart before, by the names of the members. A list is empty where Patroni does not
      say which.
  returned: success
  type: dict
  sample: {pg1: [shared_buffers], pg2: [shared_buffers], pg3: [shared_buffers]}
member:
  description: Name of the member that did not start, or that does not restart because others are missing.
  returned: when RV(ignore:code) is V(is_leader), V(not_started) or V(not_whole)
  type: str
  sample: pg2
taken_back:
  description: Whether O(take_back) was written and the member runs again.
  returned: when RV(ignore:code) is V(not_started)
  type: bool
  sample: true
missing:
  description: Who is missing, and why.
  returned: when RV(ignore:code) is V(not_whole)
  type: list
  elements: str
  sample: ["pg3 does not run"]
"""

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations import poolers
from ansible_collections.scaleout.platform.plugins.module_utils.operations.restart_cluster import RestartCluster
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection


def main() -> None:
    run(
        lambda module: RestartCluster.of(module.params),
        dict(
            patroni.ARGUMENTS,
            **poolers.ARGUMENTS,
            **connection.ARGUMENT_SPEC,
            patroni_host={"type": "str", "required": True},
            only_pending={"type": "bool", "default": True},
            members={"type": "list", "elements": "str"},
            expected={"type": "list", "elements": "str", "default": []},
            switch_over_first={"type": "bool", "default": False},
            unit={"type": "str", "default": ""},
            timeout={"type": "int", "default": 300},
            take_back={"type": "dict", "default": {}},
        ),
        connection.secrets_in,
    )


if __name__ == "__main__":
    main()
