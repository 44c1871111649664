# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Positions in the write-ahead log, and where its timelines part; pure."""

from __future__ import annotations

import re

_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")


def lsn(place: int) -> str:
    """Return a position, in bytes, as PostgreSQL writes it."""
    return f"{place >> 32:X}/{place & 0xFFFFFFFF:X}"


def is_lsn(text: str) -> bool:
    """Whether a text is a position as PostgreSQL writes it."""
    return _LSN.fullmatch(text) is not None


def position(text: str) -> int:
    """Return the position that PostgreSQL writes so, in bytes.

    :raises ValueError: it is none.
    """
    if not is_lsn(text):
        raise ValueError(text)
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def history(text: str) -> dict[int, int]:
    """Return where each earlier timeline ended, from the file of a timeline's history."""
    found = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0].isdigit() and is_lsn(fields[1]):
            found[int(fields[0])] = position(fields[1])
    return found
