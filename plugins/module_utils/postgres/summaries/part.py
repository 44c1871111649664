# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a summary keeps of one base table: its objects in the database and how a row counts there; pure.

A part has two tables of the same columns. Writers append to ``pending`` and touch nothing else, so no writer waits for
another. ``kept`` has what was folded. The sum of both, in any one snapshot, is what the base table has in it.

=============  =======================================================================================
column         what it has
=============  =======================================================================================
g1, g2, …      the group
n              rows, fewer or more
v1, v2, …      a count or sum: the difference; a min or max: that of the values that came
v1_n           of a sum: values that are not null, fewer or more
v1_out         of a min or max: that of the values that went
=============  =======================================================================================
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.names import LONGEST_IDENTIFIER
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import text
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import (
    COUNT,
    SUM,
    Column,
    Source,
)

#: What the names of objects end in; the longest is that of a filter, with a number of two digits.
_ROOM = len("_filter99")
_DIGITS = 8

#: What happens to a table as a whole statement, and the transition tables that it has then.
EVENTS = {
    "insert": "REFERENCING NEW TABLE AS new_rows",
    "update": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "REFERENCING OLD TABLE AS old_rows",
}

#: What the names of a part's triggers end in, as do those of their functions.
SUFFIXES = (*EVENTS, "row", "truncate")


def stem(view: str, source: Source, generation: int) -> str:
    """What the names of a part's objects begin with.

    :param generation: tells apart the objects of a summary that changes; the first has no number.
    """
    number = f"_{generation}" if generation > 1 else ""
    plain = f"{view}__{source.table}{number}"
    if len(plain.encode()) <= LONGEST_IDENTIFIER - _ROOM:
        return plain
    digest = hashlib.sha256("\0".join([view, source.schema, source.table]).encode()).hexdigest()[:_DIGITS]
    room = LONGEST_IDENTIFIER - _ROOM - _DIGITS - 2 - len(number)
    return f"{view.encode()[:room].decode(errors='ignore')}__{digest}{number}"


@dataclasses.dataclass(frozen=True)
class Part:
    """The part of a summary that is kept of one base table.

    :param schema: of its objects.
    :param stem: what their names begin with.
    :param nullable: the group's columns that may be null.
    :param types: the base table's columns with their types, as SQL writes them.
    :param numeric: the columns that may be NaN or infinite.
    :param extremes: the schemas of min and max of columns, where they are an extension's.
    """

    schema: str
    stem: str
    source: Source
    nullable: frozenset[str] = frozenset()
    types: t.Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)
    numeric: frozenset[str] = frozenset()
    extremes: t.Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)

    def object(self, suffix: str = "") -> str:
        """The name of one of its objects, as SQL has it."""
        return text.name(self.schema, self.stem + suffix)

    @property
    def kept(self) -> str:
        return self.object()

    @property
    def pending(self) -> str:
        return self.object("_pending")

    @property
    def base(self) -> str:
        return text.name(self.source.schema, self.source.table)

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns of the storage that name the group."""
        return tuple(f"g{number}" for number, _value in enumerate(self.source.group_by, 1))

    @property
    def values(self) -> tuple[tuple[str, Column], ...]:
        """The columns of the summary that have one of their own in the storage, with its name.

        A count of all rows has none: it is ``n``.
        """
        return tuple(
            (f"v{number}", column)
            for number, column in enumerate(self.source.columns, 1)
            if column.function != COUNT or column.column or column.filter
        )

    @property
    def stored(self) -> tuple[str, ...]:
        """All columns of the storage."""
        columns = [*self.groups, "n"]
        for value, column in self.values:
            columns.append(value)
            if column.function != COUNT:
                columns.append(value + ("_n" if column.function == SUM else "_out"))
        return tuple(columns)

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters of its columns, each once."""
        return tuple(dict.fromkeys(column.filter for column in self.source.columns if column.filter))

    def filter_function(self, condition: str) -> str:
        """The function that is a filter."""
        return self.object(f"_filter{self.filters.index(condition) + 1}")

    def arguments(self, condition: str) -> tuple[str, ...]:
        """The columns that a filter may look at: those whose names are somewhere in it."""
        return tuple(column for column in self.types if column.lower() in condition.lower())

    def holds(self, column: Column, row: str) -> str:
        """The condition under which a row counts for a column; "" where each does."""
        conditions = []
        if column.filter:
            given = ", ".join(f"{row}.{text.name(argument)}" for argument in self.arguments(column.filter))
            conditions.append(f"{self.filter_function(column.filter)}({given})")
        if column.column and not column.extreme:
            conditions.append(f"{row}.{text.name(column.column)} IS NOT NULL")
        return " AND ".join(conditions)

    def group(self, row: str) -> list[str]:
        """The group of a row of the base table."""
        return [f"{row}.{text.name(column)}" for column in self.source.group_by]

    def worth(self, row: str, sign: int = 1) -> list[tuple[str, str]]:
        """What a row of the base table counts for, by columns of the storage.

        :param sign: -1 for a row that goes.
        """
        found = []
        for value, column in self.values:
            holds = self.holds(column, row)
            if column.extreme:
                plain = f"{row}.{text.name(column.column)}"
                taken = f"CASE WHEN {holds} THEN {plain} END" if holds else plain
                found.append((value if sign > 0 else f"{value}_out", taken))
                continue
            counted = f"CASE WHEN {holds} THEN {sign} ELSE 0 END"
            if column.function == COUNT:
                found.append((value, counted))
                continue
            number = f"CAST({row}.{text.name(column.column)} AS pg_catalog.numeric)"
            number = number if sign > 0 else f"pg_catalog.numeric_uminus({number})"
            found += [(value, f"CASE WHEN {holds} THEN {number} ELSE 0 END"), (f"{value}_n", counted)]
        return found

    def extreme(self, column: Column, value: str) -> str:
        """The aggregate that finds the smallest or largest of values."""
        return f"{text.name(self.extremes.get(column.column, 'pg_catalog'), column.function)}({value})"

    def total(self, column: str, row: str) -> str:
        """The aggregate that adds up a column of the storage, or of what goes there, over rows of a group."""
        plain = f"{row}.{column}"
        for value, one in self.values:
            if one.extreme and column in (value, f"{value}_out"):
                return self.extreme(one, plain)
        return f"pg_catalog.sum({plain})"

    def equal(self, one: str, groups: t.Sequence[str]) -> str:
        """The condition that a row of the base table is of a group; an index on the group serves it."""
        pairs = zip(self.source.group_by, groups)
        return " AND ".join(self._equal(f"{one}.{text.name(column)}", group, column) for column, group in pairs)

    def same(self, one: str, other: str) -> str:
        """The condition that two rows of the storage are of one group."""
        pairs = zip(self.groups, self.source.group_by)
        return " AND ".join(self._equal(f"{one}.{stored}", f"{other}.{stored}", column) for stored, column in pairs)

    def _equal(self, one: str, other: str, column: str) -> str:
        if column not in self.nullable:
            return f"{one} = {other}"
        return f"({one} = {other} OR ({one} IS NULL AND {other} IS NULL))"
