#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: shard_map_info
short_description: Show the map from buckets to shards that is in force, and its history
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Reads the map that M(scaleout.platform.shard_map) has published in Consul, and the versions of it that are kept.
  - Finds the bucket and the shard of any number of keys.
  - A key of Consul's KV without a map is an answer, too; one with something that is no map is an error.
options:
  key:
    description: The key of Consul's KV that holds the map.
    type: str
    default: scaleout/shard_map
  keys:
    description:
      - Keys of rows, whose shards are returned.
      - A bigint may be text, since a template often makes text of a number.
    type: list
    elements: raw
    default: []
  kind:
    description: PostgreSQL type of the column of O(keys).
    type: str
    choices: [uuid, text, bigint]
    default: uuid
  version:
    description:
      - The version of the map to return and to look O(keys) up in, one of those that are kept.
      - When not given, it is the one in force.
    type: int
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_consul
  - scaleout.platform.attributes.info
seealso:
  - module: scaleout.platform.shard_map
  - plugin: scaleout.platform.shard
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Read the map in force
  scaleout.platform.shard_map_info:
    consul_token: "{{ consul_management_token }}"
  register: published

- name: Show it as a person reads it
  ansible.builtin.debug:
    msg: "{{ published.text.splitlines() }}"

- name: Find the shard of a user
  scaleout.platform.shard_map_info:
    consul_token: "{{ consul_management_token }}"
    keys: [6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7]
  register: found

- name: Show where the rows of the user are
  ansible.builtin.debug:
    msg: "{{ found.keys_found[0].database }} of the cluster {{ found.keys_found[0].cluster }}"
"""

RETURN = r"""
published:
  description: Whether the key holds a map.
  returned: success
  type: bool
  sample: true
version:
  description: The version of RV(map); V(0) where there is no map.
  returned: success
  type: int
  sample: 2
map:
  description: The document that clients read; empty where there is none.
  returned: success
  type: dict
  sample:
    format: 2
    version: 2
    buckets: 4096
    clusters:
      main:
        - {name: pg1, host: 192.0.2.11, port: 5432}
        - {name: pg1r, host: 192.0.2.12, port: 5432}
    shards:
      "0": {cluster: main, database: shard_0}
    ranges: [[0, 4095, "0"]]
text:
  description: The same as a person reads it, a line for each cluster and each shard.
  returned: success
  type: str
  sample: |
    version 2, 4096 buckets
    cluster main: pg1 (192.0.2.11:5432), pg1r (192.0.2.12:5432)
    shard 0: database shard_0 of main, buckets 0-4095
owned:
  description: The number of buckets of each shard, by its id.
  returned: success
  type: dict
  sample: {"0": 4096}
history:
  description: The versions that are kept, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    version:
      description: Number of the version.
      type: int
      sample: 2
    published_at:
      description: When it was published, in UTC; V(null) where it was not noted.
      type: str
      sample: "2026-01-31T12:00:00Z"
    in_force:
      description: Whether it is the map in force.
      type: bool
      sample: true
    valid:
      description: Whether it can be read; one that cannot is never used.
      type: bool
      sample: true
    text:
      description: The version as a person reads it, or what is wrong with it.
      type: str
keys_found:
  description: The shards of O(keys), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    key:
      description: The key.
      type: raw
      sample: 6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7
    bucket:
      description: Bucket of the key.
      type: int
      sample: 314
    id:
      description: Number of the shard that owns the bucket.
      type: int
      sample: 0
    database:
      description: Name of the shard's database.
      type: str
      sample: shard_0
    cluster:
      description: Name of the cluster that has the database.
      type: str
      sample: main
    members:
      description: The cluster's servers. Ask them which one takes writes.
      type: list
      elements: dict
      sample: [{name: pg1, host: 192.0.2.11, port: 5432}]
"""

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.read_map import ReadMap
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import hashing


def main() -> None:
    run(
        lambda module: ReadMap.of(module.params),
        {
            "key": {"type": "str", "default": "scaleout/shard_map", "no_log": False},
            "keys": {"type": "list", "elements": "raw", "default": [], "no_log": False},
            "kind": {"type": "str", "choices": list(hashing.KINDS), "default": "uuid"},
            "version": {"type": "int"},
            **ARGUMENTS,
        },
    )


if __name__ == "__main__":
    main()
