# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys as templates and command lines hand them over."""

from __future__ import annotations

import re
import typing as t

_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def from_template(key: t.Any, kind: str) -> t.Any:
    """Return the key with the type that :func:`hashing.bucket_of` wants: templates often make text of numbers.

    What is no key is returned as it is, for ``bucket_of`` to refuse.
    """
    if kind == "bigint" and isinstance(key, str) and _NUMBER.fullmatch(key):
        return int(key)
    return key
