# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The view, and what seeds, folds and verifies a summary, as SQL; pure.

All of it is for a session whose search_path has pg_catalog and the schemas of the groups' types.

**min and max.** A part keeps the largest value that came, M, and that of those that went, W. As long as W < M, M is
still there, since no row with M has gone, and it is the largest. Otherwise the base table is asked for this one group.
The same is done for a sum that is NaN or infinite, which no subtraction undoes.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import text
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import (
    COUNT,
    MIN,
    SUM,
    Column,
    Summary,
)

#: How many rows are folded at once; of more, so many groups in one transaction.
WHOLE, BATCH = 200_000, 20_000
#: How many lines that differ are returned.
SHOWN = 20

_SPECIAL = "('NaN', 'Infinity', '-Infinity')"


def value(part: Part, stored: str, column: Column, row: str, groups: t.Sequence[str]) -> str:
    """What a column of the summary is, over the rows of a group in the storage.

    :param stored: the column in the storage, "n" for a count of all rows.
    :param row: an alias of those rows, where columns may have a prefix: ``s.p1_``.
    :param groups: the group's columns there.
    """
    plain = f"{row}{stored}"
    if column.function == COUNT:
        return f"CAST(sum({plain}) AS int8)"
    if column.function == SUM:
        special = ""
        if column.column in part.numeric:
            special = f"WHEN sum({plain}) IN {_SPECIAL} THEN {lookup(part, column, groups)} "
        return f"CASE {special}WHEN sum({plain}_n) > 0 THEN sum({plain}) END"
    came, went = (f"{column.function}({plain}{suffix})" for suffix in ("", "_out"))
    reached = f"{went} {'<=' if column.function == MIN else '>='} {came}"
    return f"CASE WHEN coalesce({reached}, {went} IS NOT NULL) THEN {lookup(part, column, groups)} ELSE {came} END"


def lookup(part: Part, column: Column, groups: t.Sequence[str]) -> str:
    """A column of the summary as the base table has it, for one group."""
    plain = f"t.{text.name(column.column)}"
    if column.function == SUM:
        plain = f"CAST({plain} AS numeric)"
    holds = part.holds(column, "t")
    condition = part.equal("t", groups) + (f" AND {holds}" if holds else "")
    return f"(SELECT {column.function}({plain}) FROM {part.base} t WHERE {condition})"


def _places(part: Part) -> dict[str, str]:
    """Where each column of the summary is in the storage."""
    own = {column.name: stored for stored, column in part.values}
    return {column.name: own.get(column.name, "n") for column in part.source.columns}


def view(summary: Summary, parts: t.Sequence[Part]) -> str:
    """The query of the view.

    One aggregation over all storage, so that a condition on the group reaches the index of each table.
    """
    groups = [f"s.k{number}" for number, _value in enumerate(summary.groups, 1)]
    branches = [
        _branch(summary, parts, number, table)
        for number, part in enumerate(parts, 1)
        for table in (part.kept, part.pending)
    ]
    if summary.every:
        branches.append(_branch(summary, parts, 0, text.name(summary.every.schema, summary.every.table)))
    listed = [f"{group} AS {text.name(name)}" for group, name in zip(groups, summary.groups)]
    for number, part in enumerate(parts, 1):
        places = _places(part)
        for column in part.source.columns:
            taken = value(part, places[column.name], column, f"s.p{number}_", groups)
            listed.append(f"{taken} AS {text.name(column.name)}")
    rows = "sum(s.e)" if summary.every else " + ".join(f"sum(s.p{number}_n)" for number, _value in enumerate(parts, 1))
    united = "\n  UNION ALL ".join(branches)
    return f"SELECT {', '.join(listed)}\nFROM ({united}) s\nGROUP BY {', '.join(groups)} HAVING {rows} > 0"


