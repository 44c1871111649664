#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: run_summary
short_description: End a run with its result
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Names the hosts that did not answer, that failed, that were lost during the run, and that were held because another
    one of their group failed first.
  - Fails if there are any, so that the run ends red although it continued with all others.
  - Hosts that a limit leaves out are not reported.
options:
  lines:
    description: What to say about the platform, before that.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
  - scaleout.platform.attributes.action
seealso:
  - module: scaleout.platform.run_note
"""

EXAMPLES = r"""
- name: Summary
  hosts: all
  gather_facts: false
  tasks:
    - name: Say how it went
      scaleout.platform.run_summary:
        lines: "{{ platform.description }}"
      run_once: true
"""

RETURN = r"""
troubles:
  description: What did not come out as it was asked, a sentence a host.
  returned: always
  type: list
  elements: str
  sample: ["cache2 did not answer. Nothing was changed on it; the next run configures it."]
code:
  description: V(incomplete) when there are any troubles.
  returned: failure
  type: str
  sample: incomplete
"""
