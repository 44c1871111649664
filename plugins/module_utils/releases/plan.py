# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides how one host's releases get from what is there to what is wanted.

A deployment is a small transaction. *Staged*, the release is unpacked and its
files lie beside those in force. *Active*, files and link have been exchanged,
and what was there before is in the undo journal. The journal ends when the
release is *confirmed* by a health gate or has been *reverted*; a run that
finds a journal knows that an earlier one was cut short, whatever the files say.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan

#: The files of an application beside its release, in the order in which a diff shows them. Each worker has two more:
#: ``relay.environment`` and ``relay.unit``.
ENVIRONMENT = "environment"
SECRETS = "secrets"
UNIT = "unit"
FILES = (ENVIRONMENT, SECRETS, UNIT)

_MODES = {ENVIRONMENT: 0o600, SECRETS: 0o600, UNIT: 0o644}

# Actions of a plan. UNPACK, NOTE, REPAIR, PREPARE and STAGE leave what is in force alone.
MAKE = "make"  # the directories
UNPACK = "unpack"  # the release, which is missing
NOTE = "note"  # write down what is to be known of the release later
REPAIR = "repair"  # unpack it again, to replace the one that was edited
STAGE = "stage"  # write the wanted files beside those in force
UNSTAGE = "unstage"  # forget files that were staged and are not wanted
JOURNAL = "journal"  # write down what is in force
EXCHANGE = "exchange"  # put the staged files in force
LINK = "link"  # point ``current`` at the release
RESTORE = "restore"  # put back what the journal holds
CONFIRM = "confirm"  # end the journal, remember the release before
PRUNE = "prune"  # remove a release: (PRUNE, version)
REMOVE = "remove"  # everything

# What a host's rollout has to do, as turns go: those that serve leave the load balancers first, one after another.
NO_TURN = "none"
START = "start"  # nothing serves there: at once, together with others
DRAIN = "drain"


def mode_of(file: str) -> int:
    """Return a file's permission bits.

    Secrets and settings are read by systemd, as root; everyone may read a unit, and systemd warns otherwise.
    """
    return _MODES[file.rpartition(".")[2]]


def worker_files(worker: str) -> tuple[str, str]:
    """Return the names of a worker's files."""
    return f"{worker}.{ENVIRONMENT}", f"{worker}.{UNIT}"


def workers_of(files: t.Iterable[str]) -> list[str]:
    """Return the workers whose files are among these, in order."""
    return sorted({file.rpartition(".")[0] for file in files} - {""})


def in_order(*files: t.Iterable[str]) -> list[str]:
    """Return all files once: the application's, then those of one worker after another."""
    return [*FILES, *(file for worker in workers_of(itertools.chain(*files)) for file in worker_files(worker))]


@dataclasses.dataclass(frozen=True)
class Release:
    """A release that is complete on the host.

    :param version: the name of its directory.
    :param digest: what was unpacked, as noted then; empty when the note is missing.
    :param found: the digest of what is there now; empty when it was not looked up.
    :param used: when it was unpacked or last put in force, seconds since the epoch.
    :param note: what a deployment noted of it, as :attr:`Wanted.note`.
    :param noted: when it did, seconds since the epoch.
    """

    version: str
    digest: str
    found: str = ""
    used: float = 0.0
    note: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    noted: float = 0.0


@dataclasses.dataclass(frozen=True)
class File:
    """A file as it is: its text and permission bits. A file of another user has the mode -1."""

    text: str
    mode: int


