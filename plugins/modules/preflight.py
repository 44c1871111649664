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
  - Reads the variables of all hosts of the inventory on the controller, and logs in to none of them.
  - Asks the Consul servers for the shard map in force, where the controller reaches them, so that a change that would
    move rows is refused before anything else happens.
  - Fails if no platform can be made of the inventory, with everything that is wrong with it, each in a sentence that
    names the host and the variable (RV(problems)). Otherwise it returns the topology.
  - Warns of what is possible and probably not what was meant.
  - Only the variables that matter here are evaluated, so what is undefined elsewhere does no harm.
options:
  secrets:
    description:
      - Names of variables that must have a value on every host of the inventory, beside those that C(applications)
        names.
      - A missing or empty one is reported by its name. No value is ever shown.
    type: list
    elements: str
    default: []
  fleet_providers:
    description: The values that the variable C(fleet_provider) may have.
    type: list
    elements: str
    default: [docker, static]
  sources:
    description:
      - Whether the directories and archives that applications are deployed from have to be on the controller. What the
        tags of the run or its limit leave out is not looked for.
    type: bool
    default: false
    version_added: 0.2.0
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
  - scaleout.platform.attributes.action
notes:
  - Group C(postgres) has the database servers, C(consul_server) the Consul servers, of which there must be one, and
    C(loadbalancer) the load balancers.
  - For every host it reads C(platform_address), C(ansible_host) and C(fleet_provider); for the platform
    C(postgres_clusters), C(applications) and C(platform_shard_buckets), which belong into C(group_vars/all); for
    database servers C(postgres_cluster), C(postgres_port) and C(pgbouncer_port); and what the rules of the services
    read.
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
      - postgres_patroni_password
      - pgbouncer_password
  register: platform

- name: Publish the shard map
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    clusters: "{{ platform.topology.clusters }}"
    shards: "{{ platform.topology.shards }}"
"""

RETURN = r"""
services:
  description:
    - What this run is about on each host, by its tags. The C(services), those that count while Consul has no quorum
      (C(first_aid)), and the C(applications); each with its C(name) and its C(role).
    - The C(settings) are, by application, the variables of the role C(app) without their prefix, and without secrets.
  returned: success
  type: dict
  sample:
    lb1: {services: [{name: nginx, role: scaleout.platform.nginx}], first_aid: [], applications: [], settings: {}}
sampled:
  description:
    - What C(collect.yml) samples on each host, for each application its C(name) and its C(port); and on a database
      server that a guard of its policy looks at, the C(pooler_port) and the C(pooler_databases).
  returned: success
  type: dict
  sample:
    api1: [{name: shop, port: 8000, pooler_port: null, pooler_databases: []}]
    pg1: [{name: shop, port: null, pooler_port: 6432, pooler_databases: [shop]}]
upkeep:
  description:
    - What C(maintain.yml) keeps in which C(database), by the host whose server takes writes. The C(partition_sets),
      C(summaries) and C(materialized_views) are options of the modules of these names.
  returned: success
  type: dict
  sample:
    pg1:
      - database: shop
        partition_sets: [{table: orders, column: placed_at, interval: month}]
        summaries: []
        materialized_views: []
description:
  description: The platform in a few lines for a person.
  returned: success
  type: list
  elements: str
  sample: ["VM   address     what runs there", "lb1  192.0.2.10  nginx"]
warnings:
  description: What the platform can live with and an operator should know, a sentence each.
  returned: success
  type: list
  elements: str
  sample:
    - >-
      api3 is in the group api of the inventory and is no member of it, because the record in Consul does not name it;
      playbooks/scale.yml -e api=<count> makes members of hosts of the inventory first.
topology:
  description: The platform's databases and applications.
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
    servers:
      description:
        - For each database server its C(name), C(host), C(port), C(cluster), the C(leader) of that and whether it
          C(leads) itself, and the C(shards) and all C(databases) of the cluster.
      type: dict
      sample:
        pg1r:
          name: pg1r
          host: 192.0.2.12
          port: 5432
          cluster: pg1
          leader: pg1
          leads: false
          shards: [0]
          databases: [shard_0]
    applications:
      description:
        - For each application its C(name), C(group), C(role), its C(service) in Consul, its C(port), C(database),
          C(site) and C(pool). What it does not have is null.
      type: dict
      sample:
        shop:
          name: shop
          group: api
          role: scaleout.platform.app
          service: shop
          port: 8000
          database: {name: shop, owner: shop, cluster: pg1}
          site: {server_name: [shop.example], listen: ["80"], options: {}}
          pool: {min: 2, max: 5}
problems:
  description: Everything that is wrong with the inventory. RV(ignore:msg) only says how much that is.
  returned: failure
  type: list
  elements: dict
  contains:
    code:
      description: What a program may branch on.
      type: str
      sample: empty_group
    host:
      description:
        - Inventory name of the host; empty where the problem is the platform's, or several hosts share it. The text
          names them then.
      type: str
      sample: ""
    text:
      description: The problem in words.
      type: str
      sample: the group consul_server has no host; Consul needs at least one server
code:
  description: V(invalid_inventory).
  returned: failure
  type: str
  sample: invalid_inventory
"""
