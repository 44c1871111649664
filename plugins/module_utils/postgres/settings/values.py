# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a value means to the server: texts that differ and mean the same compare equal."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres import units
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue

_BOOLEANS = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


class BadValue(ValueError):
    """A value that the setting cannot take; the text is the reason, and names the server's own bounds."""


@dataclasses.dataclass(frozen=True)
class Definition:
    """What the server says of a setting: a row of ``pg_settings``.

    :param setting: the value in force for our session, in the base unit.
    :param boot_val: the built-in default, in the base unit.
    :param alterable: whether our user may change it.
    """

    name: str
    vartype: str
    context: str
    setting: str | None
    boot_val: str | None
    source: str = "default"
    unit: str | None = None
    min_val: str | None = None
    max_val: str | None = None
    enumvals: tuple = ()
    pending_restart: bool = False
    alterable: bool = True

    @property
    def key(self) -> str:
        """The name without regard to case, as the server compares names."""
        return self.name.lower()

    @property
    def is_list(self) -> bool:
        return self.key in catalogue.QUOTED_LISTS or self.key in catalogue.PLAIN_LISTS


@dataclasses.dataclass(frozen=True)
class Value:
    """A value that a setting can take.

    :param literals: what ALTER SYSTEM is to be given, one literal for each element.
    :param meaning: equal for all spellings of the same value.
    :param shown: the spelling that the SHOW command uses, for people.
    """

    literals: tuple
    meaning: t.Any
    shown: str


def parse(definition: Definition, wanted: t.Any) -> Value:
    """Understand a value as the server would.

    :param wanted: a text from a configuration file, or what YAML makes of a
        value: text, number, boolean or, for a text setting, a list.
    :raises BadValue: the server would refuse it.
    """
    if isinstance(wanted, (list, tuple)):
        if definition.vartype != "string":
            raise BadValue("is a list, and the setting takes one value")
        elements = tuple(_text(element) for element in wanted)
        return _list(definition, elements, ", ".join(elements))
    text = _text(wanted)
    return _PARSERS[definition.vartype](definition, text)


def _text(value: t.Any) -> str:
    """YAML's scalars as text; ``true`` becomes ``on``."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, (str, int, float)):
        raise BadValue("is neither a text, a number, a boolean nor a list of these")
    text = str(value)
    if "\n" in text or "\r" in text or "\0" in text:
        raise BadValue("contains a line break or a zero byte, which ALTER SYSTEM cannot store")
    return text


def _bool(_definition: Definition, text: str) -> Value:
    word = text.strip().lower()
    # The server takes any unambiguous beginning of the words: t, fal, y, of.
    meanings = {value for name, value in _BOOLEANS.items() if name == word or (len(word) > 0 and name.startswith(word))}
    if word == "o" or len(meanings) != 1:
        raise BadValue("is not a boolean; on and off are the values")
    meaning = meanings.pop()
    shown = "on" if meaning else "off"
    return Value((shown,), meaning, shown)


def _number(definition: Definition, text: str) -> Value:
    read = units.parse_integer if definition.vartype == "integer" else units.parse_real
    try:
        number = read(text, definition.unit)
        low = definition.min_val and float(definition.min_val)
        high = definition.max_val and float(definition.max_val)
    except units.BadNumber as error:
        raise BadValue(str(error)) from None
    if (low is not None and number < low) or (high is not None and number > high):
        raise BadValue(
            f"is outside the server's bounds {definition.min_val} to {definition.max_val}"
            + (f", counted in {definition.unit}" if definition.unit else "")
        )
    return Value((text.strip(),), number, units.show(number, definition.unit))


def _enum(definition: Definition, text: str) -> Value:
    word = text.strip().lower()
    known = {name.lower(): name for name in definition.enumvals}
    if word not in known and word in _BOOLEANS and {"on", "off"} <= set(known):
        # Where on and off are values, the server understands the other boolean words as well.
        word = "on" if _BOOLEANS[word] else "off"
    alias = catalogue.ENUM_ALIASES.get((definition.key, word))
    if word not in known and alias is None:
        raise BadValue(f"is not one of the server's values {', '.join(definition.enumvals)}")
    shown = alias or known[word]
    return Value((known.get(word, word),), shown, shown)


def _string(definition: Definition, text: str) -> Value:
    if not definition.is_list:
        return Value((text,), text, text)
    return _list(definition, split_list(text), text)


def _list(definition: Definition, elements: tuple, text: str) -> Value:
    if definition.key in catalogue.QUOTED_LISTS:
        return Value(elements or ("",), elements, text)
    if definition.key in catalogue.PLAIN_LISTS:
        return Value((text,), tuple(element.lower() for element in elements), text)
    return Value((text,), text, text)


def split_list(text: str) -> tuple:
    """The elements of a list as the server writes it: commas part them, double quotes protect."""
    elements = []
    for quoted, bare in re.findall(r'\s*(?:"((?:[^"]|"")*)"|([^",][^,]*))\s*(?:,|$)', text):
        elements.append(quoted.replace('""', '"') if quoted else bare.strip())
    return tuple(element for element in elements if element)


_PARSERS: dict[str, t.Callable[[Definition, str], Value]] = {
    "bool": _bool,
    "integer": _number,
    "real": _number,
    "enum": _enum,
    "string": _string,
}
