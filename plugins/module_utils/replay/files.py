# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the file of a trace, and write that of a picture; what is in a trace is for ``traces.py`` to judge."""

from __future__ import annotations

import contextlib
import os
import pathlib

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
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


def text(path: str) -> str | None:
    """Return what a picture's file holds; None where it is not there, or holds no text."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refused(f"{path} cannot be read: {reason}.", code="unreadable", path=path) from error


def write(path: str, content: str) -> None:
    """Write a picture; there is never half of one.

    :raises Refused: it cannot be written.
    """
    partial = f"{path}.{os.getpid()}.partial"
    try:
        pathlib.Path(partial).write_text(content, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror or error}.", code="write_failed", path=path
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)
