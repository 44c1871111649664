# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the tables and partitions of a server, and carries out what was decided for a set."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience as waiting
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Patience
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import ddl, fit, queries
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision, New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.outcome import Outcome
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.retention import Old
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    RETIRED,
    STRATEGIES,
    Key,
    Leftover,
    Partition,
    Root,
    State,
    read_leftover,
)

#: Partitions that one transaction creates: each takes a lock on itself, its TOAST table and its indexes.
CHUNK = 50

_SHARE_UPDATE = "ShareUpdateExclusiveLock"
_SHARE_ROW = "ShareRowExclusiveLock"
_ACCESS = "AccessExclusiveLock"

#: Another client has created the same table, or attached a partition that overlaps.
_RIVAL = ("42P07", "42P17")


class Outrun(ScaleoutError):
    """Another client has changed the set since it was read."""

    CODE = "conflict"


def read(session: Session, sets: t.Sequence[PartitionSet]) -> State:
    """Everything that the deciding files want to know, in four queries for all sets.

    Sets whose column is a number cost one more, as do tables to drop.
    """
    server = session.rows(queries.SERVER)[0]
    asked = {one.schema for one in sets} | {one.retention.schema for one in sets if one.retention}
    schemas = session.rows(queries.SCHEMAS, {"schemas": [name for name in asked if name]})
    names = {"schemas": [one.schema for one in sets], "tables": [one.table for one in sets]}
    rows = session.rows(queries.ROOTS, names)
    roots = _with_partitions(session, rows, sets)
    return State(
        version=session.version,
        roots=roots,
        schemas={row["name"]: row["may_create"] for row in schemas},
        largest=_largest(session, sets, roots),
        with_rows=_with_rows(session, sets, roots),
        **server,
    )


def _with_partitions(
    session: Session, rows: t.Sequence[dict[str, t.Any]], sets: t.Sequence[PartitionSet]
) -> dict[tuple[str, str], Root]:
    droppers = {(one.schema, one.table) for one in sets if one.retention and one.retention.action == "drop"}
    sized = [row["oid"] for row in rows if (row["schema"], row["name"]) in droppers]
    children: dict[int, list[Partition]] = {row["oid"]: [] for row in rows}
    for row in session.rows(queries.PARTITIONS, {"roots": list(children), "sized": sized}) if children else ():
        children[row.pop("root")].append(Partition(**row))
    leftovers: dict[tuple[str, str], list[Leftover]] = {}
    for row in session.rows(queries.LEFTOVERS, {"mark": RETIRED}):
        left = read_leftover(**row)
        if left:
            leftovers.setdefault(left[0], []).append(left[1])
    roots = {}
    for row in rows:
        key = (row["schema"], row["name"])
        roots[key] = _root(row, tuple(children[row["oid"]]), tuple(leftovers.get(key, ())))
    return roots


def _root(row: dict[str, t.Any], partitions: tuple[Partition, ...], leftovers: tuple[Leftover, ...]) -> Root:
    fields = dict(row)
    strategy = fields.pop("strategy")
    keys = json.loads(fields.pop("keys") or "[]")
    return Root(
        **{
            **fields,
            "by": STRATEGIES.get(strategy),
            "partitioned_by": tuple(json.loads(fields["partitioned_by"] or "[]")),
            "columns": json.loads(fields["columns"] or "{}"),
            "keys": tuple(Key(name, tuple(columns or ())) for name, columns in keys),
            "referenced": tuple(fields["referenced"]),
            "referencing": tuple(fields["referencing"]),
            "partitions": partitions,
            "leftovers": leftovers,
        }
    )


def _largest(
    session: Session, sets: t.Sequence[PartitionSet], roots: t.Mapping[tuple[str, str], Root]
) -> dict[tuple[str, str], int]:
    found = {}
    for one in sets:
        root = roots.get((one.schema, one.table))
        if one.by != "range" or one.state != "present" or root is None or one.column not in root.columns:
            continue
        if fit.axis_of(one, root).is_number if _has_axis(one, root) else False:
            sql = session.sql
            query = sql.SQL("SELECT floor(max({}))::bigint AS largest FROM {}").format(
                sql.Identifier(one.column), ddl.name(sql, one.schema, one.table)
            )
            found[(one.schema, one.table)] = session.rows(query)[0]["largest"] or 0
    return found


