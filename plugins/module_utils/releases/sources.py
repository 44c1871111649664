# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a release comes from: a directory, an archive, or the image of a container."""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import functools
import gzip
import io
import json
import lzma
import os
import platform
import posixpath
import re
import shutil
import stat
import tarfile
import tempfile
import typing as t
import zipfile

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.releases import files, tree
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import (
    DIRECTORY,
    FILE,
    LINK,
    Entry,
    digest,
    ordered,
)

#: What begins a file that is packed, and what unpacks it.
_PACKED: dict[bytes, t.Callable[..., t.Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_ZSTD = b"\x28\xb5\x2f\xfd"
#: What goes wrong with an archive that is none, is cut off, or is of a kind that Python does not read.
_DAMAGE = (*files.DAMAGE, zipfile.BadZipFile, lzma.LZMAError, RuntimeError, TypeError, AttributeError, ValueError)
#: What a sandbox mounts over, so that it has to be there.
_MOUNTED = ("proc", "sys", "dev", "run", "tmp", "var/tmp", "root", "home", "usr")
_MOUNTED_FILES = ("etc/resolv.conf", "etc/hosts")
#: What systemd takes for a program without a second thought.
_PROGRAM = re.compile(r"/[A-Za-z0-9_./+-]*\Z")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Source:
    """A source that was read.

    :param name: what it is, for messages.
    :param entries: what the release will consist of.
    :param read: opens a file of the source.
    """

    def __init__(self, name: str, entries: t.Sequence[Entry], read: files.Reader) -> None:
        self.name = name
        self.entries = entries
        self.read = read

    #: What an image asks for besides its files.
    image: dict[str, t.Any] | None = None
    #: The name under which a host has it, of a release in force.
    release: str = ""

    def program(self, word: str) -> str:
        """Return what a command's first word stands for.

        :raises Refused: it is the release's own and not there, or cannot be run.
        """
        own = posixpath.normpath(word) if "/" in word and not word.startswith("/") else ""
        if own and not any(entry.path == own and (entry.executable or entry.kind == LINK) for entry in self.entries):
            found = any(entry.path == own for entry in self.entries)
            raise Refused(
                f"{self.name} has {word}, which cannot be run." if found else f"{self.name} has no {word}.",
                code="unfit_source",
            )
        return word


def directory(path: str, exclude: t.Sequence[str]) -> Source:
    """Read a directory."""
    return Source(path, files.scan(path, exclude), files.reader(path))


def release(root: str, exclude: t.Sequence[str]) -> Source:
    """Read the release that is in force, as it was unpacked.

    :param root: where the releases are, such as ``/srv/shop``.
    :raises Refused: none is in force, or it is no longer what was unpacked.
    """
    current = os.path.realpath(os.path.join(root, "current"))
    folder, version = os.path.split(current)
    if folder != os.path.realpath(os.path.join(root, "releases")) or not os.path.isdir(current):
        raise Refused(f"{root} has no release in force.", code="no_release", path=root)
    try:
        with open(os.path.join(folder, f".digest-{version}"), encoding="ascii") as note:
            noted = note.read().strip()
    except OSError:
        noted = ""
    # Of an image, nothing is left out.
    for left_out in (exclude, ()):
        entries = files.scan(current, left_out, unpacked=True)
        if digest(entries) == noted:
            found = Source(current, entries, files.reader(current))
            found.release = version
            return found
    raise Refused(
        f"{current} is not what was unpacked there; the next site.yml puts it right.", code="differs", path=current
    )


def archive(path: str, exclude: t.Sequence[str], strip: int, stack: contextlib.ExitStack) -> Source:
    """Read a tar, packed or not, or a zip.

    :param strip: how many leading parts of each path to drop; what has no more of them is not there.
    :param stack: what it opens is open as long as that is.
    :raises Refused: it cannot be read, or holds what leads out of it or is neither file, directory nor link.
    """
    with _reading(path, "is no archive"):
        members = _zip_members(path, stack) if _begins(path, b"PK") else _tar_members(_tar(path, stack))
        laid = tree.Tree(path)
        for member in members:
            if member.kind == tree.OTHER:
                raise Refused(f"{path} holds {member.name!r}, which is a {tree.OTHER}.", code="unfit_source", path=path)
        laid.apply([stripped for member in members for stripped in _strip(laid, member, strip)], whiteouts=False)
        laid.refuse_links_out()
        entries, read = _contents(laid, exclude)
    if not any(entry.kind == FILE for entry in entries):
        raise InvalidInput("src", path, f"has no files to deploy{f' below {strip} directories' if strip else ''}")
    return Source(path, entries, read)


class Image(Source):
    """An image: a tree to be run as the root of its own, with a command and an environment."""

    def __init__(self, path: str, laid: tree.Tree, config: dict[str, t.Any]) -> None:
        super().__init__(path, *_contents(laid, ()))
        self._tree = laid
        variables = dict(pair.partition("=")[::2] for pair in config.get("Env") or [])
        self.image = {
            "command": [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])],
            "environment": variables,
            "working_directory": posixpath.join("/", config.get("WorkingDir") or "/"),
            "user": config.get("User") or "",
            "volumes": sorted(posixpath.normpath(volume) for volume in config.get("Volumes") or {}),
        }

    def program(self, word: str) -> str:
        image = t.cast(dict[str, t.Any], self.image)
        places = image["environment"].get("PATH", _PATH).split(":") if "/" not in word else [image["working_directory"]]
        for place in places:
            path = posixpath.normpath(posixpath.join("/", place, word))
            found = self._tree.find(path)
            if isinstance(found, tree.File):
                if not found.executable:
                    raise Refused(f"{self.name} has {word}, which cannot be run.", code="unfit_source")
                if not _PROGRAM.match(path):
                    raise Refused(
                        f"{self.name} has {word}, whose path systemd does not take for a program.", code="unfit_source"
                    )
                return path
        raise Refused(f"{self.name} has no {word}.", code="unfit_source")


