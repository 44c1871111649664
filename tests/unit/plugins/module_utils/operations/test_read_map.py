# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is told of a Consul that is a dict."""

from __future__ import annotations

import json

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Entry
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Denied, Refused, Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.operations import read_map
from ansible_collections.scaleout.platform.plugins.module_utils.operations.read_map import MapStore, ReadMap

KEY = "6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7"

MEMBERS = [{"name": "pg1", "host": "pg1", "port": 5432}]


def document(version):
    return {
        "format": 2,
        "version": version,
        "buckets": 4096,
        "clusters": {"main": MEMBERS},
        "shards": {"3": {"cluster": "main", "database": f"d{version}"}},
        "ranges": [[0, 4095, "3"]],
    }


def entry(version, flags=0):
    return Entry(json.dumps(document(version)).encode(), version, flags)


class FakeConsul:
    place = "127.0.0.1:8500"

    def __init__(self, **kv):
        self.kv = {key.replace("_", ".history/"): value for key, value in kv.items()}

    def get(self, key):
        return self.kv.get(key)

    def close(self):
        self.closed = True

    def entries(self, folder):
        return {key: value for key, value in self.kv.items() if key.startswith(f"{folder}/")}


def read(consul, **params):
    return ReadMap(MapStore(consul, "m"), {"keys": [], "kind": "uuid", "version": None, **params}).plan().result


def test_the_map_in_force_and_its_history():
    consul = FakeConsul(m=entry(2), m_1=entry(1), m_2=entry(2, 1764000000), m_x=Entry(b"x", 1), m_3=Entry(b"x", 1))
    result = read(consul, keys=[KEY])
    assert (result["published"], result["version"], result["map"]) == (True, 2, document(2))
    assert result["text"] == (
        "version 2, 4096 buckets\ncluster main: pg1 (pg1:5432)\nshard 3: database d2 of main, buckets 0-4095\n"
    )
    assert result["owned"] == {"3": 4096}
    assert [
        (kept["version"], kept["published_at"], kept["in_force"], kept["valid"], kept["text"][:18])
        for kept in result["history"]
    ] == [
        (3, None, False, False, "The key m.history/"),
        (2, "2025-11-24T16:00:00Z", True, True, "version 2, 4096 bu"),
        (1, None, False, True, "version 1, 4096 bu"),
    ]
    assert result["keys_found"] == [
        {"key": KEY, "bucket": 314, "id": 3, "cluster": "main", "database": "d2", "members": MEMBERS}
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_kept_or_in_force(version):
    result = read(FakeConsul(m=entry(2), m_1=entry(1)), version=version, keys=[17], kind="bigint")
    assert (result["map"], result["keys_found"][0]["database"]) == (document(version), f"d{version}")


def test_no_map_is_an_answer():
    result = read(FakeConsul(m_1=entry(1)))
    assert (result["published"], result["version"], result["map"], result["text"]) == (False, 0, {}, "")
    assert [kept["version"] for kept in result["history"]] == [1]


@pytest.mark.parametrize(
    ("consul", "params", "code", "says"),
    [
        (FakeConsul(), {"keys": [KEY]}, "no_map", "holds no map, so no key has a shard"),
        (
            FakeConsul(m=Entry(b"x", 1)),
            {},
            "invalid_map",
            "The key m in Consul at 127.0.0.1:8500 holds something",
        ),
        (FakeConsul(m=entry(2)), {"keys": ["x"]}, "invalid_key", "'x' is not a uuid"),
        (
            FakeConsul(m=entry(2), m_1=entry(1)),
            {"version": 3},
            "no_map",
            "version: 3 of the map m is not kept; these are: 1",
        ),
        (FakeConsul(), {"version": 3}, "no_map", "is not kept; these are: none"),
    ],
)
def test_what_has_no_answer(consul, params, code, says):
    with pytest.raises(Refused, match=says) as refused:
        read(consul, **params)
    assert refused.value.code == code


class Failing(FakeConsul):
    """A Consul that says nothing of the kind."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def get(self, key):
        raise self.error("Consul", "192.0.2.61", 8500, "no reason")


@pytest.mark.parametrize(
    ("servers", "version"),
    [
        ([], None),
        ([FakeConsul()], None),
        ([FakeConsul(m=entry(2), m_2=entry(2))], 2),
        # The key is gone, and its rows are where the last version says.
        ([FakeConsul(m_1=entry(1), m_2=entry(2))], 2),
        ([Failing(Unreachable), FakeConsul(m=entry(2))], 2),
        ([Failing(Unreachable), Failing(Denied)], None),
        ([FakeConsul(m=Entry(b"hello", 1)), FakeConsul(m=entry(2))], None),
    ],
)
def test_s5_the_first_server_that_says_is_believed(monkeypatch, servers, version):
    asked = iter(servers)
    monkeypatch.setattr(read_map.Consul, "from_options", lambda _options: next(asked))
    found = read_map.first_published([{} for _server in servers], "m")
    assert (found.version if found else None) == version
    left = list(asked)
    assert all(server.closed for server in servers if server not in left)
