# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a replay from being run, all of it at once; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError


class Fault(t.NamedTuple):
    """What is wrong with one option; the text is a sentence that begins with the value."""

    option: str
    text: str


class InvalidReplay(ScaleoutError):
    """A trace or a simulation that cannot be; ``option`` is the first that is wrong, ``problems`` has all of them.

    :ivar faults: the same as values.
    """

    CODE = "invalid_input"

    def __init__(self, faults: t.Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = [f"{option}: {text}" for option, text in faults]
        if len(lines) > 1:
            lines = [f"The replay has {len(lines)} faults in its options:", *(f"- {line}" for line in lines)]
        super().__init__(
            "\n".join(lines), option=faults[0].option, problems=[{"option": o, "text": text} for o, text in faults]
        )
