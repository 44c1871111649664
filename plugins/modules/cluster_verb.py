#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_verb
short_description: One step of a playbook that hands over, restarts, updates or rebuilds members of a database cluster
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - The decisions of C(switchover.yml), C(restart.yml), C(update.yml) and C(reinit.yml), in the order of O(state). It
    runs on the controller, and has a member carry out the plan with M(scaleout.platform.cluster_switchover),
    M(scaleout.platform.cluster_restart) or M(scaleout.platform.cluster_reinit). The packages of an update are read with
    M(scaleout.platform.package_updates_info) and installed with M(ansible.builtin.apt), on each member.
  - Reads the request from the command line. It is C(-e cluster=NAME), and at will, for a switchover C(-e to=HOST), and
    for a restart C(-e only_pending=true); for both and an update C(-e drain=SECONDS) and C(-e hold=SECONDS). For
    V(reinit) it is C(-e member=HOST) and, as the word, C(-e confirm=HOST) as well.
  - What a later step needs of an earlier one is kept for the length of the run.
options:
  verb:
    description: What is done.
    type: str
    choices: [switchover, restart, update, reinit]
    required: true
  state:
    description:
      - V(asked) checks the request.
      - V(looked) fetches the package index of a member that is to be updated, in check mode as well, and reads its
        packages. It needs root.
      - V(chosen) chooses the member that carries it out, the leader if it answers.
      - V(planned) has it look at the cluster, and returns the plan.
      - V(carried_out) has it carry the plan out, and does nothing in check mode or where there is none.
      - V(fetched) downloads the packages of a member that is to be updated. It needs root.
      - V(handed_over) begins the turn of a member that is to be updated. If it leads and has to restart, another one
        leads afterwards.
      - V(updated) installs its packages, and restarts what is made of them. It needs root. None of these three does
        anything once a member has failed, or was lost in its turn.
      - V(shown) shows what came of it, and fails if that is not what was requested.
    type: str
    choices: [asked, looked, chosen, planned, carried_out, fetched, handed_over, updated, shown]
    required: true
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action
  - scaleout.platform.attributes.planned
seealso:
  - module: scaleout.platform.cluster_reinit
  - module: scaleout.platform.cluster_restart
  - module: scaleout.platform.cluster_switchover
  - module: scaleout.platform.package_updates_info
"""

EXAMPLES = r"""
- name: Plan
  scaleout.platform.cluster_verb:
    verb: switchover
    state: planned
  register: plan
"""

RETURN = r"""
members:
  description: The cluster's members.
  returned: O(state=asked)
  type: list
  elements: str
  sample: [pg1, pg2, pg3]
host:
  description: The member that carries it out.
  returned: O(state=chosen)
  type: str
  sample: pg1
packages:
  description: What the member has now, as M(scaleout.platform.package_updates_info) returns it.
  returned: O(state=looked) or O(state=updated)
  type: list
  elements: dict
  sample:
    - {name: pgbouncer, installed: 1.24.1-1, candidate: 1.24.1-1, security: false, held: false, since: 1796025600.0}
turns:
  description: The members that are updated, in order.
  returned: O(state=planned) and O(verb=update)
  type: list
  elements: str
  sample: [pg2, pg3, pg1]
told:
  description: The plan, for a person.
  returned: O(state=planned)
  type: list
  elements: str
  sample: ["main: the lead goes from pg1 to pg2, which is 0 bytes behind"]
lines:
  description: What came of it.
  returned: O(state=shown)
  type: list
  elements: str
  sample: ["main: pg2 leads on timeline 5; pg1 led before, on 4, and follows it"]
troubles:
  description: What is not as it was asked, a sentence each.
  returned: O(state=shown)
  type: list
  elements: str
  sample: []
code:
  description: Why a step failed, such as V(invalid_input), or one of M(scaleout.platform.cluster_switchover).
  returned: failure
  type: str
  sample: not_ready
"""
