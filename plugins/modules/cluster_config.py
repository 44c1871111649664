#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_config
short_description: Keep what the members of a Patroni cluster share
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Keeps keys of the dynamic configuration of a PostgreSQL cluster under Patroni, such as C(ttl) and
    C(synchronous_mode). All that differs changes in one request. Keys that are not named stay as they are.
  - Patroni checks little of what it is told. Change PostgreSQL's own settings with
    M(scaleout.platform.server_settings), which asks the server first.
options:
  patroni_host:
    required: true
  config:
    description:
      - The keys and their values, nested as Patroni nests them.
      - V(null) removes a key.
    type: dict
    required: true
extends_documentation_fragment:
  - scaleout.platform.patroni
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
seealso:
  - module: scaleout.platform.server_settings
  - name: Dynamic configuration
    description: The keys in Patroni's manual.
    link: https://patroni.readthedocs.io/en/latest/dynamic_configuration.html
"""

EXAMPLES = r"""
- name: No commit without a replica, as long as there is one
  scaleout.platform.cluster_config:
    patroni_host: 192.0.2.11
    patroni_user: patroni
    patroni_password: "{{ postgres_patroni_password }}"
    config:
      synchronous_mode: true
      synchronous_mode_strict: false
"""

RETURN = r"""
changes:
  description: What was sent, or would be in check mode.
  returned: success
  type: dict
  sample: {synchronous_mode: true}
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_cluster_config import KeepClusterConfig
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import ARGUMENTS


def main() -> None:
    run(
        lambda module: KeepClusterConfig.of(module.params),
        {
            "config": {"type": "dict", "required": True},
            **ARGUMENTS,
            "patroni_host": {"type": "str", "required": True},
        },
        lambda params: {params["patroni_password"]} - {None},
    )


if __name__ == "__main__":
    main()
