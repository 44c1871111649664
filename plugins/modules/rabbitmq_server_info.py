#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: rabbitmq_server_info
short_description: Read what a RabbitMQ broker's host is like
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads the host's name and memory, the state of the broker's unit, and where Erlang's port mapper listens.
  - It looks at files, sockets and systemd, and does not call C(rabbitmqctl), which takes about a second.
options: {}
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
seealso:
  - module: scaleout.platform.rabbitmq_definitions
  - module: scaleout.platform.service_check
"""

EXAMPLES = r"""
- name: Look at the broker's host
  scaleout.platform.rabbitmq_server_info:
  register: broker

- name: Say whom the port mapper answers
  ansible.builtin.debug:
    msg: "{{ 'everyone' if broker.mapper_open else 'this host only' }}"
"""

RETURN = r"""
host:
  description: The host's short name, of which the name of the node is made.
  returned: success
  type: str
  sample: mq1
memory_limit:
  description: The bytes that a container is limited to; V(null) where there is no limit below the machine's memory.
  returned: success
  type: int
  sample: 805306368
installed:
  description: Whether the package is there.
  returned: success
  type: bool
  sample: true
active:
  description: Whether the broker's unit runs.
  returned: success
  type: bool
  sample: true
enabled:
  description: Whether it starts with the host.
  returned: success
  type: bool
  sample: true
mapper_open:
  description: Whether Erlang's port mapper listens on more than loopback.
  returned: success
  type: bool
  sample: false
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import rabbitmq

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class RabbitmqServerInfo(Task):
    def plan(self) -> Plan:
        return Plan(before={}, after={}, result=rabbitmq.state())

    def apply(self, plan: Plan) -> None:
        """Never called, as there is nothing to carry out."""


def build(_module: AnsibleModule) -> RabbitmqServerInfo:
    return RabbitmqServerInfo()


def main() -> None:
    run(build, {})


if __name__ == "__main__":
    main()
