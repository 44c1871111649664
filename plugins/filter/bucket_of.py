# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``bucket_of``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bucket_of
short_description: Compute the bucket of a key as PostgreSQL does
version_added: 0.1.0
author: The scaleout.platform team (@scaleout)
description:
  - Computes the remainder that PostgreSQL itself uses for C(PARTITION BY HASH).
  - The same number in SQL, for a uuid key and 4096 buckets, is
    C(((uuid_hash_extended(key, 8816678312871386365) & 4095) + 2275) & 4095).
positional: kind, buckets
options:
  _input:
    description:
      - The key. A uuid is text such as V(6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7).
      - A bigint may be text, since a template often makes text of a number.
    type: raw
    required: true
  kind:
    description: PostgreSQL type of the key's column.
    type: str
    choices: [uuid, text, bigint]
    default: uuid
  buckets:
    description: Number of buckets of the map.
    type: int
    default: 4096
seealso:
  - plugin: scaleout.platform.shard_of
    plugin_type: filter
  - plugin: scaleout.platform.shard
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show the bucket of a user
  ansible.builtin.debug:
    msg: "{{ '6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7' | scaleout.platform.bucket_of }}"

- name: Show the bucket of a number
  ansible.builtin.debug:
    msg: "{{ 42 | scaleout.platform.bucket_of(kind='bigint') }}"
"""

RETURN = r"""
_value:
  description: The bucket, a number from 0 on.
  type: int
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.scaleout.platform.plugins.module_utils.sharding import hashing, keys
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.lookup import InvalidKey


def bucket_of(key: t.Any, kind: str = "uuid", buckets: int = hashing.BUCKETS) -> int:
    """Return the bucket of a key.

    :raises AnsibleFilterError: the key is no value of ``kind``, or there is no such kind.
    """
    try:
        return hashing.bucket_of(keys.from_template(key, kind), kind, buckets)
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"bucket_of: [{InvalidKey.CODE}] {error}.") from None


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable]:
        return {"bucket_of": bucket_of}
