#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: autoscaling
short_description: One step of the control loop
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - The steps of C(autoscale.yml) before M(scaleout.platform.scaling) carries a decision out, in the order of O(state).
    Runs on a Consul server, and decides on the controller as M(scaleout.platform.scaling_decision) does.
  - Each application with C(scaling) has a policy. Where several run on the same hosts, their pool grows when one of
    them asks for it, and shrinks when all of them do.
  - What was measured comes from the metric store and from the samples that this run has registered. A store that does
    not answer is missing data, and a pool without data is held.
  - Reads the command line. C(-e application=NAME) is about the pool of one application.
    C(-e pause=2h -e "why='...'") is the brake, C(-e resume=true) releases it.
options:
  state:
    description:
      - V(asked) checks the command line, and says which hosts are sampled.
      - V(looked) looks at each pool and shows a line for it, unless something is to be done or to be remembered.
      - V(decided) looks again with the lease of the run, records what broke off, tells alerts, and returns what is
        asked of M(scaleout.platform.scaling). It finds the result of V(looked) in a variable C(autoscale_look), and
        that of taking the lease in C(autoscale_lease).
      - V(watched) looks at the load once more while those that leave have drained. Where it has come back, they stay.
    type: str
    choices: [asked, looked, decided, watched]
    required: true
  consul_token:
    description: A token that may write the records and the journals, such as the management token.
    type: str
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action
attributes:
  check_mode:
    description: Decides and shows it. Nothing is recorded, told or begun, and who has the lease is shown.
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: scaleout.platform.scaling
  - module: scaleout.platform.scaling_decision
  - module: scaleout.platform.scaling_journal
"""

EXAMPLES = r"""
- name: Look at the pools
  scaleout.platform.autoscaling:
    state: looked
    consul_token: "{{ consul_management_token }}"
  run_once: true
  register: autoscale_look
"""

RETURN = r"""
sampled:
  description: The hosts to take samples of, each with its applications.
  returned: O(state=asked)
  type: list
  elements: dict
  sample: [{host: shop1, services: [{name: shop, port: 8000}]}]
lines:
  description: What comes of it, a line for each pool.
  returned: O(state=looked) or O(state=decided)
  type: list
  elements: str
  sample: ["shop: 3, nothing to do"]
writes:
  description: Whether the lease is needed, since something is to be done or to be remembered.
  returned: O(state=looked)
  type: bool
  sample: false
requests:
  description: What is asked of M(scaleout.platform.scaling), for each pool that changes.
  returned: O(state=decided)
  type: list
  elements: dict
  sample:
    - {group: shop, applications: [shop], count: 4, leave: [], by: "rule cpu > 70", why: cpu 84 %, replaced: []}
kept:
  description: By pool, the members that have drained and stay after all.
  returned: O(state=watched)
  type: dict
  sample: {}
hosts:
  description: Those members, as hosts to add to the groups of this run.
  returned: O(state=watched)
  type: list
  elements: dict
  sample: []
"""
