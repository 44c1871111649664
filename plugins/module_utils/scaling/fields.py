# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads mappings that people wrote, key by key, and collects all that is wrong with them; pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError, told
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import LARGEST

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_UNIT = re.compile(r"[+-]?\d+(\.\d+)?\s*[A-Za-z]+")
#: Numbers closer to zero than this are typing errors, as those above the largest are, which a float has imprecisely.
_SMALLEST = 1e-9

Default = t.TypeVar("Default")


class Fault(t.NamedTuple):
    """What is wrong in one place, such as ``policy.rules[0].threshold``; the text is a sentence."""

    option: str
    text: str

    def __str__(self) -> str:
        return f"{self.option}: {self.text}"


class InvalidPolicy(ScaleoutError):
    """Options of a decision that cannot be; ``problems`` has all of them."""

    CODE = "invalid_policy"

    def __init__(self, faults: t.Sequence[Fault]) -> None:
        lines = [str(fault) for fault in faults]
        count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
        text = "\n".join([f"The scaling decision has {count} in its options:", *(f"- {line}" for line in lines)])
        super().__init__(text, problems=[fault._asdict() for fault in faults])


def fault_of_number(value: t.Any) -> str | None:
    """Say why a value is no number; None when it is one. Decimals in quotes are numbers, ``5m`` is not."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if isinstance(value, str) and _UNIT.fullmatch(value.strip()):
            return "has a unit; write a plain number, for a time the seconds, such as 300"
        return "is not a number"
    # A comparison with NaN is false, and an int may be too large for a float.
    if not (value == 0 or _SMALLEST <= abs(value) <= LARGEST):
        return "is not a number that can be reckoned with"
    return None


class Fields:
    """The keys of one mapping.

    A key that is wrong gives a harmless value, so that reading goes on and all faults are found at once.

    :param given: what should be a mapping.
    :param place: where it is, such as ``policy.rules[0]``.
    :param faults: where faults are added.
    """

    def __init__(self, given: t.Any, place: str, faults: list[Fault]) -> None:
        self.place, self._faults, self._read = place, faults, set[str]()
        if not isinstance(given, dict):
            faults.append(Fault(place, f"{told(given)} is not a mapping."))
            given = {}
            self.is_mapping = False
        else:
            self.is_mapping = True
        self._given: dict[str, t.Any] = {str(name): value for name, value in given.items()}

    def __contains__(self, name: str) -> bool:
        return self._given.get(name) is not None

    def fault(self, name: str, text: str) -> None:
        """Note what is wrong with a key."""
        self._faults.append(Fault(f"{self.place}.{name}" if name else self.place, text))

    def raw(self, name: str) -> t.Any:
        """Return a value as it was given; None where it is missing."""
        self._read.add(name)
        return self._given.get(name)

    def missing(self, name: str, example: str = "") -> None:
        """Note that a required key is missing, unless the mapping is none at all."""
        if self.is_mapping:
            self.fault(name, f"is required{f', such as {example}' if example else ''}.")

    def number(
        self,
        name: str,
        default: float | None = None,
        *,
        low: float = 0,
        high: float | None = None,
        above: bool = False,
        unit: str = "",
    ) -> float:
        """Return a number of at least ``low`` (with ``above``: more than it) and at most ``high``.

        :param default: None for a key that is required.
        :param unit: what it is a number of, for the message.
        """
        value = self.raw(name)
        if value is None:
            if default is None:
                self.missing(name)
            return default or low
        fault = fault_of_number(value)
        if fault is None:
            number = float(value)
            if number < low or (above and number == low) or (high is not None and number > high):
                what = f"a number{f' of {unit}' if unit else ''}"
                reach = f"above {low:g}" if above else f"of {low:g} or more"
                fault = f"is not {what} {reach if high is None else f'from {low:g} to {high:g}'}"
            else:
                return number
        self.fault(name, f"{told(value)} {fault}.")
        return default if default is not None else low

    def count(self, name: str, default: int | None = None, *, low: int = 1, hint: str = "") -> int:
        """Return a whole number of at least ``low``; ``default`` is None for a key that is required."""
        value = self.raw(name)
        if value is None:
            if default is None:
                self.missing(name, "3")
            return low if default is None else default
        fault = fault_of_number(value)
        if fault is None and (float(value) != int(float(value)) or float(value) < low):
            fault = f"is not a whole number of {low} or more{hint}"
        if fault is None:
            return int(float(value))
        self.fault(name, f"{told(value)} {fault}.")
        return low if default is None else default

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.fault(name, f"{told(value)} is not true or false.")
        return default

    def choice(self, name: str, choices: t.Collection[str], default: str | None = None, what: str = "") -> str:
        """Return one of the choices; ``default`` is None for a key that is required."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value in choices:
            return value
        names = f"{', '.join(list(choices)[:-1])} or {list(choices)[-1]}"
        if value is None:
            self.missing(name, names)
        else:
            self.fault(name, f"{told(value)} is not {what or 'one that is known'}; there is {names}.")
        return default or next(iter(choices))

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text that is not empty."""
        value = self.raw(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if value is not None:
            self.fault(name, f"{told(value)} is not a name.")
        elif default is None:
            self.missing(name)
        return default or ""

    def items(self, name: str) -> list[Fields] | None:
        """Return the mappings of a list, each with its place; None where the key is missing."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, (list, tuple)):
            self.fault(name, f"{told(value)} is not a list.")
            return []
        return [Fields(one, f"{self.place}.{name}[{at}]", self._faults) for at, one in enumerate(value)]

    def inner(self, name: str) -> Fields:
        """Return the mapping under a key."""
        return Fields(self.raw(name) or {}, f"{self.place}.{name}", self._faults)

    def done(self) -> None:
        """Note the keys that no one asked for."""
        for name in self._given:
            if name not in self._read:
                known = ", ".join(sorted(self._read))
                self.fault(name, f"is not a key that is known here; there is {known}.")
