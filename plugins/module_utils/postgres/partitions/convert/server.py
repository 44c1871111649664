# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns a plain table into a partition set while the application goes on reading and writing.

By default no row is written again: the table becomes the first partition. (``copying.py`` moves rows, where that is
wanted.) What each step leaves behind can be told from the catalog, so a run that ended anywhere is finished by the next
one:

1. A constraint says what the partition will hold. It is added without a look at the rows, and then validated with a
   lock that stops no reader and no writer.
2. A partitioned table like the plain one is made beside it.
3. In one short transaction they change places, and the table is attached without a scan.
4. Foreign keys of others, which lead to the partitioned table now, are validated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import bounds, fit, queries
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion, Moving
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import (
    copying,
    decide,
    reading,
    split,
    statements,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.sql import Statement, Value
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import (
    CHECK,
    Incoming,
    Table,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.turn import (
    Turn,
    given,
    render,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.gate import Gate
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Grid
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Partition, Root

_CHECK_VIOLATION = "23514"
_DIVISION_BY_ZERO = "22012"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A conversion that can be carried out.

    :param root: the table as it will be, for whoever plans its other partitions.
    :param name: what the old table will be called.
    :param bounds: what it will hold, for a person; None where its rows move.
    :param split: what its rows move into; None where they stay.
    :param largest: the largest number, of a set whose column is a number.
    :param said: what may go otherwise later than one would think.
    """

    table: Table
    target: statements.Target
    root: Root
    name: str
    bounds: str | None
    split: copying.Wanted | None = None
    largest: int = 0
    said: tuple[str, ...] = ()

    @property
    def made(self) -> tuple[New, ...]:
        """The partitions that rows move into."""
        return self.split.news if self.split else ()


def prepare(session: Session, wanted: PartitionSet, root: Root, clock: int) -> Prepared:
    """Look at a plain table of which a set is wanted; changes nothing.

    :param clock: the server's, in microseconds since 1970.
    :raises ScaleoutError: it cannot become the set.
    """
    table = reading.read(session, wanted.schema, wanted.table)
    if table is None:
        raise Conflict(f"{wanted.label} is gone. Run again.")
    decide.require_possible(wanted, table)
    name = decide.old_name(wanted)
    if reading.read(session, wanted.schema, name) is not None:
        raise Refused(
            f"{wanted.label} cannot become a partition set: there is a {name} already, as the table would be called "
            "from then on. Rename or drop it first.",
            code=decide.CODE,
        )
    if wanted.by != "range":
        return _into_partitions(session, wanted, root, table, None, clock)
    axis = fit.axis_of(wanted, root)
    wanted.check_axis(axis)
    grid = fit.grid_of(wanted, axis, fit.record_of(wanted, axis, root.record))
    reading.require_values(session, table, wanted.column)
    if wanted.convert_old == "split":
        return _into_partitions(session, wanted, root, table, grid, clock)
    largest = reading.outermost(session, table, wanted.column, axis)
    last = decide.end(wanted.label, grid, clock, largest)
    target = decide.target(wanted, table, grid, last)
    bound = Range(-math.inf, last)
    after = _partitioned(wanted, root, (Partition(table.oid, wanted.schema, name, bound.sql(axis)),))
    said = decide.doubts(wanted, table)
    if wanted.retention:
        smallest = reading.outermost(session, table, wanted.column, axis, largest=False)
        said += decide.late(wanted, grid, smallest, last)
    return Prepared(table, target, after, name, bound.shown(axis), largest=_number(axis, largest), said=said)


def carry_out(session: Session, prepared: Prepared, turn: Turn, gate: Gate, user: str, companion: Companion) -> int:
    """Carry a conversion out, or finish it.

    :param user: who we are on the server.
    :param companion: knows what comes along.
    :return: how many rows were moved.
    :raises ScaleoutError: it was not; the table is as it was, or what was copied waits for the next run.
    """
    if prepared.split is None:
        Conversion(session, prepared, turn, gate, companion).run()
        return 0
    work = copying.Copying(session, prepared.table, prepared.split, turn, gate, user, companion)
    work.run()
    return work.rows


def _into_partitions(
    session: Session, wanted: PartitionSet, root: Root, table: Table, grid: Grid | None, clock: int
) -> Prepared:
    key = split.require_splittable(table, wanted)
    axis, last, now, smallest, largest = None, 0, 0, None, None
    if grid is not None:
        axis = grid.axis
        largest = reading.outermost(session, table, wanted.column, axis)
        smallest = reading.outermost(session, table, wanted.column, axis, largest=False)
        last = decide.end(wanted.label, grid, clock, largest)
        now = _number(axis, largest) if axis.is_number else grid.now(clock)
    news = split.partitions(wanted, grid, now, smallest, last)
    # A run that was interrupted has made some of them already; whether it can be gone on with is seen later.
    begun = reading.read(session, wanted.schema, statements.root_name(table)) is not None
    names = [one.name for new in news for one in (new, *new.parts)]
    given = {"schemas": [wanted.schema] * len(names), "names": names}
    taken = [] if begun else session.rows(queries.TAKEN, given)
    if taken:
        raise Refused(
            f"{wanted.label}: the name {wanted.schema}.{taken[0]['name']} is wanted for a partition, and something "
            "else has it.",
            code="name_taken",
            name=f"{wanted.schema}.{taken[0]['name']}",
        )
    needed = frozenset(new.name for new in news if not isinstance(new.bound, Range) or new.bound.lower < last)
    there = tuple(
        Partition(-number, wanted.schema, new.name, _as_printed(new.bound, axis)) for number, new in enumerate(news)
    )
    after = _partitioned(wanted, root, there)
    target = decide.target(wanted, table)
    into = copying.Wanted(target, key, after, news, needed, axis)
    said = decide.doubts(wanted, table)
    return Prepared(table, target, after, target.name, None, into, _number(axis, largest), said)


def _number(axis: Axis | None, largest: Key | None) -> int:
    return int(largest) if axis and axis.is_number and largest is not None else 0


def _as_printed(bound: bounds.Bound, axis: Axis | None) -> str:
    """A bound as the server will print it."""
    text = bounds.sql_of(bound, axis)
    return text.replace("MODULUS", "modulus").replace("REMAINDER", "remainder") if "MODULUS" in text else text


def _partitioned(wanted: PartitionSet, root: Root, partitions: tuple[Partition, ...]) -> Root:
    return dataclasses.replace(
        root, kind="p", by=wanted.by, partitioned_by=(wanted.column,), partitions=partitions, keys=()
    )


class Conversion:
    """One table's way to a partition set."""

    def __init__(self, session: Session, prepared: Prepared, turn: Turn, gate: Gate, companion: Companion) -> None:
        self.session = session
        self.table = prepared.table
        self.place = prepared.root
        self.companion = companion
        self.target = prepared.target
        self.turn = turn
        self.gate = gate

    def run(self) -> None:
        """Carry the conversion out, or finish it.

        :raises Refused: it cannot be; what was made for it is removed, and the table is as it was.
        """
        self._clean()
        try:
            self._prove()
            root, moving = self._make_root()
            self._swap(root, moving)
        except ScaleoutError:
            with contextlib.suppress(ScaleoutError):
                copying.undo(self.session, self.table.schema, self.table.name, self.turn)
            raise
        copying.analyze(self.session, self.table.quoted)

    def _clean(self) -> None:
        """Remove what an interrupted run has left beside the table, which may have changed since then."""
        left = reading.read(self.session, self.table.schema, statements.root_name(self.table))
        mirrored = any(split.mirrors(trigger.name) for trigger in self.table.triggers)
        if left is not None or mirrored:
            copying.undo(self.session, self.table.schema, self.table.name, self.turn)
            self.table = reading.again(self.session, self.table)

    def _prove(self) -> None:
        """Step 1."""
        check = self.table.check
        wanted = statements.marked(end=_text(self.target.bound))
        if check is None or check.comment != wanted:
            add = [*statements.drop_check(self.table.quoted), *statements.add_check(self.table, self.target)]
            add.append((f"COMMENT ON CONSTRAINT {CHECK} ON {self.table.quoted} IS ", Value(wanted)))
            self.turn.exclusive(self.table, [], add, f"add a constraint to {self.table.name}")
        elif check.valid:
            return
        self.gate.wait()
        try:
            self.session.run(render(self.session, [statements.validate_check(self.table)]), timeout=0)
        except Refused as error:
            if error.facts.get("sqlstate") != _CHECK_VIOLATION:
                raise
            raise Conflict(
                f"{self.table.schema}.{self.table.name} got rows beyond the end of its partition just before that end "
                "was set. Run again.",
            ) from None

    def _make_root(self) -> tuple[Table, Moving]:
        """Step 2."""
        self.table = reading.again(self.session, self.table)
        moving = self.companion.moving(self.place, statements.root_name(self.table))
        what = f"make a partitioned table like {self.table.name}"
        self.turn.short(statements.create_root(self.table, self.target, apart=moving.triggers), what, self.table)
        root = reading.root_of(self.session, self.table)
        dress = [*statements.dress_root(self.table, root), *given(moving.beside)]
        if dress:
            self.turn.short(dress, what, self.table)
            root = reading.root_of(self.session, self.table)
        return root, moving

    def _swap(self, root: Table, moving: Moving) -> None:
        """Step 3."""
        self.gate.wait()
        body = [*statements.swap(self.table, root, self.target, moving.triggers), *given(moving.replaced)]
        try:
            self.turn.exclusive(
                self.table,
                statements.locks(self.table),
                body,
                f"turn {self.table.name} into a partition set",
                self._same,
            )
        except Refused as error:
            if error.facts.get("sqlstate") != _DIVISION_BY_ZERO:
                raise
            raise reading.changed(self.table) from None

    def _same(self) -> None:
        reading.same(self.session, self.table)


def unfinished(session: Session, schema: str, name: str) -> list[Incoming]:
    """The foreign keys to a partitioned table that a conversion has moved there and not validated yet."""
    table = reading.read(session, schema, name)
    return [key for key in table.incoming if statements.facts_of(key.comment) is not None] if table else []


def validate(session: Session, key: Incoming) -> None:
    """Step 4, of one foreign key."""
    facts = statements.facts_of(key.comment) or {}
    for one in statements.validate_key(key, facts.get("comment")):
        session.run(render(session, [one]), timeout=0)


def _text(statement: Statement) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in statement)
