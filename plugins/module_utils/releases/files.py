# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads sources, writes and unpacks archives: the file system's side of ``archive.py``."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import typing as t
import zlib

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import (
    DIRECTORY,
    FILE,
    LINK,
    Entry,
    digest,
    is_excluded,
    is_safe,
    ordered,
)

_CHUNK = 1 << 20
#: What goes wrong with a file that is not an archive, or no longer a whole one.
DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error)


class _Hashing:
    """A readable file that remembers the SHA-256 of what was read from it."""

    def __init__(self, stream: t.BinaryIO) -> None:
        self._stream = stream
        self._total = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._total.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._total.hexdigest()


def hash_of(stream: t.BinaryIO) -> str:
    """Return the SHA-256 of what is left of a stream, in hexadecimal digits."""
    hashing = _Hashing(stream)
    while hashing.read(_CHUNK):
        pass
    return hashing.sha256


def scan(source: str, exclude: t.Sequence[str], unpacked: bool = False) -> list[Entry]:
    """Read a directory as the entries of a release. Links are followed, wherever they lead.

    :param unpacked: whether it is a release that was unpacked: there, links are entries, and no file need be there.
    :raises InvalidInput: ``source`` is not a directory that can be read, or has no file.
    :raises Refused: something below it cannot be read or cannot be part of a release.
    """
    if not os.path.isdir(source):
        raise InvalidInput("src", source, "is not a directory" if os.path.lexists(source) else "does not exist")
    entries: list[Entry] = []
    _scan_directory(source, "", exclude, None if unpacked else (), entries)
    if not unpacked and all(entry.kind == DIRECTORY for entry in entries):
        raise InvalidInput("src", source, "has no files to deploy")
    return ordered(entries)


def _scan_directory(
    source: str, below: str, exclude: t.Sequence[str], parents: tuple[t.Any, ...] | None, entries: list[Entry]
) -> None:
    """Read a directory and what is below it.

    :param parents: the identities of the directories above it, of which a link must not lead to one; or None when
        links are not followed.
    """
    directory = os.path.join(source, below) if below else source
    if parents is not None:
        parents = (*parents, _identity(directory, parents))
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise Refused(f"Cannot read {directory}: {error.strerror}.", code="unreadable", path=directory) from error
    for name in names:
        path = f"{below}/{name}" if below else name
        if is_excluded(path, exclude):
            continue
        full = os.path.join(source, path)
        if parents is None and os.path.islink(full):
            entries.append(Entry(path, LINK, target=os.readlink(full)))
            continue
        try:
            mode = os.stat(full).st_mode
        except OSError as error:
            if os.path.islink(full):
                raise Refused(
                    f"{full} is a broken link (to {os.readlink(full)}).", code="unfit_source", path=full
                ) from error
            raise Refused(f"Cannot read {full}: {error.strerror}.", code="unreadable", path=full) from error
        if stat.S_ISDIR(mode):
            entries.append(Entry(path, DIRECTORY))
            _scan_directory(source, path, exclude, parents, entries)
        elif stat.S_ISREG(mode):
            entries.append(Entry(path, FILE, bool(mode & stat.S_IXUSR), _hash_file(full)))
        else:
            raise Refused(f"{full} is neither a file nor a directory.", code="unfit_source", path=full)


def _identity(directory: str, parents: tuple[t.Any, ...]) -> tuple[int, int]:
    itself = os.stat(directory)
    if (itself.st_dev, itself.st_ino) in parents:
        raise Refused(
            f"{directory} is a link to a directory that it is in itself.", code="unfit_source", path=directory
        )
    return itself.st_dev, itself.st_ino


def _hash_file(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return hash_of(stream)
    except OSError as error:
        raise Refused(f"Cannot read {path}: {error.strerror}.", code="unreadable", path=path) from error


#: Opens a file of a source by its path in the release, and tells how many bytes it has.
Reader = t.Callable[[str], tuple[t.BinaryIO, int]]


def reader(source: str) -> Reader:
    """Return what reads the files of a directory."""

    def read(path: str) -> tuple[t.BinaryIO, int]:
        stream = open(os.path.join(source, path), "rb")  # noqa: SIM115 (whoever reads closes it)
        return stream, os.fstat(stream.fileno()).st_size

    return read


def pack(read: Reader, entries: t.Sequence[Entry], dest: str) -> None:
    """Write the entries to the archive ``dest``; the same entries give the same bytes.

    ``dest`` appears whole or not at all.

    :param read: opens their files.
    :raises Conflict: a file is no longer what its entry says.
    :raises Refused: the archive cannot be written.
    """
    partial = f"{dest}.{os.getpid()}.partial"
    try:
        try:
            os.makedirs(os.path.dirname(dest) or ".", exist_ok=True)
            with _archive(partial) as tar:
                for entry in ordered(entries):
                    _pack_entry(tar, read, entry)
            os.replace(partial, dest)
        except OSError as error:
            raise Refused(f"Cannot write {dest}: {error.strerror or error}.", code="write_failed", path=dest) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)


