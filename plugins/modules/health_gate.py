#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: health_gate
short_description: Wait until a service is healthy, or say why it is not
version_added: 0.1.0
description:
  - Waits until a systemd unit runs, its health path on the loopback address answers 2xx, and it is the unit itself
    that holds the port.
  - Fails at once if waiting is pointless, such as for a process that ends after each restart or a port that another
    process holds.
  - With O(timeout=0) it looks once and does not fail.
options:
  unit:
    description: Name of the systemd unit, with its suffix.
    type: str
    required: true
  port:
    description: Port on which the service listens.
    type: int
    required: true
  path:
    description: Path that answers 2xx when the service is healthy.
    type: str
    default: /healthz
  host:
    description: The C(Host) header of the request, for an application that answers to its own name only.
    type: str
    default: ""
  check_timeout:
    description: Seconds that one answer of the path may take.
    type: float
    default: 5.0
  workers:
    description: Names of units beside it that listen on no port. Each must have run for O(steady_time) without
      interruption.
    type: list
    elements: str
    default: []
  steady_time:
    description: Seconds that a worker has to run.
    type: float
    default: 3.0
  timeout:
    description: Seconds to wait.
    type: float
    default: 60.0
  healthy_for:
    description:
      - Seconds that a healthy service is then watched. It has to answer all that time, and neither its process nor one
        of O(workers) may end; that systemd starts it again does not count.
    type: float
    default: 0.0
    version_added: 0.2.0
  journal_lines:
    description: How many of the last lines in the journal are added to the message of a failure.
    type: int
    default: 10
  hide:
    description: Values that must not appear in the result, even if the service wrote them to the journal.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
author:
  - The scaleout.platform team (@scaleout)
"""

EXAMPLES = r"""
- name: Wait for the shop
  scaleout.platform.health_gate:
    unit: shop.service
    port: 8000
    path: /healthz
    timeout: 30
    hide: "{{ shop_secrets.values() }}"
"""

RETURN = r"""
ready:
  description: Whether the service is healthy.
  returned: always
  type: bool
reason:
  description: Why it is not, as the end of a sentence; empty when it is.
  returned: always
  type: str
  sample: /healthz answered 500 (no database)
active:
  description: Whether the unit runs, healthy or not.
  returned: always
  type: bool
enabled:
  description: Whether the unit starts with the machine.
  returned: always
  type: bool
idle_workers:
  description: Which of O(workers) do not run.
  returned: always
  type: list
  elements: str
journal:
  description: The last lines that the service, or the worker that failed, wrote to the journal.
  returned: failure
  type: list
  elements: str
"""

from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.await_health import AwaitHealth


def main() -> None:
    run(
        lambda module: AwaitHealth(module.params),
        {
            "unit": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "path": {"type": "str", "default": "/healthz"},
            "host": {"type": "str", "default": ""},
            "check_timeout": {"type": "float", "default": 5.0},
            "workers": {"type": "list", "elements": "str", "default": []},
            "steady_time": {"type": "float", "default": 3.0},
            "timeout": {"type": "float", "default": 60.0},
            "healthy_for": {"type": "float", "default": 0.0},
            "journal_lines": {"type": "int", "default": 10},
            "hide": {"type": "list", "elements": "str", "default": [], "no_log": True},
        },
    )


if __name__ == "__main__":
    main()
