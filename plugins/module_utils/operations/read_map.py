# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read a shard map and its earlier versions from Consul, and find the shards of keys."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import ranges, stored
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.lookup import shard_of
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.map import ShardMap


class NoMap(Refused):
    """A key, or a version of it, that holds no map."""

    CODE = "no_map"


class MapStore:
    """A shard map in Consul: under its key, and its versions beside it.

    :param key: the map's, of Consul's KV.
    :raises InvalidInput: it can be no key.
    """

    def __init__(self, consul: Consul, key: str) -> None:
        self.consul = consul
        self.key = stored.check_key(key)

    def published(self) -> documents.Document | None:
        """Return the document of the map in force; None where there is none."""
        return documents.read(self.consul, self.key)

    def history(self) -> dict[int, documents.Document]:
        """Return the documents of the versions that are kept, the oldest first, in one request."""
        found = documents.read_folder(self.consul, stored.folder(self.key))
        return {version: found[stored.key_of(self.key, version)] for version in stored.versions(self.key, found)}

    def decode(self, document: documents.Document, remark: str = "") -> ShardMap:
        """Return the map that a document is.

        :param remark: a clause about what follows when it is none.
        :raises Refused: it is none; the code is ``invalid_map``.
        """
        return stored.decode(document.text, document.key, self.consul.place, remark)


def published(options: t.Mapping[str, t.Any], key: str) -> ShardMap:
    """Return the map in force.

    :param options: those of :data:`consul.client.ARGUMENTS`.
    :raises NoMap: there is none.
    :raises Refused: the key holds something else; :raises Unreachable: Consul does not say.
    """
    stored.check_key(key)
    consul = Consul.from_options(options)
    try:
        store = MapStore(consul, key)
        document = store.published()
    finally:
        consul.close()
    if document is None:
        raise NoMap(f"The key {key} in Consul at {consul.place} holds no map.", key=key)
    return store.decode(document)


def first_published(servers: t.Iterable[t.Mapping[str, t.Any]], key: str) -> ShardMap | None:
    """Return the map in force, or where its key is gone the last one; None where there is none, or none is known.

    :param servers: the options of :data:`consul.client.ARGUMENTS` for each Consul server, asked until one answers.
    """
    for options in servers:
        consul = Consul.from_options(options)
        try:
            store = MapStore(consul, key)
            document = store.published()
            if document is None:
                history = store.history()
                document = history[max(history)] if history else None
            return store.decode(document) if document else None
        except Unreachable:
            continue
        except Refused:
            # It is not overwritten either; the task that publishes says why.
            return None
        finally:
            consul.close()
    return None


class ReadMap(Task):
    """Reads the map and its history in two requests."""

    def __init__(self, store: MapStore, params: t.Mapping[str, t.Any]) -> None:
        self._store = store
        self._keys = params["keys"]
        self._kind = params["kind"]
        self._version = params["version"]

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> ReadMap:
        """The task that the options of the module ``shard_map_info`` describe.

        :raises InvalidInput: an option that can never work.
        """
        stored.check_key(params["key"])
        if params["version"] is not None and params["version"] < 1:
            raise InvalidInput("version", params["version"], "is not a version, which is a number from 1 on")
        return cls(MapStore(Consul.from_options(params), params["key"]), params)

    def plan(self) -> Plan:
        document = self._store.published()
        history = self._store.history()
        in_force = self._store.decode(document) if document else None
        shown = in_force if self._version is None else self._kept(in_force, history)
        if self._keys and shown is None:
            raise NoMap(
                f"The key {self._store.key} in Consul at {self._store.consul.place} holds no map, so no key has a "
                "shard.",
                key=self._store.key,
            )
        result = {
            "published": in_force is not None,
            "version": shown.version if shown else 0,
            "map": shown.document() if shown else {},
            "text": shown.text() if shown else "",
            "owned": self._owned(shown) if shown else {},
            "history": [self._described(version, history[version], in_force) for version in reversed(list(history))],
            "keys_found": [dict(shard_of(key, shown, self._kind), key=key) for key in self._keys] if shown else [],
        }
        return Plan(before="", after="", result=result)

    def apply(self, plan: Plan) -> None:
        """Never called: there is nothing to do."""

    def close(self) -> None:
        self._store.consul.close()

    def _kept(self, in_force: ShardMap | None, history: t.Mapping[int, documents.Document]) -> ShardMap:
        if in_force and in_force.version == self._version:
            return in_force
        if self._version not in history:
            kept = ", ".join(map(str, history)) or "none"
            raise NoMap(f"version: {self._version} of the map {self._store.key} is not kept; these are: {kept}.")
        return self._store.decode(history[self._version])

    def _described(self, version: int, document: documents.Document, in_force: ShardMap | None) -> dict[str, t.Any]:
        try:
            text, valid = self._store.decode(document).text(), True
        except Refused as problem:
            text, valid = problem.message, False
        return {
            "version": version,
            "published_at": stored.published_at(document.flags),
            "in_force": in_force is not None and in_force.version == version,
            "valid": valid,
            "text": text,
        }

    @staticmethod
    def _owned(shard_map: ShardMap) -> dict[str, int]:
        sizes = ranges.sizes(shard_map.ranges)
        return {str(shard.id): sizes.get(shard.id, 0) for shard in shard_map.shards}