@dataclasses.dataclass(frozen=True)
class Present:
    """What is there.

    :param tree: whether the directories are there, as they should be.
    :param current: where the link ``current`` leads: a version, the path of something else, or None without a link.
    :param previous: the version that was in force before the current one, or None.
    :param files: the files in force by name; a missing one is missing.
    :param staged: whether an earlier run staged files that are not in force.
    :param journal: what was in force before an exchange that was not confirmed, or None.
    :param foreign: what has the application's name and belongs to something else, for a sentence; or empty.
    """

    tree: bool = False
    releases: tuple[Release, ...] = ()
    current: str | None = None
    previous: str | None = None
    files: t.Mapping[str, File] = dataclasses.field(default_factory=dict)
    staged: bool = False
    journal: Journal | None = None
    foreign: str = ""

    def release(self, version: str) -> Release | None:
        return next((release for release in self.releases if release.version == version), None)

    @property
    def fallback(self) -> str | None:
        """The version that was last confirmed, or None when there is none to go back to."""
        version = self.current if self.journal is None else self.journal.current
        return version if version is not None and self.release(version) is not None else None

    @property
    def fallback_workers(self) -> list[str]:
        """The workers that belong to what was last confirmed."""
        return workers_of(self.files if self.journal is None else self.journal.files)

    @property
    def workers(self) -> list[str]:
        """The workers that may be running: those in force, and those in force before an exchange that was cut short."""
        return sorted({*workers_of(self.files), *self.fallback_workers})


