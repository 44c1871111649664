#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_config
short_description: Give a service another configuration, or leave it with the one it was proven with
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Writes the files of a service, has the service check them, reloads or restarts it, and waits until it runs with
    them. When it does not, the earlier files come back, the service runs with those, and the task fails and says why.
  - A run that is killed at any moment leaves a journal. The next run finishes what was open.
  - All hosts look at the same time. Those of one O(group) that have something to activate take turns, and the first
    that fails holds the rest. A host that is held keeps its configuration, and the task ends with RV(held=true).
  - What is in force counts, not only what is on the disk. A file that was written and never taken up by the service is
    taken up by the next run.
options:
  name:
    description: Name of the service on this host, such as V(redis-cache). Its journal is kept under this name.
    type: str
    required: true
  group:
    description:
      - Hosts that give the same value take turns, such as the name of the inventory's group.
      - Without it a host waits for no other.
    type: str
    default: ""
  driver:
    description:
      - What knows the service. V(unit) serves anything that runs as systemd units; the others are those of the
        collection's roles.
    type: str
    default: unit
    choices: [unit, consul, consul_service, firewall, nginx, nginx_watch, patroni, pgbouncer, rabbitmq, redis]
  units:
    description: The systemd units, started and enabled as well. The service's own comes first.
    type: list
    elements: str
    default: []
  files:
    description: The whole of the files, as text.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is on the host. Missing folders are made.
        type: path
        required: true
      content:
        description:
          - Its text. Without it, the file must not be there.
          - C(@scaleout-digest@) stands for a digest of the whole configuration, by which a service can tell what it
            runs.
        type: str
      owner:
        description: Its owner.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its permission bits, in octal digits.
        type: str
        default: "0644"
      needs:
        description: What the service has to do to take it up.
        type: str
        choices: [none, reload, restart]
        default: restart
      keep:
        description:
          - Whether it stays as it is on the host, whatever it holds. So one file of a service can be changed without
            the others.
        type: bool
        default: false
      secret:
        description: Whether its text holds a secret. It is then shown nowhere, in a diff neither.
        type: bool
        default: false
  options:
    description:
      - What the driver knows besides.
      - For all drivers, C(validate) gives, by a file's path, the command that checks it, with C(%s) where the name of
        the new file goes; C(probe) says how to see that the service serves, by C(url) (with C(status), C(body) and
        C(headers), which name secrets), C(tcp) or C(argv).
    type: dict
    default: {}
  secrets:
    description: Secrets that the driver needs, by name.
    type: dict
    default: {}
  timeout:
    description: Seconds within which the service has to run with its files.
    type: int
    default: 30
  state:
    description: With V(absent), the units are stopped and the files and the journal are removed.
    type: str
    choices: [present, absent]
    default: present
  apply:
    description: Whether to do more than look. The action plugin of the same name sets it.
    type: bool
    default: true
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
seealso:
  - module: scaleout.platform.service_check
"""

EXAMPLES = r"""
- name: Run an exporter with its options
  scaleout.platform.service_config:
    name: node-exporter
    units: [prometheus-node-exporter.service]
    group: exporters
    files:
      - path: /etc/default/prometheus-node-exporter
        content: |
          ARGS="--collector.disable-defaults --collector.cpu --collector.meminfo"
    options:
      probe: {tcp: "127.0.0.1:9100"}
"""

RETURN = r"""
pending:
  description: Why there was something to do, each a clause.
  returned: success
  type: list
  elements: str
  sample: ["/etc/nginx/nginx.conf differs"]
level:
  description: What the service had to do.
  returned: success
  type: str
  sample: reload
serving:
  description: Whether the service ran before.
  returned: success
  type: bool
  sample: true
held:
  description: Whether the host keeps its configuration because another one of its group failed first.
  returned: when held
  type: bool
  sample: true
code:
  description:
    - Why the task failed or the host is held; C(invalid_configuration), C(not_healthy), C(needed), C(not_prepared),
      C(disk_full), C(busy), C(held) and others of docs/codes.md.
  returned: failure, or when held
  type: str
  sample: not_healthy
"""

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.journal import Journal, read
from ansible_collections.scaleout.platform.plugins.module_utils.module import Task, run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.configure import Configuration
from ansible_collections.scaleout.platform.plugins.module_utils.operations.drivers import DRIVERS
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.platform import truth
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import File, marked

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

ARGUMENTS: dict[str, dict] = {
    "name": {"type": "str", "required": True},
    "group": {"type": "str", "default": ""},
    "driver": {"type": "str", "default": "unit", "choices": list(DRIVERS)},
    "units": {"type": "list", "elements": "str", "default": []},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str", "default": "0644"},
            "needs": {"type": "str", "choices": ["none", "reload", "restart"], "default": "restart"},
            "keep": {"type": "bool", "default": False},
            "secret": {"type": "bool", "default": False, "no_log": False},
        },
    },
    "options": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "timeout": {"type": "int", "default": 30},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "apply": {"type": "bool", "default": True},
}


class Configure(Task):
    """Looks, and carries the transaction out where that is asked for."""

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        files, digest = marked([_file(entry) for entry in params["files"]])
        driver = DRIVERS[params["driver"]](
            params["name"], params["units"], params["options"], params["secrets"], digest
        )
        self._apply = params["apply"]
        self._configuration = Configuration(files, driver, Journal(params["name"]), params["timeout"])
        self._absent = params["state"] == "absent"

    def plan(self) -> Plan:
        return self._configuration.plan_absence() if self._absent else self._configuration.plan()

    def apply(self, plan: Plan) -> dict | None:
        if not self._apply or not plan.changed:
            return None
        return self._configuration.remove() if self._absent else self._configuration.apply()


def _file(entry: t.Mapping[str, t.Any]) -> File:
    if entry["keep"]:
        found = read(entry["path"])
        return File(found.path, found.content, found.mode, found.owner, found.group, "none", entry["secret"])
    try:
        mode = int(entry["mode"], 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise InvalidInput("files.mode", entry["mode"], "is not permission bits in octal digits, such as 0644")
    return File(entry["path"], entry["content"], mode, entry["owner"], entry["group"], entry["needs"], entry["secret"])


def _secrets_in(params: dict) -> set[str]:
    """The texts of secret files; a module's result and log must not show them, whole or in a diff."""
    files = params.get("files") or []
    return {
        str(entry["content"])
        for entry in files
        if isinstance(entry, dict) and truth(entry.get("secret")) and entry.get("content")
    } | {str(value) for value in (params.get("secrets") or {}).values() if value}


def build(module: AnsibleModule) -> Configure:
    return Configure(module.params)


def main() -> None:
    run(build, ARGUMENTS, _secrets_in)


if __name__ == "__main__":
    main()
