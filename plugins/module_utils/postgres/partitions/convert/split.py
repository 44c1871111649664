# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What moves the rows of a plain table into partitions of their own while they are read and written; pure.

The partitions are made beside the table and filled in batches. A trigger, *the mirror*, writes there what is written
to the table, in the same transaction; so they are equal from the last batch on, in whatever snapshot. Readers see the
table alone until both change places, so each row is there once at every moment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import (
    Range,
    Remainder,
    Values,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import statements
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.decide import CODE
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.sql import (
    Name,
    Statement,
    Value,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import Index, Table
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import New
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.names import Template
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Grid
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet

MIRROR = "scaleout_convert"
"""The trigger that repeats each write; our function has the root's name."""

MOST = 2000
"""Partitions that one conversion makes. More are a mistake in the interval or in a row far outside."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far the copy is, as the comment of the root says it.

    :param signature: of what is copied into what; of another one, nothing is left to go on with.
    :param file: the table's file; the blocks of another one have other rows.
    :param block: the first one that is not copied yet.
    :param end: the first one that the mirror alone is needed for.
    """

    signature: str
    file: int = 0
    block: int = 0
    end: int = 0

    def comment(self, table: Table) -> str:
        return statements.marked(of=table.name, **dataclasses.asdict(self))

    @classmethod
    def of(cls, comment: str | None) -> Progress | None:
        """The progress that a comment has; None where it has none."""
        facts = statements.facts_of(comment) or {}
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: facts[name] for name in names}) if all(name in facts for name in names) else None


def partitions(wanted: PartitionSet, grid: Grid | None, now: Key, smallest: Key | None, last: int) -> tuple[New, ...]:
    """The partitions that the rows go into, and those ahead of them.

    :param now: the key of the present time, or the largest number.
    :param smallest: the smallest key of the table; None where it has no rows.
    :param last: what has to be covered at least.
    :raises Refused: there would be too many.
    """
    template = wanted.template(grid.axis if grid else None)
    if grid is None and wanted.by == "hash":
        return tuple(New(template.of_remainder(one), Remainder(wanted.modulus, one)) for one in range(wanted.modulus))
    if grid is None:
        return tuple(New(template.of_value(word), Values(frozenset(values))) for word, values in wanted.values)
    if smallest is not None and math.isinf(smallest):
        raise Refused(
            f"{wanted.label} cannot be split: it has a row at -infinity. Correct or remove it first.", code=CODE
        )
    found: list[New] = []
    period = grid.containing(now if smallest is None else min(smallest, now))
    ahead = 0
    while period.lower < last or ahead <= wanted.premake:
        if len(found) >= MOST:
            raise Refused(
                f"{wanted.label} cannot be split: from {grid.axis.shown(period.lower)} on, its rows need more than "
                f"{MOST} partitions. Choose a longer interval, or correct the rows that are far outside.",
                code=CODE,
            )
        found.append(_new(wanted, template.of_period(period), Range(period.lower, period.upper)))
        ahead += period.upper > now
        period = grid.after(period)
    return tuple(found)


def _new(wanted: PartitionSet, name: str, bound: Range) -> New:
    if wanted.sub is None:
        return New(name, bound)
    template, sub = Template(wanted.sub.name, name), wanted.sub
    parts = tuple(New(template.of_remainder(one), Remainder(sub.modulus, one)) for one in range(sub.modulus))
    return New(name, bound, sub.column, parts)


def key_of(table: Table) -> Index | None:
    """The unique key by which a row is found again; its columns are never null."""
    never_null = {column.name for column in table.columns if column.not_null}
    for index in sorted(table.indexes, key=lambda one: not one.primary):
        plain = index.unique and not index.partial and not index.deferrable
        if plain and index.constraint_kind != "x" and set(index.columns) <= never_null:
            return index
    return None


