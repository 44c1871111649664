#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: scaling
short_description: One step of scaling a pool of application servers
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - The steps of C(scale.yml) and of C(autoscale.yml) once it has decided, in the order of O(state). Runs on a Consul
    server, and decides on the controller from the inventory and from what Consul says.
  - Reads the request from the command line. It is C(-e application=NAME -e count=5), or C(-e NAME=5), with the name of
    an application or of its group. C(-e leave=api2) names a member that leaves before any other.
  - A group whose hosts hold data or an address is refused, with what to do instead.
options:
  state:
    description:
      - V(asked) checks the request.
      - V(planned) records who is to join and who is to leave, as M(scaleout.platform.members) does. The steps after it
        find its result in a variable C(scale_plan), and that of V(joined) in C(scale_joined).
      - V(joined) records who serves. A host that a decision wanted and that does not serve is recorded as leaving.
      - V(lost) removes hosts that could not be cleaned from Consul's catalog, and lists the hosts to give back.
      - V(left) makes Consul forget the hosts that are gone, and records it.
      - V(shown) shows who serves, and fails if that is not what was requested.
      - V(written_off) is C(forget.yml). It records that the host C(-e host=NAME) is lost, makes Consul forget it, and
        revokes its Consul token. A host whose agent is alive is refused.
    type: str
    choices: [asked, planned, joined, lost, left, shown, written_off]
    required: true
  requests:
    description:
      - The pools and their sizes as a decision returned them, for O(state=planned). Without it, the command line says
        it.
    type: list
    elements: dict
  consul_token:
    description: A token that may write the record and change the catalog, such as the management token.
    type: str
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action
attributes:
  check_mode:
    description: Nothing is recorded, and no host joins or leaves.
    support: full
  diff_mode:
    description: Shows the record before and after.
    support: full
  idempotent:
    support: full
seealso:
  - module: scaleout.platform.members
  - module: scaleout.platform.consul_member
"""

EXAMPLES = r"""
- name: Record the desired pool
  scaleout.platform.scaling:
    state: planned
    consul_token: "{{ consul_management_token }}"
  run_once: true
  register: scale_plan
"""

RETURN = r"""
told:
  description: The plan, for a person.
  returned: O(state=planned)
  type: str
  sample: "api: 3 now, 4 wanted; to join: api4; to leave: none"
pools:
  description: Each pool with its RV(ignore:request), and either who joins, leaves and stays, or why nothing is done.
  returned: O(state=planned)
  type: list
  elements: dict
  sample:
    - request: {group: api, applications: [shop], count: 4, leave: [], by: manual, why: "", replaced: []}
      joining: [{name: api4, address: 192.0.2.129, provider: docker, provider_id: ""}]
      leaving: []
returned:
  description: By pool, the hosts that leave again because they did not come to serve.
  returned: O(state=joined)
  type: dict
  sample: {}
hosts:
  description: Who takes part, each with the groups of this run that it is in; or who leaves again.
  returned: O(state=planned) or O(state=joined)
  type: list
  elements: dict
  sample: [{name: api4, address: 192.0.2.129, groups: [api, scale_joining], app_release_from: api1}]
made:
  description: The hosts to make.
  returned: O(state=planned)
  type: list
  elements: dict
  sample: [{name: api4, address: 192.0.2.129, provider: docker, provider_id: "", memory: 1g}]
released:
  description: The hosts to give back.
  returned: O(state=lost)
  type: list
  elements: dict
  sample: []
lines:
  description: Who serves, who joined and who left; or what was done about a host that is lost.
  returned: O(state=shown) or O(state=written_off)
  type: list
  elements: str
  sample: ["serving: api1, api2", "joined:  none", "left:    api3"]
troubles:
  description: What is not as it was asked, a sentence each.
  returned: O(state=shown)
  type: list
  elements: str
  sample: []
"""
