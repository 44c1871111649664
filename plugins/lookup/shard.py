# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup ``shard``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: shard
short_description: Find the shard of a key
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Computes the bucket of each key as P(scaleout.platform.bucket_of#filter) does, and returns the shard that owns it.
  - Reads the map that M(scaleout.platform.shard_map) has published in Consul, once for all keys of the lookup, unless
    it is given as O(map).
  - A lookup runs on the controller, so O(consul_host) is a Consul that the controller reaches.
options:
  _terms:
    description:
      - The keys. A uuid is text such as V(6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7).
      - A bigint may be text, since a template often makes text of a number.
    type: list
    elements: raw
    required: true
  kind:
    description: PostgreSQL type of the keys' column.
    type: str
    choices: [uuid, text, bigint]
    default: uuid
  want:
    description:
      - V(shard) for all that the map says about the shard.
      - V(id) for its number only.
      - V(endpoint) for the members of its cluster and its database as a PostgreSQL URL has them, such as
        V(192.0.2.11:5432,192.0.2.12:5432/shard_0), with the ports of the connection poolers where there are some. With
        C(target_session_attrs=read-write) a client of libpq finds the member that takes writes.
    type: str
    choices: [shard, id, endpoint]
    default: shard
  map:
    description:
      - The shard map to look in, as M(scaleout.platform.shard_map_info) returns it, or its JSON text.
      - Consul is not asked then.
    type: raw
  key:
    description: The key of Consul's KV that holds the map.
    type: str
    default: scaleout/shard_map
extends_documentation_fragment:
  - scaleout.platform.consul
seealso:
  - module: scaleout.platform.shard_map
  - module: scaleout.platform.shard_map_info
  - plugin: scaleout.platform.shard_of
    plugin_type: filter
  - plugin: scaleout.platform.bucket_of
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show where the rows of a user are
  ansible.builtin.debug:
    msg: "postgresql://app@{{ endpoint }}?target_session_attrs=read-write"
  vars:
    endpoint: >-
      {{ lookup('scaleout.platform.shard', '6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7', want='endpoint',
                consul_host=hostvars[groups['consul_server'][0]].ansible_host, consul_token=consul_management_token) }}

- name: Show the shards of three customers
  ansible.builtin.debug:
    msg: "{{ query('scaleout.platform.shard', 17, 18, 19, kind='bigint', want='id', map=published.map) }}"
"""

RETURN = r"""
_list:
  description:
    - The shard of each key; what an item is, O(want) says.
    - A V(shard) is a dictionary of C(id), C(bucket), C(cluster), C(database) and C(members).
  type: list
  elements: raw
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed
from ansible_collections.scaleout.platform.plugins.module_utils.operations import read_map
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import lookup
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import map as shard_maps


class LookupModule(LookupBase):
    def run(self, terms: list, variables: dict | None = None, **kwargs: t.Any) -> list:
        """Return an item for each key.

        :raises AnsibleLookupError: there is no map, or what was given is no key.
        """
        self.set_options(var_options=variables, direct=kwargs)
        try:
            shard_map = self._map()
            shards = [lookup.shard_of(term, shard_map, self.get_option("kind")) for term in terms]
        except shard_maps.InvalidMap as error:
            raise AnsibleLookupError(f"shard: [{error.code}] The map is not a shard map. {error.message}") from None
        except ScaleoutError as error:
            raise AnsibleLookupError(f"shard: {error.coded}") from None
        wanted = {"shard": dict, "id": _id, "endpoint": _endpoint}[self.get_option("want")]
        return [wanted(shard) for shard in shards]

    def _map(self) -> shard_maps.ShardMap:
        given = self.get_option("map")
        if given is not None:
            return shard_maps.decode(given) if isinstance(given, (str, bytes)) else shard_maps.read(given)
        return read_map.published(self.get_options(), self.get_option("key"))


def _id(shard: dict) -> int:
    return shard["id"]


def _endpoint(shard: dict) -> str:
    return f"{','.join(map(_address, shard['members']))}/{shard['database']}"


def _address(server: dict) -> str:
    return f"{bracketed(server['host'])}:{server.get('pooler_port', server['port'])}"