def _branch(summary: Summary, parts: t.Sequence[Part], own: int, table: str) -> str:
    """One table's rows, with nothing in the columns of the others.

    :param own: the number of the table's part, 0 for the table whose rows make the groups.
    """
    names = parts[own - 1].groups if own else [text.name(column) for column in summary.groups]
    listed = [f"b.{name} AS k{number}" for number, name in enumerate(names, 1)]
    if summary.every:
        listed.append(f"{0 if own else 1} AS e")
    for number, part in enumerate(parts, 1):
        for stored in part.stored[len(part.groups) :]:
            taken = f"b.{stored}" if number == own else _nothing(part, stored)
            listed.append(f"{taken} AS p{number}_{stored}")
    return f"SELECT {', '.join(listed)} FROM {table} b"


def _nothing(part: Part, stored: str) -> str:
    for place, column in part.values:
        if column.extreme and stored in (place, f"{place}_out"):
            return f"CAST(NULL AS {part.types[column.column]})"
        if column.function == SUM and stored == place:
            return "CAST(0 AS numeric)"
    return "CAST(0 AS int8)"


def defining(summary: Summary, parts: t.Sequence[Part]) -> str:
    """What the view has to have, from the base tables alone."""
    groups = [f"s.k{number}" for number, _value in enumerate(summary.groups, 1)]
    branches = []
    for own, part in enumerate(parts, 1):
        listed = [f"{group} AS k{number}" for number, group in enumerate(part.group("r"), 1)]
        listed.append("0 AS e")
        for number, other in enumerate(parts, 1):
            for place, column in enumerate(other.source.columns, 1):
                taken = _defined(other, column) if number == own else _absent(other, column)
                listed.append(f"{taken} AS p{number}_c{place}")
        branches.append(f"SELECT {', '.join(listed)} FROM {part.base} r GROUP BY {', '.join(part.group('r'))}")
    if summary.every:
        listed = [f"r.{text.name(name)} AS k{number}" for number, name in enumerate(summary.groups, 1)] + ["1 AS e"]
        for number, part in enumerate(parts, 1):
            listed += [
                f"{_absent(part, column)} AS p{number}_c{place}" for place, column in enumerate(part.source.columns, 1)
            ]
        branches.append(f"SELECT {', '.join(listed)} FROM {text.name(summary.every.schema, summary.every.table)} r")
    listed = [f"{group} AS {text.name(name)}" for group, name in zip(groups, summary.groups)]
    for number, part in enumerate(parts, 1):
        for place, column in enumerate(part.source.columns, 1):
            # Each source has one line of a group, and the others have none of its values.
            taken = f"s.p{number}_c{place}"
            taken = f"CAST(sum({taken}) AS int8)" if column.function == COUNT else f"max({taken})"
            listed.append(f"{taken} AS {text.name(column.name)}")
    having = " HAVING max(s.e) > 0" if summary.every else ""
    united = "\n  UNION ALL ".join(branches)
    return f"SELECT {', '.join(listed)}\nFROM ({united}) s\nGROUP BY {', '.join(groups)}{having}"


def _defined(part: Part, column: Column) -> str:
    holds = part.holds(column, "r")
    condition = f" FILTER (WHERE {holds})" if holds else ""
    if column.function == COUNT:
        return f"count(*){condition}"
    plain = f"r.{text.name(column.column)}"
    return f"{column.function}({f'CAST({plain} AS numeric)' if column.function == SUM else plain}){condition}"


def _absent(part: Part, column: Column) -> str:
    if column.function == COUNT:
        return "CAST(0 AS int8)"
    return f"CAST(NULL AS {'numeric' if column.function == SUM else part.types[column.column]})"


