#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: shard_map
short_description: Publish the map from buckets to shards in Consul
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Declares the shards of an application, their endpoints and the buckets that each of them owns, and publishes them as
    one document under one key of Consul's KV, where every client reads it.
  - The bucket of a key is the remainder that PostgreSQL computes for C(PARTITION BY HASH) with 4096 as its modulus. The
    filter P(scaleout.platform.bucket_of#filter) computes it, too.
  - A publication is a compare-and-set, so two runs cannot overwrite each other, and each that changes anything raises
    the map's version by one.
  - A change of endpoints (a new address, one more replica, a promoted replica) is published. A change that would send
    the readers of a bucket to a database without its rows is refused, and every such move is named.
  - What the key holds already is never overwritten unless it is a valid map.
options:
  shards:
    description:
      - Every shard of the map. A shard that is left out leaves the map, which only one without buckets may do.
      - Either all shards declare their O(shards[].buckets) or none of them does.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Number of the shard, from 0 on. It stays with the shard for life; gaps between numbers are allowed.
        type: int
        required: true
      database:
        description:
          - Name of the shard's database.
          - By default C(shard_) and the number of the shard.
        type: str
      primary:
        description: The server that takes the shard's writes.
        type: dict
        required: true
        suboptions:
          name:
            description:
              - Name of the server, by which it is known again when its address changes.
              - By default its O(shards[].primary.host).
            type: str
          host:
            description: Name or address of the server, as the clients reach it.
            type: str
            required: true
          port:
            description: Port of the server.
            type: int
            default: 5432
          pooler_port:
            description:
              - Port of the connection pooler on the same host, such as PgBouncer's V(6432). Clients whose transactions
                are short connect there; migrations use the port of the server.
              - By default there is none.
            type: int
      replicas:
        description: The servers that follow the primary and may answer reads.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description:
              - Name of the server, by which it is known again when its address changes.
              - By default its O(shards[].replicas[].host).
            type: str
          host:
            description: Name or address of the server, as the clients reach it.
            type: str
            required: true
          port:
            description: Port of the server.
            type: int
            default: 5432
          pooler_port:
            description:
              - Port of the connection pooler on the same host, such as PgBouncer's V(6432). Clients whose transactions
                are short connect there; migrations use the port of the server.
              - By default there is none.
            type: int
      buckets:
        description:
          - The ranges of buckets that the shard owns, each a list of its first and its last bucket.
          - Together, the shards must own each bucket from 0 to 4095 once. An empty list declares a shard without any.
          - Without it, a map in force keeps its ranges, and a first map is divided by O(shards[].weight).
        type: list
        elements: list
      weight:
        description:
          - The shard's part of the buckets, relative to the other shards, at the first publication; V(1) by default.
          - V(0) declares a shard that owns no buckets yet, which is how one is added to a map in force.
        type: int
  key:
    description: The key of Consul's KV that holds the map.
    type: str
    default: scaleout/shard_map
  state:
    description: The map is published.
    type: str
    choices: [present]
    default: present
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.attributes
  - scaleout.platform.attributes.planned
seealso:
  - plugin: scaleout.platform.bucket_of
    plugin_type: filter
  - plugin: scaleout.platform.shard_of
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Publish a map of two shards that own half of the buckets each
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    shards:
      - id: 0
        primary: {name: pg1, host: 192.0.2.11}
        replicas:
          - {name: pg1r, host: 192.0.2.12}
      - id: 1
        primary: {name: pg2, host: 192.0.2.21}

- name: Give the larger server three quarters of the buckets
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    key: scaleout/archive/shard_map
    shards:
      - id: 0
        database: archive_0
        primary: {name: pg1, host: 192.0.2.11}
        weight: 3
      - id: 1
        database: archive_1
        primary: {name: pg2, host: 192.0.2.21}

- name: Say which shard owns which buckets
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    key: scaleout/events/shard_map
    shards:
      - id: 0
        primary: {name: pg1, host: 192.0.2.11}
        buckets: [[0, 1023], [3072, 4095]]
      - id: 1
        primary: {name: pg2, host: 192.0.2.21}
        buckets: [[1024, 3071]]
"""

RETURN = r"""
map:
  description: The document under the key; in check mode, the one that would be there.
  returned: success
  type: dict
  sample:
    format: 1
    version: 1
    buckets: 4096
    shards:
      "0":
        database: shard_0
        primary: {name: pg1, host: 192.0.2.11, port: 5432}
        replicas: [{name: pg1r, host: 192.0.2.12, port: 5432}]
      "1":
        database: shard_1
        primary: {name: pg2, host: 192.0.2.21, port: 5432}
        replicas: []
    ranges: [[0, 2047, "0"], [2048, 4095, "1"]]
version:
  description: The version of RV(map).
  returned: success
  type: int
  sample: 1
moves:
  description: The buckets that would have to move, when that is why the task is refused.
  returned: failure
  type: list
  elements: dict
  sample: [{first: 0, last: 819, source: 0, target: 2}]
"""

import json
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS, Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.module import Task, run
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import map as shard_maps
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.hashing import BUCKETS
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.options import wanted_shards
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.plan import Wanted, next_map

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class PublishMap(Task):
    """Reads the map in force, plans the next one, and writes it if nobody else has written since."""

    def __init__(self, consul: Consul, key: str, wanted: list[Wanted]) -> None:
        self._consul = consul
        self._key = key
        self._wanted = wanted
        self._modify_index = 0  # to Consul: the key must not exist yet

    def plan(self) -> Plan:
        published = self._read()
        planned = next_map(published, self._wanted, BUCKETS)
        return Plan(
            before=published.text() if published else "",
            after=planned.text(),
            actions=() if planned == published else (planned,),
            result={"map": planned.document(), "version": planned.version},
        )

    def apply(self, plan: Plan) -> None:
        (planned,) = plan.actions
        if not self._consul.put(self._key, json.dumps(planned.document()).encode(), self._modify_index):
            raise Conflict(
                f"Somebody else changed the key {self._key} while this task planned version {planned.version}; "
                "nothing was written, and another run starts from what is there now."
            )

    def close(self) -> None:
        self._consul.close()

    def _read(self) -> shard_maps.ShardMap | None:
        entry = self._consul.get(self._key)
        if entry is None:
            return None
        self._modify_index = entry.modify_index
        try:
            return shard_maps.decode(entry.value)
        except shard_maps.InvalidMap as error:
            raise Refused(
                f"The key {self._key} in Consul at {self._consul.host}:{self._consul.port} holds something that is not "
                f"a shard map, and it is not overwritten: {error.message}"
            ) from error


def build(module: AnsibleModule) -> PublishMap:
    key = module.params["key"]
    if not key.isprintable() or not key.strip("/ ") or key.startswith("/"):
        raise InvalidInput("key", key, "is not a key of Consul's KV")
    return PublishMap(Consul.from_options(module.params), key, wanted_shards(module.params["shards"]))


def main() -> None:
    server = {
        "name": {"type": "str"},
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "default": 5432},
        "pooler_port": {"type": "int"},
    }
    run(
        build,
        {
            "shards": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "id": {"type": "int", "required": True},
                    "database": {"type": "str"},
                    "primary": {"type": "dict", "required": True, "options": server},
                    "replicas": {"type": "list", "elements": "dict", "default": [], "options": server},
                    "buckets": {"type": "list", "elements": "list"},
                    "weight": {"type": "int"},
                },
                "mutually_exclusive": [("buckets", "weight")],
            },
            "key": {"type": "str", "default": "scaleout/shard_map", "no_log": False},
            "state": {"type": "str", "choices": ["present"], "default": "present"},
            **ARGUMENTS,
        },
    )


if __name__ == "__main__":
    main()