def _has_axis(one: PartitionSet, root: Root) -> bool:
    try:
        fit.axis_of(one, root)
    except ScaleoutError:
        return False  # whoever decides says so
    return True


def _with_rows(
    session: Session, sets: t.Sequence[PartitionSet], roots: t.Mapping[tuple[str, str], Root]
) -> frozenset[tuple[str, str]]:
    found = set()
    for one in sets:
        key = (one.schema, one.table)
        if one.state == "absent" and key in roots and roots[key].may_own:
            query = session.sql.SQL("SELECT EXISTS (SELECT FROM {}) AS some").format(ddl.name(session.sql, *key))
            if session.rows(query)[0]["some"]:
                found.add(key)
    return frozenset(found)


def taken(session: Session, decisions: t.Sequence[Decision]) -> frozenset[tuple[str, str]]:
    """Those names, with their schemas, among the ones that partitions are to have, that something has already."""
    wanted = []
    for decision in decisions:
        schema = decision.wanted.schema
        wanted += [(schema, one.name) for new in decision.create for one in (new, *new.parts)]
        retention = decision.wanted.retention
        if retention and retention.action == "move":
            wanted += [(retention.schema, old.partition.name) for old in decision.going]
    if not wanted:
        return frozenset()
    parameters = {"schemas": [schema for schema, _name in wanted], "names": [name for _schema, name in wanted]}
    return frozenset((row["schema"], row["name"]) for row in session.rows(queries.TAKEN, parameters))


