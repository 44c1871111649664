# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a partition holds: its bound, read from what the server prints and written as SQL; pure."""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, BadBound, Key

_RANGE = re.compile(r"FOR VALUES FROM \((.*)\) TO \((.*)\)\Z", re.DOTALL)
_HASH = re.compile(r"FOR VALUES WITH \(modulus (\d+), remainder (\d+)\)\Z")
_LIST = re.compile(r"FOR VALUES IN \((.*)\)\Z", re.DOTALL)
_VALUE = re.compile(r"\s*(?:(E?)'((?:[^']|'')*)'|([^',()]+))\s*(?:,|\Z)", re.DOTALL)
_ENDS: dict[str, float] = {"MINVALUE": -math.inf, "MAXVALUE": math.inf}


@dataclasses.dataclass(frozen=True, order=True)
class Range:
    """From ``lower`` on and before ``upper``, as keys of an axis."""

    lower: Key
    upper: Key

    def overlaps(self, other: Range) -> bool:
        return self.lower < other.upper and other.lower < self.upper

    def sql(self, axis: Axis) -> str:
        return f"FOR VALUES FROM ({_end(axis, self.lower)}) TO ({_end(axis, self.upper)})"

    def shown(self, axis: Axis) -> str:
        return f"FROM {axis.shown(self.lower)} TO {axis.shown(self.upper)}"


@dataclasses.dataclass(frozen=True)
class Remainder:
    """Rows whose hash has a remainder."""

    modulus: int
    remainder: int

    def sql(self) -> str:
        return f"FOR VALUES WITH (MODULUS {self.modulus}, REMAINDER {self.remainder})"

    def shown(self) -> str:
        return f"MODULUS {self.modulus} REMAINDER {self.remainder}"


@dataclasses.dataclass(frozen=True)
class Values:
    """Rows with one of several values; None among them is null."""

    values: frozenset[str | None]

    def sql(self) -> str:
        return f"FOR VALUES IN ({', '.join('NULL' if value is None else quoted(value) for value in self._sorted())})"

    def shown(self) -> str:
        return f"IN {', '.join('null' if value is None else value for value in self._sorted())}"

    def _sorted(self) -> list[str | None]:
        return sorted(self.values, key=lambda value: (value is None, value or ""))


@dataclasses.dataclass(frozen=True)
class Default:
    """Rows that no other partition takes."""

    def sql(self) -> str:
        return "DEFAULT"

    def shown(self) -> str:
        return "DEFAULT"


@dataclasses.dataclass(frozen=True)
class Verbatim:
    """A bound that is only shown, as the server prints it."""

    text: str

    def sql(self) -> str:
        return self.text

    def shown(self) -> str:
        return self.text.replace("FOR VALUES ", "")


Bound = t.Union[Range, Remainder, Values, Default, Verbatim]


def sql_of(bound: Bound, axis: Axis | None) -> str:
    """A bound as CREATE TABLE and ATTACH PARTITION have it.

    :param axis: what the column's values are, of a range.
    """
    return bound.sql(t.cast("Axis", axis)) if isinstance(bound, Range) else bound.sql()


def shown(bound: Bound, axis: Axis | None) -> str:
    """A bound for a person."""
    return bound.shown(t.cast("Axis", axis)) if isinstance(bound, Range) else bound.shown()


def parse(text: str, axis: Axis | None) -> Bound:
    """The bound that ``pg_get_expr`` printed, in a session in UTC with dates in ISO's format.

    :param axis: what the column's values are, of a range.
    :raises BadBound: it has several columns, or values of another kind.
    """
    if text == "DEFAULT":
        return Default()
    by_hash = _HASH.match(text)
    if by_hash:
        return Remainder(int(by_hash[1]), int(by_hash[2]))
    by_list = _LIST.match(text)
    if by_list:
        return Values(frozenset(_values(by_list[1])))
    by_range = _RANGE.match(text)
    if not by_range or axis is None:
        raise BadBound(text)
    return Range(_key(axis, by_range[1]), _key(axis, by_range[2]))


def quoted(text: str) -> str:
    """A text as SQL has it between quotes, whatever ``standard_conforming_strings`` says."""
    doubled = text.replace("'", "''")
    return " E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in doubled else f"'{doubled}'"


def _key(axis: Axis, text: str) -> Key:
    if text in _ENDS:
        return _ENDS[text]
    values = _values(text)
    if len(values) != 1 or values[0] is None:
        raise BadBound(text)
    return axis.parse(values[0])


def _values(text: str) -> list[str | None]:
    values: list[str | None] = []
    position = 0
    while position < len(text):
        found = _VALUE.match(text, position)
        if not found:
            raise BadBound(text)
        escaped, inner, bare = found.groups()
        if inner is None:
            values.append(None if bare.strip() == "NULL" else bare.strip())
        else:
            inner = inner.replace("''", "'")
            values.append(inner.replace("\\\\", "\\") if escaped else inner)
        position = found.end()
    return values


def _end(axis: Axis, key: Key) -> str:
    if isinstance(key, float):
        return "MAXVALUE" if key > 0 else "MINVALUE"
    return quoted(axis.literal(key))
