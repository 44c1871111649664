# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables, functions and triggers of a part, as SQL; pure.

The functions run with their owner's rights in whatever search_path the writer has. To set one for each call would cost
a fifth of a write, so nothing in them is looked up by the path: functions and operators of PostgreSQL are named with
their schema, rows are compared by ``record_eq``, and each filter is a function that was parsed when it was made and
is inlined.

A statement of one row is told from others by a first look, since to aggregate costs as much as to append a row.
Measured, with the server's time for the bare statement as 1: a single insert takes 1.3 and not 1.5, a thousand rows of
one group 1.05 and not 1.2.
"""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import text
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import SUFFIXES, Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import COUNT, SUM

#: How many pending rows that are gone make autovacuum begin.
_VACUUM_AT = 10_000
_SAFE_PATH = "SET search_path = pg_catalog, pg_temp"
_SEVERAL = "PERFORM FROM {table} LIMIT 1 OFFSET 1;"


def filters(part: Part) -> list[str]:
    """Statements for the session's own search_path: a filter means what it means to the user who wrote it."""
    made = []
    for condition in part.filters:
        arguments = ", ".join(f"{text.name(column)} {part.types[column]}" for column in part.arguments(condition))
        # What is immutable was checked before; the last line may be a comment.
        made.append(
            f"CREATE FUNCTION {part.filter_function(condition)}({arguments}) RETURNS pg_catalog.bool "
            f"LANGUAGE sql IMMUTABLE PARALLEL SAFE BEGIN ATOMIC SELECT ({condition}\n); END;"
        )
        # Who reads the view looks values up with its owner's rights, and calls functions with their own.
        made.append(f"GRANT EXECUTE ON FUNCTION {part.filter_function(condition)} TO PUBLIC;")
    return made


def storage(part: Part) -> list[str]:
    """Statements that make the tables, empty. What a column has decides its type."""
    columns = [f"{group} AS {stored}" for group, stored in zip(part.group("r"), part.groups)]
    columns.append("CAST(0 AS pg_catalog.int8) AS n")
    for value, column in part.values:
        if column.extreme:
            extreme = part.extreme(column, f"r.{text.name(column.column)}")
            columns += [f"{extreme} AS {value}", f"{extreme} AS {value}_out"]
        else:
            kind = "numeric" if column.function == SUM else "int8"
            columns.append(f"CAST(0 AS pg_catalog.{kind}) AS {value}")
            if column.function == SUM:
                columns.append(f"CAST(0 AS pg_catalog.int8) AS {value}_n")
    group = ", ".join(part.group("r"))
    vacuum = (
        f"autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = {_VACUUM_AT}, "
        f"autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = {_VACUUM_AT}, vacuum_truncate = off"
    )
    made = []
    for table, options in ((part.kept, ""), (part.pending, f" WITH ({vacuum})")):
        query = f"SELECT {', '.join(columns)} FROM {part.base} r GROUP BY {group}"
        made.append(f"CREATE TABLE {table}{options} AS {query} WITH NO DATA;")
        # Otherwise a publication of all tables would keep the rows from being folded.
        made.append(f"ALTER TABLE {table} REPLICA IDENTITY FULL;")
        made.append(f"CREATE INDEX ON {table} ({', '.join(part.groups)});")
    return made


def functions(part: Part) -> list[str]:
    """Statements that make the functions of the triggers, and the one that counts a whole partition."""
    bodies = {
        "insert": _one_way(part, "new_rows", 1),
        "update": _update(part),
        "delete": _one_way(part, "old_rows", -1),
    }
    made = [_trigger_function(part, event, body) for event, body in bodies.items()]
    made.append(_trigger_function(part, "row", _each_row(part), _SAFE_PATH))
    count = text.literal(_count(part))
    made.append(
        f"CREATE FUNCTION {part.object('_count')}(counted pg_catalog.regclass, sign pg_catalog.int4) "
        f"RETURNS pg_catalog.void LANGUAGE plpgsql SECURITY DEFINER {_SAFE_PATH} AS {count};"
    )
    made.append(f"REVOKE ALL ON FUNCTION {part.object('_count')}(pg_catalog.regclass, pg_catalog.int4) FROM PUBLIC;")
    body = f"BEGIN PERFORM {part.object('_count')}(TG_RELID, -1); RETURN NULL; END"
    made.append(_trigger_function(part, "truncate", body, _SAFE_PATH))
    return made


