# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Numbers with units, read and shown as PostgreSQL does.

The server stores a setting in the base unit that ``pg_settings.unit`` names
(``8kB``, ``ms``, …) and accepts any other of the same kind. The rules are
those of the manual, section "Parameter Interaction via the Configuration
File" (20.1.1, "Parameter Names and Values"), and of the server's ``guc.c``:
unit names are case-sensitive, an integer without a unit may be octal or
hexadecimal, a fraction is rounded to the next smaller unit and then to the
base unit, halves to the even neighbour.
"""

from __future__ import annotations

import re
import typing as t
from fractions import Fraction

_MEMORY = {"TB": 1024**4, "GB": 1024**3, "MB": 1024**2, "kB": 1024, "B": 1}
_TIME = {"d": 86_400_000_000, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}

_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_HEX_REAL = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?")
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

INTEGER_RANGE = (-(2**31), 2**31 - 1)


class BadNumber(ValueError):
    """A text that is no number, or has a unit that does not fit; the text is the reason, without the value."""


def parse_integer(text: str, unit: str | None = None) -> int:
    """Read an integer setting and convert it to the base unit.

    :param unit: the base unit, such as ``8kB``; ``None`` for a bare number.
    :raises BadNumber: no number, a wrong unit, or more than 32 bits.
    """
    value = round(_convert(text, unit))  # Fraction rounds halves to even, like the server's rint()
    if not INTEGER_RANGE[0] <= value <= INTEGER_RANGE[1]:
        raise BadNumber("does not fit in 32 bits")
    return value


def parse_real(text: str, unit: str | None = None) -> float:
    """Read a floating-point setting and convert it to the base unit.

    :raises BadNumber: no number, a wrong unit, or more than a float holds.
    """
    try:
        return float(_convert(text, unit, integer=False))
    except OverflowError:
        raise BadNumber("is out of range") from None


def show(value: float, unit: str | None = None) -> str:
    """Write a value as the SHOW command does: with the largest unit that divides it.

    Zero and negative values, which mean "off" or "automatic", have no unit.

    :param value: a number in the base unit.
    """
    if not unit or value <= 0:
        return _plain(value)
    base, table = _base(unit)
    exact = Fraction(value) * base
    name, share = unit, exact
    for name, size in table.items():  # noqa: B007 (the last unit serves when none divides)
        share = exact / size
        # Reals are shown with six digits, so a tiny rest does not count; an integer must divide.
        if share.denominator == 1 or (isinstance(value, float) and abs(round(share) - share) * 10**8 <= share):
            break
    return f"{_plain(type(value)(share))}{name}"


def human(size: int | None) -> str:
    """Return a size in bytes as a person reads it: three digits and a unit."""
    value = float(size or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g}{unit}"
        value /= 1024
    return f"{value:.3g}TB"


def units_of(unit: str) -> list[str]:
    """The units that a setting with this base unit accepts, smallest first."""
    return list(reversed(list(_base(unit)[1])))


def _plain(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _convert(text: str, unit: str | None, integer: bool = True) -> Fraction:
    number, suffix = _split(text, integer)
    if not suffix:
        return number
    if not unit:
        raise BadNumber(f"has the unit {suffix!r} where none is allowed")
    base, table = _base(unit)
    if suffix not in table:
        raise BadNumber(f"has an unknown unit; valid units are {', '.join(units_of(unit))}")
    names = list(table)
    below = names[names.index(suffix) + 1 : names.index(suffix) + 2]
    value = number * table[suffix]
    if below:
        value = Fraction(round(value / table[below[0]]) * table[below[0]])
    return value / base


def _split(text: str, integer: bool) -> tuple[Fraction, str]:
    text = text.strip()
    match = _INTEGER.match(text) if integer else None
    if match and text[match.end() : match.end() + 1] not in (".", "e", "E"):
        digits = match.group()
        sign = -1 if digits.startswith("-") else 1
        digits = digits.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567"
        number = Fraction(sign * int(digits, 8 if octal else 0))
    else:
        hexadecimal = None if integer else _HEX_REAL.match(text)
        match = hexadecimal or _DECIMAL.match(text)
        if not match:
            raise BadNumber("is not a number")
        number = Fraction(float.fromhex(match.group()) if hexadecimal else match.group())
    return number, text[match.end() :].strip()


def _base(unit: str) -> tuple[int, dict[str, int]]:
    """The size of a base unit such as ``8kB`` in the smallest unit of its kind, and that kind."""
    match = re.match(r"(\d*)([A-Za-z]+)$", unit)
    if match:
        count, name = int(match.group(1) or 1), match.group(2)
        for table in t.cast("tuple[dict[str, int], ...]", (_MEMORY, _TIME)):
            if name in table:
                return count * table[name], table
    raise BadNumber(f"has a base unit that is not known here: {unit}")
