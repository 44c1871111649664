# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database has of tables and summaries; pure."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import text
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import EVENTS, Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import FUNCTIONS, Summary

#: What the comments of our views and tables begin with.
MARK = "scaleout.platform summary: "

#: What those of a part's tables do.
PART_MARK = MARK + '{"part_of": '

#: What that of the view does that counts the base tables. It is no summary itself.
DEFINING_MARK = "scaleout.platform counts what a summary has to have: "

#: A type as format_type writes it: words, names in quotes, numbers in parentheses, brackets. It cannot end a CAST.
_NAME = r'(?:"(?:[^"\0]|"")+"|\w+(?: \w+)*)'
_TYPE = re.compile(rf"(?:{_NAME}\.)?{_NAME}(?:\([0-9, -]+\)(?: \w+)*)?(?:\[\])*")

#: ``tgenabled`` of the triggers that have to be there.
ORIGIN, REPLICA, ALWAYS = "O", "R", "A"


@dataclasses.dataclass(frozen=True)
class ColumnFact:
    """A column of a base table.

    :param type: as SQL writes it.
    :param base: the type's name, or that of the type below a domain.
    :param type_schema: of that type.
    :param extremes: the schema that has min and max for it; None where there are none.
    :param ordered: whether its values, or those of its elements, can be compared.
    """

    name: str
    type: str
    base: str
    type_schema: str
    not_null: bool
    extremes: str | None
    ordered: bool = True


@dataclasses.dataclass(frozen=True)
class Relation:
    """A table, or a partition of it at any depth.

    :param leaf: whether it has rows itself.
    :param filtered: whether row security hides rows of it from the summary's owner.
    :param owned: whether the summary's owner owns it.
    :param readable: whether the summary's owner may read it.
    :param triggers: how each is enabled, by name.
    """

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    leaf: bool
    filtered: bool
    owned: bool
    readable: bool
    triggers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        return text.name(self.schema, self.name)

    def lacks(self, part: Part) -> bool:
        """Whether a trigger of a part is not here, or is not enabled as it has to be."""
        return lacks(self.triggers, part, self.leaf)


def lacks(triggers: t.Mapping[str, str], part: Part, leaf: bool) -> bool:
    """Whether a trigger of a part is not among those of a relation, or is not enabled as it has to be.

    :param triggers: how each is enabled, by name.
    :param leaf: whether the relation has rows itself.
    """
    wanted = {f"{part.stem}_{event}": ORIGIN for event in EVENTS}
    wanted[f"{part.stem}_row"] = REPLICA
    if leaf:
        wanted[f"{part.stem}_truncate"] = ALWAYS
    return any(triggers.get(name) != enabled for name, enabled in wanted.items())


