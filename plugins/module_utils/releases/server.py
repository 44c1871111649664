# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and changes the releases of one application on the host that runs it; ``plan.py`` decides, this carries out.

Each step leaves a state from which the next run goes on: directories and
files appear by renaming, and the journal is written before anything that is
in force is touched.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import re
import shutil
import stat
import tempfile
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import journal as transactions
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.host import look
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.releases import files, plan
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import digest
from ansible_collections.scaleout.platform.plugins.module_utils.releases.places import Places

#: Seconds that systemd-analyze may take over a unit.
_CHECK_TIMEOUT = 60.0


class Host:
    """The releases of one application on this host.

    :param places: where they are.
    :param exclude: patterns of what does not belong to a release although it is in its directory.
    :param workers: names of the workers that are wanted.
    """

    def __init__(self, places: Places, exclude: t.Sequence[str], workers: t.Sequence[str] = ()) -> None:
        self.places = places
        self._exclude = exclude
        self._workers = workers
        self._transaction = transactions.Journal(f"app-{_stem(places.unit)}", places.transactions)

    def present(self, check: str | None = None) -> plan.Present:
        """Read what is there.

        :param check: the version whose files to compare with their noted digest.
        """
        places = self.places
        return plan.Present(
            tree=all(_is_directory(path, mode) for path, mode in self._directories()),
            releases=tuple(self._release(version, version == check) for version in self._versions()),
            current=self._link(places.current),
            previous=self._link(places.previous),
            files={name: file for name in self._names() for file in [_file(places.in_force(name))] if file is not None},
            staged=os.path.isdir(places.staged),
            journal=self._read_journal(),
            foreign=next(self._foreign(), ""),
        )

    def _names(self) -> list[str]:
        """Name the files that are in force, or should be."""
        return plan.in_order(
            _worker_files_in(self.places.config),
            (file for worker in self._workers_by_unit() for file in plan.worker_files(worker)),
        )

    def _workers_by_unit(self) -> list[str]:
        """The workers whose units are there and read this application's environment."""
        stem, suffix = os.path.splitext(self.places.unit)
        return [
            path[len(stem) + 1 : -len(suffix)]
            for path in glob.glob(f"{glob.escape(stem)}-*{suffix}")
            if self._owns(path)
        ]

    def _owns(self, unit: str) -> bool:
        file = _file(unit)
        return file is not None and f"EnvironmentFile={self.places.config}/{plan.ENVIRONMENT}\n" in file.text

    def _foreign(self) -> t.Iterator[str]:
        """Find what an application of the name ``ssh`` or ``backup`` would take from its owner."""
        places = self.places
        ours = {"environment", "secrets", "staged", "staged.partial", "journal", "journal.partial"}
        ours.update(_worker_files_in(places.config))
        for name in sorted(os.listdir(places.config) if os.path.isdir(places.config) else []):
            if name not in ours and not name.startswith("."):
                yield f"with {os.path.join(places.config, name)}"
        # Such as the unit of the worker "eu" of "shop", to an application "shop-eu"; or the other way round.
        journal = self._read_journal()
        names = set(plan.workers_of([*_worker_files_in(places.config), *(journal.files if journal else ())]))
        notes = {places.worker_unit(worker): worker in names for worker in self._workers}
        notes[places.unit] = os.path.exists(places.in_force(plan.ENVIRONMENT)) or journal is not None
        for unit, noted in notes.items():
            if os.path.exists(unit) and not noted and not self._owns(unit):
                yield f"with {unit}"
            for directory in ("/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system"):
                vendor = os.path.join(directory, os.path.basename(unit))
                if os.path.exists(vendor):
                    yield f"with {vendor}"
        if not places.account:
            return
        account = self._account()
        if account is not None and account.pw_dir != places.state:
            yield f"with an account whose home is {account.pw_dir}"
        if os.path.isdir(places.state) and (account is None or os.stat(places.state).st_uid != account.pw_uid):
            yield f"with {places.state}"

    def _account(self) -> pwd.struct_passwd | None:
        return next((entry for entry in pwd.getpwall() if entry.pw_name == self.places.account), None)

    def account_missing(self) -> bool:
        return bool(self.places.account) and self._account() is None

    def _directories(self) -> list[tuple[str, int]]:
        return [(self.places.root, 0o755), (self.places.releases, 0o755), (self.places.config, 0o700)]

    def _versions(self) -> list[str]:
        if not os.path.isdir(self.places.releases):
            return []
        return sorted(
            entry.name
            for entry in os.scandir(self.places.releases)
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        )

    def _release(self, version: str, check: bool) -> plan.Release:
        directory = self.places.release(version)
        note = _file(self.places.note(version))
        noted = note.text.strip() if note is not None else ""
        facts, since = self._facts(version)
        found = self._digest(directory) if check else ""
        return plan.Release(version, noted, found, os.stat(directory).st_mtime, facts, since)

    def _facts(self, version: str) -> tuple[dict[str, t.Any], float]:
        """Return what was noted of a release, and when; what cannot be read is as good as none."""
        path = self.places.facts(version)
        try:
            with open(path, encoding="utf-8") as stream:
                found = json.load(stream)
            return (found, os.stat(path).st_mtime) if isinstance(found, dict) else ({}, 0.0)
        except (OSError, ValueError):
            return {}, 0.0

    def _digest(self, directory: str) -> str:
        try:
            return digest(files.scan(directory, self._exclude, unpacked=True))
        except ScaleoutError:
            # A broken link or the like: no release that we unpacked has one.
            return ""

    def _link(self, path: str) -> str | None:
        """Return where a link of ours leads: a version, or the whole path of something else."""
        if not os.path.islink(path):
            return path if os.path.lexists(path) else None
        target = os.path.normpath(os.path.join(self.places.root, os.readlink(path)))
        parent, version = os.path.split(target)
        return version if parent == self.places.releases else target

    # What follows changes the host.

    def make(self) -> None:
        """Make the directories, and give them back to root when they had another owner."""
        for path, mode in self._directories():
            os.makedirs(path, exist_ok=True)
            os.chown(path, os.geteuid(), os.getegid())
            os.chmod(path, mode)

    def unpack(self, archive: str, version: str, expected: str) -> None:
        """Unpack a release that is not there yet."""
        # The note comes first: a release without one would count as edited.
        _write(self.places.note(version), expected + "\n", 0o644)
        files.unpack(archive, self.places.release(version), expected)

    def repair(self, archive: str, version: str, expected: str) -> None:
        """Unpack a release again; it replaces the edited one when it is put in force."""
        files.remove_tree(self.places.repaired(version))
        files.unpack(archive, self.places.repaired(version), expected)
        _write(self.places.note(version), expected + "\n", 0o644)

    def note(self, version: str, facts: t.Mapping[str, t.Any]) -> None:
        """Note what is to be known of a release."""
        if facts:
            _write(self.places.facts(version), json.dumps(dict(facts), sort_keys=True) + "\n", 0o644)
        else:
            files.remove_tree(self.places.facts(version))

    def stage(self, texts: t.Mapping[str, str], version: str) -> None:
        """Lay the files beside those in force, once systemd has judged the unit."""
        partial = self.places.staged + ".partial"
        files.remove_tree(partial)
        os.mkdir(partial, 0o700)
        for name, text in texts.items():
            _write(os.path.join(partial, os.path.basename(self.places.waiting(name))), text, plan.mode_of(name))
        for name, text in texts.items():
            if name.rpartition(".")[2] == plan.UNIT:
                self._verify_unit(self.places.in_force(name), text, version)
        files.remove_tree(self.places.staged)
        os.rename(partial, self.places.staged)

    def _verify_unit(self, path: str, text: str, version: str) -> None:
        """Let systemd check the unit as it will be, with the release in the place of ``current``.

        :raises Refused: systemd would not start it; a program that is missing is such a case.
        """
        checker = shutil.which("systemd-analyze")
        if checker is None:
            return
        directory = self.places.repaired(version)
        if not os.path.isdir(directory):
            directory = self.places.release(version)
        with tempfile.TemporaryDirectory() as scratch:
            unit = os.path.join(scratch, os.path.basename(path))
            if re.search("^RootDirectory=", text, re.MULTILINE):
                # systemd would look for the program outside of that root, and ours has been found in it.
                text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
            _write(unit, text.replace(self.places.current + "/", directory + "/"), 0o644)
            checked = run([checker, "verify", "--man=no", "--recursive-errors=no", unit], timeout=_CHECK_TIMEOUT)
        if checked.status:
            said = " ".join((checked.output + checked.error).replace(unit, os.path.basename(unit)).split())
            raise Refused(
                f"systemd refuses {os.path.basename(unit)}: {said}", code="invalid_configuration", version=version
            )

    def workers_to_come(self, present: plan.Present) -> list[str]:
        """Return the workers that there will be once what was staged, if anything, is in force."""
        return plan.workers_of(_worker_files_in(self.places.staged) if present.staged else present.files)

    def note_prepared(self, version: str) -> None:
        """Note that the prepare command has succeeded for a release."""
        _write(self.places.prepared(version), "", 0o644)

    def unstage(self) -> None:
        """Forget what was staged."""
        files.remove_tree(self.places.staged)

    def write_journal(self, present: plan.Present, also: t.Sequence[str] = ()) -> None:
        """Keep what is in force, so that it can be put back; what an earlier run has kept stays.

        :param also: paths of files that go back with it.
        """
        if self._old_journal() is not None:
            # What was proven is put where it is kept from.
            self._restore_old(t.cast(plan.Journal, present.journal))
        names = plan.in_order(self._names(), _worker_files_in(self.places.staged))
        there = present.files if present.journal is None else present.journal.files
        note = {"current": present.fallback, "files": sorted(there)}
        self._transaction.begin([*(self.places.in_force(name) for name in names), *also], note)
        files.remove_tree(self.places.old_journal)

    def _read_journal(self) -> plan.Journal | None:
        kept = self._transaction.earlier()
        if kept is None:
            return self._old_journal()
        return plan.Journal(kept.note.get("current"), tuple(kept.note.get("files", ())))

    def _old_journal(self) -> plan.Journal | None:
        note = _file(os.path.join(self.places.old_journal, "current"))
        if note is None:
            return None
        kept = set(os.listdir(self.places.old_journal))
        return plan.Journal(json.loads(note.text), tuple(name for name in plan.in_order(kept) if name in kept))

    def exchange(self, version: str) -> None:
        """Put the staged files, and a repaired release, in force."""
        staged = set(_worker_files_in(self.places.staged))
        workers = plan.workers_of(staged)
        for name in plan.in_order(staged):
            file = _file(self.places.waiting(name))
            if file is not None:
                _write(self.places.in_force(name), file.text, plan.mode_of(name))
        for name in reversed(self._names()):
            if set(plan.workers_of([name])).difference(workers):
                files.remove_tree(self.places.in_force(name))
        repaired, release = self.places.repaired(version), self.places.release(version)
        if os.path.isdir(repaired):
            aside = os.path.join(self.places.releases, f".edited-{version}")
            files.remove_tree(aside)
            os.rename(release, aside)
            os.rename(repaired, release)
            files.remove_tree(aside)

    def link(self, version: str) -> None:
        """Point ``current`` at a release, which from now on counts as just used."""
        _link(self.places.current, os.path.join("releases", version))
        os.utime(self.places.release(version))
        self.unstage()

    def restore(self, journal: plan.Journal) -> None:
        """Put back what the journal holds; what was not there before, goes."""
        if self._old_journal() is not None:
            self._restore_old(journal)
        else:
            self._transaction.restore()
        if journal.current is None:
            files.remove_tree(self.places.current)
        else:
            _link(self.places.current, os.path.join("releases", journal.current))

    def _restore_old(self, journal: plan.Journal) -> None:
        for name in plan.in_order(self._names(), journal.files):
            path = self.places.in_force(name)
            if name in journal.files:
                file = t.cast(plan.File, _file(os.path.join(self.places.old_journal, name)))
                _write(path, file.text, plan.mode_of(name))
            else:
                files.remove_tree(path)

    def confirm(self, present: plan.Present) -> None:
        """End the journal."""
        journal = t.cast(plan.Journal, present.journal)
        if journal.current not in (None, present.current):
            _link(self.places.previous, os.path.join("releases", journal.current))
        self._transaction.close(None)
        files.remove_tree(self.places.old_journal)

    def prune(self, version: str) -> None:
        """Remove a release and the notes about it."""
        files.remove_tree(self.places.release(version))
        places = self.places
        for path in (places.note, places.facts, places.prepared, places.repaired):
            files.remove_tree(path(version))

    def remove(self) -> None:
        """Remove all of it."""
        units = map(self.places.worker_unit, self.present().workers)
        for path in (*units, self.places.unit, self.places.config, self.places.root):
            files.remove_tree(path)
        self._transaction.forget()


