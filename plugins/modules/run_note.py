#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: run_note
short_description: Note that a host failed, and continue without it
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - For a C(rescue) around a service's tasks. The host joins O(group), so that later plays leave it out, and the
    summary of the run names it with the failure.
  - Nothing is changed on the host, and the run continues with the others.
options:
  service:
    description: What failed there.
    type: str
    required: true
  reason:
    description: The sentence of the failure.
    type: str
    default: ""
  task:
    description: The name of the task that failed.
    type: str
    default: ""
  group:
    description: The group that the host joins.
    type: str
    default: platform_failed
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
  - scaleout.platform.attributes.action
seealso:
  - module: scaleout.platform.run_summary
"""

EXAMPLES = r"""
- name: Redis
  hosts: cache:!platform_failed
  tasks:
    - name: Converge
      block:
        - name: Redis
          ansible.builtin.import_role:
            name: scaleout.platform.redis
      rescue:
        - name: Report the failure and continue without this host
          scaleout.platform.run_note:
            service: redis
            task: "{{ ansible_failed_task.name }}"
            reason: "{{ ansible_failed_result.msg | default('') }}"
"""

RETURN = r"""
add_group:
  description: The group that the host joined.
  returned: success
  type: str
  sample: platform_failed
"""