def require_splittable(table: Table, wanted: PartitionSet) -> Index:
    """Refuse a table whose rows cannot be moved while it is written to.

    :raises Refused: naming each reason.
    """
    reasons = []
    key = key_of(table)
    if key is None:
        reasons.append("it has no primary key by which its rows could be found again, or one that is deferrable")
    types = {column.name: column.type for column in table.columns}
    for name in key.columns if key else ():
        if name is not None and "." in types[name]:
            reasons.append(f"the type of its key's column {name} is {types[name]}, and no type of PostgreSQL's own")
    for publication in table.publications:
        if not publication.listed:
            reasons.append(
                f"the publication {publication.name} has all tables of its schema or database, so it would publish the "
                "copies as well"
            )
    if reasons or key is None:
        raise Refused(
            f"{wanted.label} cannot be split into partitions: {'; '.join(reasons)}.", code=CODE, reasons=reasons
        )
    return key


def signature(table: Table, target: statements.Target) -> str:
    """A digest of what is copied into what; what only the swap needs to know is left out."""
    triggers = tuple(one for one in table.triggers if not mirrors(one.name))
    copied = dataclasses.replace(table, triggers=triggers, incoming=(), views=(), others=(), dependencies=0, file=0)
    return hashlib.sha256(repr((copied, target)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def rest_name(table: Table) -> str:
    """The partition for rows that no other one is for: until the end a write must not fail for lack of a partition."""
    return f"{statements.root_name(table)}_rest"


def _body(table: Table, key: Index) -> str:
    """The function of the mirror; names in it are quoted by the server, and the root's name needs no quotes."""
    root = f"{table.quoted_schema}.{statements.root_name(table)}"
    stored = [column for column in table.columns if not column.generated]
    quoted = {column.name: column.quoted for column in table.columns}
    keys = [quoted[name] for name in key.columns if name is not None]
    same = " AND ".join(f"t.{name} = OLD.{name}" for name in keys)
    changed = " OR ".join(f"OLD.{name} <> NEW.{name}" for name in keys)
    rest = [one.quoted for one in stored if one.quoted not in keys and one.identity != "a"]
    columns = ", ".join(one.quoted for one in stored)
    values = ", ".join(f"NEW.{one.quoted}" for one in stored)
    update = ", ".join(f"{name} = EXCLUDED.{name}" for name in rest)
    return (
        "BEGIN "
        f"IF TG_OP = 'TRUNCATE' THEN TRUNCATE {root}; RETURN NULL; END IF; "
        f"IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND ({changed})) THEN DELETE FROM {root} t WHERE {same}; END IF; "
        "IF TG_OP <> 'DELETE' THEN "
        f"INSERT INTO {root} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values}) "
        f"ON CONFLICT ({', '.join(keys)}) DO {f'UPDATE SET {update}' if update else 'NOTHING'}; "
        "END IF; RETURN NULL; END"
    )


def mirror(table: Table, key: Index) -> list[Statement]:
    """From now on each write is repeated; once this is committed, no write is under way that is not."""
    function: Statement = (f"{table.quoted_schema}.", Name(statements.root_name(table)))
    # The writers need no privilege on the root, as the function has its owner's.
    return [
        (
            *("CREATE OR REPLACE FUNCTION ", *function, "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "),
            *("SET search_path = pg_catalog, pg_temp AS ", Value(_body(table, key))),
        ),
        ("ALTER FUNCTION ", *function, f"() OWNER TO {table.owner}"),
        ("REVOKE ALL ON FUNCTION ", *function, "() FROM PUBLIC"),
        (
            f"CREATE TRIGGER {MIRROR} AFTER INSERT OR UPDATE OR DELETE ON {table.quoted} FOR EACH ROW ",
            *("EXECUTE FUNCTION ", *function, "()"),
        ),
        (
            f"CREATE TRIGGER {MIRROR}_all AFTER TRUNCATE ON {table.quoted} FOR EACH STATEMENT EXECUTE FUNCTION ",
            *(*function, "()"),
        ),
        (f"ALTER TABLE {table.quoted} ENABLE ALWAYS TRIGGER {MIRROR}, ENABLE ALWAYS TRIGGER {MIRROR}_all",),
    ]


def drop_mirror(table: Table, where: Statement) -> list[Statement]:
    """Nothing is repeated any longer.

    :param where: the table, under the name that it has.
    """
    function: Statement = (f"{table.quoted_schema}.", Name(statements.root_name(table)))
    return [
        (f"DROP TRIGGER IF EXISTS {MIRROR} ON ", *where),
        (f"DROP TRIGGER IF EXISTS {MIRROR}_all ON ", *where),
        ("DROP FUNCTION IF EXISTS ", *function, "()"),
    ]


def note(table: Table, progress: Progress) -> Statement:
    root: Statement = (f"{table.quoted_schema}.", Name(statements.root_name(table)))
    return ("COMMENT ON TABLE ", *root, " IS ", Value(progress.comment(table)))


def batch(table: Table, first: int, end: int) -> Statement:
    """Copy the rows of some blocks.

    A row that is being deleted, or whose key changes, is waited for, so that none comes back; one that someone updates
    or has updated is there already, by the mirror.
    """
    root: Statement = (f"{table.quoted_schema}.", Name(statements.root_name(table)))
    columns = ", ".join(column.quoted for column in table.columns if not column.generated)
    return (
        *("INSERT INTO ", *root, f" ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM ("),
        f"SELECT {columns} FROM ONLY {table.quoted} WHERE ctid >= '({first},0)' AND ctid < '({end},0)' ",
        "FOR KEY SHARE) moved ON CONFLICT DO NOTHING",
    )


def digest(quoted: str) -> str:
    """A query for the number of the rows and a hash of all their values."""
    return f"SELECT count(*)::bigint AS rows, bit_xor(hashtextextended(t::text, 0))::bigint AS hash FROM {quoted} t"


def create_rest(table: Table) -> list[Statement]:
    schema = f"{table.quoted_schema}."
    root = Name(statements.root_name(table))
    return [("CREATE TABLE ", schema, Name(rest_name(table)), " PARTITION OF ", schema, root, " DEFAULT")]


def swap(
    table: Table, root: Table, target: statements.Target, has_rest: bool, apart: t.Collection[str] = ()
) -> list[Statement]:
    """Put the filled root in the place of the table, which stays as it is under another name.

    :param has_rest: whether there is the partition of :func:`rest_name`; with rows in it, this fails with a division
        by zero.
    :param apart: the triggers that the table loses, and that the root gets otherwise.
    """
    old: Statement = (f"{table.quoted_schema}.", Name(target.name))
    rest: Statement = (f"{table.quoted_schema}.", Name(rest_name(table)))
    made: list[Statement] = [statements.unchanged(table)]
    if has_rest:
        made += [("SELECT 1 / (NOT EXISTS (SELECT FROM ", *rest, "))::int"), ("DROP TABLE ", *rest)]
    made += [*statements.rename(table, root, target.name), *drop_mirror(table, old)]
    made += [(f"DROP TRIGGER {one.quoted} ON ", *old) for one in table.triggers if one.name in apart]
    copied = [one for one in table.triggers if one.name not in apart and not mirrors(one.name)]
    made += [statements.enable(trigger, (table.quoted,)) for trigger in copied]
    made += [("ALTER TABLE ", *old, f" DROP CONSTRAINT {key.quoted}") for key in table.foreign_keys]
    made += [*statements.secure(table, (table.quoted,)), *statements.publish(table, (table.quoted,))]
    return made + statements.follow(table, old)


def mirrors(trigger: str) -> bool:
    """Whether a trigger is ours."""
    return trigger in (MIRROR, f"{MIRROR}_all")


def locks(table: Table) -> list[Statement]:
    """The locks of :func:`swap`: the old table's foreign keys go, which concerns the tables that they lead to."""
    others = {key.table for key in table.incoming} | {key.target or "" for key in table.foreign_keys}
    lock = f"LOCK TABLE {', '.join([table.quoted, *sorted(others)])} IN ACCESS EXCLUSIVE MODE"
    return [*statements.lock_views(table), (lock,)]
