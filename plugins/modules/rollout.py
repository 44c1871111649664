#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: One step of a rolling update or of a rollback
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - The decisions of C(rolling_update.yml) and C(rollback.yml), in the order of O(state). It runs on the controller,
    from the inventory and from what M(scaleout.platform.release) said of each host, and touches none.
  - Reads the request from the command line. It is C(-e application=NAME), and at will C(version), C(parallelism),
    C(batch_delay), C(minimum_healthy_time) and C(accept_no_rollback).
  - What a later step needs of an earlier one is kept for the length of the run.
options:
  state:
    description:
      - V(asked) checks the request.
      - V(chosen) chooses the release, and refuses one that is not on all hosts, or that the schema does not serve.
      - V(planned) puts the hosts in order and divides them into batches.
      - V(staged) returns the batches again, and none where the release does not lie ready on all hosts.
      - V(judged) says who has to go back, and whose release is to be confirmed.
      - V(shown) shows who serves which release, and fails if that is not what was requested.
    type: str
    choices: [asked, chosen, planned, staged, judged, shown]
    required: true
  kind:
    description: Whether the application's entry says which release, or what is on the hosts.
    type: str
    choices: [update, rollback]
    default: update
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
  - scaleout.platform.attributes.action
seealso:
  - module: scaleout.platform.release
  - module: scaleout.platform.turn
"""

EXAMPLES = r"""
- name: Plan the batches
  scaleout.platform.rollout:
    state: planned
  run_once: true
  register: rollout_plan
"""

RETURN = r"""
application:
  description: The application, with its C(name) and the C(role) that deploys it.
  returned: O(state=asked)
  type: dict
  sample: {name: shop, role: scaleout.platform.app}
delay:
  description: Seconds for which a batch is watched before the next one.
  returned: O(state=asked)
  type: float
  sample: 10.0
healthy_for:
  description: Seconds for which the canary has to stay healthy before it gets requests.
  returned: O(state=asked)
  type: float
  sample: 10.0
release:
  description: The release that is to serve, as the role P(scaleout.platform.app#role) takes it.
  returned: O(state=chosen)
  type: dict
  sample: {version: "2.0", schema_serves: "1.9", one_way: ""}
hosts:
  description: With V(asked) the hosts of the pool; with V(planned) those that are due, in their order.
  returned: O(state=asked) or O(state=planned)
  type: list
  elements: str
  sample: [api2, api1, api3]
batches:
  description: The hosts that have their turns together, the first ones first.
  returned: O(state=planned) or O(state=staged)
  type: list
  elements: dict
  sample: [{number: 1, of: 2, hosts: [api2], healthy_for: 10.0}]
told:
  description: The plan, for a person.
  returned: O(state=planned)
  type: list
  elements: str
  sample: ["shop: release 2.0, 1 at a time; each is watched for 10 s before the next"]
back:
  description: The hosts to take back to the release that they had, the last one first.
  returned: O(state=judged)
  type: list
  elements: str
  sample: []
kept:
  description: The hosts whose release is to be confirmed.
  returned: O(state=judged)
  type: list
  elements: str
  sample: [api1, api2, api3]
lines:
  description: Who serves which release.
  returned: O(state=shown)
  type: list
  elements: str
  sample: ["2.0: api1, api2, api3"]
troubles:
  description: What is not as it was asked, a sentence each.
  returned: O(state=shown)
  type: list
  elements: str
  sample: []
code:
  description: Why a step failed, such as C(no_way_back), C(below_schema), C(no_release) or C(rolled_back).
  returned: failure
  type: str
  sample: rolled_back
"""
