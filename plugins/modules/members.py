#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: members
short_description: Keep the record of a group's desired members in Consul
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Says which hosts are to join a group and which are to leave it, and records that under one key of Consul's KV before
    a host is made or released. The inventory plugin P(scaleout.platform.fleet#inventory) reads the record.
  - Without a record, the hosts that the inventory names are the group's members. The record names all of them, once
    there is one, so that each of them can leave.
  - A member is C(joining) from the plan on until a run records that it serves, and C(leaving) until a run records that
    it is gone. If a run breaks off, the next one continues with these.
  - A group grows by the hosts of the inventory that left it earlier, then by further hosts of O(provider). It shrinks
    by those that are dead, those whose checks fail, those that do not serve yet, then those that were added last, then
    those of the inventory, highest name first.
  - A write is a compare-and-set. If another client was faster, the module reads and plans again, at most three times.
    What the key holds already is never overwritten unless it is a valid record.
options:
  group:
    description: The inventory group, such as V(api).
    type: str
    required: true
  state:
    description:
      - V(scaled) plans the way to O(count) members and records the intent.
      - V(settled) records that hosts arrived, O(joined), or are gone, O(left).
      - V(written_off) records that the hosts in O(left) are lost, in whatever state they were. A VM of the static
        provider stays recorded, so that no other host gets its name or its address. If it is alive again, V(scaled)
        makes it leave, to be cleaned.
    type: str
    choices: [scaled, settled, written_off]
    default: scaled
  count:
    description:
      - How many members the group is to have. O(state=scaled) requires it or O(leave).
      - Without it, as many as there are, less those that O(leave) names.
    type: int
  leave:
    description: Names of members that are to leave, before any other. With O(count), others may take their places.
    type: list
    elements: str
  services:
    description:
      - Names of the services that each member runs, as Consul has them.
      - With this option, even with an empty list, Consul is asked who is alive. RV(health) is returned, members that
        are dead or do not serve leave before others, and a name is not given to another host as long as Consul knows
        the old one.
    type: list
    elements: str
  minimum:
    description: The smallest number of members that the group may have.
    type: int
    default: 1
  maximum:
    description: The largest number of members that the group may have.
    type: int
  static_members:
    description: The hosts that the inventory itself names in the group, those that left it included.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host's name in the inventory.
        type: str
        required: true
      address:
        description: The host's address.
        type: str
        required: true
      provider:
        description: The fleet provider that makes the host; O(provider) by default.
        type: str
  provider:
    description: Where further hosts come from; required when O(state=scaled).
    type: str
    choices: [docker, static]
  pool:
    description:
      - The hosts that wait for work, in the order in which they are taken, when O(provider=static).
      - Those that a record names are skipped.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host's name in the inventory.
        type: str
        required: true
      address:
        description: The host's address.
        type: str
        required: true
  address_range:
    description:
      - The network from which hosts get the lowest free address, such as V(192.0.2.128/25), when O(provider=docker).
      - Its first and its last address are left out.
    type: str
  name_pattern:
    description:
      - The names of hosts that are made, when O(provider=docker); C({n}) stands for the lowest free number from 1 on.
      - By default, the name of the group and the number.
    type: str
  reserved_names:
    description: Names that no made host may get, such as those of all hosts of the inventory.
    type: list
    elements: str
    default: []
  reserved_addresses:
    description: Addresses that no made host may get.
    type: list
    elements: str
    default: []
  joined:
    description: Names of the hosts that serve now, when O(state=settled).
    type: list
    elements: str
    default: []
  left:
    description:
      - Names of the hosts that are released, when O(state=settled); they were leaving, or joining and never arrived.
        Or names of those that are lost, when O(state=written_off).
      - Names that the record does not have are ignored.
    type: list
    elements: str
    default: []
  kept:
    description: Names of the hosts that were leaving and stay after all, when O(state=settled).
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  provider_ids:
    description: What the provider calls the hosts in O(joined), by their names.
    type: dict
    default: {}
  run:
    description:
      - The run that writes, as RV(scaleout.platform.run_lease#module:run) names it. If it does not have the lease, or
        has not renewed it in time, the task fails with C(code=lease_lost) and nothing is written.
      - Check mode needs no lease.
    type: str
    version_added: 0.2.0
  prefix:
    description: The folder of Consul's KV that holds a record for each group.
    type: str
    default: scaleout/members
notes:
  - Names and addresses of the other groups' records are taken. Two groups that grow in the same moment may still
    choose the same host, because only a group's own record is compared and set.
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_consul
  - scaleout.platform.attributes.planned
seealso:
  - plugin: scaleout.platform.fleet
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Plan five servers and record it
  scaleout.platform.members:
    consul_token: "{{ consul_management_token }}"
    group: api
    count: 5
    maximum: 8
    static_members:
      - {name: api1, address: 192.0.2.21}
      - {name: api2, address: 192.0.2.22}
    provider: docker
    address_range: 192.0.2.128/25
    reserved_names: "{{ groups['all'] }}"
  register: scaling

- name: Record which of them serve and which are gone
  scaleout.platform.members:
    consul_token: "{{ consul_management_token }}"
    group: api
    state: settled
    joined: "{{ scaling.joining | map(attribute='name') }}"
    left: "{{ scaling.leaving | map(attribute='name') }}"

- name: Take the third server from VMs that wait for work
  scaleout.platform.members:
    consul_token: "{{ consul_management_token }}"
    group: api
    count: 3
    static_members:
      - {name: api1, address: 192.0.2.21}
      - {name: api2, address: 192.0.2.22}
    provider: static
    pool:
      - {name: spare1, address: 192.0.2.91}
"""

RETURN = r"""
joining:
  description: The hosts that are to be made and taken into service, those of a run that broke off included.
  returned: success
  type: list
  elements: dict
  sample: [{name: api3, address: 192.0.2.129, provider: docker, provider_id: ""}]
leaving:
  description: The hosts that are to be drained and released, those of a run that broke off first.
  returned: success
  type: list
  elements: dict
  sample: []
staying:
  description: The hosts that serve and stay.
  returned: success
  type: list
  elements: dict
  sample: [{name: api1, address: 192.0.2.21, provider: docker, provider_id: ""}]
alive:
  description: The hosts that Consul knows, and whether each is alive; empty without O(services).
  returned: success
  type: dict
  sample: {api1: true, api2: false}
health:
  description: How each host is, V(serving), V(failing) or V(dead); empty without O(services).
  returned: success
  type: dict
  sample: {api1: serving, api2: dead}
maintenance:
  description: The hosts of its services that are in maintenance, and so get no requests; empty without O(services).
  returned: success
  type: list
  elements: str
  sample: []
record:
  description:
    - The document under the key; in check mode, the one that would be there.
    - Null where there is none, and the group is what the inventory says.
  returned: success
  type: dict
  sample:
    version: 1
    group: api
    members:
      - {name: api1, address: 192.0.2.21, provider: docker, provider_id: "", state: member, since: null}
      - name: api3
        address: 192.0.2.129
        provider: docker
        provider_id: ""
        state: joining
        since: "2026-03-01T12:00:00Z"
"""

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import PREFIX
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.names import FLEET_PROVIDERS
from ansible_collections.scaleout.platform.plugins.module_utils.operations.scale_group import ScaleGroup


def main() -> None:
    host = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
    names = {"type": "list", "elements": "str", "default": []}
    run(
        lambda module: ScaleGroup.of(module.params, acts=not module.check_mode),
        {
            "group": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["scaled", "settled", "written_off"], "default": "scaled"},
            "count": {"type": "int"},
            "leave": {"type": "list", "elements": "str"},
            "services": {"type": "list", "elements": "str"},
            "minimum": {"type": "int", "default": 1},
            "maximum": {"type": "int"},
            "static_members": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {**host, "provider": {"type": "str"}},
            },
            "provider": {"type": "str", "choices": list(FLEET_PROVIDERS)},
            "pool": {"type": "list", "elements": "dict", "default": [], "options": host},
            "address_range": {"type": "str"},
            "name_pattern": {"type": "str"},
            "reserved_names": names,
            "reserved_addresses": names,
            "joined": names,
            "left": names,
            "kept": names,
            "provider_ids": {"type": "dict", "default": {}},
            "run": {"type": "str"},
            "prefix": {"type": "str", "default": PREFIX},
            **ARGUMENTS,
        },
        required_if=[("state", "scaled", ("provider",)), ("state", "scaled", ("count", "leave"), True)],
    )


if __name__ == "__main__":
    main()
