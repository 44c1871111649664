# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and changes the releases of one application on the host that runs it; ``plan.py`` decides, this carries out.

Each step leaves a state from which the next run goes on: directories and
files appear by renaming, and the journal is written before anything that is
in force is touched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.releases import files, plan
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import digest


@dataclasses.dataclass(frozen=True)
class Places:
    """Where an application lives.

    :param root: its releases and links, such as ``/srv/shop``.
    :param config: its environment and secrets, such as ``/etc/shop``.
    :param unit: its systemd unit, such as ``/etc/systemd/system/shop.service``.
    :param state: what it writes itself, such as ``/var/lib/shop``, the home of its account.
    :param account: the name of the account that is its own, or empty when it uses another's.
    """

    root: str
    config: str
    unit: str
    state: str
    account: str

    @property
    def releases(self) -> str:
        return os.path.join(self.root, "releases")

    @property
    def current(self) -> str:
        return os.path.join(self.root, "current")

    @property
    def previous(self) -> str:
        return os.path.join(self.root, "previous")

    @property
    def staged(self) -> str:
        return os.path.join(self.config, "staged")

    @property
    def journal(self) -> str:
        return os.path.join(self.config, "journal")

    def release(self, version: str) -> str:
        return os.path.join(self.releases, version)

    def mended(self, version: str) -> str:
        """Where a release waits that is to replace one that was edited."""
        return os.path.join(self.releases, f".mended-{version}")

    def note(self, version: str) -> str:
        """Where a release's digest is noted."""
        return os.path.join(self.releases, f".digest-{version}")

    def prepared(self, version: str) -> str:
        """The mark that the prepare command has succeeded for a release on this host."""
        return os.path.join(self.releases, f".prepared-{version}")

    def in_force(self, name: str) -> str:
        return self.unit if name == plan.UNIT else os.path.join(self.config, name)

    def waiting(self, name: str) -> str:
        # systemd-analyze goes by a unit's name.
        return os.path.join(self.staged, os.path.basename(self.unit) if name == plan.UNIT else name)


