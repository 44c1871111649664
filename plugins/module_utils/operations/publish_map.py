# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Publish a shard map: the next version under its key and beside it, unless rows would move.

That is one transaction, as long as Consul takes the document twice in one. Of a larger map, the copies for the history
are written first, and the transaction that publishes it goes through only while they are as they were written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents, strict
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import (
    TRANSACTION_LIMIT,
    Check,
    Consul,
    Delete,
    Operation,
    Write,
    check_size,
    fits,
)
from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Conflict,
    InvalidInput,
    Refused,
    ScaleoutError,
)
from ansible_collections.scaleout.platform.plugins.module_utils.operations.read_map import MapStore
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import estimate, stored
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.hashing import BUCKETS
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.map import ShardMap
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.plan import MovesRows, Wanted, next_map
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.spec import wanted_shards


class _Change(t.NamedTuple):
    """What a publication writes.

    :param version: the one that is published.
    :param copies: for the history.
    :param publication: the map under its key, and what goes from the history.
    """

    version: int
    copies: tuple[Write, ...]
    publication: tuple[Operation, ...]


class PublishMap(Task):
    """Reads the map in force, plans the next one, and writes it unless another client has written since."""

    def __init__(self, store: MapStore, params: t.Mapping[str, t.Any], wanted: list[Wanted]) -> None:
        self._store = store
        self._params = params
        self._key = store.key
        self._wanted = wanted
        self._seen: documents.Document | None = None
        self._archived: dict[int, documents.Document] | None = None

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> PublishMap:
        """The task that the options of the module ``shard_map`` describe.

        :raises InvalidInput: an option that can never work; :raises InvalidMap: shards that can be no map.
        """
        stored.check_key(params["key"])
        if params["keep_versions"] < 1:
            raise InvalidInput("keep_versions", params["keep_versions"], "is not a number of versions from 1 on")
        if params["login_password"] and not params["login_user"]:
            raise InvalidInput("login_user", params["login_user"], "does not go with a login_password")
        connection.check_client(params)
        store = MapStore(Consul.from_options(params), params["key"])
        return cls(store, params, wanted_shards(params["clusters"], params["shards"]))

    def plan(self) -> Plan:
        published = self._published()
        last = published or self._last()
        planned = self._next(last)
        if published is None and planned is last:
            # The same shards again, and yet a new version: clients must not take it for the one that they know.
            planned = dataclasses.replace(planned, version=planned.version + 1)
        result = {
            "map": planned.document(),
            "version": planned.version,
            "description": planned.text().splitlines(),
            "removed_versions": [],
        }
        if planned is published:
            return Plan(published.text(), published.text(), result=result)
        self._expect(published)
        archive = stored.archive(
            self._history(),
            published.version if published else None,
            planned.version,
            self._params["keep_versions"],
            TRANSACTION_LIMIT - 3,
        )
        result["removed_versions"] = list(archive.removed)
        change = self._change(published, planned, archive)
        if not fits(change.copies + change.publication):
            # Said in check mode as well. The copies are no larger.
            check_size(change.publication + tuple(Check(copy.key, 0) for copy in change.copies))
        return Plan(
            before=published.text() if published else "",
            after=planned.text(),
            actions=(change,),
            result=result,
            warnings=(self._warning(last, planned),) if last and not published else (),
        )

    def apply(self, plan: Plan) -> None:
        (change,) = plan.actions
        written: list[Check] = []
        try:
            if fits(change.copies + change.publication):
                self._commit(change, change.copies + change.publication)
                return
            for copy in change.copies:
                written.append(Check(copy.key, self._commit(change, (copy,))[copy.key]))
            self._commit(change, change.publication + tuple(written))
        except Conflict:
            self._take_back(written)
            raise

    def _change(self, published: ShardMap | None, planned: ShardMap, archive: stored.Archive) -> _Change:
        values = {
            shard_map.version: strict.render(shard_map.document()) for shard_map in (published, planned) if shard_map
        }
        now = int(time.time())

        def write(key: str, version: int, seen: documents.Document | None, flags: int = 0) -> Write:
            return Write(key, values[version], seen.modify_index if seen else 0, flags)

        return _Change(
            planned.version,
            # An earlier release of this module did not note when its version was published.
            tuple(
                write(
                    stored.key_of(self._key, version),
                    version,
                    self._history().get(version),
                    now if version == planned.version else 0,
                )
                for version in archive.added
            ),
            (
                write(self._key, planned.version, self._seen),
                *(Delete(stored.key_of(self._key, version)) for version in archive.removed),
            ),
        )

    def _commit(self, change: _Change, operations: tuple[Operation, ...]) -> dict[str, int]:
        try:
            return documents.commit(self._store.consul, operations)
        except Conflict as error:
            raise Conflict(
                f"Another client changed the key {self._key} while this task planned version {change.version}; "
                "nothing was written, and another run starts from what is there now.",
                **error.facts,
            ) from None

    def _take_back(self, written: t.Sequence[Check]) -> None:
        """Remove the copies of a map that was not published, unless another client has written them since."""
        for copy in written:
            # What stays is written over by the next publication.
            with contextlib.suppress(ScaleoutError):
                documents.commit(self._store.consul, [Delete(copy.key, copy.modify_index)])

    def close(self) -> None:
        self._store.consul.close()

    def _next(self, last: ShardMap | None) -> ShardMap:
        try:
            return next_map(last, self._wanted, BUCKETS)
        except MovesRows as refusal:
            if not self._params["login_user"]:
                raise Refused(
                    f"{refusal.message} With login_user, the task estimates the rows and bytes of each move.",
                    code=refusal.code,
                    **refusal.facts,
                ) from None
            # Rows move from a map that is there.
            sizes, problems = self._measure(t.cast("ShardMap", last), refusal.sources)
            measured = refusal.estimated(sizes)
            raise Refused(" ".join([measured.message, *problems]), code=refusal.code, **measured.facts) from None

    def _measure(self, last: ShardMap, shard_ids: list[int]) -> tuple[dict[int, estimate.Size], list[str]]:
        """Ask a server of each shard how much it holds; a shard that does not answer is a sentence."""
        sizes: dict[int, estimate.Size] = {}
        problems = []
        for shard in map(last.shard, shard_ids):
            members = shard.cluster.members
            login = dict(self._params, login_host=",".join(one.host for one in members), login_port=members[0].port)
            try:
                session = connection.Session(connection.Endpoint.of(dict(login, login_db=shard.database)))
                try:
                    sizes[shard.id] = estimate.Size(**session.rows(estimate.QUERY)[0])
                finally:
                    session.close()
            except ScaleoutError as error:
                problems.append(f"There is no estimate for shard {shard.id}: {error.message}")
        return sizes, problems

    def _published(self) -> ShardMap | None:
        self._seen = self._store.published()
        return self._store.decode(self._seen, ", and it is not overwritten") if self._seen else None

    def _history(self) -> dict[int, documents.Document]:
        """The versions that the history holds; read once, and only by a task that publishes."""
        if self._archived is None:
            self._archived = self._store.history()
        return self._archived

    def _last(self) -> ShardMap | None:
        """The last map that was in force, where the key itself is gone: its rows are where it said."""
        history = self._history()
        return self._store.decode(history[max(history)]) if history else None

    def _expect(self, published: ShardMap | None) -> None:
        expected = self._params["expected_version"]
        version = published.version if published else 0
        if expected not in (None, version):
            raise Conflict(
                f"expected_version: {expected} is not the version of the map in force, which is {version or 'none'}; "
                "nothing was written.",
                version=version,
            )

    def _warning(self, last: ShardMap, planned: ShardMap) -> str:
        return (
            f"The key {self._key} was gone; version {planned.version} goes on from version {last.version}, the last "
            f"one in {stored.folder(self._key)}. To start over, delete that folder as well."
        )
