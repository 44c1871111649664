#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_check
short_description: Judge whether a host can have the service that the inventory describes
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads the service's state on the host in one round trip, and judges it and the inventory on the controller.
  - Fails with everything that is wrong, one sentence a line, before anything is changed.
  - Returns what the role's tasks and templates work from.
options:
  service:
    description: The service, by the name of its role.
    type: str
    required: true
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
  - scaleout.platform.attributes.action
seealso:
  - module: scaleout.platform.service_config
  - module: scaleout.platform.preflight
"""

EXAMPLES = r"""
- name: Check the load balancer
  scaleout.platform.service_check:
    service: nginx
  register: checked
"""

RETURN = r"""
state:
  description: What the host has; empty for a service that nothing of the host decides.
  returned: success
  type: dict
  sample: {}
wanted:
  description: What the role's tasks and templates need to know; the service decides which keys there are.
  returned: success
  type: dict
  sample: {listens: ["80"], port: 80}
health:
  description: What keeps the service from being healthy, as clauses.
  returned: success
  type: list
  elements: str
  sample: []
problems:
  description: Everything that is wrong, each with a C(code) and a C(text).
  returned: failure
  type: list
  elements: dict
  sample: [{code: unknown_site, text: 'nginx_default_site names "shop", which is no site'}]
code:
  description: The code of the first of RV(problems).
  returned: failure
  type: str
  sample: unknown_site
"""