@dataclasses.dataclass(frozen=True)
class Firing:
    """A table on which triggers of a part fire, wherever it is.

    :param owned: whether the summary's owner owns it.
    """

    stem: str
    oid: int
    schema: str
    name: str
    owned: bool

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclasses.dataclass(frozen=True)
class Standing:
    """A part whose triggers stand on a table, whether its summary can be read by now or not.

    :param summary: what the summary is called, for a message.
    :param triggers: how each is enabled, by name.
    """

    part: Part
    summary: str
    triggers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it counts all that is written to a plain table."""
        return not lacks(self.triggers, self.part, leaf=True)


@dataclasses.dataclass(frozen=True)
class Table:
    """A base table with its partitions.

    :param tree: the table itself first, then what is below it.
    :param inherits: whether it has a parent or children that are no partitions.
    :param indexes: for each index without a condition, its columns in order.
    """

    kind: str
    is_partition: bool
    inherits: bool
    owner: str
    columns: t.Mapping[str, ColumnFact]
    tree: tuple[Relation, ...]
    indexes: tuple[tuple[str, ...], ...]

    @property
    def root(self) -> Relation:
        return self.tree[0]


@dataclasses.dataclass(frozen=True)
class Kept:
    """A summary that is there.

    :param canonical: its filters as PostgreSQL writes them, by :meth:`.spec.Source.condition`.
    :param schemas: those of the types that are compared.
    :param may_be: whether the session may be its owner.
    :param altered: what was renamed of its tables since it was made, in sentences without a full stop.
    """

    summary: Summary
    parts: tuple[Part, ...]
    canonical: t.Mapping[str, str]
    schemas: tuple[str, ...] = ()
    owner: str = ""
    readers: tuple[str, ...] = ()
    may_be: bool = False
    altered: tuple[str, ...] = ()

    def extends(self, before: Kept) -> bool:
        """Whether its view only gets further columns, so that what depends on it can stay."""

        def columns(one: Kept) -> list[t.Any]:
            types = [part.types.get(name) for part in one.parts[:1] for name in part.source.group_by]
            listed = [(c.name, c.function, p.types.get(c.column)) for p in one.parts for c in p.source.columns]
            return [one.summary.groups, types, *listed]

        old = columns(before)
        return columns(self)[: len(old)] == old

    def counted(self) -> dict[str, set[str]]:
        """The columns that it looks at, by the tables."""
        found: dict[str, set[str]] = {}
        for part in self.parts:
            columns = [*part.source.group_by, *(column.column for column in part.source.columns if column.column)]
            columns += [argument for condition in part.filters for argument in part.arguments(condition)]
            found.setdefault(part.source.label, set()).update(columns)
        if self.summary.every:
            found.setdefault(self.summary.every.label, set()).update(self.summary.every.group_by)
        return found

    def comment(self) -> str:
        """What the view's comment says of it."""
        parts = [
            {
                "stem": part.stem,
                "nullable": sorted(part.nullable),
                "types": dict(part.types),
                "numeric": sorted(part.numeric),
                "extremes": dict(part.extremes),
            }
            for part in self.parts
        ]
        said = {"declared": self.summary.declaration(), "parts": parts, "filters": dict(self.canonical)}
        said["schemas"] = list(self.schemas)
        # In the order that it has, since the types are also the order of the arguments of filters.
        return MARK + json.dumps(said)

    @classmethod
    def of(cls, comment: str, owner: str = "", readers: t.Sequence[str] = ()) -> Kept | None:
        """The summary that a comment says is there; None for a comment of another's.

        What it says goes into SQL: names are quoted there, and functions and types are let through as such alone.
        """
        if not comment.startswith(MARK):
            return None
        try:
            said = json.loads(comment[len(MARK) :])
            summary = Summary.of_declaration(said["declared"])
            if len(said["parts"]) != len(summary.sources) or not summary.sources:
                return None
            if any(column.function not in FUNCTIONS for column in summary.columns):
                return None
            if not all(_TYPE.fullmatch(kind) for part in said["parts"] for kind in part["types"].values()):
                return None
            parts = tuple(
                Part(
                    summary.schema,
                    part["stem"],
                    source,
                    frozenset(part["nullable"]),
                    part["types"],
                    frozenset(part["numeric"]),
                    dict(part.get("extremes") or {}),
                )
                for part, source in zip(said["parts"], summary.sources)
            )
            return cls(summary, parts, said["filters"], tuple(said["schemas"]), owner, tuple(readers))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclasses.dataclass(frozen=True)
class Dependent:
    """What is not the summary's and would not survive something of it.

    :param of: the view, or the stem of a part, that it depends on.
    :param what: it, in PostgreSQL's words.
    :param renamed: whether it is the summary's own view under another name.
    """

    of: str
    what: str
    renamed: bool = False


@dataclasses.dataclass(frozen=True)
class State:
    """What the decision is made on.

    :param view: the kind of relation that has the summary's name, "" for none.
    :param kept: the summary of that name; None where there is none, or the view is another's.
    :param odd: whether the view has the comment of another summary.
    :param seen: the comments of the view and of all parts' tables, by their names. Whoever changes the summary changes
        them.
    :param defining_taken: whether something else has the name of the view that counts the base tables.
    :param stems: those of all parts' objects that are there for this name, in use or left over.
    :param may_create: whether the summary's owner may create objects in its schema; None where there is no such schema.
    :param roles: those among the readers that exist.
    :param dependents: what depends on the summary's views, tables and functions, and is not its own.
    :param firing: where its triggers are.
    """

    tables: t.Mapping[tuple[str, str], Table]
    view: str
    kept: Kept | None
    stems: tuple[str, ...]
    in_recovery: bool
    owner: str
    may_create: bool | None
    roles: frozenset[str] = frozenset()
    dependents: tuple[Dependent, ...] = ()
    odd: bool = False
    seen: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    defining_taken: bool = False
    firing: tuple[Firing, ...] = ()


def part_comment(summary: Summary, run: str) -> str:
    """What the comment of a part's table says, so that it can be found without the view.

    :param run: tells parts of one name apart that two tasks have made.
    """
    return MARK + json.dumps({"part_of": [summary.schema, summary.name], "run": run})


def part_mark(summary: Summary) -> str:
    """What the comments of all parts' tables of a summary begin with."""
    return PART_MARK + json.dumps([summary.schema, summary.name])


def turn_of(summary: Summary) -> str:
    """What tasks that change one summary take turns by."""
    return f"the summary {summary.label}"


def defining_comment(summary: Summary) -> str:
    """What the comment of the view says that counts the base tables: one of that name may be someone else's."""
    return DEFINING_MARK + json.dumps([summary.schema, summary.name])