class Host:
    """The releases of one application on this host.

    :param places: where they are.
    :param exclude: patterns of what does not belong to a release although it is in its directory.
    """

    def __init__(self, places: Places, exclude: t.Sequence[str]) -> None:
        self.places = places
        self._exclude = exclude

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
            files={name: file for name in plan.FILES for file in [_file(places.in_force(name))] if file is not None},
            staged=os.path.isdir(places.staged),
            journal=self._read_journal(),
            foreign=next(self._foreign(), ""),
        )

    def _foreign(self) -> t.Iterator[str]:
        """Find what an application of the name ``ssh`` or ``backup`` would take from its owner."""
        places = self.places
        ours = {"environment", "secrets", "staged", "staged.partial", "journal", "journal.partial"}
        for name in sorted(os.listdir(places.config) if os.path.isdir(places.config) else []):
            if name not in ours and not name.startswith("."):
                yield f"with {os.path.join(places.config, name)}"
        for directory in ("/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system"):
            vendor = os.path.join(directory, os.path.basename(places.unit))
            if os.path.exists(vendor):
                yield f"with {vendor}"
        if not places.account:
            return
        account = next((entry for entry in pwd.getpwall() if entry.pw_name == places.account), None)
        if account is not None and account.pw_dir != places.state:
            yield f"with an account whose home is {account.pw_dir}"
        if os.path.isdir(places.state) and (account is None or os.stat(places.state).st_uid != account.pw_uid):
            yield f"with {places.state}"

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
        return plan.Release(version, noted, self._digest(directory) if check else "", os.stat(directory).st_mtime)

    def _digest(self, directory: str) -> str:
        try:
            return digest(files.scan(directory, self._exclude, empty=True))
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
        """Make the directories, and give them back to root when they were somebody else's."""
        for path, mode in self._directories():
            os.makedirs(path, exist_ok=True)
            os.chown(path, os.geteuid(), os.getegid())
            os.chmod(path, mode)

    def unpack(self, archive: str, version: str, expected: str) -> None:
        """Unpack a release that is not there yet."""
        # The note comes first: a release without one would count as edited.
        _write(self.places.note(version), expected + "\n", 0o644)
        files.unpack(archive, self.places.release(version), expected)

    def mend(self, archive: str, version: str, expected: str) -> None:
        """Unpack a release again; it replaces the edited one when it is put in force."""
        files.remove_tree(self.places.mended(version))
        files.unpack(archive, self.places.mended(version), expected)
        _write(self.places.note(version), expected + "\n", 0o644)

    def stage(self, texts: t.Mapping[str, str], version: str) -> None:
        """Lay the files beside those in force, once systemd has judged the unit."""
        partial = self.places.staged + ".partial"
        files.remove_tree(partial)
        os.mkdir(partial, 0o700)
        for name in plan.FILES:
            path = os.path.join(partial, os.path.basename(self.places.waiting(name)))
            _write(path, texts[name], plan.MODES[name])
        self._verify_unit(texts[plan.UNIT], version)
        files.remove_tree(self.places.staged)
        os.rename(partial, self.places.staged)

    def _verify_unit(self, text: str, version: str) -> None:
        """Let systemd check the unit as it will be, with the release in the place of ``current``.

        :raises Refused: systemd would not start it; a program that is missing is such a case.
        """
        checker = shutil.which("systemd-analyze")
        if checker is None:
            return
        directory = self.places.mended(version)
        if not os.path.isdir(directory):
            directory = self.places.release(version)
        with tempfile.TemporaryDirectory() as scratch:
            unit = os.path.join(scratch, os.path.basename(self.places.unit))
            _write(unit, text.replace(self.places.current + "/", directory + "/"), 0o644)
            verdict = subprocess.run(
                [checker, "verify", "--man=no", "--recursive-errors=no", unit],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                check=False,
            )
        if verdict.returncode:
            said = " ".join(verdict.stdout.replace(unit, os.path.basename(unit)).split())
            raise Refused(f"systemd refuses {os.path.basename(unit)}: {said}", version=version)

    def unstage(self) -> None:
        """Forget what was staged."""
        files.remove_tree(self.places.staged)

    def write_journal(self, present: plan.Present) -> None:
        """Keep what is in force, so that it can be put back."""
        partial = self.places.journal + ".partial"
        files.remove_tree(partial)
        os.mkdir(partial, 0o700)
        for name, file in present.files.items():
            _write(os.path.join(partial, name), file.text, 0o600)
        _write(os.path.join(partial, "current"), json.dumps(present.fallback), 0o600)
        os.rename(partial, self.places.journal)

    def _read_journal(self) -> plan.Journal | None:
        note = _file(os.path.join(self.places.journal, "current"))
        if note is None:
            return None
        kept = tuple(name for name in plan.FILES if os.path.exists(os.path.join(self.places.journal, name)))
        return plan.Journal(json.loads(note.text), kept)

    def exchange(self, version: str) -> None:
        """Put the staged files, and a mended release, in force."""
        for name in plan.FILES:
            file = _file(self.places.waiting(name))
            if file is not None:
                _write(self.places.in_force(name), file.text, plan.MODES[name])
        mended, release = self.places.mended(version), self.places.release(version)
        if os.path.isdir(mended):
            aside = os.path.join(self.places.releases, f".edited-{version}")
            files.remove_tree(aside)
            os.rename(release, aside)
            os.rename(mended, release)
            files.remove_tree(aside)

    def link(self, version: str) -> None:
        """Point ``current`` at a release, which from now on counts as just used."""
        _link(self.places.current, os.path.join("releases", version))
        os.utime(self.places.release(version))
        self.unstage()

    def restore(self, journal: plan.Journal) -> None:
        """Put back what the journal holds; what was not there before, goes."""
        for name in plan.FILES:
            path = self.places.in_force(name)
            if name in journal.files:
                file = t.cast(plan.File, _file(os.path.join(self.places.journal, name)))
                _write(path, file.text, plan.MODES[name])
            else:
                files.remove_tree(path)
        if journal.current is None:
            files.remove_tree(self.places.current)
        else:
            _link(self.places.current, os.path.join("releases", journal.current))

    def confirm(self, present: plan.Present) -> None:
        """End the journal."""
        journal = t.cast(plan.Journal, present.journal)
        if journal.current not in (None, present.current):
            _link(self.places.previous, os.path.join("releases", t.cast(str, journal.current)))
        files.remove_tree(self.places.journal)

    def prune(self, version: str) -> None:
        """Remove a release and the notes about it."""
        files.remove_tree(self.places.release(version))
        for path in (self.places.note(version), self.places.prepared(version), self.places.mended(version)):
            files.remove_tree(path)

    def remove(self) -> None:
        """Remove all of it."""
        for path in (self.places.unit, self.places.config, self.places.root):
            files.remove_tree(path)


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
        raise Refused(f"{path} is a directory and not a link; move it away first.", path=path) from error
