#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: site_gate
short_description: Wait until the sites of a load balancer serve, or say which one does not
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Asks each site on its own host, at every port that it listens on, with TLS where it has that, and by its name.
  - Any answer below the status 500 is accepted, a redirect or a client error too.
  - Certificates are not verified. The role nginx does that before it uses them.
options:
  questions:
    description:
      - What to ask. By default what C(nginx_sites) of the host says.
    type: list
    elements: dict
    suboptions:
      site:
        description: Name of the site, for the message.
        type: str
        required: true
      url:
        description: What to ask, by address.
        type: str
        required: true
      host:
        description: The C(Host) header, which TLS asks for as well.
        type: str
        default: ""
  timeout:
    description: Seconds to wait.
    type: float
    default: 30.0
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
  - scaleout.platform.attributes.action
seealso:
  - module: scaleout.platform.health_gate
"""

EXAMPLES = r"""
- name: Ask the platform
  hosts: loadbalancer
  tasks:
    - name: Ask every site
      scaleout.platform.site_gate:
"""

RETURN = r"""
answers:
  description: What each site answered; a C(status) of 0 is no answer.
  returned: always
  type: list
  elements: dict
  sample: [{site: shop, url: "https://127.0.0.1:443/", host: shop.example.com, status: 200}]
code:
  description: Why the task failed; C(not_serving).
  returned: failure
  type: str
  sample: not_serving
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.await_sites import AwaitSites


def main() -> None:
    run(
        lambda module: AwaitSites({**module.params, "questions": module.params["questions"] or []}),
        {
            "questions": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "site": {"type": "str", "required": True},
                    "url": {"type": "str", "required": True},
                    "host": {"type": "str", "default": ""},
                },
            },
            "timeout": {"type": "float", "default": 30.0},
        },
    )


if __name__ == "__main__":
    main()
