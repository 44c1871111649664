# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a summary can be kept of the tables that there are, and what of them its parts have to know; pure."""

from __future__ import annotations

import functools
import itertools
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import part as parts
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import (
    COUNT,
    SUM,
    Column,
    Source,
    Summary,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import (
    ColumnFact,
    Kept,
    State,
    Table,
)

#: What sum takes. A sum of floating-point numbers depends on their order, so it could not be kept exact.
_SUMMABLE = ("int2", "int4", "int8", "numeric")
_KINDS = {"r": "a table", "p": "a partitioned table"}


def check(wanted: Summary, state: State) -> None:
    """Refuse a summary that would not be right, or that the server would not let its owner make.

    :raises Refused: naming the table and why.
    :raises InvalidInput: naming the column and why.
    """
    if state.may_create is None:
        raise Refused(f"There is no schema {wanted.schema}, or no role {state.owner}.", code="missing")
    if not state.may_create:
        raise Refused(f"{state.owner} may not create tables in the schema {wanted.schema}.", code="denied")
    check_name(wanted, state)
    said = "".join(f" In {wanted.label}, {one}." for one in state.kept.altered) if state.kept else ""
    for source in wanted.read:
        table = state.tables.get((source.schema, source.table))
        if table is None:
            raise Refused(f"There is no table {source.label}.{said}", code="missing")
        for name in [*source.group_by, *(column.column for column in source.columns if column.column)]:
            if name not in table.columns:
                raise Refused(f"{source.label} has no column {name}.{said}", code="missing")
        _check_groups(wanted, source, state)
        _check_read(source, table, state.owner)
        if source is not wanted.every:
            _check_table(source, table, state.owner)
            for column in source.columns:
                _check_column(source, table, column)


def check_name(wanted: Summary, state: State) -> None:
    """Refuse a view that is someone else's.

    :raises Refused: it is.
    """
    if state.view and not state.kept:
        said = "is there and is no summary. It is left alone."
        if state.odd:
            said = (
                "is there, and its comment is that of another summary: the view or its schema was renamed. Rename it "
                "back, or drop it."
            )
        raise Refused(f"{wanted.label} {said}", code="name_taken")


def check_defining(wanted: Summary, state: State) -> None:
    """Refuse to make a summary where the view that counts the base tables would need a name that is someone else's.

    :raises Refused: it would.
    """
    if state.defining_taken:
        raise Refused(
            f"{wanted.schema}.{wanted.defining} is there and does not belong to the summary {wanted.label}, which "
            "would have a view of that name. It is left alone: rename it, or give the summary another name.",
            code="name_taken",
        )


def _check_groups(wanted: Summary, source: Source, state: State) -> None:
    first = wanted.read[0]
    columns = state.tables[first.schema, first.table].columns
    for name, other in zip(source.group_by, first.group_by):
        one = state.tables[source.schema, source.table].columns[name]
        if not one.ordered:
            raise InvalidInput(
                "every" if source is wanted.every else "group_by",
                name,
                f"of {source.label} has the type {one.type}, whose values cannot be compared, so they make no groups",
            )
        if one.base != columns[other].base or one.type_schema != columns[other].type_schema:
            raise InvalidInput(
                "group_by",
                name,
                f"of {source.label} has the type {one.type}, and {other} of {first.label} has {columns[other].type}",
            )


def _check_read(source: Source, table: Table, owner: str) -> None:
    if not table.root.readable:
        raise Refused(f"{owner} may not read {source.label}, which the view would read.", code="denied")
    for relation in table.tree:
        if relation.filtered:
            raise Refused(
                f"{source.label} cannot have a summary: row security hides rows of {relation.label} from {owner}, so "
                "it would be wrong. Name an owner that row security does not apply to.",
                code="row_security",
                table=relation.label,
            )


def _check_table(source: Source, table: Table, owner: str) -> None:
    what = f"{source.label} cannot have a summary: "
    if table.kind not in _KINDS:
        raise Refused(f"{what}it is not a table.", code="unsupported")
    if table.is_partition:
        raise Refused(f"{what}it is a partition of another table, which can.", code="unsupported")
    if table.inherits:
        raise Refused(f"{what}tables inherit from each other there without being partitions.", code="unsupported")
    for relation in table.tree:
        if relation.kind not in _KINDS:
            raise Refused(f"{what}its partition {relation.label} is on another server.", code="unsupported")
        if relation.persistence != "p":
            raise Refused(f"{what}{relation.label} is not logged, so a crash would empty it alone.", code="unsupported")
        if not relation.owned:
            raise Refused(f"{owner} does not own {relation.label}, so it can put no triggers there.", code="denied")


def _check_column(source: Source, table: Table, column: Column) -> None:
    if column.function == COUNT:
        return
    fact = table.columns[column.column]
    if column.function == SUM and (fact.base not in _SUMMABLE or fact.type_schema != "pg_catalog"):
        raise InvalidInput(
            "column", column.column, f"of {source.label} has the type {fact.type}; sum takes integers and numeric"
        )
    if column.extreme and not fact.extremes:
        raise InvalidInput(
            "column", column.column, f"of {source.label} has the type {fact.type}, which has no {column.function}"
        )
    if not column.extreme and fact.base != "numeric":
        return
    if not any(set(index[: len(source.group_by)]) == set(source.group_by) for index in table.indexes):
        columns = ", ".join(source.group_by)
        raise Refused(
            f"{column.name} needs an index of {source.label} that begins with ({columns}): when the {column.function} "
            "cannot be known without them, the rows of the group are looked at.",
            code="no_index",
            table=source.label,
            columns=list(source.group_by),
        )


def altered(kept: Kept, now: t.Mapping[str, t.Collection[str]]) -> tuple[str, ...]:
    """What was renamed of a summary's tables, in sentences without a full stop.

    :param now: the columns that its defining view looks at, by the tables as they are called now.
    """
    declared = kept.counted()
    if not now:
        return (f"the view {kept.summary.schema}.{kept.summary.defining} is gone",)
    found = [("the table", "", *_differing(declared, now))]
    for label in sorted(declared.keys() & now.keys()):
        found.append(("the column", f" of {label}", *_differing(declared[label], now[label])))
    return tuple(f"{what} {gone}{of} is called {new or 'something else'} now" for what, of, gone, new in found if gone)


def _differing(declared: t.Collection[str], now: t.Collection[str]) -> tuple[str, str]:
    gone, new = (sorted(set(one) - set(other)) for one, other in ((declared, now), (now, declared)))
    return ", ".join(gone), ", ".join(new)


def build(wanted: Summary, state: State) -> tuple[Part, ...]:
    """The parts of a summary, with names that no object has yet.

    Triggers have theirs on the table, where those of a summary in another schema may have the same.
    """
    for generation in itertools.count(1):
        stems = [parts.stem(wanted.name, source, generation) for source in wanted.sources]
        # Two tables of one name, in two schemas.
        stems = [
            stem if stems.count(stem) == 1 else parts.stem(f"{wanted.name}__{source.schema}", source, generation)
            for stem, source in zip(stems, wanted.sources)
        ]
        if not set(stems) & set(state.stems) and not any(map(functools.partial(_taken, state), wanted.sources, stems)):
            break
    return tuple(_part(wanted, source, stem, state) for stem, source in zip(stems, wanted.sources))


def _taken(state: State, source: Source, stem: str) -> bool:
    names = {f"{stem}_{suffix}" for suffix in parts.SUFFIXES}
    return any(names & relation.triggers.keys() for relation in state.tables[source.schema, source.table].tree)


def _part(wanted: Summary, source: Source, stem: str, state: State) -> Part:
    columns = state.tables[source.schema, source.table].columns
    used = _used(source, columns)
    return Part(
        wanted.schema,
        stem,
        source,
        frozenset(name for name in source.group_by if not columns[name].not_null),
        {name: columns[name].type for name in used},
        frozenset(name for name in used if columns[name].base == "numeric"),
        {
            column.column: schema
            for column in source.columns
            if column.extreme and (schema := columns[column.column].extremes) not in (None, "pg_catalog")
        },
    )


def _used(source: Source, columns: t.Mapping[str, ColumnFact]) -> list[str]:
    named = {*source.group_by, *(column.column for column in source.columns)}
    filters = " ".join(column.filter for column in source.columns).lower()
    return [name for name in columns if name in named or name.lower() in filters]


def type_schemas(wanted: Summary, state: State) -> tuple[str, ...]:
    """The schemas, beside pg_catalog, of the types that are compared: their operators are there."""
    found = []
    for source in wanted.read:
        columns = state.tables[source.schema, source.table].columns
        for name in [*source.group_by, *(column.column for column in source.columns if column.extreme)]:
            found.append(columns[name].type_schema)
    return tuple(schema for schema in dict.fromkeys(found) if schema != "pg_catalog")
