# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes files for systemd's ``EnvironmentFile=``, so that each value arrives in the process as it was given."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: systemd drops a variable whose value has one of these, with no more than a line in the journal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
#: What a backslash takes the meaning from between double quotes (systemd.exec(5), EnvironmentFile=).
_SPECIAL = re.compile(r'["\\`$]')
#: The kernel's bound for one string of an environment (MAX_ARG_STRLEN), its end included.
_LONGEST = 128 * 1024 - 1


def environment_file(option: str, variables: t.Mapping[str, t.Any]) -> str:
    """Return the text of a file that sets these variables, sorted by name.

    :param option: which option the variables came from, for the message of an error. Values are never in a message.
    :param variables: values are text, numbers, or booleans (written as in YAML: ``true``, ``false``).
    :raises Refused: a name that is none, or a value that could not arrive intact.
    """
    return "".join(_line(option, name, variables[name]) for name in sorted(variables, key=str))


def _line(option: str, name: t.Any, value: t.Any) -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise Refused(
            f"{option}: {name!r} is not a name for an environment variable; use letters, digits and underscores.",
            code="invalid_input",
            option=option,
        )
    text = _text(option, name, value)
    if _CONTROL.search(text):
        raise Refused(
            f"{option}: the value of {name} has a control character other than tab and newline, which systemd refuses.",
            code="invalid_input",
            option=option,
        )
    if len(name) + 1 + len(_encoded(option, name, text)) > _LONGEST:
        raise Refused(
            f"{option}: the value of {name} is longer than the 128 KiB that Linux lets one variable have.",
            code="invalid_input",
            option=option,
        )
    return f'{name}="{_SPECIAL.sub(lambda match: chr(92) + match.group(), text)}"\n'


def _text(option: str, name: str, value: t.Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise Refused(
        f"{option}: the value of {name} must be text, a number or a boolean, not {type(value).__name__}.",
        code="invalid_input",
        option=option,
    )


def _encoded(option: str, name: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused(
            f"{option}: the value of {name} is not valid Unicode.", code="invalid_input", option=option
        ) from None
