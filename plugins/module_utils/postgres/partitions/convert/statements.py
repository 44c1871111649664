# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What makes a partitioned table that is like a plain one, and what puts it in the place of the other; pure.

The partitioned table, here *the root*, is made beside the table and gets its name in one short transaction.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.names import LONGEST_IDENTIFIER
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.sql import (
    Name,
    Statement,
    Value,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import (
    CHECK,
    Column,
    Grant,
    Incoming,
    Index,
    Table,
    Trigger,
)

MARK = "scaleout.platform: "
"""How the comment of what we made begins, until it has its place; JSON follows."""

_ENABLED = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS", "O": "ENABLE"}
_IDENTITY = {"f": "FULL", "n": "NOTHING", "d": "DEFAULT"}
_COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}


@dataclasses.dataclass(frozen=True)
class Target:
    """What a table becomes.

    :param clause: what follows ``PARTITION BY``.
    :param name: what the old table is called afterwards.
    :param bound: ``FOR VALUES …`` of the old table as a partition.
    :param condition: the same as a condition, for the constraint that proves it.
    """

    clause: Statement
    name: str
    bound: Statement = ()
    condition: Statement = ()


def root_name(table: Table) -> str:
    """What the root is called until it has its place; no other table has the same."""
    return f"scaleout_convert_{table.oid}"


def marked(**facts: t.Any) -> str:
    return MARK + json.dumps(facts, sort_keys=True)


def facts_of(comment: str | None) -> dict[str, t.Any] | None:
    """What a comment of ours says; None for any other comment."""
    if not comment or not comment.startswith(MARK):
        return None
    try:
        facts = json.loads(comment[len(MARK) :])
    except ValueError:
        return None
    return facts if isinstance(facts, dict) else None


def add_check(table: Table, target: Target) -> list[Statement]:
    """The constraint that the rows will be proved by; what is there already is not looked at yet."""
    alter = f"ALTER TABLE {table.quoted} ADD CONSTRAINT {CHECK} CHECK ("
    return [(alter, *target.condition, ") NOT VALID")]


def drop_check(quoted: str) -> list[Statement]:
    return [(f"ALTER TABLE {quoted} DROP CONSTRAINT IF EXISTS {CHECK}",)]


def validate_check(table: Table) -> Statement:
    return (f"ALTER TABLE {table.quoted} VALIDATE CONSTRAINT {CHECK}",)


def create_root(
    table: Table, target: Target, for_copies: bool = False, apart: t.Collection[str] = ()
) -> list[Statement]:
    """An empty partitioned table like the plain one, with what no one but the table needs to be locked for.

    :param apart: the triggers that are left out.
    :param for_copies: rows are written to it that are still in the table. No trigger fires for them, they are published
        by no one, and row security does not keep them out.
    """
    root = Name(root_name(table))
    into: Statement = (f"{table.quoted_schema}.", root)
    made: list[Statement] = [
        ("CREATE TABLE ", *into, f" (LIKE {table.quoted} INCLUDING ALL) PARTITION BY ", *target.clause)
        + ((f" TABLESPACE {table.tablespace}",) if table.tablespace else ()),
        ("COMMENT ON TABLE ", *into, " IS ", Value(marked(of=table.name))),
        ("ALTER TABLE ", *into, f" DROP CONSTRAINT IF EXISTS {CHECK}"),
    ]
    for column in table.columns:
        made += [("ALTER TABLE ", *into, f" ALTER {column.quoted} {change}") for change in _tuning(column)]
    for key in table.foreign_keys:
        made.append(("ALTER TABLE ", *into, f" ADD CONSTRAINT {key.quoted} {key.definition}"))
        made += _comment(f"CONSTRAINT {key.quoted} ON ", into, key.comment)
    for trigger in table.triggers:
        if trigger.name not in apart:
            made += _trigger(table, trigger, into, for_copies)
    for policy in table.policies:
        kind = "PERMISSIVE" if policy.permissive else "RESTRICTIVE"
        made.append(
            (f"CREATE POLICY {policy.quoted} ON ", *into)
            + (f" AS {kind} FOR {_COMMANDS[policy.command]} TO {', '.join(policy.roles)}",)
            + ((f" USING ({policy.using})",) if policy.using else ())
            + ((f" WITH CHECK ({policy.check})",) if policy.check else ())
        )
        made += _comment(f"POLICY {policy.quoted} ON ", into, policy.comment)
    return made if for_copies else [*made, *secure(table, into), *publish(table, into)]


def secure(table: Table, into: Statement) -> list[Statement]:
    """Whether row security is on."""
    made: list[Statement] = []
    if table.row_security:
        made.append(("ALTER TABLE ", *into, " ENABLE ROW LEVEL SECURITY"))
    if table.force_row_security:
        made.append(("ALTER TABLE ", *into, " FORCE ROW LEVEL SECURITY"))
    return made


def publish(table: Table, into: Statement) -> list[Statement]:
    """What is published of the table is published of another one."""
    made: list[Statement] = []
    for publication in table.publications:
        if publication.listed:
            made.append(
                (f"ALTER PUBLICATION {publication.quoted} ADD TABLE ", *into)
                + ((f" ({publication.columns})",) if publication.columns else ())
                + ((f" WHERE ({publication.filter})",) if publication.filter else ())
            )
    return made


