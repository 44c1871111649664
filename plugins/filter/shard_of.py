# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``shard_of``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: shard_of
short_description: Find the shard of a key in a shard map
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Computes the bucket of a key with P(scaleout.platform.bucket_of#filter) and looks up who owns it.
positional: map, kind
options:
  _input:
    description: The key, as for P(scaleout.platform.bucket_of#filter).
    type: raw
    required: true
  map:
    description:
      - The shard map that M(scaleout.platform.shard_map) returns, or its JSON text as Consul's KV holds it.
    type: raw
    required: true
  kind:
    description: PostgreSQL type of the key's column.
    type: str
    choices: [uuid, text, bigint]
    default: uuid
seealso:
  - module: scaleout.platform.shard_map
  - module: scaleout.platform.shard_map_info
  - plugin: scaleout.platform.shard
    plugin_type: lookup
  - plugin: scaleout.platform.bucket_of
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the map
  scaleout.platform.shard_map_info:
    consul_token: "{{ consul_management_token }}"
  register: published

- name: Show where the rows of a user are
  ansible.builtin.debug:
    msg: "{{ shard.database }} of the cluster {{ shard.cluster }}"
  vars:
    shard: "{{ '6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7' | scaleout.platform.shard_of(published.map) }}"
"""

RETURN = r"""
_value:
  description: The shard that owns the key's bucket.
  type: dict
  contains:
    id:
      description: Number of the shard.
      type: int
    bucket:
      description: Bucket of the key.
      type: int
    database:
      description: Name of the shard's database.
      type: str
    cluster:
      description: Name of the cluster that has the database.
      type: str
    members:
      description: The cluster's servers, each as C(name), C(host) and C(port). Ask them which one takes writes.
      type: list
      elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import lookup
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import map as shard_maps


def shard_of(key: t.Any, map: t.Any, kind: str = "uuid") -> dict[str, t.Any]:
    """Return the shard of a key.

    :raises AnsibleFilterError: the map is not one, or the key is no value of ``kind``.
    """
    try:
        shard_map = shard_maps.decode(map) if isinstance(map, (str, bytes)) else shard_maps.read(map)
        return lookup.shard_of(key, shard_map, kind)
    except shard_maps.InvalidMap as error:
        raise AnsibleFilterError(f"shard_of: [{error.code}] The map is not a shard map. {error.message}") from None
    except ScaleoutError as error:
        raise AnsibleFilterError(f"shard_of: {error.coded}") from None


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"shard_of": shard_of}