@contextlib.contextmanager
def _archive(path: str) -> t.Iterator[tarfile.TarFile]:
    """Open a new archive whose header has neither a name nor a time."""
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(open(path, "wb"))
        packed = stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))
        yield stack.enter_context(tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8"))


def _pack_entry(tar: tarfile.TarFile, read: Reader, entry: Entry) -> None:
    # A fresh TarInfo belongs to root, with time 0: nothing of the source but what the entry says.
    info = tarfile.TarInfo(entry.path)
    info.mode = entry.mode
    if entry.kind == DIRECTORY:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
        return
    if entry.kind == LINK:
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
        tar.addfile(info)
        return
    stream, info.size = read(entry.path)
    with stream:
        content = _Hashing(stream)
        tar.addfile(info, t.cast(t.BinaryIO, content))
    if content.sha256 != entry.sha256:
        raise Conflict(f"{entry.path} changed while it was being packed; run again.", path=entry.path)


def entries_of(archive: str) -> list[Entry]:
    """Read an archive's entries.

    :raises Refused: it cannot be read to its end, or holds what no release holds.
    """
    return _walk(archive, None)


def unpack(archive: str, into: str, expected: str) -> None:
    """Unpack an archive into the new directory ``into``, which is there only once all of it is on the disk.

    :param expected: the digest that the contents must have.
    :raises Refused: the archive is damaged, or not the expected one; ``into`` is not there then.
    """
    partial = os.path.join(os.path.dirname(into), f".incoming-{os.path.basename(into)}")
    remove_tree(partial)
    try:
        os.mkdir(partial, 0o755)
        found = digest(_walk(archive, partial))
        if found != expected:
            raise Refused(f"The archive {archive} holds {found}, not {expected}.", code="unfit_source", path=archive)
        # Without it a power cut could leave the new name with empty files behind it.
        os.sync()
        os.rename(partial, into)
    finally:
        remove_tree(partial)


def _walk(archive: str, into: str | None) -> list[Entry]:
    entries: list[Entry] = []
    directories = {""}
    try:
        with tarfile.open(archive, "r:gz", encoding="utf-8") as tar:
            for member in tar:
                # Below a link, or below nothing, an entry could land anywhere.
                if os.path.dirname(member.name) not in directories:
                    raise _unfit(archive, member)
                entries.append(_walk_member(archive, tar, member, into))
                if member.isdir():
                    directories.add(member.name)
    except DAMAGE as error:
        raise Refused(f"Cannot read the archive {archive}: {error}.", code="unreadable", path=archive) from error
    return ordered(entries)


def _walk_member(archive: str, tar: tarfile.TarFile, member: tarfile.TarInfo, into: str | None) -> Entry:
    if not is_safe(member.name) or not (member.isdir() or member.isreg() or member.issym()):
        raise _unfit(archive, member)
    target = None if into is None else os.path.join(into, member.name)
    if member.isdir():
        if target is not None:
            os.mkdir(target)
            os.chmod(target, 0o755)
        return Entry(member.name, DIRECTORY)
    if member.issym():
        if target is not None:
            os.symlink(member.linkname, target)
        return Entry(member.name, LINK, target=member.linkname)
    content = _Hashing(t.cast(t.BinaryIO, tar.extractfile(member)))
    if target is None:
        while content.read(_CHUNK):
            pass
        return Entry(member.name, FILE, bool(member.mode & stat.S_IXUSR), content.sha256)
    # "x": a name that comes twice must not replace what was hashed before.
    with open(target, "xb") as stream:
        for chunk in iter(lambda: content.read(_CHUNK), b""):
            stream.write(chunk)
    entry = Entry(member.name, FILE, bool(member.mode & stat.S_IXUSR), content.sha256)
    os.chmod(target, entry.mode)
    return entry


def _unfit(archive: str, member: tarfile.TarInfo) -> Refused:
    return Refused(
        f"The archive {archive} holds {member.name!r}, which cannot be in a release.", code="unfit_source", path=archive
    )


def remove_tree(path: str) -> None:
    """Remove a file, a link, or a directory with all that is in it; nothing happens when it is not there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
