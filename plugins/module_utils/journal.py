# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes down on the host what a transaction has done, so that the next run finishes what a killed one began.

One folder for each service, readable for root only, since the copies of its files may hold secrets:

``journal.json``
    There while a transaction is open. ``files`` names each file with the number of its copy, or null where there was
    no file.
``kept/``
    The copies, with owners and modes.
``in_force.json``
    The fingerprints of the files with which the service was last proven.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import json
import os
import pwd
import shutil
import stat
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import KEPT, REFUSED, File, Found

#: Where the folders are; on a disk that survives a restart.
ROOT = "/var/lib/scaleout/transactions"

_FORMAT = 1


class Earlier(t.NamedTuple):
    """What was in force before a transaction that is open.

    :param paths: the files that there were.
    :param note: what :meth:`Journal.begin` was given beside them.
    """

    paths: tuple[str, ...]
    note: t.Mapping[str, t.Any]


class WriteFailed(ScaleoutError):
    """A file that could not be written; what was in force before is still in force."""

    CODE = "write_failed"


def read(path: str) -> Found:
    """Look at a file.

    :raises Refused: there is something else of that name, or it cannot be read.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{path} is not a regular file; move it away first.", code="not_a_file", path=path)
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            content = stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return Found(path)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.", code="unreadable", path=path) from error
    return Found(path, content, stat.S_IMODE(status.st_mode), _user(status.st_uid), _group(status.st_gid))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def staged_name(path: str) -> str:
    """Return where a file waits to take its place: in the same folder, so that a rename is enough."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.scaleout")


def stage(file: File) -> str:
    """Write a file beside the one that it is to replace, with its owner and mode, and see it onto the disk.

    :return: its name there.
    :raises WriteFailed: the disk is full, or the owner does not exist; nothing is left of it.
    """
    name = staged_name(file.path)
    try:
        os.makedirs(os.path.dirname(file.path), mode=0o755, exist_ok=True)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            stream.write(file.content or "")
            stream.flush()
            os.fsync(stream.fileno())
        os.chown(name, pwd.getpwnam(file.owner).pw_uid, grp.getgrnam(file.group).gr_gid)
        os.chmod(name, file.mode)
    except (OSError, KeyError) as error:
        unstage([file])
        raise _failure(file, error) from error
    return name


def _failure(file: File, error: Exception) -> WriteFailed:
    if isinstance(error, KeyError):
        return WriteFailed(
            f"{file.path} cannot be written: the host has no account {file.owner}:{file.group}.",
            code="no_account",
            path=file.path,
        )
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return WriteFailed(
        f"{file.path} cannot be written: {getattr(error, 'strerror', None) or error}. "
        "The configuration in force was not touched.",
        code="disk_full" if full else "write_failed",
        path=file.path,
    )


def unstage(files: t.Iterable[File]) -> None:
    """Remove what was staged and has not taken its place."""
    for file in files:
        with contextlib.suppress(OSError):
            os.unlink(staged_name(file.path))


def exchange(file: File) -> None:
    """Let a staged file take its place, or remove the one that must not be there."""
    try:
        if file.content is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.path)
        else:
            os.replace(staged_name(file.path), file.path)
        sync_folder(os.path.dirname(file.path))
    except OSError as error:
        raise _failure(file, error) from error