def _trigger_function(part: Part, event: str, body: str, path: str = "") -> str:
    return (
        f"CREATE FUNCTION {part.object('_' + event)}() RETURNS pg_catalog.trigger "
        f"LANGUAGE plpgsql SECURITY DEFINER {path} AS {text.literal(body)};"
    )


def _into(part: Part, columns: list[str]) -> str:
    return f"INSERT INTO {part.pending} ({', '.join([*part.groups, 'n', *columns])}) "


def _row(part: Part, row: str, sign: int, both: bool = False) -> str:
    """The list of a SELECT: what a row is worth, with names.

    :param both: with null for the values of the other direction, so that rows of both can be united.
    """
    worth = dict(part.worth(row, sign))
    columns = [*(column for column in part.stored[len(part.groups) + 1 :] if both or column in worth)]
    listed = [f"{group} AS {stored}" for group, stored in zip(part.group(row), part.groups)]
    listed.append(f"{sign} AS n")
    listed += [f"{worth.get(column, 'NULL')} AS {column}" for column in columns]
    return ", ".join(listed)


def grouped(part: Part, rows: str, columns: list[str], having: str = "") -> str:
    """Append the sums of rows by groups.

    :param rows: a query for them.
    :param columns: of the storage, beside the group and ``n``.
    """
    group = ", ".join(f"x.{stored}" for stored in part.groups)
    sums = ", ".join(part.total(column, "x") for column in ["n", *columns])
    return f"{_into(part, columns)}SELECT {group}, {sums} FROM ({rows}) x GROUP BY {group}{having};"


def _one_way(part: Part, table: str, sign: int) -> str:
    columns = [column for column, _value in part.worth("r", sign)]
    rows = f"SELECT {_row(part, 'r', sign)} FROM {table} r"
    return f"""BEGIN
  {_SEVERAL.format(table=table)}
  IF FOUND THEN
    {grouped(part, rows, columns)}
  ELSE
    {_into(part, columns)}{rows};
  END IF;
  RETURN NULL;
END"""


def _update(part: Part) -> str:
    several = _several_updated(part)
    moved = (
        f"PERFORM FROM old_rows o, new_rows n WHERE NOT {_equal(part.group('o'), part.group('n'))};\n"
        f"    IF FOUND THEN\n      {several}\n    END IF;"
    )
    single = moved
    if part.values:
        columns, differences = _differences(part)
        groups = ", ".join(part.group("n"))
        changed = _equal([value for _name, value in part.worth("o")], [value for _name, value in part.worth("n")])
        single = (
            f"{_into(part, columns)}SELECT {groups}, 0, {', '.join(differences)} FROM old_rows o, new_rows n "
            f"WHERE {_equal(part.group('o'), part.group('n'))} AND NOT {changed};\n"
            f"    IF NOT FOUND THEN\n    {moved}\n    END IF;"
        )
    return f"""BEGIN
  {_SEVERAL.format(table="new_rows")}
  IF FOUND THEN
    {several}
  ELSE
    {single}
  END IF;
  RETURN NULL;
END"""


def _several_updated(part: Part) -> str:
    columns = [*part.stored[len(part.groups) + 1 :]]
    rows = (
        f"SELECT {_row(part, 'o', -1, both=True)} FROM old_rows o UNION ALL "
        f"SELECT {_row(part, 'n', 1, both=True)} FROM new_rows n"
    )
    totals, none = [part.total("n", "x")], ["CAST(0 AS pg_catalog.int8)"]
    for column in columns:
        if column.endswith("_out"):
            none.append(part.total(column, "x"))
            continue
        totals.append(part.total(column, "x"))
        value = dict(part.values).get(column)
        if value is None or not value.extreme:
            none.append(f"CAST(0 AS pg_catalog.{'numeric' if value and value.function == SUM else 'int8'})")
    return grouped(part, rows, columns, f" HAVING NOT {_equal(totals, none)}")


