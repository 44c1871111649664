#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check the platform's inventory before anything is changed
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads the variables of all hosts of the inventory on the controller, and connects to none of them.
  - Fails with one sentence that names the host or the variable when the inventory cannot become a platform, and returns
    the topology of its databases when it can.
  - Only the variables that matter here are evaluated, so what is undefined elsewhere does no harm.
options:
  secrets:
    description:
      - Names of variables that must have a value on every host of the inventory.
      - A missing or empty one is told by its name, never by its value.
    type: list
    elements: str
    default: []
  postgres_group:
    description: Group of the database servers.
    type: str
    default: postgres
  consul_server_group:
    description: Group of the Consul servers; it must have a host.
    type: str
    default: consul_server
  loadbalancer_group:
    description: Group of the load balancers; it must have a host when O(api_group) has one.
    type: str
    default: loadbalancer
  api_group:
    description: Group of the application servers.
    type: str
    default: api
  fleet_providers:
    description: The values that the variable C(fleet_provider) may have.
    type: list
    elements: str
    default: [docker, static]
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
attributes:
  action:
    description: Has a part that runs on the controller.
    support: full
notes:
  - For every host it reads C(platform_address), C(ansible_host) and C(fleet_provider); for database servers also
    C(postgres_role) (C(primary) or C(standby)), C(postgres_primary) (of a standby), C(postgres_shards) (of a primary),
    C(postgres_port), C(pgbouncer_port), C(postgres_database_owner), C(postgres_users) and C(platform_shard_buckets).
  - A C(pgbouncer_port) goes into the shard map, so that clients connect to PgBouncer.
seealso:
  - module: scaleout.platform.shard_map
"""

EXAMPLES = r"""
- name: Check the inventory before anything is changed
  scaleout.platform.preflight:
    secrets:
      - consul_gossip_key
      - postgres_replicator_password
  register: platform

- name: Publish the shard map
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    clusters: "{{ platform.topology.clusters }}"
    shards: "{{ platform.topology.shards }}"
"""

RETURN = r"""
topology:
  description: The platform's databases.
  returned: success
  type: dict
  contains:
    clusters:
      description: The value of the option O(scaleout.platform.shard_map#module:clusters).
      type: list
      elements: dict
      sample:
        - name: pg1
          members:
            - {name: pg1, host: 192.0.2.11, port: 5432}
            - {name: pg1r, host: 192.0.2.12, port: 5432}
    shards:
      description: The value of the option O(scaleout.platform.shard_map#module:shards).
      type: list
      elements: dict
      sample: [{id: 0, cluster: pg1, database: shard_0}]
    primaries:
      description: For each primary its C(name), C(host), C(port), the ids of its C(shards) and the C(standbys).
      type: dict
      sample: {pg1: {name: pg1, host: 192.0.2.11, port: 5432, shards: [0], standbys: [pg1r]}}
    standbys:
      description: For each standby its C(name), C(host), C(port), C(primary), and the name of its replication C(slot).
      type: dict
      sample: {pg1r: {name: pg1r, host: 192.0.2.12, port: 5432, primary: pg1, slot: pg1r}}
faults:
  description: Everything that is wrong with the inventory, a sentence each. RV(ignore:msg) is the first of them.
  returned: failure
  type: list
  elements: str
  sample:
    - The group consul_server has no host: Consul needs at least one server.
"""
