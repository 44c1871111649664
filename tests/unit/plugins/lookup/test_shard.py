# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup as templates use it."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleLookupError

from ansible_collections.scaleout.platform.plugins.lookup import shard as plugin
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import ARGUMENTS, Entry
from ansible_collections.scaleout.platform.plugins.module_utils.operations import read_map

KEY, OTHER = "6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7", "00000000-0000-0000-0000-000000000000"
MAP = {
    "format": 2,
    "version": 1,
    "buckets": 4096,
    "clusters": {
        "one": [
            {"name": "pg1", "host": "192.0.2.11", "port": 5432},
            {"name": "pg1r", "host": "192.0.2.12", "port": 5432},
        ],
        "two": [{"name": "pg2", "host": "2001:db8::7", "port": 5432, "pooler_port": 6432}],
    },
    "shards": {"0": {"cluster": "one", "database": "shard_0"}, "7": {"cluster": "two", "database": "shard_7"}},
    "ranges": [[0, 313, "0"], [314, 314, "7"], [315, 4095, "0"]],
}


class FakeConsul:
    place = "127.0.0.1:8500"

    def __init__(self, options, kv):
        self.options, self.kv, self.asked = options, kv, []

    def get(self, key):
        self.asked.append(key)
        return self.kv.get(key)

    def close(self):
        self.asked.append("closed")


@pytest.fixture(name="consul")
def _consul(monkeypatch):
    """A Consul that holds the map; what was asked of it, and with which options."""
    fake = FakeConsul(None, {"scaleout/shard_map": Entry(json.dumps(MAP).encode(), 1), "garbage": Entry(b"x", 1)})

    def from_options(options):
        fake.options = options
        return fake

    monkeypatch.setattr(read_map.Consul, "from_options", from_options)
    return fake


class Lookup(plugin.LookupModule):
    """With the options that Ansible would have read from the documentation."""

    def __init__(self):
        self.given = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
        self.given.update(kind="uuid", want="shard", map=None, key="scaleout/shard_map")

    def set_options(self, var_options=None, direct=None):
        self.given.update(direct)

    def get_option(self, option):
        return self.given[option]

    def get_options(self):
        return self.given


def look_up(*terms, **options):
    return Lookup().run(list(terms), {}, **options)


@pytest.mark.parametrize("given", [MAP, json.dumps(MAP), json.dumps(MAP).encode()])
def test_a_map_that_is_given_is_looked_up_in(consul, given):
    assert look_up(KEY, OTHER, map=given) == [
        {"id": 7, "bucket": 314, **MAP["shards"]["7"], "members": MAP["clusters"]["two"]},
        {"id": 0, "bucket": 2981, **MAP["shards"]["0"], "members": MAP["clusters"]["one"]},
    ]
    assert consul.asked == []


def test_consul_is_asked_once_for_all_keys(consul):
    assert look_up(KEY, OTHER, want="id", consul_token="t", consul_port=1) == [7, 0]
    assert consul.asked == ["scaleout/shard_map", "closed"]
    assert (consul.options["consul_token"], consul.options["consul_port"]) == ("t", 1)


def test_an_endpoint_is_text(consul):
    assert look_up(KEY, OTHER, want="endpoint") == [
        "[2001:db8::7]:6432/shard_7",
        "192.0.2.11:5432,192.0.2.12:5432/shard_0",
    ]


@pytest.mark.parametrize(
    ("term", "options", "says"),
    [
        ("hello", {}, r"^shard: \[invalid_key\] 'hello' is not a uuid"),
        ("four", {"kind": "bigint"}, r"^shard: \[invalid_key\] a bigint key is an int, not str"),
        (KEY, {"map": {}}, r"^shard: \[invalid_map\] The map is not a shard map. Its format is None"),
        (KEY, {"map": "{"}, r"^shard: \[invalid_map\] The map is not a shard map. It is not JSON"),
        (KEY, {"key": "nothing"}, r"^shard: \[no_map\] The key nothing in Consul at 127.0.0.1:8500 holds no"),
        (
            KEY,
            {"key": "garbage"},
            r"^shard: \[invalid_map\] The key garbage in .* is not a shard map: It is not JSON",
        ),
        (KEY, {"key": "/"}, r"^shard: \[invalid_input\] key: '/' is not a key of Consul's KV"),
    ],
)
def test_what_cannot_be_looked_up_is_one_sentence(consul, term, options, says):
    with pytest.raises(AnsibleLookupError, match=says):
        look_up(term, **options)