def drift(summary: Summary, parts: t.Sequence[Part]) -> str:
    """Compare the view with its defining query, both in the snapshot of this one statement.

    Rows: whether the view has the line (or the base tables), the line, and how many groups differ in all.
    """
    groups = ", ".join(f"a.{text.name(name)}" for name in summary.groups)
    columns = text.names((*summary.groups, *(column.name for column in summary.columns)))
    kept, real = f"SELECT {columns} FROM kept", f"SELECT {columns} FROM real"
    sides = [
        f"SELECT {mine} AS ours, to_jsonb(a) AS line, jsonb_build_array({groups}) AS key "
        f"FROM ({one} EXCEPT ALL {other}) a"
        for mine, one, other in (("true", kept, real), ("false", real, kept))
    ]
    return (
        f"WITH kept AS MATERIALIZED (SELECT * FROM {text.name(summary.schema, summary.name)}),\n"
        f"real AS MATERIALIZED ({defining(summary, parts)}),\n"
        f"differing AS MATERIALIZED ({' UNION ALL '.join(sides)}),\n"
        "shown AS (SELECT DISTINCT key FROM differing ORDER BY key LIMIT " + f"{SHOWN})\n"
        "SELECT d.ours, CAST(d.line AS text) AS line, CAST(d.key AS text) AS key,\n"
        "       (SELECT count(*) FROM (SELECT DISTINCT key FROM differing) x) AS groups\n"
        "FROM differing d JOIN shown USING (key) ORDER BY d.key, d.ours"
    )


def seed(part: Part) -> str:
    """Fill the folded table, which is empty, while others write: what the base table has in the statement's snapshot.

    What is pending there is part of that, or is wrong, and goes. What comes later stays.
    """
    worth = dict(part.worth("r"))
    base = [f"{group} AS {stored}" for stored, group in zip(part.groups, part.group("r"))]
    base += ["1 AS n", *(f"{taken} AS {stored}" for stored, taken in worth.items())]
    groups, columns = ", ".join(f"x.{stored}" for stored in part.groups), ["n", *worth]
    return (
        f"WITH gone AS (DELETE FROM {part.pending}) INSERT INTO {part.kept} ({', '.join([*part.groups, *columns])}) "
        f"SELECT {groups}, {', '.join(part.total(stored, 'x') for stored in columns)} "
        f"FROM (SELECT {', '.join(base)} FROM {part.base} r) x GROUP BY {groups};"
    )


def fold(part: Part, whole: bool) -> str:
    """Fold what is pending, of each group all that this statement's snapshot sees; returns how many rows.

    Writers go on: what they append meanwhile stays for the next time.

    :param whole: all groups, or else only so many as are in a batch.
    """
    columns = ", ".join(part.stored)
    groups = [f"f.{stored}" for stored in part.groups]
    chosen = f"SELECT DISTINCT {', '.join(part.groups)} FROM {part.pending} LIMIT {BATCH}"
    kept = ["CAST(sum(f.n) AS int8)"]
    for place, column in part.values:
        if column.function == COUNT:
            kept.append(f"CAST(sum(f.{place}) AS int8)")
        elif column.function == SUM:
            special = f"sum(f.{place})"
            if column.column in part.numeric:
                found = f"coalesce({lookup(part, column, groups)}, 0)"
                special = f"CASE WHEN {special} IN {_SPECIAL} THEN {found} ELSE {special} END"
            kept += [special, f"CAST(sum(f.{place}_n) AS int8)"]
        else:
            kept += [value(part, place, column, "f.", groups), "NULL"]
    if whole:
        some = (
            f"WITH gone AS (DELETE FROM {part.pending} p RETURNING p.*),\n"
            f"chosen AS MATERIALIZED (SELECT DISTINCT {', '.join(part.groups)} FROM gone),\n"
        )
    else:
        some = (
            f"WITH chosen AS MATERIALIZED ({chosen}),\n"
            f"gone AS (DELETE FROM {part.pending} p USING chosen c WHERE {part.same('p', 'c')} RETURNING p.*),\n"
        )
    return (
        f"{some}"
        f"old AS (DELETE FROM {part.kept} k USING chosen c WHERE {part.same('k', 'c')} RETURNING k.*),\n"
        f"folded AS (INSERT INTO {part.kept} ({columns}) SELECT {', '.join([*groups, *kept])}\n"
        f"  FROM (SELECT {columns} FROM gone UNION ALL SELECT {columns} FROM old) f GROUP BY {', '.join(groups)} "
        "HAVING sum(f.n) > 0)\n"
        "SELECT count(*) AS folded FROM gone"
    )
