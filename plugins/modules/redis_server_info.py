#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_server_info
short_description: Show what decides which Redis instances a host may have
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads the memory that the host or its container has, which instances the role C(redis) has made, and whether the
    server that Debian's package starts by itself is still there and has data.
  - Must run as root, since the configuration files are readable for few.
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
seealso:
  - module: scaleout.platform.service_check
"""

EXAMPLES = r"""
- name: Look at the host's Redis servers
  scaleout.platform.redis_server_info:
  become: true
  register: redis_servers
"""

RETURN = r"""
memory:
  description: Bytes that the host has, less where a container has a limit; 0 where it does not say.
  returned: success
  type: int
  sample: 2147483648
overcommit:
  description:
    - Whether the kernel promises the memory that a snapshot of a large data set takes, by C(vm.overcommit_memory).
    - One of V(allowed), V(refused), and V(fixed) where it is refused and cannot be set, such as in a container.
  returned: success
  type: str
  sample: allowed
package_server:
  description: The server that the package starts by itself; null where it neither runs nor starts with the host.
  returned: success
  type: dict
  contains:
    port:
      description: Its port.
      type: int
      sample: 6379
    directory:
      description: The folder of its data.
      type: str
      sample: /var/lib/redis
    data:
      description: Whether there are data in its folder, or keys in its memory as far as it lets us in.
      type: bool
      sample: false
instances:
  description: Names of the instances that the role C(redis) has made.
  returned: success
  type: list
  elements: str
  sample: [cache, metrics]
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import Task, run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.redis_server import look


class Look(Task):
    """Only reads."""

    def plan(self) -> Plan:
        return Plan({}, {}, result=look())

    def apply(self, plan: Plan) -> None:
        """There is never anything to carry out."""


def main() -> None:
    run(lambda _module: Look(), {})


if __name__ == "__main__":
    main()
