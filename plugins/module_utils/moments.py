# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Times in seconds since 1970: which numbers are some, and how they are written, always in UTC."""

from __future__ import annotations

import datetime
import typing as t

#: What is beyond (the year 5138) is a time in milliseconds.
LAST = 1e11
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def is_time(value: t.Any) -> bool:
    """Whether a value is a time in seconds since 1970."""
    # NaN fails the comparison.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= LAST


def text(seconds: float) -> str:
    """Write a time as documents have it, such as ``2026-03-01T12:00:00Z``.

    :param seconds: since 1970.
    :raises ValueError: no year that is written with four digits; or OverflowError or OSError, as Python does.
    """
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(_FORMAT)


def shown(seconds: float) -> str:
    """Write a time for a person, also one that cannot be."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g} s after 1970"


def seconds(value: t.Any) -> float | None:
    """Return a time that :func:`text` wrote in seconds since 1970; None for anything else."""
    try:
        return datetime.datetime.strptime(value, _FORMAT).replace(tzinfo=datetime.timezone.utc).timestamp()
    except (TypeError, ValueError):
        return None