def image(path: str, mounts: t.Sequence[str], stack: contextlib.ExitStack) -> Image:
    """Read what ``docker save`` or ``podman save`` wrote, or an OCI layout in a tar.

    :param mounts: directories that something will be mounted over.
    :param stack: what it opens is open as long as that is.
    :raises Refused: it cannot be read, or is no image of one system that this could be.
    """
    with _reading(path, "is no image"):
        outer = _tar(path, stack)
        config, layers = _manifest(path, _Members(outer))
        laid = tree.Tree(path)
        known = ((config.get("rootfs") or {}).get("diff_ids")) or []
        if len(known) != len(layers) or config.get("os", "linux") != "linux":
            raise Refused(
                f"{path} is no image of a Linux system whose layers are all there.", code="unfit_source", path=path
            )
        for layer, expected in zip(layers, known):
            opened = _plain(layer, path, stack)
            if "sha256:" + files.hash_of(opened) != expected:
                raise Refused(
                    f"{path} has a layer that is not {expected}, as the image says.", code="unfit_source", path=path
                )
            laid.apply([member for member in _tar_members(_inner(opened, stack)) if member.kind != tree.OTHER])
        settings = config.get("config") or {}
        # Where the process begins is made by engines, too.
        for place in (*_MOUNTED, *mounts, settings.get("WorkingDir") or "", *(settings.get("Volumes") or {})):
            laid.place(place.strip("/"))
        for place in _MOUNTED_FILES:
            laid.place(place, file=True)
        return Image(path, laid, settings)


class _Members:
    """The files of a tar by their names."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {posixpath.normpath(member.name): member for member in tar.getmembers()}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> t.BinaryIO:
        """:raises KeyError: it is not there."""
        stream = self._tar.extractfile(self._members[posixpath.normpath(name)])
        if stream is None:
            raise KeyError(name)
        return t.cast(t.BinaryIO, stream)

    def json(self, name: str) -> t.Any:
        with self.open(name) as stream:
            return json.loads(stream.read().decode("utf-8"))


def _manifest(path: str, members: _Members) -> tuple[dict[str, t.Any], list[t.BinaryIO]]:
    """Return an image's configuration and its layers, the lowest first."""
    if "manifest.json" in members:
        manifests = members.json("manifest.json")
        if len(manifests) != 1:
            raise Refused(f"{path} holds {len(manifests)} images; save one alone.", code="unfit_source", path=path)
        return members.json(manifests[0]["Config"]), [members.open(name) for name in manifests[0]["Layers"]]
    if "index.json" in members:
        manifest = _oci_manifest(path, members, members.json("index.json"))
        return (
            members.json(_blob(manifest["config"]["digest"])),
            [members.open(_blob(layer["digest"])) for layer in manifest["layers"]],
        )
    raise Refused(
        f"{path} is no image: it has neither a manifest.json nor an index.json.", code="unfit_source", path=path
    )


