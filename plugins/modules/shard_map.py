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
  - A publication is a compare-and-set in one transaction, so two runs cannot overwrite each other, and each that
    changes anything raises the map's version by one.
  - The same transaction keeps a copy of each version beside the map, such as C(scaleout/shard_map.history/7), and
    deletes those that are too old. M(scaleout.platform.shard_map_info) shows them. A map that is too large for Consul
    to take twice at once has its copy written before it, and without the copy it is not published.
  - A map that Consul does not take at all, of more than some 380 kB, is refused before anything is written, in check
    mode as well.
  - A change of endpoints (a new address, one more member, another leader) is published. A change that would send
    the readers of a bucket to a database without its rows is refused, and every such move is named.
  - What the key holds already is never overwritten unless it is a valid map. A map of format 1 is read and published
    again in format 2, as the next version.
options:
  clusters:
    description: The PostgreSQL clusters that the shards live in.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the cluster, as O(shards[].cluster) has it.
        type: str
        required: true
      members:
        description:
          - Servers that hold the same databases. One takes writes and the others follow it; the map does not say which.
          - As long as the platform fails over to no other member, the first one takes the writes.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description:
              - Name of the server, by which it is known again when its address changes.
              - By default its O(clusters[].members[].host).
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
              - Port of the connection pooler on the same host, such as PgBouncer's V(6432). Clients whose
                transactions are short connect there; migrations use the port of the server.
              - By default there is none.
            type: int
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
      cluster:
        description: Name of the cluster that has the database, one of O(clusters).
        type: str
        required: true
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
  keep_versions:
    description:
      - How many versions of the map are kept, with the one in force.
      - Older ones are deleted when the next version is published.
    type: int
    default: 10
  expected_version:
    description:
      - The version of the map that this change was made for, V(0) for none. The task fails if it would have to publish
        a change and another version is in force.
      - When not given, the change starts from whatever is in force.
    type: int
  login_user:
    description:
      - Name of the PostgreSQL role that asks for an estimate when rows would have to move. It may be any that can
        connect to the databases of the shards.
      - Only then, the task connects to the leader of each shard that would give rows away, and runs one query.
      - When empty, a refusal names the moves without their rows and bytes.
    type: str
    default: ''
  state:
    description: The map is published.
    type: str
    choices: [present]
    default: present
extends_documentation_fragment:
  - scaleout.platform.consul
  - scaleout.platform.postgres.client
  - scaleout.platform.attributes
  - scaleout.platform.attributes.action_group_consul
  - scaleout.platform.attributes.planned
requirements:
  - For O(login_user) only, psycopg2 on the host where the module runs (C(python3-psycopg2) on Debian).
notes:
  - The token needs to write the key and the folder of the same name with C(.history) behind it.
  - An estimate uses the statistics of the source database and the share of its buckets that would move. It counts all
    tables of the database, including those that are not sharded.
  - If the key is gone and its history is not, the map continues from the last version of the history, so that neither
    rows nor the order of the versions are lost.
seealso:
  - module: scaleout.platform.shard_map_info
  - plugin: scaleout.platform.shard
    plugin_type: lookup
  - plugin: scaleout.platform.bucket_of
    plugin_type: filter
  - plugin: scaleout.platform.shard_of
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Publish a map of two shards that own half of the buckets each
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    clusters:
      - name: main
        members:
          - {name: pg1, host: pg1.internal}
          - {name: pg1r, host: pg1r.internal}
      - name: second
        members:
          - {name: pg2, host: pg2.internal}
    shards:
      - {id: 0, cluster: main}
      - {id: 1, cluster: second}

- name: Give the larger cluster three quarters of the buckets
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    key: scaleout/archive/shard_map
    clusters:
      - {name: main, members: [{name: pg1, host: pg1.internal}]}
      - {name: second, members: [{name: pg2, host: pg2.internal}]}
    shards:
      - {id: 0, cluster: main, database: archive_0, weight: 3}
      - {id: 1, cluster: second, database: archive_1}

- name: Say which shard owns which buckets
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    key: scaleout/events/shard_map
    clusters:
      - {name: main, members: [{name: pg1, host: pg1.internal}]}
      - {name: second, members: [{name: pg2, host: pg2.internal}]}
    shards:
      - id: 0
        cluster: main
        buckets: [[0, 1023], [3072, 4095]]
      - id: 1
        cluster: second
        buckets: [[1024, 3071]]

- name: Ask what another shard would move, changing nothing
  scaleout.platform.shard_map:
    consul_token: "{{ consul_management_token }}"
    login_user: app
    login_password: "{{ app_database_password }}"
    clusters:
      - {name: main, members: [{name: pg1, host: pg1.internal}]}
      - {name: second, members: [{name: pg2, host: pg2.internal}]}
    shards:
      - {id: 0, cluster: main}
      - {id: 1, cluster: second}
      - {id: 2, cluster: second}
  check_mode: true
  register: moves
  failed_when: moves.moves is not defined
"""

RETURN = r"""
map:
  description: The document under the key; in check mode, the one that would be there.
  returned: success
  type: dict
  sample:
    format: 2
    version: 1
    buckets: 4096
    clusters:
      main:
        - {name: pg1, host: 192.0.2.11, port: 5432}
        - {name: pg1r, host: 192.0.2.12, port: 5432}
      second:
        - {name: pg2, host: 192.0.2.21, port: 5432}
    shards:
      "0": {cluster: main, database: shard_0}
      "1": {cluster: second, database: shard_1}
    ranges: [[0, 2047, "0"], [2048, 4095, "1"]]
version:
  description: The version of RV(map).
  returned: success
  type: int
  sample: 1
description:
  description: The map for a person, a line for each cluster and each shard.
  returned: success
  type: list
  elements: str
  sample:
    - version 1, 4096 buckets
    - 'cluster main: pg1 (192.0.2.11:5432), pg1r (192.0.2.12:5432)'
    - 'shard 0: database shard_0 of main, buckets 0-4095'
removed_versions:
  description: The versions that were too old to be kept.
  returned: success
  type: list
  elements: int
  sample: [1]
moves:
  description:
    - What would have to move, when that is why the task is refused.
    - Buckets that change hands are C(first), C(last), C(source) and C(target). A shard that goes to another server is
      C(shard), C(buckets), C(source_database) and C(target_database).
    - With O(login_user), each has C(rows) and C(bytes) as well, unless the source did not answer.
  returned: failure
  type: list
  elements: dict
  sample: [{first: 0, last: 819, source: 0, target: 2, rows: 40000, bytes: 13107200}]
"""

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.publish_map import PublishMap
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection


def main() -> None:
    server = {
        "name": {"type": "str"},
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "default": 5432},
        "pooler_port": {"type": "int"},
    }
    run(
        lambda module: PublishMap.of(module.params),
        {
            "clusters": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "members": {"type": "list", "elements": "dict", "required": True, "options": server},
                },
            },
            "shards": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "id": {"type": "int", "required": True},
                    "database": {"type": "str"},
                    "cluster": {"type": "str", "required": True},
                    "buckets": {"type": "list", "elements": "list"},
                    "weight": {"type": "int"},
                },
                "mutually_exclusive": [("buckets", "weight")],
            },
            "key": {"type": "str", "default": "scaleout/shard_map", "no_log": False},
            "keep_versions": {"type": "int", "default": 10},
            "expected_version": {"type": "int"},
            "state": {"type": "str", "choices": ["present"], "default": "present"},
            **connection.CLIENT_SPEC,
            **ARGUMENTS,
        },
        secrets_in=connection.secrets_in,
    )


if __name__ == "__main__":
    main()
