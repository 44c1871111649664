#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: scaling_journal
short_description: Remember in Consul what was done to a pool, and what pauses it
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Keeps one document for each pool in Consul's KV, with the pause of the pool, the action that runs, past actions
    with their outcomes, and the alerts that are out.
  - RV(history) and RV(paused) are what M(scaleout.platform.scaling_decision) takes as
    O(scaleout.platform.scaling_decision#module:history) and as the V(paused) of its pool.
  - A write is a compare-and-set. If another client was faster, the module reads and plans again, at most three times.
    With O(run), it succeeds only while that run has the lease of M(scaleout.platform.run_lease).
  - A document of another version is refused and left alone. An entry that cannot be is kept and named in RV(faults),
    and a decision that is given RV(history) holds until O(state=repaired).
  - At most 200 past actions are kept, and none that is older than eight days.
options:
  group:
    description:
      - The inventory group of the pool, such as V(api).
      - V(_all) stands for all pools, which can be paused, resumed, shown and repaired.
    type: str
    required: true
  state:
    description:
      - V(shown) changes nothing.
      - V(broken_off) records that an action of another run has failed. Use it with the lease and before a decision. No
        other run works then, so what another one began has ended without an outcome.
      - V(begun) records that O(action) begins. It fails with C(code=action_runs) while another action runs.
      - V(finished) records O(outcome) of the action that runs. It changes nothing where none runs.
      - V(alerted) records which alerts are out.
      - V(paused) pauses the pool for O(duration). A pause ends by itself. It takes the place of one that is there.
      - V(resumed) ends a pause.
      - V(repaired) removes what cannot be, and actions that are more than 5 s from the future.
    type: str
    choices: [shown, broken_off, begun, finished, alerted, paused, resumed, repaired]
    default: shown
  run:
    description:
      - The run that writes, as RV(scaleout.platform.run_lease#module:run) names it. If it does not have the lease, or
        has not renewed it in time, the task fails with C(code=lease_lost) and nothing is written.
      - Required when O(state) is V(broken_off), V(begun) or V(finished). A pause needs no lease, so that it can be set
        while a run works.
      - Check mode needs no lease.
    type: str
  action:
    description: What begins, when O(state=begun).
    type: dict
    suboptions:
      direction:
        description: Whether the pool grows or shrinks.
        type: str
        choices: [up, down]
        required: true
      from:
        description: The desired size now.
        type: int
        required: true
      to:
        description: The desired size to have. The same where dead members are only replaced.
        type: int
        required: true
      by:
        description: Who asked for it, such as the C(name) of the decision's C(winner), or V(manual).
        type: str
        default: ""
      why:
        description: What was seen.
        type: str
        default: ""
      replaced:
        description: Dead members that are replaced.
        type: list
        elements: str
        default: []
  outcome:
    description: What became of the action that runs, when O(state=finished).
    type: str
    choices: [succeeded, failed, called_off]
  why:
    description:
      - The reason of a pause, which it has to have.
      - Or what there is to say of the outcome, when O(state=finished).
      - It is kept as one line of 400 characters at most.
    type: str
  by:
    description: Who pauses the pool.
    type: str
    default: ""
  duration:
    description: How long the pause lasts, such as V(2h), V(30m), V(90s), V(1d) or plain seconds; at most 30 days.
    type: str
  keep_longer:
    description: Whether O(state=paused) leaves a pause that ends later as it is.
    type: bool
    default: false
  alerts:
    description: The keys of all alerts that have not cleared, when O(state=alerted).
    type: list
    elements: str
  unsent:
    description: Those of O(alerts) that could not be sent now. They are not in RV(known_alerts) until they are sent.
    type: list
    elements: str
    default: []
  prefix:
    description: The folder of Consul's KV that holds a document for each pool.
    type: str
    default: scaleout/scaling
attributes:
  idempotent:
    support: partial
    details:
      - Each pause begins now, so O(state=paused) changes its end.
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_consul
  - scaleout.platform.attributes.planned
seealso:
  - module: scaleout.platform.scaling_decision
  - module: scaleout.platform.members
  - module: scaleout.platform.run_lease
"""

EXAMPLES = r"""
- name: Let no one scale the pool for two hours
  scaleout.platform.scaling_journal:
    consul_token: "{{ consul_management_token }}"
    group: api
    state: paused
    duration: 2h
    why: The sale begins at noon
    by: ops

- name: Look at the pool
  scaleout.platform.scaling_journal:
    consul_token: "{{ consul_management_token }}"
    group: api
  register: journal

- name: Show what was done to it
  ansible.builtin.debug:
    var: journal.history
"""

RETURN = r"""
paused:
  description:
    - The pause that is in force, that of the pool or that of all pools, whichever ends later. Null without one.
    - Times are seconds since the epoch.
  returned: success
  type: dict
  sample: {until: 1767232800.0, why: The sale begins at noon, by: ops, since: 1767225600.0}
running:
  description: The action that runs, and the run that carries it out. Null where none runs.
  returned: success
  type: dict
  sample:
    direction: up
    from: 3
    to: 5
    started: 1767225600.0
    finished: null
    outcome: null
    by: rule requests > 1000
    why: requests 1200/s a server
    replaced: []
    run: ansible-local-4711abcdefgh
ended:
  description: The action that ran before and has its outcome now. Null where this task ended none.
  returned: success
  type: dict
  sample: null
history:
  description:
    - What M(scaleout.platform.scaling_decision) takes as O(scaleout.platform.scaling_decision#module:history), which is
      the past actions, the one that runs, and what cannot be, so that the decision holds and names it.
  returned: success
  type: list
  elements: raw
  sample:
    - direction: up
      from: 2
      to: 3
      started: 1767225000.0
      finished: 1767225060.0
      outcome: succeeded
      by: rule cpu > 70
      why: cpu 84 % a server
      replaced: []
known_alerts:
  description: The keys of the alerts that were sent and have not cleared.
  returned: success
  type: list
  elements: str
  sample: []
faults:
  description: What cannot be in the documents of the pool and of all pools, a sentence each.
  returned: success
  type: list
  elements: str
  sample: []
journal:
  description: The document under the key; in check mode, the one that would be there.
  returned: success
  type: dict
  sample: {version: 1, group: api, paused: null, running: null, history: [], alerts: {}}
now:
  description: The time on the host that ran the task, in seconds since the epoch.
  returned: success
  type: float
  sample: 1767225600.0
problems:
  description: What is wrong with the options, if it is more than one thing.
  returned: failure
  type: list
  elements: str
  sample: []
code:
  description:
    - V(lease_lost) if O(run) does not have the lease, V(action_runs) if another action runs, V(invalid_journal) if the
      key holds something else, or why Consul could not be asked.
  returned: failure
  type: str
  sample: lease_lost
"""

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.scaling_journal import STATES, KeepJournal
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import OUTCOMES
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.journal import PREFIX


def main() -> None:
    names = {"type": "list", "elements": "str"}
    text = {"type": "str", "default": ""}
    action = {
        "direction": {"type": "str", "choices": ["up", "down"], "required": True},
        "from": {"type": "int", "required": True},
        "to": {"type": "int", "required": True},
        "by": text,
        "why": text,
        "replaced": {**names, "default": []},
    }
    run(
        lambda module: KeepJournal.of(module.params, acts=not module.check_mode),
        {
            "group": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(STATES), "default": "shown"},
            "run": {"type": "str"},
            "action": {"type": "dict", "options": action},
            "outcome": {"type": "str", "choices": list(OUTCOMES)},
            "why": {"type": "str"},
            "by": text,
            "duration": {"type": "str"},
            "keep_longer": {"type": "bool", "default": False},
            "alerts": names,
            "unsent": {**names, "default": []},
            "prefix": {"type": "str", "default": PREFIX},
            **ARGUMENTS,
        },
    )


if __name__ == "__main__":
    main()
