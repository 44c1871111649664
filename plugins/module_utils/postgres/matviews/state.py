# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The materialized views of a database, as it has them; pure."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Index:
    """An index of a view.

    :param tail: what follows ``ON view`` in its definition, beginning with USING.
    :param columns: its columns in order; None for an expression.
    :param uses: every column that it needs, also in expressions and conditions.
    :param usable: whether a concurrent refresh can go by it: unique, valid, and of all rows by columns alone.
    """

    name: str
    tail: str = ""
    unique: bool = False
    usable: bool = False
    columns: tuple[str | None, ...] = ()
    uses: frozenset[str] = frozenset()
    tablespace: str = ""
    comment: str | None = None
    clustered: bool = False


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Extended statistics of a view, with the statement that creates them.

    :param target: how much of the rows is looked at; None for PostgreSQL's default.
    """

    name: str
    definition: str
    owner: str
    uses: frozenset[str] = frozenset()
    schema: str = "public"
    target: int | None = None
    comment: str | None = None


@dataclasses.dataclass(frozen=True)
class Dependent:
    """A plain view that reads the materialized view.

    :param label: schema and name, for messages.
    :param uses: the columns that it reads.
    :param options: the view's own, such as ``security_barrier=true``.
    """

    schema: str
    name: str
    definition: str
    options: tuple[str, ...] = ()
    uses: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclasses.dataclass(frozen=True)
class Grant:
    """A privilege on a view, or on a column of it; ``grantee`` is None for PUBLIC."""

    grantee: str | None
    privilege: str
    grantable: bool = False
    column: str | None = None


@dataclasses.dataclass(frozen=True)
class View:
    """What is there by the name of a view.

    :param kind: what it is in words, ``materialized view`` if all is well.
    :param columns: names, with their types as PostgreSQL writes them.
    :param forms: how PostgreSQL writes the definition, again after it was read back, and so on until it stays the same.
    :param others: dependents that are no plain views, in PostgreSQL's words.
    :param age: seconds since the last refresh that we know of.
    :param refreshed: when that was, in UTC.
    """

    kind: str
    owner: str
    populated: bool = False
    forms: tuple[str, ...] = ()
    columns: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: tuple[str, ...] = ()
    tablespace: str = ""
    method: str = "heap"
    comment: str | None = None
    column_comments: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    targets: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    grants: frozenset[Grant] = frozenset()
    indexes: tuple[Index, ...] = ()
    statistics: tuple[Statistics, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    others: tuple[str, ...] = ()
    age: float | None = None
    refreshed: str | None = None

    @property
    def is_materialized(self) -> bool:
        return self.kind == "materialized view"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the query of a desired view would come to, as PostgreSQL says."""

    forms: tuple[str, ...]
    columns: t.Mapping[str, str]

    def same(self, view: View) -> bool:
        """Whether a view has this definition."""
        return bool(set(self.forms) & set(view.forms)) and self.columns == view.columns


@dataclasses.dataclass(frozen=True)
class State:
    """What the database has, read in one transaction.

    :param schemas: those among the desired ones that exist.
    :param roles: those among the desired owners that exist.
    :param views: what is there, by the label of the desired view.
    :param wanted: what the queries come to, by the label of the desired view.
    """

    schemas: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    views: t.Mapping[str, View] = dataclasses.field(default_factory=dict)
    wanted: t.Mapping[str, Wanted] = dataclasses.field(default_factory=dict)
