# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The line that the values of a column lie on: what a bound is as a number, and how it is written; pure.

Each kind of column turns its bounds into whole numbers, *keys*, that compare as the server compares the values. Dates
of any year are read, so that one far outside can be named.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

#: A bound on the axis: a whole number, or infinite for MINVALUE, MAXVALUE and the infinities of dates.
Key = t.Union[int, float]

_DAY = 86_400_000_000
_TIMES = ("timestamptz", "timestamp", "date")
#: How values of these types are written; see :func:`_written`.
_FORMS = {"timestamptz": "{date} {time}+00", "timestamp": "{date} {time}", "date": "{date}"}
#: The first and the last moment of the years 1 to 9999, in microseconds since 1970.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_800_000_000
#: Keys in a second.
_EPOCHS = {
    "epoch_seconds": 1,
    "epoch_milliseconds": 1_000,
    "epoch_microseconds": 1_000_000,
    "epoch_nanoseconds": 1_000_000_000,
}
#: The first 48 of the 128 bits of a UUIDv7 are milliseconds since 1970.
_UUID_SHIFT = 80

#: The kinds of columns, and which types of PostgreSQL each may have.
KINDS: dict[str, tuple[str, ...]] = {
    "timestamptz": ("timestamp with time zone",),
    "timestamp": ("timestamp without time zone",),
    "date": ("date",),
    **dict.fromkeys(_EPOCHS, ("bigint", "numeric", "integer")),
    "uuidv7": ("uuid",),
    "number": ("bigint", "integer", "smallint", "numeric"),
}

#: The largest value of the types that may be too small for a bound.
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}

_DATE = re.compile(
    r"(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?\Z"
)
_INFINITE: dict[str, float] = {"infinity": math.inf, "-infinity": -math.inf}


class BadBound(ValueError):
    """A text that is no bound of this kind of column."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """How the values of one kind of column are keys.

    :param kind: one of :data:`KINDS`.
    :param tail: what the bits behind the time of a UUIDv7's bound are: 0, or what the partitions that there are have.
    """

    kind: str
    tail: int = 0

    @classmethod
    def of_type(cls, column_type: str) -> Axis | None:
        """What a type of PostgreSQL's is, where nothing is said; None for one that has no order in time or number."""
        kinds = {
            "uuid": "uuidv7",
            **{KINDS[kind][0]: kind for kind in _TIMES},
            **dict.fromkeys(KINDS["number"], "number"),
        }
        return cls(kinds[column_type]) if column_type in kinds else None

    @property
    def is_number(self) -> bool:
        """Whether the values have nothing to do with time."""
        return self.kind == "number"

    @property
    def is_wall(self) -> bool:
        """Whether the values are wall-clock times, so that no zone turns them into instants."""
        return self.kind in ("timestamp", "date")

    def like(self, keys: t.Iterable[Key]) -> Axis:
        """The same, whose bounds end as others do; partitions made by hand may end with the version of a UUIDv7."""
        if self.kind != "uuidv7":
            return self
        tails = {int(key) & (1 << _UUID_SHIFT) - 1 for key in keys if math.isfinite(key)}
        return dataclasses.replace(self, tail=tails.pop()) if len(tails) == 1 else self

    def fits(self, column_type: str) -> bool:
        """Whether a column of this type of PostgreSQL's can be of this kind."""
        return column_type in KINDS[self.kind]

    def largest(self, column_type: str) -> Key:
        """The largest bound that a column of this type can hold."""
        return _LARGEST.get(column_type, math.inf)

    def smallest(self, column_type: str) -> Key:
        """The smallest one; the time of a UUIDv7 begins in 1970."""
        return 0 if self.kind == "uuidv7" else -self.largest(column_type)

    def key(self, micros: int) -> int:
        """The key of a time in microseconds since 1970."""
        if self.kind == "date":
            return micros // _DAY
        if self.kind == "uuidv7":
            return micros // 1000 << _UUID_SHIFT | self.tail
        if self.kind in _EPOCHS:
            return micros * _EPOCHS[self.kind] // 1_000_000
        return micros

    def micros(self, key: Key) -> int:
        """The time of a key in microseconds since 1970; rounded down.

        :raises OverflowError: the key is infinite.
        """
        whole = int(key)
        if self.kind == "date":
            return whole * _DAY
        if self.kind == "uuidv7":
            return (whole >> _UUID_SHIFT) * 1000
        if self.kind in _EPOCHS:
            return whole * 1_000_000 // _EPOCHS[self.kind]
        return whole

    def literal(self, key: Key) -> str:
        """A bound as SQL takes it between quotes.

        :raises OverflowError: the key is infinite.
        """
        whole = int(key)
        if self.kind == "uuidv7":
            digits = f"{whole:032x}"
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        if self.kind not in _TIMES:
            return str(whole)
        return _written(self.micros(whole), _FORMS[self.kind])

    def shown(self, key: Key) -> str:
        """A bound for a person: a time where it is one, ``MINVALUE`` and ``MAXVALUE`` where it is infinite."""
        if isinstance(key, float):
            return "MAXVALUE" if key > 0 else "MINVALUE"
        if self.kind in _TIMES or self.is_number:
            return self.literal(key)
        micros = self.micros(key)
        # A time of no year that is written with four digits is most likely none.
        return _written(micros, _FORMS["timestamptz"]) if _FIRST <= micros < _LAST else self.literal(key)

    def parse(self, text: str) -> Key:
        """The key of a bound as the server prints it, in a session in UTC with dates in ISO's format.

        :raises BadBound: it is none of this kind.
        """
        if self.kind in _TIMES:
            return self.key_of_date(text)
        try:
            if self.kind == "uuidv7":
                return int(text.replace("-", ""), 16)
            return int(text)
        except ValueError:
            raise BadBound(text) from None

    def key_of_date(self, text: str) -> Key:
        """The same of a date or a timestamp, of any year."""
        if text in _INFINITE:
            return _INFINITE[text]
        found = _DATE.match(text)
        if not found:
            raise BadBound(text)
        year = 1 - int(found[1]) if found[12] else int(found[1])
        hours, minutes, seconds = (int(part or 0) for part in found.group(4, 5, 6))
        micros = ((days_before(year, int(found[2]), int(found[3])) * 24 + hours) * 60 + minutes) * 60 + seconds
        micros = micros * 1_000_000 + int((found[7] or "").ljust(6, "0"))
        if found[8]:
            offset = (int(found[9]) * 60 + int(found[10] or 0)) * 60 + int(found[11] or 0)
            micros -= offset * 1_000_000 * (-1 if found[8] == "-" else 1)
        return micros // _DAY if self.kind == "date" else micros


def days_before(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of any year, in the calendar that PostgreSQL uses.

    The algorithm is Howard Hinnant's ``days_from_civil`` (https://howardhinnant.github.io/date_algorithms.html).
    """
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def date_of(days: int) -> tuple[int, int, int]:
    """Year, month and day of a count of days since 1970; the other way round than :func:`days_before`."""
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day


def _written(micros: int, form: str) -> str:
    """A time since 1970 of any year, as the server prints it.

    :param form: with ``{date}`` and ``{time}``, and what comes before ``BC``.
    """
    days, rest = divmod(micros, _DAY)
    year, month, day = date_of(days)
    seconds, fraction = divmod(rest, 1_000_000)
    time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if fraction:
        time += f".{fraction:06d}"
    date = f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}"
    return form.format(date=date, time=time) + ("" if year > 0 else " BC")
