# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The summary that a user wants: what is counted, of which tables, for each of which groups; pure."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.names import LONGEST_IDENTIFIER, fault_of_length

COUNT, SUM, MIN, MAX = "count", "sum", "min", "max"
FUNCTIONS = (COUNT, SUM, MIN, MAX)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the summary.

    :param column: of the base table; "" where rows are counted.
    :param filter: an SQL condition on columns of the base table; "" for all rows.
    """

    name: str
    function: str
    column: str = ""
    filter: str = ""

    @property
    def extreme(self) -> bool:
        """Whether it is a smallest or largest value."""
        return self.function in (MIN, MAX)


@dataclasses.dataclass(frozen=True)
class Source:
    """A base table and what is kept of it.

    :param group_by: its columns that make the groups, in the order of the summary's.
    """

    schema: str
    table: str
    group_by: tuple[str, ...]
    columns: tuple[Column, ...] = ()

    @property
    def label(self) -> str:
        """The table for a message."""
        return f"{self.schema}.{self.table}"

    def condition(self, given: str) -> str:
        """What a filter is known by: the same text may mean another thing on another table."""
        return f"{self.label}: {given}"


@dataclasses.dataclass(frozen=True)
class Summary:
    """A view with a row for each group. Names are as the server has them, without quotes.

    :param every: the table whose rows make the groups; None where the rows of the sources do.
    """

    schema: str
    name: str
    sources: tuple[Source, ...] = ()
    every: Source | None = None

    @property
    def label(self) -> str:
        """The view for a message."""
        return f"{self.schema}.{self.name}"

    @property
    def defining(self) -> str:
        """The name of the view that counts the base tables each time."""
        name = f"{self.name}__defining"
        if len(name.encode()) > LONGEST_IDENTIFIER:
            name = f"defining__{hashlib.sha256(self.name.encode()).hexdigest()[:16]}"
        return name

    @property
    def groups(self) -> tuple[str, ...]:
        """The view's columns that name a group."""
        return (self.every or self.sources[0]).group_by

    @property
    def columns(self) -> tuple[Column, ...]:
        """Its other columns."""
        return tuple(column for source in self.sources for column in source.columns)

    @property
    def read(self) -> tuple[Source, ...]:
        """All tables that it looks at."""
        return self.sources + ((self.every,) if self.every else ())

    def declaration(self) -> dict[str, t.Any]:
        """The summary as JSON can have it."""
        return dataclasses.asdict(self)

    @classmethod
    def of_declaration(cls, found: t.Mapping[str, t.Any]) -> Summary:
        """What :meth:`declaration` was made of."""
        return cls(
            schema=found["schema"],
            name=found["name"],
            sources=tuple(_source(source) for source in found["sources"]),
            every=_source(found["every"]) if found["every"] else None,
        )

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any]) -> Summary:
        """The summary that a task's options describe.

        :raises InvalidInput: they can never describe one.
        """
        schema = options["schema"]
        _check_name("schema", schema)
        _check_name("name", options["name"])
        sources = tuple(_read_source(given, schema) for given in options["tables"] or ())
        every = None
        if options["every"]:
            given = options["every"]
            every = _read_source(
                {"group_by": given["columns"], "schema": given["schema"], "table": given["table"]}, schema
            )
        if not sources:
            raise InvalidInput("tables", options["tables"], "has no table to summarize")
        wanted = cls(schema, options["name"], sources, every)
        _check(wanted)
        return wanted


def _source(found: t.Mapping[str, t.Any]) -> Source:
    columns = tuple(Column(**column) for column in found["columns"])
    return Source(found["schema"], found["table"], tuple(found["group_by"]), columns)


def _read_source(given: t.Mapping[str, t.Any], schema: str) -> Source:
    columns = []
    for one in given.get("columns") or ():
        column = Column(one["name"], one["function"], one["column"] or "", (one["filter"] or "").strip())
        _check_name("name", column.name)
        if column.function != COUNT and not column.column:
            raise InvalidInput(
                "column", one["column"], f"is missing: {column.name} is the {column.function} of a column"
            )
        if one["filter"] is not None and not column.filter:
            raise InvalidInput("filter", one["filter"], f"of {column.name} is empty")
        columns.append(column)
    own = given["schema"] or schema
    _check_name("schema", own)
    _check_name("table", given["table"])
    return Source(own, given["table"], tuple(given["group_by"] or ()), tuple(columns))


def _check_name(option: str, name: str) -> None:
    if not name:
        raise InvalidInput(option, name, "is empty")
    fault = "has a zero byte" if "\0" in name else fault_of_length(name)
    if fault:
        raise InvalidInput(option, name, fault)


def _check(wanted: Summary) -> None:
    first = wanted.every or wanted.sources[0]
    for source in wanted.read:
        _check_source(source, "columns" if source is wanted.every else "group_by")
    for source in wanted.sources:
        if not source.columns:
            raise InvalidInput("columns", [], f"of {source.label} is empty: nothing would be kept of it")
        if len(source.group_by) != len(first.group_by):
            raise InvalidInput(
                "group_by",
                list(source.group_by),
                f"of {source.label} has {len(source.group_by)} columns, and that of {first.label} has "
                f"{len(first.group_by)}",
            )
    label = _twice([source.label for source in wanted.sources])
    if label:
        raise InvalidInput("tables", label, "is there twice; give it all its columns in one place")
    name = _twice([*wanted.groups, *(column.name for column in wanted.columns)])
    if name:
        raise InvalidInput("columns", name, f"would be twice in {wanted.label}")
    if wanted.label in [source.label for source in wanted.read]:
        raise InvalidInput("name", wanted.name, "is one of the tables that it would summarize")


def _check_source(source: Source, option: str) -> None:
    if not source.group_by:
        raise InvalidInput(option, [], f"of {source.label} is empty: a summary has a row for each group")
    if _twice(source.group_by):
        raise InvalidInput(option, list(source.group_by), f"of {source.label} has a column twice")


def _twice(names: t.Sequence[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)
