# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The partition sets that a user wants; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, all_of
from ansible_collections.scaleout.platform.plugins.module_utils.names import fault_of_length
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import names, periods
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.names import Template
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Amount

#: The most partitions that one task makes ahead, or behind, of one set.
MOST = 10_000
#: The most partitions by hash.
MOST_BY_HASH = 1_024

#: Options that go with one way of partitioning alone.
_ONLY: dict[str, tuple[str, ...]] = {
    "range": ("kind", "interval", "time_zone", "premake", "past", "retention", "fill_gaps", "sub_partitions"),
    "hash": ("modulus",),
    "list": ("values",),
}
_RETENTION = ("retention_action", "move_to", "confirm")


@dataclasses.dataclass(frozen=True)
class Hashed:
    """Partitions by the hash of a column.

    :param name: its partitions' names; ``{table}`` is the table that is divided.
    """

    column: str
    modulus: int
    name: str = "{table}_h{remainder}"


@dataclasses.dataclass(frozen=True)
class Retention:
    """What becomes of partitions that are old.

    :param amount: how long before the present time, or how far below the largest number, partitions are kept.
    :param action: ``keep``, ``detach``, ``drop`` or ``move``.
    :param schema: where to, for ``move``.
    """

    amount: Amount
    action: str = "detach"
    schema: str = ""

    def __str__(self) -> str:
        return f"{self.amount}, {self.action}"


@dataclasses.dataclass(frozen=True)
class PartitionSet:
    """A table and its partitions as the user wants them. Names are as the server has them, without quotes.

    :param by: ``range``, ``hash`` or ``list``.
    :param axis: what the column's values are; None for what follows from its type.
    :param interval: the length of a period, of a range.
    :param time_zone: None for that which is stored with the set, or else UTC.
    :param premake: partitions ahead of the present one.
    :param past: partitions behind it.
    :param name: the template of the names; "" for the standard one.
    :param modulus: partitions by hash.
    :param values: of a list: the values of each partition by the word in its name.
    :param default: whether there is a default partition; None for as it is.
    :param fill_gaps: whether gaps between partitions are closed.
    :param confirm: the word for what would lose much: the table's name.
    :param sub: how each partition is divided in turn.
    :param convert: whether a plain table is turned into this set.
    :param convert_old: what becomes of the plain table: ``one_partition`` of the set, or ``split`` into partitions.
    :param definition: columns and constraints of a table that does not exist yet.
    :param state: ``present`` or ``absent``.
    """

    table: str
    column: str = ""
    schema: str = "public"
    by: str = "range"
    axis: Axis | None = None
    interval: Amount | None = None
    time_zone: str | None = None
    premake: int = 4
    past: int = 0
    retention: Retention | None = None
    name: str = ""
    modulus: int = 0
    values: tuple[tuple[str, tuple[str | None, ...]], ...] = ()
    default: bool | None = None
    fill_gaps: bool = False
    confirm: str = ""
    sub: Hashed | None = None
    convert: bool = False
    convert_old: str = "one_partition"
    definition: tuple[str, ...] = ()
    state: str = "present"

    @property
    def label(self) -> str:
        """The table for a message."""
        return f"{self.schema}.{self.table}"

    @property
    def confirmed(self) -> bool:
        return self.confirm == self.table

    def template(self, axis: Axis | None = None) -> Template:
        """How its partitions are called.

        :param axis: what the column's values are, of a range.
        """
        kind = _kind(self.by, axis)
        return Template(self.name or names.standard(kind, self.interval), self.table)

    def spelled(self, spelling: t.Mapping[str, str]) -> PartitionSet:
        """The same, with the values of a list as the server writes them.

        :raises InvalidInput: values of two partitions are the same there.
        """
        values = tuple(
            (word, tuple(dict.fromkeys(text if text is None else spelling[text] for text in listed)))
            for word, listed in self.values
        )
        _require_apart(values)
        return dataclasses.replace(self, values=values)

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any]) -> PartitionSet:
        """A set from a task's options, where what is not given is None or missing.

        :raises InvalidInput: the options can never describe a set.
        """
        given = {name: value for name, value in options.items() if value is not None}
        _check_names(given)
        if given.get("state") == "absent":
            return cls(
                table=given["table"],
                schema=given.get("schema", "public"),
                confirm=given.get("confirm", ""),
                state="absent",
            )
        by = given.get("by", "range")
        _check_pairs(given, by)
        if given.get("convert_old") and not given.get("convert"):
            raise InvalidInput("convert_old", given["convert_old"], "does nothing without convert")
        same = ("table", "schema", "column", "by", "time_zone", "name", "modulus", "default", "fill_gaps", "confirm")
        wanted = cls(
            **{name: given[name] for name in (*same, "premake", "past", "convert", "convert_old") if name in given},
            axis=Axis(given["kind"]) if "kind" in given else None,
            interval=_interval(given),
            retention=_retention(given),
            values=_values(given.get("values", {})),
            sub=_sub(given.get("sub_partitions")),
            definition=tuple(given.get("definition", ())),
        )
        wanted._check()
        return wanted

    def _check(self) -> None:
        if not self.column:
            raise InvalidInput("column", self.column, f"is needed for {self.label}: the column it is partitioned by")
        for option, most in (("premake", MOST), ("past", MOST)):
            if not 0 <= getattr(self, option) <= most:
                raise InvalidInput(option, getattr(self, option), f"is not a number from 0 to {most}")
        if self.by == "hash" and not 1 <= self.modulus <= MOST_BY_HASH:
            raise InvalidInput("modulus", self.modulus, f"is not a number of partitions from 1 to {MOST_BY_HASH}")
        if self.by == "hash" and self.default:
            raise InvalidInput("default", True, f"does not go with {self.label}: by hash there is no default partition")
        if self.by == "list" and not self.values:
            raise InvalidInput("values", {}, f"is needed for {self.label}, which is partitioned by list")
        if self.time_zone is not None:
            periods.zone("time_zone", self.time_zone)
        if self.by == "range":
            self._check_range()
        if self.name and (self.by != "range" or self.axis is not None):
            self.template(self.axis).check("name", _kind(self.by, self.axis))

    def _check_range(self) -> None:
        if self.interval is None:
            raise InvalidInput("interval", None, f"is needed for {self.label}, which is partitioned by range")
        self.interval.require_divides("interval")
        if self.axis is not None:
            self.check_axis(self.axis)

    def check_axis(self, axis: Axis) -> None:
        """Refuse an interval and a retention that do not go with the column's values.

        :raises InvalidInput: naming the option.
        """
        amounts = {"interval": self.interval, "retention": self.retention and self.retention.amount}
        for option, amount in amounts.items():
            if amount and axis.is_number != bool(amount.step):
                wanted = "a number" if axis.is_number else "a length of time"
                raise InvalidInput(option, str(amount), f"is not {wanted}, as {self.column} of kind {axis.kind} needs")
        if axis.kind == "date" and self.interval and self.interval.minutes:
            raise InvalidInput("interval", str(self.interval), f"is less than a day, and {self.column} holds dates")
        if self.name:
            self.template(axis).check("name", _kind(self.by, axis))


