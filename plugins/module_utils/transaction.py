# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transaction in which a service gets another configuration; pure, ``journal.py`` writes it down.

The order of the steps is what makes a run that is killed harmless:

1. *stage*: the new files lie beside the old ones, complete, and the service's own checker has accepted them.
2. *keep*: copies of the old files are in the journal, and the journal says so. From here on the transaction is open.
3. *exchange*: each new file takes its place by a rename.
4. *activate*: the service reloads or restarts.
5. *probe*: the service runs with the new files, or it does not.
6. *close*: the journal records what is in force and forgets the copies; or the copies take their places again.

A run that finds an open transaction knows that what lies on the disk was never proven, and that the copies were. It
keeps those copies, whatever it wants itself, so that there is always a proven configuration to go back to.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

#: In a file's text, this stands for the digest of the whole configuration: a service that shows it tells what it runs.
DIGEST_MARK = "@scaleout-digest@"

#: What a service has to do to take up a change, from the gentlest to the hardest.
NONE = "none"
RELOAD = "reload"
RESTART = "restart"
LEVELS = (NONE, RELOAD, RESTART)

# The steps of an open transaction, as the journal names them.
KEPT = "kept"  # copies are complete; files may have been exchanged, the service may have been told
REFUSED = "refused"  # the probe failed; the copies have to come back


@dataclasses.dataclass(frozen=True)
class File:
    """A file of the configuration as it is wanted.

    :param content: its text; None for a file that must not be there.
    :param mode: permission bits.
    :param needs: what the service has to do to take it up, one of :data:`LEVELS`.
    :param secret: whether its text must not be shown.
    """

    path: str
    content: str | None
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    needs: str = RESTART
    secret: bool = False

    @property
    def fingerprint(self) -> str:
        """Two files with the same one are the same to the service. Nothing of a text can be read from it."""
        if self.content is None:
            return "absent"
        text = f"{self.mode:o} {self.owner} {self.group} {self.content}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]


@dataclasses.dataclass(frozen=True)
class Found:
    """A file as it is on the host; ``content`` is None where there is none."""

    path: str
    content: str | None = None
    mode: int = 0
    owner: str = ""
    group: str = ""

    def is_as(self, wanted: File) -> bool:
        """Whether nothing has to be done."""
        if wanted.content is None or self.content is None:
            return wanted.content is None and self.content is None
        return (self.content, self.mode, self.owner, self.group) == (
            wanted.content,
            wanted.mode,
            wanted.owner,
            wanted.group,
        )


def digest(files: t.Iterable[File]) -> str:
    """Return what identifies a configuration: 16 hexadecimal digits, the same for the same files in any order."""
    lines = sorted(f"{file.path} {file.fingerprint}" for file in files)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def marked(files: t.Sequence[File]) -> tuple[tuple[File, ...], str]:
    """Return the files with their digest in place of :data:`DIGEST_MARK`, and the digest of them before that."""
    value = digest(files)
    return (
        tuple(
            file
            if file.content is None
            else dataclasses.replace(file, content=file.content.replace(DIGEST_MARK, value))
            for file in files
        ),
        value,
    )


def harder(*levels: str) -> str:
    """Return the hardest of some levels; :data:`NONE` without any."""
    return max(levels, key=LEVELS.index, default=NONE)


@dataclasses.dataclass(frozen=True)
class Due:
    """What a look at the host came to.

    :param reasons: why there is something to do, each a clause for a person; empty when there is nothing.
    :param differing: the files to exchange.
    :param level: what the service has to do.
    """

    reasons: tuple[str, ...]
    differing: tuple[File, ...]
    level: str


def due(
    wanted: t.Sequence[File],
    found: t.Mapping[str, Found],
    in_force: t.Mapping[str, str] | None,
    unfinished: bool,
    stale: t.Collection[str] = (),
) -> Due:
    """Decide what has to be done for the files; the service's own state is its driver's to judge.

    :param found: by path.
    :param in_force: the fingerprint by path with which the service was last proven; None where none are noted.
    :param unfinished: whether an earlier run left its transaction open.
    :param stale: without ``in_force``, the paths of files that the running service has not read, as far as times tell.
    """
    differing = tuple(file for file in wanted if not found[file.path].is_as(file))
    if in_force is None:
        unread = {file.path for file in wanted if file.path in stale}
    else:
        unread = {file.path for file in wanted if in_force.get(file.path, "absent") != file.fingerprint}
    reasons = [f"{file.path} differs" for file in differing]
    reasons += [f"{path} was written and never put in force" for path in sorted(unread - {f.path for f in differing})]
    if unfinished:
        reasons.append("an earlier run was interrupted before it was proven")
    levels = [file.needs for file in wanted if file in differing or file.path in unread]
    if unfinished:
        levels += [file.needs for file in wanted]
    return Due(tuple(reasons), differing, harder(*levels))
