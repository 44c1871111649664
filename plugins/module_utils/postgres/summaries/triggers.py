# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which triggers stand on which tables, and what is done for a partition that comes or goes, as SQL; pure.

A statement fires the triggers of the table that it names alone: those of the root, or of the partition. So each table
of a tree has them, and one statement still counts once. TRUNCATE fires those of all tables below the one that it names;
so what has rows itself has that trigger.

The trigger of rows is for those that logical replication brings. Partitions get it from the root. Statement triggers
are silent then, as they are those of an origin. So each row counts once, whether it was applied or came with the first
copy, which fires statement triggers that are for replicas too.
"""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import text
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import EVENTS, SUFFIXES, Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import ALWAYS, ORIGIN, Firing

_CLASS = "pg_catalog.regclass"


def equip(part: Part) -> list[str]:
    """Statements that make all triggers of a table and of its partitions, whichever there are once it is locked."""
    return _equip(part, part.base, _on_tree(part, _oid(part.base)))


def beside(part: Part, name: str) -> list[str]:
    """Statements that prepare the triggers of a partitioned table that will take the base table's place.

    None of them fires: no one names its partitions, so their triggers of statements are ready; the others are disabled.

    :param name: what it is called until then, in the schema of the base table.
    """
    table = text.name(part.source.schema, name)
    disable = _execute(f"ALTER TABLE \0 DISABLE TRIGGER {text.name(f'{part.stem}_truncate')};")
    body = f"""DECLARE
  one pg_catalog.record;
BEGIN
  FOR one IN {_tree(_oid(table))} LOOP
    IF one.relkind <> 'p' THEN
    {disable}
    END IF;
  END LOOP;
END"""
    statements = [*_equip(part, table, _on_tree(part, _oid(table))), f"DO {text.literal(body)};"]
    sleeping = ", ".join(f"DISABLE TRIGGER {text.name(f'{part.stem}_{suffix}')}" for suffix in (*EVENTS, "row"))
    return [*statements, f"ALTER TABLE {table} {sleeping};"]


def replaced(part: Part) -> list[str]:
    """Statements for the transaction that puts a partitioned table in the base table's place.

    What :func:`beside` has made is enabled, and what is missing is made. The rows are the same, and count already.
    """
    return _equip(part, part.base, _on_tree(part, _oid(part.base), missing=True))


def _equip(part: Part, table: str, on_tree: str) -> list[str]:
    trigger = text.name(f"{part.stem}_row")
    row = (
        f"CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {part.object('_row')}()"
    )
    base = _oid(table)
    body = f"""DECLARE
  one pg_catalog.record;
BEGIN
  {on_tree}
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger
                 WHERE tgrelid = {base} AND tgname = {text.literal(f"{part.stem}_row")}) THEN
    EXECUTE {text.literal(row)};
  END IF;
END"""
    return [f"DO {text.literal(body)};", f"ALTER TABLE {table} ENABLE REPLICA TRIGGER {trigger};"]


def arriving(part: Part, name: str, counted: bool = False) -> list[str]:
    """Statements for the transaction that attaches a partition, behind it: it gets triggers.

    :param counted: whether its rows count from now on. They do not where they counted before, in another partition.
        The table is locked in ACCESS EXCLUSIVE mode then, as ATTACH itself keeps no one out: a query that was planned
        before would not see rows that the summary has.
    """
    count = f"PERFORM {part.object('_count')}(leaf, 1);" if counted else ""
    body = f"""DECLARE
  leaf {_CLASS} := {_child(part, name)};
  one pg_catalog.record;
BEGIN
  {_on_tree(part, "leaf")}
  {count}
END"""
    return [f"DO {text.literal(body)};"]


def leaving(part: Part, name: str) -> list[str]:
    """Statements for the transaction that detaches a partition, before it and once writers are locked out.

    Its rows no longer count, and it loses its triggers; that of rows goes with the partition.
    """
    drops = "\n    ".join(
        _execute(f"DROP TRIGGER IF EXISTS {text.name(f'{part.stem}_{event}')} ON \0;")
        for event in (*EVENTS, "truncate")
    )
    body = f"""DECLARE
  leaf {_CLASS} := {_child(part, name)};
  one pg_catalog.record;
BEGIN
  PERFORM {part.object("_count")}(leaf, -1);
  FOR one IN {_tree("leaf")} LOOP
    {drops}
  END LOOP;
END"""
    return [f"DO {text.literal(body)};"]


def off(firing: Firing) -> list[str]:
    """Statements that take a part's triggers off a table outside its tree; partitions lose that of rows with it."""
    table = text.name(firing.schema, firing.name)
    return [f"DROP TRIGGER IF EXISTS {text.name(f'{firing.stem}_{suffix}')} ON {table};" for suffix in SUFFIXES]


def _oid(table: str) -> str:
    return f"{text.literal(table)}::{_CLASS}"


def _child(part: Part, name: str) -> str:
    """A partition of the base table, by its name and whatever its schema is."""
    return (
        "(SELECT c.oid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid "
        f"WHERE i.inhparent = {text.literal(part.base)}::{_CLASS} AND c.relname = {text.literal(name)})"
    )


def _tree(table: str) -> str:
    return (
        f"SELECT c.oid, c.relkind FROM pg_catalog.pg_class c WHERE c.oid = {table} "
        f"OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree({table}))"
    )


def _on_tree(part: Part, table: str, missing: bool = False) -> str:
    """PL/pgSQL that makes the triggers of statements on a table and on all below it, replacing those that are there.

    :param missing: only those that are not there and enabled, which is faster where most are.
    """
    each = []
    for event, transition in EVENTS.items():
        made = [
            f"CREATE OR REPLACE TRIGGER {text.name(f'{part.stem}_{event}')} AFTER {event.upper()} ON \0 {transition} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {part.object('_' + event)}();",
            f"ALTER TABLE \0 ENABLE TRIGGER {text.name(f'{part.stem}_{event}')};",
        ]
        each.append(_made(f"{part.stem}_{event}", made, ORIGIN if missing else ""))
    trigger = text.name(f"{part.stem}_truncate")
    made = [
        f"CREATE OR REPLACE TRIGGER {trigger} BEFORE TRUNCATE ON \0 "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {part.object('_truncate')}();",
        f"ALTER TABLE \0 ENABLE ALWAYS TRIGGER {trigger};",
    ]
    on_leaf = _made(f"{part.stem}_truncate", made, ALWAYS if missing else "")
    on_each = "\n    ".join(each)
    return f"""FOR one IN {_tree(table)} LOOP
    {on_each}
    IF one.relkind <> 'p' THEN
    {on_leaf}
    END IF;
  END LOOP;"""


def _made(trigger: str, statements: list[str], unless: str) -> str:
    """PL/pgSQL that makes a trigger on the table of the record ``one``.

    :param unless: ``tgenabled`` of one that is left as it is; "" for none.
    """
    made = "\n    ".join(map(_execute, statements))
    if not unless:
        return made
    there = (
        f"SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = one.oid AND tgname = {text.literal(trigger)} "
        f"AND tgenabled = '{unless}'"
    )
    return f"IF NOT EXISTS ({there}) THEN\n    {made}\n    END IF;"


def _execute(statement: str) -> str:
    """A statement of PL/pgSQL that runs another on the table of the record ``one``; no name has a zero byte."""
    before, after = (text.literal(half) for half in statement.split("\0"))
    return f"EXECUTE {before} || one.oid::{_CLASS} || {after};"
