# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a host that drivers read and that may be missing."""

from __future__ import annotations


def found(path: str) -> str | None:
    """Return a file's text; None where it cannot be read. What is not UTF-8 in it is replaced."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return None


def text(path: str) -> str:
    """Return a file's text; empty where it cannot be read."""
    return found(path) or ""