def memory() -> int | None:
    """Return the bytes of memory that this host has, or None when it does not say."""
    host = look(lambda path: getattr(_file(path), "text", None), cores=1)
    return host.memory * 1024 if host else None


def _worker_files_in(*directories: str) -> list[str]:
    """Name the files of the workers whose environment is in one of the directories."""
    found = (
        os.path.basename(path) for place in directories for path in glob.glob(f"{glob.escape(place)}/*.environment")
    )
    return [file for worker in plan.workers_of(found) for file in plan.worker_files(worker)]


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _is_directory(path: str, mode: int) -> bool:
    try:
        itself = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(itself.st_mode) and stat.S_IMODE(itself.st_mode) == mode and itself.st_uid == os.geteuid()


def _file(path: str) -> plan.File | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            text, itself = stream.read(), os.fstat(stream.fileno())
    except FileNotFoundError:
        return None
    return plan.File(text, stat.S_IMODE(itself.st_mode) if itself.st_uid == os.geteuid() else -1)


def _write(path: str, text: str, mode: int) -> None:
    """Write a file that appears whole, with its mode from the first byte on."""
    descriptor, partial = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            os.fchmod(descriptor, mode)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise


def _link(path: str, target: str) -> None:
    partial = path + ".partial"
    files.remove_tree(partial)
    os.symlink(target, partial)
    try:
        os.replace(partial, path)
    except IsADirectoryError as error:
        raise Refused(
            f"{path} is a directory and not a link; move it away first.", code="name_taken", path=path
        ) from error
