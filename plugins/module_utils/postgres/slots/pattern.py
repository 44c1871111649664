# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which slot names a pattern means; pure."""

from __future__ import annotations

import dataclasses
import fnmatch
import re

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput

_PATTERN = re.compile(r"[a-z0-9_*?\[\]!-]+\Z")


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A shell pattern: ``*`` and ``?`` and ``[a-z]`` and ``[!a-z]``."""

    text: str = "*"

    @classmethod
    def of(cls, text: str | None) -> Pattern:
        """The pattern of an option, or the one of all names.

        :raises InvalidInput: no slot can have such a name, as with a regular expression.
        """
        if text is None:
            return cls()
        if not _PATTERN.match(text):
            raise InvalidInput(
                "pattern",
                text,
                "is not a pattern of slot names: lower-case letters, digits and _, with *, ? and [...] as in a shell",
            )
        return cls(text)

    def has(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self.text)
