# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters as templates use them."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scaleout.platform.plugins.filter import bucket_of, shard_of

KEY = "6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7"
SERVER = {"name": "pg1", "host": "192.0.2.11", "port": 5432}
MAP = {
    "format": 2,
    "version": 1,
    "buckets": 4096,
    "clusters": {"main": [SERVER]},
    "shards": {"0": {"cluster": "main", "database": "shard_0"}, "7": {"cluster": "main", "database": "shard_7"}},
    "ranges": [[0, 313, "0"], [314, 314, "7"], [315, 4095, "0"]],
}
bucket = bucket_of.FilterModule().filters()["bucket_of"]
shard = shard_of.FilterModule().filters()["shard_of"]


def test_a_bucket_is_the_one_of_the_vectors():
    assert bucket(KEY) == 314
    assert bucket("", "text") == 2214
    assert bucket(42, kind="bigint") == bucket("42", kind="bigint")
    assert bucket("-42", kind="bigint") == bucket(-42, kind="bigint")
    assert bucket(KEY, buckets=16) == 314 % 16


@pytest.mark.parametrize("shard_map", [MAP, json.dumps(MAP), json.dumps(MAP).encode()])
def test_a_shard_is_the_owner_of_the_bucket(shard_map):
    assert shard(KEY, shard_map) == {"id": 7, "bucket": 314, **MAP["shards"]["7"], "members": [SERVER]}
    assert shard("", shard_map, kind="text")["id"] == 0


@pytest.mark.parametrize(
    ("key", "kind", "says"),
    [
        ("hello", "uuid", r"bucket_of: \[invalid_key\] 'hello' is not a uuid"),
        (None, "uuid", r"bucket_of: \[invalid_key\] a uuid key is"),
        (KEY, "int", r"bucket_of: \[invalid_key\] 'int' is not a kind of key"),
        ("4 2", "bigint", r"bucket_of: \[invalid_key\] a bigint key is an int"),
        ("٤٢", "bigint", r"bucket_of: \[invalid_key\] a bigint key is an int"),
        ("9223372036854775808", "bigint", "out of range for a bigint"),
        (7, "text", r"bucket_of: \[invalid_key\] a text key is a str"),
        ({}, "text", r"bucket_of: \[invalid_key\] a text key is a str"),
    ],
)
def test_what_is_no_key_is_an_error_of_the_template(key, kind, says):
    with pytest.raises(AnsibleFilterError, match=says):
        bucket(key, kind)
    with pytest.raises(AnsibleFilterError, match=says.replace("bucket_of", "shard_of")):
        shard(key, MAP, kind)


@pytest.mark.parametrize("buckets", [0, -1, "4096", None, 4096.0])
def test_what_is_no_number_of_buckets_is_an_error_of_the_template(buckets):
    with pytest.raises(AnsibleFilterError, match=r"bucket_of: \[invalid_key\] .* is not a number of buckets"):
        bucket(KEY, buckets=buckets)


@pytest.mark.parametrize("shard_map", [None, {}, [], "", "{", 7, {**MAP, "ranges": []}])
def test_what_is_no_map_is_an_error_of_the_template(shard_map):
    with pytest.raises(AnsibleFilterError, match=r"^shard_of: \[invalid_map\] The map is not a shard map"):
        shard(KEY, shard_map)
