# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Statements as values, so that what is going to be sent can be planned, shown and compared without a server."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Name:
    """A name that the driver has to quote."""

    text: str


@dataclasses.dataclass(frozen=True)
class Value:
    """A text that the driver has to quote as a value."""

    text: str


#: A statement in parts; a text is SQL, in which the server or we have quoted everything.
Statement = tuple[t.Union[str, Name, Value], ...]
