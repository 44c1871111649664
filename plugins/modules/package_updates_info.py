#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: package_updates_info
short_description: Read which packages of a Debian host have newer versions, and what still runs from before an upgrade
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads dpkg's list of packages and the index that apt fetched last. It fetches none and installs nothing.
options:
  packages:
    description: Regular expressions for the beginnings of the packages' names.
    type: list
    elements: str
    required: true
  units:
    description: Names of systemd units.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
seealso:
  - module: scaleout.platform.packages_info
"""

EXAMPLES = r"""
- name: Fetch the index
  ansible.builtin.apt:
    update_cache: true
  become: true

- name: See what waits
  scaleout.platform.package_updates_info:
    packages: [postgresql, patroni]
    units: [patroni.service]
  become: true
  register: updates
"""

RETURN = r"""
packages:
  description: The packages that are installed and match, in the order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The package's name.
      type: str
      sample: postgresql-17
    installed:
      description: The version that is installed.
      type: str
      sample: 17.10-0+deb13u1
    candidate:
      description: The version that apt would install. It is the one that is installed where none is newer.
      type: str
      sample: 17.12-0+deb13u1
    security:
      description: Whether the candidate is one of the distribution's security updates.
      type: bool
      sample: true
    held:
      description: Whether the host keeps the package as it is (C(apt-mark hold)).
      type: bool
      sample: false
    since:
      description: When it was unpacked, in seconds since the epoch.
      type: float
      sample: 1796025600.0
units:
  description: When each of O(units) was started, in seconds since the epoch; 0 where it does not run.
  returned: success
  type: dict
  sample: {patroni.service: 1796025600.0}
servers:
  description: When each PostgreSQL that runs was started, in seconds since the epoch, by its major version.
  returned: success
  type: dict
  sample: {"17": 1796025600.0}
code:
  description: V(no_package_index) where apt cannot read its index, or V(invalid_input).
  returned: failure
  type: str
  sample: no_package_index
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import updates

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class Read(Task):
    """Reads, and changes nothing.

    :param params: the module's options.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._params = params

    def plan(self) -> Plan:
        return Plan({}, {}, result=updates.read(self._params["packages"], self._params["units"]))

    def apply(self, _plan: Plan) -> None:
        """Nothing ever changes."""


def build(module: AnsibleModule) -> Read:
    return Read(module.params)


def main() -> None:
    run(
        build,
        {
            "packages": {"type": "list", "elements": "str", "required": True},
            "units": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