def parse_sets(options: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[PartitionSet, ...]:
    """The desired sets, from the options of one or more.

    :raises InvalidInput: a set that can never exist, or a table that is named twice.
    """
    sets, faults = [], []
    for given in options:
        try:
            sets.append(PartitionSet.of(given))
        except InvalidInput as fault:
            if len(options) > 1:
                fault.message = f"{given.get('schema') or 'public'}.{given['table']}: {fault.message}"
            faults.append(fault)
    if faults:
        raise all_of(faults)
    seen = set()
    for one in sets:
        if (one.schema, one.table) in seen:
            raise InvalidInput("sets", one.label, "is named twice")
        seen.add((one.schema, one.table))
    return tuple(sets)


def _kind(by: str, axis: Axis | None) -> str:
    if by != "range":
        return by
    return "number" if axis is not None and axis.is_number else "time"


def _check_names(given: t.Mapping[str, t.Any]) -> None:
    for option in ("table", "schema", "column", "move_to"):
        name = given.get(option)
        if name is None:
            continue
        if not name or "\0" in name:
            raise InvalidInput(option, name, "is not a name")
        fault = fault_of_length(name)
        if fault:
            raise InvalidInput(option, name, fault)


def _check_pairs(given: t.Mapping[str, t.Any], by: str) -> None:
    for other, options in _ONLY.items():
        for option in options:
            # What is false asks for nothing.
            if other != by and given.get(option):
                raise InvalidInput(option, given[option], f"goes with by: {other}, and this set is by {by}")
    for option in _RETENTION:
        if option in given and option != "confirm" and "retention" not in given:
            raise InvalidInput(option, given[option], "does nothing without retention")
    moves = given.get("retention_action") == "move"
    if moves and not given.get("move_to"):
        raise InvalidInput("retention_action", "move", "needs move_to, the schema to move partitions to")
    if given.get("move_to") and not moves:
        raise InvalidInput("move_to", given["move_to"], "goes with retention_action: move alone")
    if given.get("move_to") == given.get("schema", "public"):
        raise InvalidInput("move_to", given["move_to"], "is the schema of the table itself")
    if given.get("confirm") and given["confirm"] != given["table"]:
        raise InvalidInput("confirm", given["confirm"], f"is not the name of the table, {given['table']}")


def _interval(given: t.Mapping[str, t.Any]) -> Amount | None:
    return Amount.of("interval", given["interval"]).in_days() if "interval" in given else None


def _retention(given: t.Mapping[str, t.Any]) -> Retention | None:
    if "retention" not in given:
        return None
    amount = Amount.of("retention", given["retention"])
    return Retention(amount, given.get("retention_action", "detach"), given.get("move_to", ""))


def _values(given: t.Mapping[str, t.Any]) -> tuple[tuple[str, tuple[str | None, ...]], ...]:
    parsed: list[tuple[str, tuple[str | None, ...]]] = []
    for word, listed in given.items():
        texts = tuple(
            None if value is None else _text(value) for value in (listed if isinstance(listed, list) else [listed])
        )
        if not texts:
            raise InvalidInput("values", {word: listed}, "has a partition without a value")
        parsed.append((str(word), texts))
    _require_apart(parsed)
    return tuple(parsed)


def _require_apart(values: t.Iterable[tuple[str, tuple[str | None, ...]]]) -> None:
    seen: dict[str | None, str] = {}
    for word, listed in values:
        for text in listed:
            if text in seen:
                raise InvalidInput("values", text, f"is in {seen[text]} and in {word}")
            seen[text] = word


def _text(value: t.Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _sub(given: t.Mapping[str, t.Any] | None) -> Hashed | None:
    if not given:
        return None
    _check_names(given)
    if not 1 <= given["modulus"] <= MOST_BY_HASH:
        raise InvalidInput("modulus", given["modulus"], f"is not a number of partitions from 1 to {MOST_BY_HASH}")
    sub = Hashed(given["column"], given["modulus"], given.get("name") or Hashed.name)
    Template(sub.name, "").check("sub_partitions", "hash")
    return sub