def sync_folder(path: str) -> None:
    """See names of a folder onto the disk."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Journal:
    """The transactions of one service on this host.

    :param name: of the service, fit to be a folder's.
    """

    def __init__(self, name: str, root: str = ROOT) -> None:
        self._folder = os.path.join(root, name)
        self._kept = os.path.join(self._folder, "kept")
        self._journal = os.path.join(self._folder, "journal.json")
        self._in_force = os.path.join(self._folder, "in_force.json")

    @contextlib.contextmanager
    def lock(self) -> t.Iterator[None]:
        """Keep other processes of this host out, such as one whose controller is gone and which still works.

        :raises Conflict: one is at work.
        """
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        with open(os.path.join(self._folder, "lock"), "a", encoding="ascii") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict(
                    f"Another process changes the configuration of {os.path.basename(self._folder)} on this host; "
                    "run again when it has ended.",
                    code="busy",
                ) from error
            yield

    def step(self) -> str | None:
        """Return the step of the transaction that is open, or None."""
        document = self._read(self._journal)
        return str(document.get("step", KEPT)) if document else None

    def in_force(self) -> dict[str, str] | None:
        """Return the fingerprints by path with which the service was last proven; None where none are noted."""
        document = self._read(self._in_force)
        return {str(path): str(value) for path, value in document["files"].items()} if document else None

    def earlier(self) -> Earlier | None:
        """Return what was in force before the transaction that is open, or None."""
        document = self._read(self._journal)
        if not document:
            return None
        there = tuple(path for path, copy in document["files"].items() if copy is not None)
        return Earlier(there, document.get("note") or {})

    def begin(self, paths: t.Sequence[str], note: t.Mapping[str, t.Any] | None = None) -> None:
        """Keep the files as they are. Copies that an open transaction has already made stay: they were proven.

        :param note: what else was in force; as with the files, the first note stays.
        """
        document = self._read(self._journal) or {"format": _FORMAT, "files": {}, "note": dict(note or {})}
        files: dict[str, t.Any] = document["files"]
        try:
            os.makedirs(self._kept, mode=0o700, exist_ok=True)
            for path in paths:
                if path not in files:
                    files[path] = self._keep(path, len(files))
            sync_folder(self._kept)
            document["step"] = KEPT
            self._write(self._journal, document)
        except OSError as error:
            raise WriteFailed(
                f"The configuration in force cannot be kept in {self._folder}: {error.strerror}. It was not touched.",
                code="disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "write_failed",
            ) from error

    def _keep(self, path: str, number: int) -> dict[str, t.Any] | None:
        if not os.path.lexists(path):
            return None
        copy = os.path.join(self._kept, str(number))
        shutil.copyfile(path, copy)
        status = os.stat(path)
        os.chmod(copy, 0o600)
        descriptor = os.open(copy, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return {"copy": number, "mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid}

    def kept(self, path: str) -> str | None:
        """Return the text of a file as the open transaction keeps it; None where it keeps none of it."""
        document = self._read(self._journal)
        copy = document["files"].get(path) if document else None
        return read(os.path.join(self._kept, str(copy["copy"]))).content if copy else None

    def refuse(self) -> None:
        """Note that what is on the disk failed its probe."""
        document = self._read(self._journal)
        if document:
            document["step"] = REFUSED
            self._write(self._journal, document)

    def restore(self) -> bool:
        """Put the kept files back; the transaction stays open until :meth:`close`.

        :return: whether there was a configuration to go back to: a file that is more than its absence.
        """
        document = self._read(self._journal)
        if not document:
            return False
        for path, kept in document["files"].items():
            if kept is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                continue
            name = staged_name(path)
            shutil.copyfile(os.path.join(self._kept, str(kept["copy"])), name)
            os.chown(name, kept["uid"], kept["gid"])
            os.chmod(name, kept["mode"])
            os.replace(name, path)
            sync_folder(os.path.dirname(path))
        return any(document["files"].values())

    def close(self, in_force: t.Mapping[str, str] | None) -> None:
        """End the transaction.

        :param in_force: the fingerprints of what the service was just proven with; None leaves the earlier note.
        """
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        if in_force is not None:
            self._write(self._in_force, {"format": _FORMAT, "files": dict(in_force)})
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._journal)
        sync_folder(self._folder)
        shutil.rmtree(self._kept, ignore_errors=True)

    def forget(self) -> None:
        """Remove all notes, of a service that is gone from the host."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def _read(path: str) -> dict[str, t.Any] | None:
        """A note that is not whole counts as none: it is written by a rename, so it was damaged from outside."""
        try:
            with open(path, encoding="utf-8") as stream:
                document = json.load(stream)
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}.", code="unreadable", path=path) from error
        valid = isinstance(document, dict) and document.get("format") == _FORMAT
        return document if valid and isinstance(document.get("files"), dict) else None

    @staticmethod
    def _write(path: str, document: t.Mapping[str, t.Any]) -> None:
        new = f"{path}.new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(document, stream, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, path)
        sync_folder(os.path.dirname(path))
