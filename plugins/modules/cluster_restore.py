#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_restore
short_description: One step of the playbook that restores a database cluster to a point in the past
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - The decisions of C(restore.yml), in the order of O(state). It runs on the controller, and has hosts carry out the
    plan with M(scaleout.platform.backup_info) and M(scaleout.platform.restore_member).
  - Reads the request from the command line. It is C(-e cluster=NAME) and C(-e to=POINT), and while the cluster serves,
    as the word, C(-e confirm=NAME). The point is a time with its zone, an LSN, C(name:RESTORE_POINT), C(immediate) or
    C(newest).
  - With C(-e aside=true) the cluster goes on, and the point is restored on the host of the backups with
    M(scaleout.platform.restore_aside). C(-e aside=remove) removes that copy.
  - At will C(-e set=BACKUP), C(-e timeline=NUMBER), C(-e member=HOST), C(-e discard_old=true) and C(-e lost=HOST,HOST).
  - What a later step needs of an earlier one is kept for the length of the run. What fails in one step keeps all later
    ones from doing anything.
options:
  state:
    description:
      - V(asked) checks the request.
      - V(looked) looks at the members and the backups.
      - V(planned) decides, and returns the plan.
      - V(stopped), V(forgotten), V(restored), V(led), V(followed) and V(finished) have those members take a step whose
        turn it is. They do nothing in check mode.
      - V(shown) shows what came of it, and fails if that is not what was requested.
    type: str
    choices: [asked, planned, looked, stopped, forgotten, restored, led, followed, finished, shown]
    required: true
  leader:
    description: With O(state=stopped), whether it is the turn of the leader, which stops last.
    type: bool
    default: false
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action
  - scaleout.platform.attributes.planned
seealso:
  - module: scaleout.platform.backup_info
  - module: scaleout.platform.restore_aside
  - module: scaleout.platform.restore_member
"""

EXAMPLES = r"""
- name: Plan
  scaleout.platform.cluster_restore:
    state: planned
  run_once: true
  register: plan
"""

RETURN = r"""
members:
  description: The cluster's members.
  returned: O(state=asked)
  type: list
  elements: str
  sample: [pg1, pg2, pg3]
told:
  description: The plan, for a person.
  returned: O(state=planned)
  type: list
  elements: str
  sample: ["writes after 2026-11-29 21:24:05 UTC are gone"]
lines:
  description: What came of it.
  returned: O(state=shown)
  type: list
  elements: str
  sample: ["main: restored to 2026-11-29 21:24:05 UTC; pg1 leads on timeline 4"]
troubles:
  description: What is not as it was asked, a sentence each.
  returned: O(state=shown)
  type: list
  elements: str
  sample: []
code:
  description:
    - Why a step failed, such as V(invalid_input), V(serves), V(not_covered), V(smaller_limits), V(no_space),
      V(not_whole) or V(restore_open), or one of M(scaleout.platform.restore_member).
  returned: failure
  type: str
  sample: not_covered
"""
