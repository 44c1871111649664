# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Times in documents, as people read them: ``2026-03-01T12:00:00Z``, always UTC."""

from __future__ import annotations

import datetime
import typing as t

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def text(seconds: float) -> str:
    """Write a time.

    :param seconds: since 1970.
    :raises ValueError: no year that is written with four digits; or OverflowError or OSError, as Python does.
    """
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(_FORMAT)


def seconds(value: t.Any) -> float | None:
    """Return a time that was written in seconds since 1970; None for anything else."""
    try:
        return datetime.datetime.strptime(value, _FORMAT).replace(tzinfo=datetime.timezone.utc).timestamp()
    except (TypeError, ValueError):
        return None
