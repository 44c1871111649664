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
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import ddl, queries, report
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision, New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.outcome import Outcome
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.report import Facts
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
    comment_with,
    read_leftover,
    split_comment,
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
    droppers = {(one.schema, one.table) for one in sets if one.retention and one.retention.action == "drop"}
    roots = _roots(session, [(one.schema, one.table) for one in sets], droppers)
    return State(
        version=session.version,
        roots=roots,
        schemas={row["name"]: row["may_create"] for row in schemas},
        largest=_largest(session, sets, roots),
        with_rows=_with_rows(session, sets, roots),
        **server,
    )


def _roots(
    session: Session, names: t.Sequence[tuple[str, str]], sized_names: t.Container[tuple[str, str]]
) -> dict[tuple[str, str], Root]:
    """The tables of these names that there are, with their partitions.

    :param sized_names: those of whose partitions the sizes are wanted.
    """
    parameters = {"schemas": [schema for schema, _name in names], "tables": [name for _schema, name in names]}
    rows = session.rows(queries.ROOTS, parameters)
    sized = [row["oid"] for row in rows if (row["schema"], row["name"]) in sized_names]
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
        axis = one.axis or Axis.of_type(root.columns[one.column])
        if axis and axis.is_number and axis.fits(root.columns[one.column]):
            found[(one.schema, one.table)] = _largest_of(session, root, one.column)
    return found


def _largest_of(session: Session, root: Root, column: str) -> int:
    sql = session.sql
    query = sql.SQL("SELECT floor(max({}))::bigint AS largest FROM {}").format(
        sql.Identifier(column), ddl.name(sql, root.schema, root.name)
    )
    return session.rows(query)[0]["largest"] or 0


def find(
    session: Session, schema: str | None = None, tables: t.Sequence[str] | None = None
) -> list[tuple[Root, Facts]]:
    """The partitioned tables of a database, with the sizes of their partitions.

    :param schema: look only there.
    :param tables: look only for tables of these names.
    """
    asked = {"schema": schema, "tables": None if tables is None else list(tables)}
    names = [(row["schema"], row["name"]) for row in session.rows(queries.SETS, asked)]
    clock = session.rows(queries.SERVER)[0]["clock"]
    roots = _roots(session, names, names)
    return [(root, _facts(session, root, clock)) for _name, root in sorted(roots.items())]


def _facts(session: Session, root: Root, clock: int) -> Facts:
    axis = report.axis_of(root)
    largest = default_rows = None
    try:
        if axis and axis.is_number and root.partitioned_by[0]:
            largest = _largest_of(session, root, root.partitioned_by[0])
        default = next((one for one in root.partitions if one.oid == root.default), None)
        if default:
            query = session.sql.SQL("SELECT count(*) AS rows FROM (SELECT FROM {} LIMIT {}) AS counted").format(
                ddl.name(session.sql, default.schema, default.name), session.sql.Literal(queries.MOST_COUNTED)
            )
            default_rows = session.rows(query)[0]["rows"]
    except Refused as error:
        # Of a table that we may not read, the catalog alone speaks.
        if error.code != "denied":
            raise
    return Facts(clock, largest, default_rows)


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
            self._put_away(left)
            self.outcome.finished.append(left)
        # A table has one interrupted detaching at the most, and no other can begin before it is finished.
        for old in sorted(self.decision.going, key=lambda one: not one.partition.pending):
            self._retire(old)
            self.outcome.retired.append(old)

    def _retire(self, old: Old) -> None:
        root, sql, partition = self.decision.table, self.session.sql, old.partition
        concurrently = partition.pending or not (root.default or self.companion.covers(root))
        locks = {root.oid: _ACCESS, partition.oid: _ACCESS}
        if not concurrently:
            statement = ddl.lock(sql, root, "ACCESS EXCLUSIVE")
            for more in self.companion.detaching(root, partition.name):
                statement += sql.SQL(more)
            statement += ddl.detach(sql, root, partition.schema, partition.name)
            retention = self.decision.wanted.retention
            if old.action == "dropped":
                statement += ddl.drop(sql, partition.schema, partition.name)
            elif old.action == "moved" and retention:
                statement += ddl.move(sql, partition.schema, partition.name, retention.schema)
            self._patiently(statement, f"detach {partition.name}", locks)
            return
        left = self._mark(old) if old.action in ("dropped", "moved") else None
        self._detach_concurrently(partition, locks)
        if left:
            self._put_away(left)

    def _mark(self, old: Old) -> Leftover:
        """Note in its comment what becomes of a partition, for a later run to finish where this one is interrupted."""
        root, sql, retention = self.decision.table, self.session.sql, self.decision.wanted.retention
        partition = old.partition
        comment = self.session.rows(queries.COMMENT, {"oid": partition.oid})[0]["comment"]
        left = Leftover(
            partition.oid,
            partition.schema,
            partition.name,
            old.action,
            retention.schema if retention else "",
            split_comment(comment)[0],
        )
        statement = ddl.comment(sql, left.schema, left.name, comment_with(left.comment, left.line(root)))
        self._patiently(statement, f"mark {left.name}", {left.oid: _SHARE_UPDATE})
        return left

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

    def _put_away(self, left: Leftover) -> None:
        """Drop or move what was detached for that."""
        sql = self.session.sql
        if left.action == "dropped":
            statement = ddl.drop(sql, left.schema, left.name)
        else:
            statement = ddl.comment(sql, left.schema, left.name, left.comment)
            statement += ddl.move(sql, left.schema, left.name, left.move_to)
        self._patiently(statement, f"put {left.name} away", {left.oid: _ACCESS})

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
