# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What partitions are called; pure."""

from __future__ import annotations

import dataclasses
import string
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.names import fault_of_length
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Amount, Period

_TIME_FIELDS = ("year", "month", "day", "hour", "minute", "week", "isoyear", "quarter")

#: The fields that a name may have, by how the table is partitioned.
FIELDS: dict[str, tuple[str, ...]] = {
    "time": ("table", *_TIME_FIELDS),
    "number": ("table", "lower", "upper"),
    "hash": ("table", "remainder"),
    "list": ("table", "value"),
}


def standard(kind: str, interval: Amount | None = None) -> str:
    """The template where none is given.

    :param kind: a key of :data:`FIELDS`.
    :param interval: of a range.
    """
    if kind != "time" or interval is None:
        return {"number": "{table}_n{lower}", "hash": "{table}_h{remainder}", "list": "{table}_{value}"}[kind]
    if interval.months:
        if interval.months % 12 == 0:
            return "{table}_y{year}"
        return "{table}_y{year}q{quarter}" if interval.months == 3 else "{table}_y{year}m{month}"
    if interval.days == 7:
        return "{table}_y{isoyear}w{week}"
    day = "{table}_y{year}m{month}d{day}"
    if interval.days:
        return day
    return day + ("h{hour}" if interval.minutes % 60 == 0 else "h{hour}n{minute}")


@dataclasses.dataclass(frozen=True)
class Template:
    """How names are made, such as ``{table}_y{year}m{month}``."""

    text: str
    table: str

    def check(self, option: str, kind: str) -> None:
        """Refuse what cannot be a template.

        :param kind: a key of :data:`FIELDS`.
        :raises InvalidInput: naming the option.
        """
        try:
            fields = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise InvalidInput(option, self.text, f"is not a template: {error}") from None
        for _literal, field, layout, conversion in fields:
            if field is not None and (field not in FIELDS[kind] or layout or conversion):
                raise InvalidInput(
                    option, self.text, f"has {{{field}}}, and here it may have {', '.join(FIELDS[kind])}"
                )
        if not any(field not in (None, "table") for _literal, field, _layout, _conversion in fields):
            raise InvalidInput(option, self.text, "gives all partitions one name")

    def of_period(self, period: Period) -> str:
        """The name of the partition of a period."""
        start = period.start
        if start is None:
            return self._name(lower=_number(period.lower), upper=_number(period.upper))
        iso = start.isocalendar()
        return self._name(
            year=f"{start.year:04d}",
            month=f"{start.month:02d}",
            day=f"{start.day:02d}",
            hour=f"{start.hour:02d}",
            minute=f"{start.minute:02d}",
            isoyear=f"{iso[0]:04d}",
            week=f"{iso[1]:02d}",
            quarter=str((start.month + 2) // 3),
        )

    def of_remainder(self, remainder: int) -> str:
        return self._name(remainder=str(remainder))

    def of_value(self, value: str) -> str:
        return self._name(value=value)

    def _name(self, **fields: t.Any) -> str:
        name = self.text.format(table=self.table, **fields)
        fault = fault_of_length(name)
        if fault:
            raise InvalidInput("name", name, fault)
        return name


def _number(key: int) -> str:
    return f"m{-key}" if key < 0 else str(key)