@dataclasses.dataclass(frozen=True)
class Journal:
    """What was in force before the exchange: the link's version (None when it was the first) and files."""

    current: str | None
    files: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a deployment asks for.

    :param version: name of the release.
    :param digest: digest of its contents.
    :param files: text of each file, by name.
    :param note: what is to be known of the release when it is gone back to: ``schema_serves``, and of an image how it
        is run; empty where there is nothing to know.
    """

    version: str
    digest: str
    files: t.Mapping[str, str]
    note: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)


def stage(present: Present, wanted: Wanted) -> Plan:
    """Bring the release and its files onto the host; nothing that is in force changes.

    The result's ``pending`` says whether an exchange and a restart have to follow, ``missing`` whether the archive is
    needed, ``fallback`` and ``fallback_workers`` what a failed exchange would go back to, and ``surplus_workers`` who
    has to stop after one.

    :raises Refused: the version is there with other contents, or the application's name is taken.
    """
    _refuse_foreign(present)
    release = present.release(wanted.version)
    if release is not None and release.digest and release.digest != wanted.digest:
        raise Refused(
            f"Release {wanted.version} is already there with other contents ({release.digest[:12]}, "
            f"not {wanted.digest[:12]}); releases never change, so choose another version.",
            code="differs",
            version=wanted.version,
        )
    edited = release is not None and release.found != wanted.digest
    differing = [
        name
        for name in in_order(present.files, wanted.files)
        if _differs(present.files.get(name), wanted.files.get(name), mode_of(name))
    ]
    pending = bool(differing) or edited or present.current != wanted.version or present.journal is not None
    actions = []
    if not present.tree:
        actions.append(MAKE)
    if release is None:
        actions.append(UNPACK)
    elif edited:
        actions.append(REPAIR)
    if dict(wanted.note) != (dict(release.note) if release is not None else {}):
        actions.append(NOTE)
    if pending:
        actions.append(STAGE)
    elif present.staged:
        actions.append(UNSTAGE)
    before, after = _shown(present, wanted, edited, differing)
    result = {
        "pending": pending,
        "missing": release is None or edited,
        "fallback": present.fallback,
        "fallback_workers": present.fallback_workers,
        "surplus_workers": [worker for worker in present.workers if worker not in workers_of(wanted.files)],
    }
    return Plan(before, after, tuple(actions), result)


def turn(staged: bool, pending: bool, active: bool, enabled: bool, idle_workers: t.Collection[str]) -> str:
    """Decide which part a host takes in a rollout: :data:`NO_TURN`, :data:`START` or :data:`DRAIN`.

    :param staged: whether staging had to do anything. A release that was staged and is not wanted any more may have
        left the host drained: it takes its turn to come back.
    :param pending: whether something is to be put in force.
    :param active: whether the application's unit runs, healthy or not.
    :param enabled: whether it starts with the host.
    """
    if pending and active:
        return DRAIN
    return START if staged or not (active and enabled) or idle_workers else NO_TURN


def activate(present: Present, version: str) -> Plan:
    """Exchange what is in force for what was staged, journalling it first.

    :raises Refused: the release was never staged.
    """
    if not present.staged:
        if present.current == version and present.journal is None:
            return Plan("", "")
        raise Refused(f"Release {version} is not staged.", code="not_staged", version=version)
    # After a run that was cut short the journal keeps what it has, and gets the files that only this one brings.
    actions = (JOURNAL, EXCHANGE, LINK)
    return Plan(f"current: {present.current or 'none'}\n", f"current: {version}\n", actions)


def revert(present: Present) -> Plan:
    """Put back what was in force before the exchange that the journal tells of."""
    forget = (UNSTAGE,) if present.staged else ()
    if present.journal is None:
        return Plan("", "", forget, {"restored": False})
    return Plan(
        f"current: {present.current or 'none'}\n",
        f"current: {present.journal.current or 'none'}\n",
        (RESTORE, *forget),
        {"restored": True},
    )


def confirm(present: Present, keep: int) -> Plan:
    """End the journal and remove the releases that are neither in force, nor the one before, nor among the newest.

    :param keep: how many releases to keep, the one in force included.
    """
    before = present.previous
    if present.journal is not None and present.journal.current not in (None, present.current):
        before = present.journal.current
    surplus = prune(present.releases, keep, (present.current, before))
    actions = ((CONFIRM,) if present.journal is not None else ()) + tuple((PRUNE, version) for version in surplus)
    names = sorted(release.version for release in present.releases)
    return Plan(_listing(names), _listing([name for name in names if name not in surplus]), actions)


def prune(releases: t.Sequence[Release], keep: int, needed: t.Container[str | None]) -> list[str]:
    """Return the versions to remove, the longest unused first. Needed ones count among those that are kept."""
    newest = sorted(releases, key=lambda release: (release.version in needed, release.used), reverse=True)
    return [release.version for release in reversed(newest[keep:]) if release.version not in needed]


def remove(present: Present) -> Plan:
    """Remove releases, link and files.

    :raises Refused: the application's name is something else's.
    """
    _refuse_foreign(present)
    result = {"surplus_workers": present.workers}
    if not (present.releases or present.current or present.files or present.tree):
        return Plan("", "", result=result)
    return Plan(f"current: {present.current or 'none'}\n", "", (REMOVE,), result)


def _refuse_foreign(present: Present) -> None:
    if present.foreign:
        raise Refused(
            f"This host has something else of that name, {present.foreign}; choose another name.", code="name_taken"
        )


def _differs(file: File | None, text: str | None, mode: int) -> bool:
    if file is None or text is None:
        return not (file is None and text is None)
    return file.text != text or file.mode != mode


def _listing(names: t.Sequence[str]) -> str:
    return "".join(f"release: {name}\n" for name in names)


def _shown(present: Present, wanted: Wanted, edited: bool, differing: t.Sequence[str]) -> tuple[str, str]:
    """Write the two sides of the diff: the release and each file that differs, but never a secret."""
    note = " (edited on the host)" if edited else ""
    if present.journal is not None:
        note += " (not confirmed)"
    before = f"current: {present.current or 'none'}{note if present.current else ''}\n"
    after = f"current: {wanted.version}\n"
    for name in differing:
        file = present.files.get(name)
        title = f"\n{name}, mode "
        if file is not None:
            mode = "of another user" if file.mode < 0 else f"{file.mode:04o}"
            before += title + mode + "\n" + ("(not shown)\n" if name == SECRETS else file.text)
        text = wanted.files.get(name)
        if text is not None:
            hidden = "(not shown)\n" if file is not None and file.text == text else "(not shown, changed)\n"
            after += title + f"{mode_of(name):04o}\n" + (hidden if name == SECRETS else text)
    return before, after
