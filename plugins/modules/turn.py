#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: turn
short_description: Hold a host in a rollout that has failed on another one
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - For rollouts whose turn takes more than one task. The order is the play's.
  - The hosts of one run share what has failed. It runs on the controller and touches no host.
options:
  group:
    description: Those who take turns, such as an application and its version.
    type: str
    required: true
  name:
    description: What is rolled out, for the message.
    type: str
    required: true
  state:
    description:
      - With V(taken) the host continues, or is held because another host of the group failed before.
      - With V(done) the turn of a host that is O(alone) ends.
      - With V(failed) the other hosts of the group are held from now on.
    type: str
    choices: [taken, done, failed]
    default: taken
  alone:
    description:
      - With V(taken), that one host after another has its turn, which lasts until V(done).
      - A host that is lost before that holds the others.
    type: bool
    default: false
  batch:
    description: With O(alone), the batch of the host. Those of the same batch have their turn together.
    type: str
    default: ""
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
  - scaleout.platform.attributes.action
seealso:
  - module: scaleout.platform.service_config
"""

EXAMPLES = r"""
- name: Take the host's turn
  scaleout.platform.turn:
    group: shop 1.4
    name: shop
    alone: true
  register: turn

- name: Change it
  when: not turn.held
  block:
    - name: Restart
      ansible.builtin.systemd_service:
        name: shop
        state: restarted

    - name: End the turn
      scaleout.platform.turn:
        group: shop 1.4
        name: shop
        state: done
  rescue:
    - name: Hold the other hosts
      scaleout.platform.turn:
        group: shop 1.4
        name: shop
        state: failed
"""

RETURN = r"""
held:
  description: Whether the host has to stay as it is.
  returned: O(state=taken)
  type: bool
first:
  description: Whether no other host of the group has had its turn in this run.
  returned: O(state=taken) and not RV(held)
  type: bool
broken_by:
  description: The host that failed, or was lost in its turn.
  returned: when RV(held)
  type: str
  sample: api1
code:
  description: C(held).
  returned: when RV(held)
  type: str
  sample: held
"""
