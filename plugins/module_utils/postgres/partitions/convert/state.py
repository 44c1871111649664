# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A table and all that belongs to it, as the query of ``catalog.py`` reads it; values.

Each ``quoted`` is a name as the server quotes it, qualified where that is possible; each ``definition`` is SQL as the
server prints it, with qualified names.
"""

from __future__ import annotations

import dataclasses
import typing as t

_Row = t.Mapping[str, t.Any]

CHECK = "scaleout_convert"
"""The constraint that proves that all rows of the table fit into the partition that it becomes."""


@dataclasses.dataclass(frozen=True)
class Grant:
    """One privilege of one role; ``grantee`` is quoted, or ``PUBLIC``."""

    grantee: str
    privilege: str
    grantable: bool


@dataclasses.dataclass(frozen=True)
class Column:
    """A column; ``identity`` and ``generated`` are letters of ``pg_attribute``, empty for none."""

    name: str
    quoted: str
    type: str
    not_null: bool
    identity: str
    generated: str
    statistics: int | None
    options: tuple[str, ...]
    has_grants: bool
    grants: tuple[Grant, ...]
    has_default: bool = True


@dataclasses.dataclass(frozen=True)
class Index:
    """An index; ``columns`` has None for an expression, ``constraint_kind`` is a letter of ``pg_constraint``."""

    name: str
    quoted: str
    unique: bool
    primary: bool
    valid: bool
    identity: bool
    definition: str
    columns: tuple[str | None, ...]
    partial: bool
    constraint: str | None
    constraint_kind: str | None
    deferrable: bool

    @property
    def alike(self) -> tuple[t.Any, ...]:
        """What is the same for the same index of another table: all but its name and its table."""
        rest = self.definition.partition(" USING ")[2]
        return rest, self.unique, self.constraint_kind, self.deferrable


@dataclasses.dataclass(frozen=True)
class Constraint:
    """A check (``c``) or a foreign key (``f``) of the table; ``target`` is what a foreign key refers to."""

    name: str
    quoted: str
    kind: str
    definition: str
    valid: bool
    no_inherit: bool
    comment: str | None
    to_itself: bool
    target: str | None
    target_oid: int


@dataclasses.dataclass(frozen=True)
class Incoming:
    """A foreign key of another table to this one."""

    name: str
    quoted: str
    definition: str
    table: str
    table_oid: int
    table_name: str
    table_kind: str
    valid: bool
    mine: bool
    comment: str | None


@dataclasses.dataclass(frozen=True)
class Trigger:
    """A trigger of the table; ``enabled`` is a letter of ``pg_trigger``, and ``source`` the body of its function."""

    name: str
    quoted: str
    definition: str
    enabled: str
    for_each_row: bool
    transition: bool
    comment: str | None
    before_insert: bool = False
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Policy:
    """A policy of row security; ``command`` is a letter of ``pg_policy``."""

    name: str
    quoted: str
    permissive: bool
    command: str
    using: str | None
    check: str | None
    roles: tuple[str, ...]
    comment: str | None


@dataclasses.dataclass(frozen=True)
class View:
    """A relation with a rule that reads the table: a view (``v``), a materialized view (``m``), or any with a rule."""

    name: str
    quoted: str
    kind: str
    rule: str
    definition: str | None
    owner: str
    mine: bool
    options: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Publication:
    """A publication that has the table; ``listed`` by name, or with its schema or database."""

    name: str
    quoted: str
    via_root: bool
    listed: bool
    mine: bool
    filter: str | None
    columns: str | None


@dataclasses.dataclass(frozen=True)
class Sequence:
    """A sequence of a column, that of an identity or one that it owns."""

    quoted: str
    name: str
    column: str
    identity: bool
    has_grants: bool
    comment: str | None
    grants: tuple[Grant, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A relation with all that belongs to it.

    :param kind: a letter of ``pg_class``: ``r`` for a plain table, ``p`` for a partitioned one.
    :param mine: whether we may alter it.
    :param dependencies: how many rows of ``pg_depend`` name it; a cheap sign that nothing was added.
    :param file: its file, which changes when it is rewritten.
    :param others: what depends on it and cannot be kept.
    :param subscriptions: those that apply changes to it.
    """

    oid: int
    kind: str
    persistence: str
    is_partition: bool
    typed: bool
    schema: str
    name: str
    quoted: str
    quoted_schema: str
    owner: str
    mine: bool
    options: tuple[str, ...]
    tablespace: str | None
    row_security: bool
    force_row_security: bool
    replica_identity: str
    comment: str | None
    has_grants: bool
    grants: tuple[Grant, ...]
    inherits: bool
    dependencies: int
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    constraints: tuple[Constraint, ...]
    incoming: tuple[Incoming, ...]
    triggers: tuple[Trigger, ...]
    policies: tuple[Policy, ...]
    views: tuple[View, ...]
    publications: tuple[Publication, ...]
    sequences: tuple[Sequence, ...]
    others: tuple[str, ...]
    subscriptions: tuple[str, ...] = ()
    file: int = dataclasses.field(default=0, compare=False)

    @classmethod
    def of(cls, facts: _Row) -> Table:
        """The table that a row of the query describes."""
        parts: dict[str, t.Any] = {name: _all(kind, facts[name]) for name, kind in _KINDS.items()}
        rest = {name: value for name, value in facts.items() if name not in parts}
        rest.update({name: tuple(facts[name]) for name in ("options", "others", "subscriptions")})
        rest["grants"] = _all(Grant, facts["grants"])
        return cls(**parts, **rest)

    @property
    def check(self) -> Constraint | None:
        """Our own constraint, of this run or an interrupted one."""
        return next((one for one in self.constraints if one.name == CHECK), None)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """The foreign keys of this table to others."""
        return tuple(one for one in self.constraints if one.kind == "f")


_KINDS: dict[str, t.Any] = {
    "columns": Column,
    "indexes": Index,
    "constraints": Constraint,
    "incoming": Incoming,
    "triggers": Trigger,
    "policies": Policy,
    "views": View,
    "publications": Publication,
    "sequences": Sequence,
}


def _all(kind: t.Any, rows: t.Sequence[_Row]) -> tuple[t.Any, ...]:
    return tuple(kind(**{name: _value(name, value) for name, value in row.items()}) for row in rows)


def _value(name: str, value: t.Any) -> t.Any:
    if name == "grants":
        return _all(Grant, value)
    return tuple(value) if isinstance(value, list) else value
