# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the file of a trace; what is in it is for ``traces.py`` to judge."""

from __future__ import annotations

import pathlib

from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import Trace, of_file, parse

#: Bytes; a year at six seconds has less.
LARGEST = 256 * 1024**2


def read(path: str) -> Trace:
    """Read a trace from a CSV file; `parse` says what it holds.

    :raises InvalidReplay: there is no such file, it cannot be read, it is no text, or it has bad rows.
    """
    try:
        with pathlib.Path(path).open("rb") as file:
            # One byte more tells a file that is too large, also where its size is not known before, as of a pipe.
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise of_file(path, [f"It cannot be read: {reason}."]) from error
    if len(content) > LARGEST:
        raise of_file(path, [f"It has more than {LARGEST} bytes."])
    try:
        return parse(content.decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise of_file(path, [f"It is no UTF-8 text: byte {error.start} is not."]) from error