def enable(trigger: Trigger, into: Statement) -> Statement:
    return ("ALTER TABLE ", *into, f" {_ENABLED[trigger.enabled]} TRIGGER {trigger.quoted}")


def drop_root(table: Table) -> list[Statement]:
    """Remove what an interrupted run left; an empty table of ours, or copies."""
    return [(f"DROP TABLE IF EXISTS {table.quoted_schema}.", Name(root_name(table)))]


def dress_root(table: Table, root: Table) -> list[Statement]:
    """What can only be said once the root is there: its owner and grants, and which index identifies its rows."""
    made: list[Statement] = []
    if root.replica_identity != table.replica_identity or table.replica_identity == "i":
        kind = f"REPLICA IDENTITY {_IDENTITY.get(table.replica_identity, '')}"
        if table.replica_identity == "i":
            mine = next(new for old, new in pairs(table, root) if old.identity)
            made.append((f"ALTER TABLE {root.quoted} REPLICA IDENTITY USING INDEX ", Name(mine.name)))
        else:
            made.append((f"ALTER TABLE {root.quoted} {kind}",))
    if root.owner != table.owner:
        made.append((f"ALTER TABLE {root.quoted} OWNER TO {table.owner}",))
    made += _grants(f"TABLE {root.quoted}", root.grants, table.grants, "" if table.has_grants else table.owner)
    wanted = {one.quoted: one for one in table.columns}
    for column in root.columns:
        made += _grants(f"TABLE {root.quoted}", column.grants, wanted[column.quoted].grants, columns=column.quoted)
    return made


def pairs(table: Table, root: Table) -> list[tuple[Index, Index]]:
    """Each index of the table and the one of the root that is like it.

    :raises Refused: there is one that the root has no match for, so that to attach the table would build one.
    """
    left = list(root.indexes)
    found = []
    for index in table.indexes:
        match = next((one for one in left if one.alike == index.alike), None)
        if match is None:
            raise Refused(
                f"{table.schema}.{table.name} cannot become a partition set: PostgreSQL makes another index of "
                f"{index.definition}.",
                code="not_convertible",
            )
        left.remove(match)
        found.append((index, match))
    return found


def locks(table: Table) -> list[Statement]:
    """The locks of :func:`swap`, which it would take one after the other; the views first, as their readers do."""
    strong = [table.quoted, *sorted({key.table for key in table.incoming})]
    referred = sorted({key.target or "" for key in table.foreign_keys})
    weak: list[Statement] = [(f"LOCK TABLE {', '.join(referred)} IN SHARE ROW EXCLUSIVE MODE",)] if referred else []
    return [*weak, *lock_views(table), (f"LOCK TABLE {', '.join(strong)} IN ACCESS EXCLUSIVE MODE",)]


def lock_views(table: Table) -> list[Statement]:
    """Lock the views that read the table, in ACCESS EXCLUSIVE mode and as they are.

    LOCK TABLE would lock all that they read as well, such as tables that have nothing to do with this one. Their owner
    may lack the right to that.
    """
    return [(f"ALTER VIEW {view.quoted} OWNER TO {view.owner}",) for view in table.views]


def swap(table: Table, root: Table, target: Target, apart: t.Collection[str] = ()) -> list[Statement]:
    """Put the root in the place of the table, and the table under it as its first partition.

    :param apart: the triggers of which the table keeps those that are of statements.
    """
    schema = f"{table.quoted_schema}."
    old: Statement = (schema, Name(target.name))
    made = [unchanged(table), *rename(table, root, target.name)]
    gone = [one for one in table.triggers if one.for_each_row or one.name not in apart]
    made += [(f"DROP TRIGGER {trigger.quoted} ON ", *old) for trigger in gone]
    made.append((f"ALTER TABLE {table.quoted} ATTACH PARTITION ", *old, " ", *target.bound))
    made.append(("ALTER TABLE ", *old, f" DROP CONSTRAINT {CHECK}"))
    made += follow(table, old)
    return made


def unchanged(table: Table) -> Statement:
    """Fails with a division by zero where something was added to the table since it was read."""
    return (
        f"SELECT 1 / (count(*) = {table.dependencies})::int FROM pg_depend "
        f"WHERE refclassid = 'pg_class'::regclass AND refobjid = {table.oid}",
    )


