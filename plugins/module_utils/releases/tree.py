# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What archives hold, one laid over another, without a disk.

Nothing is unpacked to find out what a name means: a tree is built in memory, and links are followed in it, as within
the root of a process that sees nothing else. So no name and no link can lead to a file of the machine that reads.

The rules for layers are those of the OCI image specification (layer.md: whiteouts, opaque whiteouts, hard links).
"""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import (
    DIRECTORY,
    FILE,
    LINK,
    is_excluded,
)

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
#: Linux's own bound (path_resolution(7)).
_MOST_LINKS = 40

HARDLINK = "hard link"
OTHER = "device, pipe or socket"


@dataclasses.dataclass(frozen=True)
class Member:
    """One entry of an archive, as it says.

    :param name: its path; not yet trusted.
    :param target: what a link leads to; not yet trusted.
    :param read: opens a file's contents; ``size`` is how many bytes there are.
    """

    name: str
    kind: str
    executable: bool = False
    target: str = ""
    size: int = 0
    read: t.Callable[[], t.IO[bytes] | None] | None = None


@dataclasses.dataclass(frozen=True)
class File:
    executable: bool
    size: int
    read: t.Callable[[], t.IO[bytes] | None] | None


@dataclasses.dataclass(frozen=True)
class Link:
    target: str


@dataclasses.dataclass
class Directory:
    children: dict[str, Directory | File | Link] = dataclasses.field(default_factory=dict)


class Tree:
    """Directories, files and links below one root.

    :param source: what they come from, for the message of an error.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._root = Directory()

    def apply(self, members: t.Iterable[Member], whiteouts: bool = True) -> None:
        """Lay the entries of one layer over what is there.

        What a layer hides are the layers below it, wherever in the layer it says so.

        :param whiteouts: whether some names hide others, as they do in layers.
        :raises Refused: an entry or a link that cannot be.
        """
        named = [(self.parts(member.name), member) for member in members]
        prefix = _WHITEOUT if whiteouts else "/"
        for parts, _member in named:
            if parts and parts[-1].startswith(prefix):
                self._hide(parts)
        for parts, member in named:
            if parts and not parts[-1].startswith(prefix):
                self._add(parts, member)

    def parts(self, name: str) -> tuple[str, ...]:
        """Return the parts of a path in an archive.

        :raises Refused: it leads, or might lead, out of the archive.
        """
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise self._unfit(f"holds {name!r}, which leads out of it.")
        return tuple(parts)

    def _unfit(self, why: str) -> Refused:
        return Refused(f"{self._source} {why}", code="unfit_source", source=self._source)

    def _hide(self, parts: tuple[str, ...]) -> None:
        if parts[-1] == _OPAQUE:
            # A link is not followed: such a layer has a directory to put in its place.
            above = self._directory(parts[:-2]) if len(parts) > 1 else None
            hidden = self._root if len(parts) == 1 else above and above.children.get(parts[-2])
            if isinstance(hidden, Directory):
                hidden.children.clear()
            return
        directory = self._directory(parts[:-1])
        if directory is not None:
            directory.children.pop(parts[-1][len(_WHITEOUT) :], None)

    def _add(self, parts: tuple[str, ...], member: Member) -> None:
        parent = self._directory(parts[:-1], create=True)
        if parent is None:
            raise self._unfit(f"holds {member.name!r}, which is below something that is no directory.")
        name = parts[-1]
        if member.kind == DIRECTORY:
            if not isinstance(parent.children.get(name), Directory):
                parent.children[name] = Directory()
        elif member.kind == FILE:
            parent.children[name] = File(member.executable, member.size, member.read)
        elif member.kind == LINK:
            if "\0" in member.target:
                raise self._unfit(f"holds {member.name!r}, a link to {member.target!r}, which is no path.")
            parent.children[name] = Link(member.target)
        elif member.kind == HARDLINK:
            parent.children[name] = self._linked(member)

    def _linked(self, member: Member) -> File | Link:
        *above, name = self.parts(member.target) or ("",)
        directory = self._directory(tuple(above))
        found = None if directory is None else directory.children.get(name)
        if not isinstance(found, (File, Link)):
            raise self._unfit(f"holds {member.name!r}, a hard link to {member.target!r}, which is no file in it.")
        return found

    def _directory(self, parts: t.Sequence[str], create: bool = False) -> Directory | None:
        found = self.find("/".join(parts), create)
        return found if isinstance(found, Directory) else None

    def find(self, path: str, create: bool = False, confined: bool = False) -> Directory | File | None:
        """Follow a path and the links on it, from the root and never above it.

        :param create: whether to make the directories that are missing.
        :param confined: whether to refuse to go where only a process with this root would not leave it.
        :raises Refused: links that lead in a circle; with ``confined``, a way that leads out.
        """
        way: list[Directory | File] = [self._root]
        todo, links = path.split("/")[::-1], 0
        while todo:
            part, here = todo.pop(), way[-1]
            if part in ("", "."):
                continue
            if not isinstance(here, Directory):
                return None
            if part == "..":
                self._up(way, confined)
                continue
            child = here.children.get(part)
            if isinstance(child, Link):
                links += 1
                todo.extend(self._follow(child, way, links, confined))
                continue
            if child is None:
                if not create:
                    return None
                child = here.children[part] = Directory()
            way.append(child)
        return way[-1]

    def _up(self, way: list[t.Any], confined: bool) -> None:
        if len(way) > 1:
            way.pop()
        elif confined:
            raise self._unfit("has a way that leads out of it.")

    def _follow(self, link: Link, way: list[t.Any], links: int, confined: bool) -> list[str]:
        """Return the parts that take a link's place, the last one first."""
        if links > _MOST_LINKS:
            raise self._unfit("has links that lead to each other.")
        if link.target.startswith("/"):
            if confined:
                raise self._unfit("has a way that leads out of it.")
            del way[1:]
        return link.target.split("/")[::-1]

    def place(self, path: str, file: bool = False) -> None:
        """Make a directory, or an empty file, where something is to be mounted; what is there already stays."""
        above, _slash, name = path.rpartition("/")
        directory = self._directory(above.split("/"), create=True)
        if directory is None:
            raise self._unfit(f"holds {above!r}, which is no directory.")
        if not file:
            self._directory(path.split("/"), create=True)
        elif not isinstance(directory.children.get(name), File):
            directory.children[name] = File(False, 0, None)

    def walk(self, exclude: t.Sequence[str] = ()) -> t.Iterator[tuple[str, Directory | File | Link]]:
        """Yield paths and what is there, but for what is excluded and all below it."""
        waiting = [("", self._root)]
        while waiting:
            above, directory = waiting.pop()
            for name, node in directory.children.items():
                path = f"{above}/{name}" if above else name
                if is_excluded(path, exclude):
                    continue
                yield path, node
                if isinstance(node, Directory):
                    waiting.append((path, node))

    def refuse_links_out(self) -> None:
        """Refuse links that lead out of the tree: what is not run with this root would follow them.

        :raises Refused: there is one.
        """
        for path, node in self.walk():
            if isinstance(node, Link):
                above = posixpath.dirname(path)
                try:
                    self.find(f"{above}/{node.target}" if not node.target.startswith("/") else "..", confined=True)
                except Refused:
                    raise self._unfit(f"holds {path!r}, a link to {node.target!r}, which leads out of it.") from None
