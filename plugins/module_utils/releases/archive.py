# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release consists of, and the digest that names it.

A release is the set of its entries. Two sources with equal entries are the
same release: the time of packing, the owner, the compression and the order in
which a file system lists its names are no part of it.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import posixpath
import typing as t

DIRECTORY = "directory"
FILE = "file"
LINK = "link"

#: What tools leave beside the sources and no release needs.
JUNK = (
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "__pycache__",
    "*.pyc",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".DS_Store",
)

#: How much of the digest serves as a version: 48 bits, short enough to read in a path.
VERSION_LENGTH = 12


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file or directory of a release.

    :param path: relative to the release, parts joined by slashes, without ``.`` and ``..``.
    :param kind: :data:`DIRECTORY`, :data:`FILE` or, for symbolic links, :data:`LINK`; a release has no devices.
    :param executable: whether a file may be run; always false for what is no file.
    :param sha256: hexadecimal digest of a file's bytes; empty for what is no file.
    :param target: what a link leads to; empty for what is none.
    """

    path: str
    kind: str
    executable: bool = False
    sha256: str = ""
    target: str = ""

    @property
    def mode(self) -> int:
        """Permission bits in a release: who packed it and with what umask does not matter."""
        return 0o755 if self.executable or self.kind == DIRECTORY else 0o644

    @property
    def key(self) -> bytes:
        """What entries are sorted by: a directory comes before what is in it, in every locale."""
        return self.path.encode("utf-8", "surrogateescape")


def ordered(entries: t.Iterable[Entry]) -> list[Entry]:
    """Return the entries in the one order in which they are packed and hashed."""
    return sorted(entries, key=lambda entry: entry.key)


def digest(entries: t.Iterable[Entry]) -> str:
    """Return the SHA-256 of a set of entries, as 64 hexadecimal digits.

    Each field is hashed with its length in front, so that no two sets of
    entries give the same bytes.
    """
    total = hashlib.sha256(b"release 1\n")
    for entry in ordered(entries):
        content = entry.target.encode("utf-8", "surrogateescape") if entry.kind == LINK else entry.sha256.encode()
        for field in (entry.kind.encode(), b"x" if entry.executable else b"-", entry.key, content):
            total.update(b"%d:" % len(field) + field)
    return total.hexdigest()


def is_excluded(path: str, patterns: t.Sequence[str]) -> bool:
    """Tell whether a path matches one of the patterns.

    A pattern with a slash is compared with the whole relative path, another
    one with the last part, at any depth. What is below an excluded directory
    is never asked about. Patterns are the shell's (``*``, ``?``, ``[...]``).
    """
    name = posixpath.basename(path)
    return any(fnmatch.fnmatchcase(path if "/" in pattern else name, pattern.strip("/")) for pattern in patterns)


def is_safe(path: str) -> bool:
    """Tell whether an archive may place an entry at this path: inside the release, spelled in the one normal way."""
    return (
        bool(path)
        and not path.startswith("/")
        and "\0" not in path
        and posixpath.normpath(path) == path
        and path.split("/")[0] not in (".", "..")
    )