def rename(table: Table, root: Table, name: str) -> list[Statement]:
    """The table gets the new name, the root the table's, and so do the indexes and sequences that go with them."""
    schema = f"{table.quoted_schema}."
    old: Statement = (schema, Name(name))
    made: list[Statement] = [
        (f"ALTER TABLE {table.quoted} RENAME TO ", Name(name)),
        (f"ALTER TABLE {root.quoted} RENAME TO ", Name(table.name)),
    ]
    for before, after in pairs(table, root):
        made.append((f"ALTER INDEX {before.quoted} RENAME TO ", Name(renamed(before.name, table.name, name))))
        made.append((f"ALTER INDEX {after.quoted} RENAME TO ", Name(before.name)))
    new = {sequence.column: sequence for sequence in root.sequences if sequence.identity}
    for sequence in table.sequences:
        if not sequence.identity:
            made.append((f"ALTER SEQUENCE {sequence.quoted} OWNED BY {table.quoted}.{sequence.column}",))
            continue
        mine = new[sequence.column]
        # Under the lock no one takes a number, so that the new sequence goes on where the old one ends.
        made.append(
            ("SELECT setval(", Value(mine.quoted), f"::regclass, last_value, is_called) FROM {sequence.quoted}")
        )
        made.append(("ALTER TABLE ", *old, f" ALTER {sequence.column} DROP IDENTITY"))
        made.append((f"ALTER SEQUENCE {mine.quoted} RENAME TO {sequence.name}",))
        spared = "" if sequence.has_grants else table.owner
        made += _grants(f"SEQUENCE {sequence.quoted}", mine.grants, sequence.grants, spared)
        made += _comment("SEQUENCE ", (sequence.quoted,), sequence.comment)
    return made


def follow(table: Table, old: Statement) -> list[Statement]:
    """What refers to the table refers to the root from now on."""
    made: list[Statement] = []
    for key in table.incoming:
        made += _move_key(key)
    for view in table.views:
        options = f" WITH ({', '.join(view.options)})" if view.options else ""
        made.append((f"CREATE OR REPLACE VIEW {view.quoted}{options} AS {view.definition}",))
    for publication in table.publications:
        if publication.listed:
            made.append((f"ALTER PUBLICATION {publication.quoted} DROP TABLE ", *old))
    made.append((f"COMMENT ON TABLE {table.quoted} IS ", Value(table.comment) if table.comment else "NULL"))
    return made


def validate_key(key: Incoming, comment: str | None) -> list[Statement]:
    """Look at the rows of a foreign key that :func:`follow` has moved; with locks that stop no one."""
    made: list[Statement] = [(f"ALTER TABLE {key.table} VALIDATE CONSTRAINT {key.quoted}",)]
    return [*made, _comment_as(f"CONSTRAINT {key.quoted} ON ", (key.table,), comment)]


def renamed(name: str, table: str, partition: str) -> str:
    """What an index of the table is called as that of a partition."""
    new = partition + name[len(table) :] if name.startswith(table) else f"{partition}_{name}"
    return cut(new)


def cut(name: str) -> str:
    """A name that PostgreSQL keeps whole; of a longer one, a piece of the middle is left out."""
    size = len(name.encode("utf-8"))
    while size > LONGEST_IDENTIFIER:
        middle = len(name) // 2
        name = name[: middle - 1] + name[middle:]
        size = len(name.encode("utf-8"))
    return name


def _move_key(key: Incoming) -> list[Statement]:
    definition = key.definition if key.definition.endswith(" NOT VALID") else f"{key.definition} NOT VALID"
    made: list[Statement] = [
        (f"ALTER TABLE {key.table} DROP CONSTRAINT {key.quoted}",),
        (f"ALTER TABLE {key.table} ADD CONSTRAINT {key.quoted} {definition}",),
    ]
    comment = marked(comment=key.comment) if key.valid else key.comment
    return made + _comment(f"CONSTRAINT {key.quoted} ON ", (key.table,), comment)


def _tuning(column: Column) -> list[str]:
    said = [] if column.statistics is None else [f"SET STATISTICS {column.statistics}"]
    return said + ([f"SET ({', '.join(column.options)})"] if column.options else [])


def _trigger(table: Table, trigger: Trigger, into: Statement, asleep: bool) -> list[Statement]:
    before, _on, after = trigger.definition.partition(f" ON {table.quoted} ")
    made: list[Statement] = [(f"{before} ON ", *into, f" {after}")]
    if asleep or trigger.enabled != "O":
        made.append(enable(dataclasses.replace(trigger, enabled="D") if asleep else trigger, into))
    return made + _comment(f"TRIGGER {trigger.quoted} ON ", into, trigger.comment)


def _grants(
    what: str, has: t.Sequence[Grant], wanted: t.Sequence[Grant], spared: str = "", columns: str = ""
) -> list[Statement]:
    """What makes the grants of one thing those of another; default privileges may have given it some.

    :param spared: a role that keeps what it has: an owner that no grant names.
    """
    if set(has) == set(wanted):
        return []
    of = f" ({columns})" if columns else ""
    roles = sorted({one.grantee for one in has} - {spared})
    made: list[Statement] = [(f"REVOKE ALL{of} ON {what} FROM {role}",) for role in roles]
    for one in wanted:
        option = " WITH GRANT OPTION" if one.grantable else ""
        made.append((f"GRANT {one.privilege}{of} ON {what} TO {one.grantee}{option}",))
    return made


def _comment(what: str, name: Statement, comment: str | None) -> list[Statement]:
    return [] if comment is None else [_comment_as(what, name, comment)]


def _comment_as(what: str, name: Statement, comment: str | None) -> Statement:
    return (f"COMMENT ON {what}", *name, " IS ", "NULL" if comment is None else Value(comment))
