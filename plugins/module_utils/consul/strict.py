# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON, read strictly: what two readers could understand differently is not JSON here. Pure.

RFC 8259 leaves open what a name that occurs twice means, and has no NaN. A lone half of a surrogate pair could be
read and never be written back.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused


class NotJson(Refused):
    """A text that is not JSON; the message is a sentence without the place of the text."""

    CODE = "not_json"


def parse(text: bytes | str) -> t.Any:
    """Return the value that a text stands for.

    :raises NotJson: it is not UTF-8, not JSON, has a name twice in one object, or is nested too deeply.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except _Twice as error:
        raise NotJson(f"It has the name {error} twice in one object.") from None
    except ValueError:  # of JSON or of Unicode
        raise NotJson("It is not JSON.") from None
    except RecursionError:
        raise NotJson("It is nested too deeply.") from None
    return value


def render(value: t.Any) -> bytes:
    """Return the text of a value; its objects keep the order of their names.

    :raises NotJson: no text stands for it that :func:`parse` would read, so it must not be written.
    """
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except ValueError:
        raise NotJson("What is to be written has half of a surrogate pair, or a number that is none.") from None
    return json.dumps(value, allow_nan=False).encode("ascii")


class _Twice(Exception):
    """A name that occurs twice in one object."""


def _object(pairs: t.Sequence[tuple[str, t.Any]]) -> dict[str, t.Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _value in pairs]
        raise _Twice(repr(next(name for name in names if names.count(name) > 1)))
    return fields


def _constant(name: str) -> t.Any:
    raise ValueError(name)
