# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What several tests of plugins ask: a Consul that is a dict, where what is asked counts and not how; a real Redis."""

from __future__ import annotations

import json

import pytest
import redis

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Check, Delete, Entry, check_size
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_store import Settings
from tests.unit import redis_server


class DictConsul:
    """Carries out what is asked of it as Consul would, and counts the requests.

    :ivar before_commit: called before each commit, such as a rival who is faster.
    """

    host, port, place = "127.0.0.1", 8500, "127.0.0.1:8500"

    def __init__(self) -> None:
        self.kv, self.index, self.requests, self.before_commit = {}, 0, 0, None

    def get(self, key):
        self.requests += 1
        return self.kv.get(key)

    def entries(self, folder):
        self.requests += 1
        return {key: entry for key, entry in self.kv.items() if key.startswith(f"{folder}/")}

    def commit(self, operations):
        if self.before_commit:
            self.before_commit()
        check_size(operations)
        self.requests += 1
        self.index += 1
        for operation in operations:
            held = self.kv.get(operation.key)
            if operation.modify_index not in (None, held.modify_index if held else 0):
                return None
        written = {}
        for operation in operations:
            if isinstance(operation, Check):
                continue
            if isinstance(operation, Delete):
                self.kv.pop(operation.key, None)
            else:
                self.kv[operation.key] = Entry(operation.value, self.index, operation.flags)
                written[operation.key] = self.index
        return written

    def close(self):
        pass

    def hold(self, key, text, flags=0):
        """Another client writes a key."""
        self.index += 1
        self.kv[key] = Entry(text, self.index, flags)

    def held(self, key):
        """The JSON under a key."""
        return json.loads(self.kv[key].value)


@pytest.fixture(name="consul")
def _consul():
    return DictConsul()


@pytest.fixture(scope="module", name="port")
def _port(tmp_path_factory):
    """That of a Redis, as the role configures the metric store."""
    with redis_server.running(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(name="server")
def _server(port):
    """A client of its own, which looks at what the store did; the store is empty."""
    with redis.Redis(port=port, password=redis_server.PASSWORD) as client:
        client.flushall()
        client.config_set("maxmemory", "0")
        yield client


@pytest.fixture(name="store_settings")
def _store_settings(server, port):
    """How that store is reached."""
    return Settings("127.0.0.1", port, password=redis_server.PASSWORD)