def _differences(part: Part) -> tuple[list[str], list[str]]:
    """What one row that stays in its group changes: the columns of the storage, and expressions for them."""
    old, new, gone = dict(part.worth("o")), dict(part.worth("n")), dict(part.worth("o", -1))
    columns, differences = [], []
    for value, column in part.values:
        if column.extreme:
            columns += [value, f"{value}_out"]
            differences += [new[value], gone[f"{value}_out"]]
            continue
        for stored in [value] if column.function == COUNT else [value, f"{value}_n"]:
            minus = "numeric_sub" if column.function == SUM and stored == value else "int4mi"
            columns.append(stored)
            differences.append(f"pg_catalog.{minus}({new[stored]}, {old[stored]})")
    return columns, differences


def _equal(one: list[str], other: list[str]) -> str:
    """Whether values are the same, where null is the same as null, by the types' own order."""
    return f"pg_catalog.record_eq(ROW({', '.join(one)}), ROW({', '.join(other)}))"


def _each_row(part: Part) -> str:
    """For rows that come one by one, without statements: what logical replication applies or copies."""
    came, went = _row(part, "NEW", 1), _row(part, "OLD", -1)
    new = [*part.group("NEW"), *(value for _name, value in part.worth("NEW"))]
    old = [*part.group("OLD"), *(value for _name, value in part.worth("OLD"))]
    add = f"{_into(part, [column for column, _value in part.worth('NEW', 1)])}SELECT {came};"
    subtract = f"{_into(part, [column for column, _value in part.worth('OLD', -1)])}SELECT {went};"
    return f"""BEGIN
  IF TG_OP = 'INSERT' THEN
    {add}
  ELSIF TG_OP = 'DELETE' THEN
    {subtract}
  ELSIF NOT {_equal(old, new)} THEN
    {subtract}
    {add}
  END IF;
  RETURN NULL;
END"""


def _count(part: Part) -> str:
    """Count all rows of a partition, once, in or out.

    An older snapshot would miss rows that TRUNCATE takes away all the same.
    """
    branches = []
    for sign in (1, -1):
        # No name has a zero byte, so it can stand for the partition's.
        rows = f"SELECT {_row(part, 'r', sign)} FROM \0 r"
        insert = grouped(part, rows, [column for column, _value in part.worth("r", sign)])
        before, after = (text.literal(half) for half in insert.split("\0"))
        branches.append(f"EXECUTE {before} || counted::pg_catalog.text || {after};")
    return f"""BEGIN
  IF pg_catalog.current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a table with a summary is truncated, attached or detached in a READ COMMITTED transaction only'
      USING ERRCODE = 'feature_not_supported';
  END IF;
  IF sign > 0 THEN
    {branches[0]}
  ELSE
    {branches[1]}
  END IF;
END"""


def drop(schema: str, stem: str) -> list[str]:
    """Statements that drop a part's objects with their triggers, as far as they are there."""
    triggers = ", ".join(text.literal(f"{stem}_{suffix}") for suffix in SUFFIXES)
    count, filters = text.literal(f"{stem}_count"), text.literal(f"{stem}_filter")
    body = f"""DECLARE
  one pg_catalog.record;
BEGIN
  FOR one IN SELECT p.oid, p.proname IN ({triggers}) AS fires FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = {text.literal(schema)} AND (p.proname IN ({triggers}, {count})
      OR p.proname ~ '_filter[0-9]+$' AND pg_catalog.starts_with(p.proname, {filters}))
  LOOP
    EXECUTE 'DROP FUNCTION ' || one.oid::pg_catalog.regprocedure || CASE WHEN one.fires THEN ' CASCADE' ELSE '' END;
  END LOOP;
END"""
    tables = f"{text.name(schema, stem)}, {text.name(schema, stem + '_pending')}"
    return [f"DO {text.literal(body)};", f"DROP TABLE IF EXISTS {tables};"]