@dataclasses.dataclass
class Work:
    """Carries out one decision: creation first, then retention, each in transactions of their own.

    :param user: who we are on the server.
    :param outcome: what was done so far.
    """

    session: Session
    decision: Decision
    patience: Patience
    user: str
    companion: Companion
    outcome: Outcome

    def create(self) -> None:
        """Create the table, and the partitions in chunks; what was done stays done.

        :raises Outrun: another client was faster.
        :raises ScaleoutError: the server refuses, or a lock was not had.
        """
        decision, sql = self.decision, self.session.sql
        wanted = decision.wanted
        first = sql.SQL("")
        if decision.create_root:
            first += ddl.create_root(sql, wanted)
        if decision.comment is not None:
            first += ddl.comment(sql, wanted.schema, wanted.table, decision.comment)
        pieces = list(decision.create)
        size = CHUNK if self._attaching_is_harmless() else 1
        while pieces or ((decision.create_root or decision.comment is not None) and not self.outcome.described):
            chunk, pieces = pieces[:size], pieces[size:]
            try:
                self._create_chunk(first, chunk)
            except Refused as error:
                if error.facts.get("sqlstate") in _RIVAL:
                    raise Outrun(error.message) from None
                raise
            self.outcome.described = True
            self.outcome.created += chunk
            first = sql.SQL("")

    def _create_chunk(self, first: t.Any, chunk: t.Sequence[New]) -> None:
        decision, sql = self.decision, self.session.sql
        root = decision.root or Root(0, decision.wanted.schema, decision.wanted.table)
        statement = sql.SQL("") if decision.root is None else ddl.lock(sql, root, "SHARE UPDATE EXCLUSIVE")
        statement += first
        # All tables are made before the first is attached, so that what attaching locks is locked as briefly as can be.
        for new in chunk:
            statement += ddl.create(sql, root, new, self.user)
        for new in chunk:
            statement += ddl.attach(sql, root, new, decision.axis)
            for more in self.companion.attached(root, new.name):
                statement += sql.SQL(more)
        names = ", ".join(new.name for new in chunk) or f"change {root.name}"
        self._patiently(statement, f"attach {names}", {root.oid: _SHARE_UPDATE})

    def _attaching_is_harmless(self) -> bool:
        """Whether no lock is taken that writers or readers of any table have to wait for."""
        root = self.decision.root
        return root is None or not (root.default or root.referenced or root.referencing)

    def retire(self) -> None:
        """Put the old partitions away, the one whose detaching was interrupted first.

        :raises ScaleoutError: the server refuses, or a lock was not had.
        """
        for left in self.decision.leftovers:
            self._finish(left)
        # A table has one interrupted detaching at the most, and no other can begin before it is finished.
        for old in sorted(self.decision.going, key=lambda one: not one.partition.pending):
            self._retire(old)
            self.outcome.retired.append(old)

    def _retire(self, old: Old) -> None:
        root, sql, partition = self.decision.table, self.session.sql, old.partition
        concurrently = partition.pending or not (root.default or self.companion.covers(root))
        after = sql.SQL("")
        retention = self.decision.wanted.retention
        if old.action == "dropped":
            after = ddl.drop(sql, partition.schema, partition.name)
        elif old.action == "moved" and retention:
            after = ddl.move(sql, partition.schema, partition.name, retention.schema)
        locks = {root.oid: _ACCESS, partition.oid: _ACCESS}
        if not concurrently:
            statement = ddl.lock(sql, root, "ACCESS EXCLUSIVE")
            for more in self.companion.detaching(root, partition.name):
                statement += sql.SQL(more)
            statement += ddl.detach(sql, root, partition.schema, partition.name) + after
            self._patiently(statement, f"detach {partition.name}", locks)
            return
        if old.action in ("dropped", "moved"):
            self._mark(old)
        self._detach_concurrently(partition, locks)
        if old.action in ("dropped", "moved"):
            self._patiently(after, f"put {partition.name} away", {partition.oid: _ACCESS})

    def _mark(self, old: Old) -> None:
        """Note in its comment what becomes of a partition, for a later run to finish where this one is interrupted."""
        root, sql, retention = self.decision.table, self.session.sql, self.decision.wanted.retention
        left = Leftover(old.partition.oid, old.partition.schema, old.partition.name, old.action)
        left = dataclasses.replace(left, move_to=retention.schema if retention else "")
        statement = ddl.comment(sql, old.partition.schema, old.partition.name, left.line(root))
        self._patiently(statement, f"mark {old.partition.name}", {old.partition.oid: _SHARE_UPDATE})

    def _detach_concurrently(self, partition: Partition, locks: dict[int, str]) -> None:
        root, sql = self.decision.table, self.session.sql

        def statement(how: str) -> t.Any:
            return ddl.detach(sql, root, partition.schema, partition.name, how)

        def again() -> t.Any:
            # The first of its two transactions may have been carried out; the second alone is left then.
            rows = self.session.rows(queries.PENDING, {"root": root.oid, "partition": partition.oid})
            return statement("FINALIZE" if rows[0]["pending"] else "CONCURRENTLY") if rows else None

        self._patiently(
            statement("FINALIZE" if partition.pending else "CONCURRENTLY"),
            f"detach {partition.name}",
            locks,
            alone=True,
            again=again,
        )

    def _finish(self, left: Leftover) -> None:
        """Drop or move what an earlier run has detached for that."""
        sql = self.session.sql
        if left.action == "dropped":
            statement = ddl.drop(sql, left.schema, left.name)
        else:
            statement = ddl.move(sql, left.schema, left.name, left.move_to)
            statement += ddl.comment(sql, left.move_to, left.name, "")
        self._patiently(statement, f"put {left.name} away", {left.oid: _ACCESS})
        self.outcome.finished.append(left)

    def drop_table(self) -> None:
        """Drop the table with its partitions."""
        root, sql = self.decision.table, self.session.sql
        locks = {root.oid: _ACCESS, **{one.oid: _ACCESS for one in root.partitions}}
        self._patiently(ddl.drop(sql, root.schema, root.name), f"drop {root.name}", locks)
        self.outcome.dropped_table = True

    def _patiently(self, statement: t.Any, what: str, locks: dict[int, str], **more: t.Any) -> None:
        root = self.decision.root
        if root is not None and root.oid in locks:
            locks = {**locks, **dict.fromkeys((*root.referenced, *root.referencing), _SHARE_ROW)}
            if root.default:
                locks[root.default] = _ACCESS
        locks.pop(0, None)
        waiting.patiently(self.session, statement, what, locks, self.patience, self.outcome.waited, **more)
