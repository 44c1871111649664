# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names and texts as SQL has them, within bodies of functions and views as well, where no driver quotes; pure."""

from __future__ import annotations

import itertools


def name(*parts: str) -> str:
    """A name, or one that is qualified by its schema.

    >>> name("public", 'a"b')
    '"public"."a""b"'
    """
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def names(parts: tuple[str, ...]) -> str:
    """A list of names."""
    return ", ".join(name(part) for part in parts)


def literal(text: str) -> str:
    """A text, whatever standard_conforming_strings says."""
    tags = (f"$scaleout{number or ''}$" for number in itertools.count())
    # A text may also end in what begins the tag.
    tag = next(tag for tag in tags if tag not in text + "$")
    return f"{tag}{text}{tag}"