def _oci_manifest(path: str, members: _Members, index: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the manifest for this machine's architecture, through an index in an index if need be."""
    own = _ARCHITECTURES.get(platform.machine(), platform.machine())
    # What a builder attests about an image is listed beside it, for a platform "unknown".
    listed = [item for item in index["manifests"] if (item.get("platform") or {}).get("os") != "unknown"]
    fitting = [item for item in listed if (item.get("platform") or {}).get("architecture", own) == own]
    chosen = fitting if len(listed) > 1 else listed
    if len(chosen) != 1:
        raise Refused(f"{path} holds {len(chosen)} images for {own}; save one alone.", code="unfit_source", path=path)
    found = members.json(_blob(chosen[0]["digest"]))
    return _oci_manifest(path, members, found) if "manifests" in found else found


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


@contextlib.contextmanager
def _reading(path: str, otherwise: str) -> t.Iterator[None]:
    """Say what is wrong with a file that cannot be read as what it should be."""
    if not os.path.isfile(path):
        raise InvalidInput("src", path, "is not a file" if os.path.lexists(path) else "does not exist")
    try:
        yield
    except PermissionError as error:
        raise Refused(f"Cannot read {path}: {error.strerror}.", code="unreadable", path=path) from error
    except KeyError as error:
        raise Refused(f"{path} {otherwise}: it has no {error}.", code="unfit_source", path=path) from error
    except _DAMAGE as error:
        raise Refused(f"{path} {otherwise}: {error}.", code="unfit_source", path=path) from error


def _begins(path: str, magic: bytes) -> bool:
    with open(path, "rb") as stream:
        return stream.read(len(magic)) == magic


def _tar(path: str, stack: contextlib.ExitStack) -> tarfile.TarFile:
    return _inner(_plain(stack.enter_context(open(path, "rb")), path, stack), stack)


def _inner(stream: t.BinaryIO, stack: contextlib.ExitStack) -> tarfile.TarFile:
    stream.seek(0)
    return stack.enter_context(tarfile.open(fileobj=stream, mode="r:", encoding="utf-8"))


def _plain(stream: t.BinaryIO, path: str, stack: contextlib.ExitStack) -> t.BinaryIO:
    """Return a stream in which one can go back and forth without unpacking all of it each time."""
    begins = stream.read(8)
    stream.seek(0)
    if begins.startswith(_ZSTD):
        raise Refused(
            f"{path} is packed with zstd, which cannot be read here; use gzip.", code="unfit_source", path=path
        )
    opener = next((opener for magic, opener in _PACKED.items() if begins.startswith(magic)), None)
    if opener is None:
        return stream
    scratch = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
    with opener(stream, "rb") as unpacked:
        shutil.copyfileobj(unpacked, scratch, 1 << 20)
    scratch.seek(0)
    return scratch


def _tar_members(tar: tarfile.TarFile) -> list[tree.Member]:
    def kind(member: tarfile.TarInfo) -> str:
        if member.isdir():
            return DIRECTORY
        if member.isreg():
            return FILE
        return LINK if member.issym() else tree.HARDLINK if member.islnk() else tree.OTHER

    return [
        tree.Member(
            member.name,
            kind(member),
            bool(member.mode & 0o111),
            member.linkname,
            member.size,
            functools.partial(tar.extractfile, member),
        )
        for member in tar.getmembers()
    ]


def _zip_members(path: str, stack: contextlib.ExitStack) -> list[tree.Member]:
    opened = stack.enter_context(zipfile.ZipFile(path))
    members = []
    for item in opened.infolist():
        mode = item.external_attr >> 16
        kind = DIRECTORY if item.is_dir() else LINK if stat.S_ISLNK(mode) else FILE
        target = opened.read(item).decode("utf-8") if kind == LINK else ""
        read = functools.partial(opened.open, item)
        members.append(tree.Member(item.filename, kind, bool(mode & 0o111), target, item.file_size, read))
    return members


def _strip(laid: tree.Tree, member: tree.Member, count: int) -> t.Iterator[tree.Member]:
    name = laid.parts(member.name)[count:]
    if name:
        target = "/".join(laid.parts(member.target)[count:]) if member.kind == tree.HARDLINK else member.target
        yield dataclasses.replace(member, name="/".join(name), target=target)


def _contents(laid: tree.Tree, exclude: t.Sequence[str]) -> tuple[list[Entry], files.Reader]:
    """Return a tree's entries, and what reads its files."""
    found: dict[str, tree.File] = {}
    entries = []
    for path, node in laid.walk(exclude):
        if isinstance(node, tree.Directory):
            entries.append(Entry(path, DIRECTORY))
        elif isinstance(node, tree.Link):
            entries.append(Entry(path, LINK, target=node.target))
        else:
            found[path] = node
            with _open(node) as stream:
                entries.append(Entry(path, FILE, node.executable, files.hash_of(stream)))
    return ordered(entries), lambda path: (_open(found[path]), found[path].size)


def _open(file: tree.File) -> t.BinaryIO:
    # None comes of a member without contents, and a file has some.
    return io.BytesIO() if file.read is None else t.cast("t.BinaryIO", file.read())
