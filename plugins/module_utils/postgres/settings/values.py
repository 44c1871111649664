# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a value means to the server: texts that differ and mean the same compare equal.

A text is parsed once, when it enters: :func:`parse` reads what a user wants, strictly, and :func:`stored` what the
server has, whatever it is. From there on a :class:`Value` is handed around, which knows how it is shown and written.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import units
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue

_BOOLEANS = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


class BadValue(ValueError):
    """A value that the setting cannot take; the text is the reason, and names the server's own bounds."""


class Overruled(BadValue):
    """A value that would not count, because the server's command line has another."""


@dataclasses.dataclass(frozen=True)
class Definition:
    """What the server says of a setting: a row of ``pg_settings``.

    :param setting: the value in force, in the base unit, that a session starts with (``reset_val``).
        ``pg_settings.setting`` is no good: it may be the one of our session's kind of connection
        (``tcp_keepalives_idle`` is 0 over a socket) or a remark (``archive_command`` is ``(disabled)``).
    :param boot_val: the built-in default, in the base unit.
    :param pending: whether another value waits for a restart.
    :param alterable: whether our user may change it for the server.
    :param settable: whether our user may change it for a session, and so for a database or a role.
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
    enumvals: tuple[str, ...] = ()
    pending: bool = False
    alterable: bool = True
    settable: bool = True

    @property
    def key(self) -> str:
        """The name without regard to case, as the server compares names."""
        return self.name.lower()

    @property
    def kind(self) -> str:
        """How its values are read: ``list`` for quoted lists, ``plain_list`` for others, else the ``vartype``."""
        if self.vartype == "string" and self.key in catalogue.QUOTED_LISTS:
            return LIST
        return PLAIN_LIST if self.vartype == "string" and self.key in catalogue.PLAIN_LISTS else self.vartype

    @functools.cached_property
    def in_force(self) -> Value | None:
        """What :attr:`setting` means."""
        return stored(self, self.setting)

    @functools.cached_property
    def default(self) -> Value | None:
        """What :attr:`boot_val` means."""
        return stored(self, self.boot_val)


LIST = "list"
PLAIN_LIST = "plain_list"


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of a setting.

    :param kind: its definition's.
    :param literals: what ALTER SYSTEM is to be given, one literal for each element.
    :param meaning: equal for all spellings of the same value.
    :param shown: the spelling that the SHOW command uses, for people.
    :param fault: why the server could not have taken it; only a stored text has one, which then means itself.
    """

    kind: str
    literals: tuple[str, ...]
    meaning: t.Any
    shown: str
    fault: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it is a quoted list without elements, which the server stores as one without a name."""
        return self.kind == LIST and self.literals == ("",)

    def means(self, other: Value | None) -> bool:
        """Whether the server would do the same with another value."""
        return other is not None and not self.fault and not other.fault and self.meaning == other.meaning

    def is_shown_as(self, other: Value | None) -> bool:
        """Whether the server shows the same; it shows real numbers with six digits, so two may look the same."""
        looks_same = self.kind == "real" and other is not None and not other.fault and self.shown == other.shown
        return looks_same or self.means(other)

    def is_written_as(self, other: Value | None) -> bool:
        """Whether it is the same, understood or not."""
        return other is not None and bool(self.fault) == bool(other.fault) and self.meaning == other.meaning

    def restored(self) -> tuple[str, ...]:
        """The literals that bring a stored value back.

        :raises BadValue: it cannot be told which; written as one literal, a broken list would be another value.
        """
        if self.fault and self.kind == LIST:
            raise BadValue(self.fault)
        return self.literals


def parse(definition: Definition, wanted: t.Any) -> Value:
    """Understand what a user wants as the server would.

    :param wanted: a text from a configuration file, or what YAML makes of a
        value: text, number, boolean or, for a text setting, a list.
    :raises BadValue: the server would refuse it.
    """
    if not isinstance(wanted, (list, tuple)):
        return _PARSERS[definition.vartype](definition, _text(wanted))
    elements = tuple(_text(element) for element in wanted)
    if definition.kind == LIST:
        return _quoted_list(elements)
    if definition.kind == PLAIN_LIST:
        return _plain_list(", ".join(elements))
    raise BadValue("is a list, and the setting takes one value")


def stored(definition: Definition, text: str | None) -> Value | None:
    """Understand a text that the server has; written again, it stays as it is."""
    if text is None:
        return None
    try:
        value = _PARSERS[definition.vartype](definition, text)
    except BadValue as error:
        return Value(definition.kind, (text,), text, text, str(error))
    return value if value.kind == LIST else dataclasses.replace(value, literals=(text,))


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
    return Value("bool", (shown,), meaning, shown)


def _number(definition: Definition, text: str) -> Value:
    read = units.parse_integer if definition.vartype == "integer" else units.parse_real
    try:
        number = read(text, definition.unit)
        low = float(definition.min_val) if definition.min_val else None
        high = float(definition.max_val) if definition.max_val else None
    except units.BadNumber as error:
        raise BadValue(str(error)) from None
    if (low is not None and number < low) or (high is not None and number > high):
        raise BadValue(
            f"is outside the server's bounds {definition.min_val} to {definition.max_val}"
            + (f", counted in {definition.unit}" if definition.unit else "")
        )
    shown = f"{number:04o}" if definition.key in catalogue.OCTAL else units.show(number, definition.unit)
    return Value(definition.vartype, (text.strip(),), number, shown)


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
    return Value("enum", (known.get(word, word),), shown, shown)


def _string(definition: Definition, text: str) -> Value:
    if definition.kind == LIST:
        return _quoted_list(split_list(text, fold=definition.key in catalogue.IDENTIFIER_LISTS))
    if definition.kind == PLAIN_LIST:
        return _plain_list(text)
    return Value("string", (text,), text, text)


def _quoted_list(elements: tuple[str, ...]) -> Value:
    return Value(LIST, elements or ("",), elements, ", ".join(_quoted(element) for element in elements))


def _plain_list(text: str) -> Value:
    # Each of these has a grammar of its own, so the text goes to the server as it is.
    return Value(PLAIN_LIST, (text,), tuple(element.strip().lower() for element in text.split(",")), text)


def split_list(text: str, fold: bool = False) -> tuple[str, ...]:
    """The elements of a quoted list: commas part them, double quotes protect.

    :param fold: take capitals that are not quoted away, as the server does with identifiers.
    :raises BadValue: a quote that is not closed, or text beside the quotes.
    """
    elements = []
    rest = text.strip()
    while rest:
        match = _ELEMENT.match(rest)
        if not match:
            raise BadValue("is not a list: commas part its elements, and double quotes are around a whole element")
        bare = match["bare"]
        if bare is None:
            elements.append(match["quoted"].replace('""', '"'))
        else:
            elements.append(bare.strip().lower() if fold else bare.strip())
        rest = rest[match.end() :]
    return tuple(element for element in elements if element)


_ELEMENT = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<bare>[^",\s][^",]*))\s*(?:,|\Z)')


def _quoted(element: str) -> str:
    if re.match(r"[a-z0-9_/.-]+\Z", element):
        return element
    return '"' + element.replace('"', '""') + '"'


_PARSERS: dict[str, t.Callable[[Definition, str], Value]] = {
    "bool": _bool,
    "integer": _number,
    "real": _number,
    "enum": _enum,
    "string": _string,
}
