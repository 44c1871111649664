#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: packages_info
short_description: Read a Debian host's system and which packages it has
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads the files that apt and dpkg keep, and starts neither of them, which would take a second.
options: {}
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
"""

EXAMPLES = r"""
- name: See what is there
  scaleout.platform.packages_info:
  register: host

- name: Install what is missing
  ansible.builtin.apt:
    name: [nginx]
  when: "'nginx' not in host.packages"
"""

RETURN = r"""
system:
  description: What the system is, as C(ID) of C(/etc/os-release) has it.
  returned: success
  type: str
  sample: debian
release:
  description: Its release.
  returned: success
  type: str
  sample: "13"
system_name:
  description: Its name for people.
  returned: success
  type: str
  sample: Debian GNU/Linux 13 (trixie)
packages:
  description: Names of the packages that are installed.
  returned: success
  type: list
  elements: str
  sample: [adduser, apt]
index_age:
  description: Seconds since apt fetched its index; none where it has none.
  returned: success
  type: int
  sample: 1200
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import packages

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class Read(Task):
    """Reads, and changes nothing."""

    def plan(self) -> Plan:
        return Plan({}, {}, result=packages.read())

    def apply(self, _plan: Plan) -> None:
        """Nothing ever changes."""


def build(_module: AnsibleModule) -> Read:
    return Read()


def main() -> None:
    run(build, {})


if __name__ == "__main__":
    main()
