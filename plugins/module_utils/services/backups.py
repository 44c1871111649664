# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backups of a cluster: to which moments it can be restored, and which WAL is missing for the others; pure.

It reads what pgBackRest's ``info`` and ``repo-ls`` print as JSON. pgBackRest's own ``verify`` reports no segment that
is missing, and ends with success whatever it finds (seen with 2.45).
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.wal import lsn, position

_BYTES = 16 * 1024 * 1024
#: Segments of 16 MB in each of the files that a WAL position's upper half counts.
_IN_FILE = 256
_SEGMENT = re.compile(r"(?:.*/)?([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})-[0-9a-f]{40}(?:\.[a-z0-9]+)?")
_HISTORY = re.compile(r"(?:.*/)?([0-9A-F]{8})\.history")
#: Of timelines, the earlier ones and where each ended, in bytes.
Histories = t.Mapping[int, t.Mapping[int, int]]
#: What pgBackRest has for a stanza that it does not have.
MISSING = 1


class Backup(t.NamedTuple):
    """One backup.

    :param archive: the part of the archive that it needs, such as ``17-1``.
    :param first: the number of the first segment that it needs.
    :param last: the number of the last one.
    :param started: seconds since the epoch, as all times here.
    :param size: bytes of the database.
    :param stored: bytes that it takes in the repository, without what it shares with an earlier one.
    :param broken: whether a page of it has a wrong checksum.
    :param timeline: on which it was taken.
    :param begin: the position in the WAL from which a restore of it replays, in bytes.
    :param end: the position up to which it has to.
    """

    label: str
    kind: str
    archive: str
    first: int
    last: int
    started: int
    stopped: int
    size: int
    stored: int
    broken: bool
    timeline: int = 1
    begin: int = 0
    end: int = 0


class Window(t.NamedTuple):
    """Moments between which a cluster can be restored to each."""

    earliest: int
    latest: int


class Reach(t.NamedTuple):
    """Positions in the WAL between which a cluster can be restored to each, in bytes."""

    first: int
    last: int


class Gap(t.NamedTuple):
    """Segments that are missing between others.

    :param first: the name of the first one.
    :param after: when the segment before it came; moments from there to ``before`` cannot be restored.
    """

    first: str
    last: str
    segments: int
    after: int
    before: int


class Proof(t.NamedTuple):
    """What is known of restores of a cluster; None for what never was.

    :param at: when one succeeded last, seconds since the epoch.
    :param until: when the last transaction was committed that it had.
    :param failed: when one failed after that.
    """

    at: int | None
    backup: str
    until: int | None
    seconds: int
    checks: int
    failed: int | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Stanza:
    """What the repository has of a cluster.

    :param code: pgBackRest's status; 0 for all is well.
    :param running: whether a backup is being taken.
    :param reaches: the same as the windows, in the same order, as positions.
    :param archived: when the newest segment came; None without any, or where the archive was not read.
    :param histories: of each timeline but the first, the earlier ones and where each ended, in bytes.
    """

    name: str
    code: int = MISSING
    message: str = "missing"
    running: bool = False
    backups: tuple[Backup, ...] = ()
    windows: tuple[Window, ...] = ()
    gaps: tuple[Gap, ...] = ()
    archived: int | None = None
    reaches: tuple[Reach, ...] = ()
    histories: Histories = dataclasses.field(default_factory=dict)

    def document(self) -> dict[str, t.Any]:
        """Return it with its times as text."""
        return {
            "name": self.name,
            "code": self.code,
            "message": self.message,
            "running": self.running,
            "backups": [
                {
                    "label": one.label,
                    "type": one.kind,
                    "started": moments.text(one.started),
                    "stopped": moments.text(one.stopped),
                    "size": one.size,
                    "stored": one.stored,
                    "broken": one.broken,
                    "timeline": one.timeline,
                    "lsn": [lsn(one.begin), lsn(one.end)],
                }
                for one in self.backups
            ],
            "windows": [
                {
                    "earliest": moments.text(one.earliest),
                    "latest": moments.text(one.latest),
                    "lsn": [lsn(reach.first), lsn(reach.last)],
                }
                for one, reach in zip(self.windows, self.reaches)
            ],
            "histories": {
                str(timeline): {str(earlier): lsn(end) for earlier, end in ends.items()}
                for timeline, ends in self.histories.items()
            },
            "gaps": [
                {**one._asdict(), "after": moments.text(one.after), "before": moments.text(one.before)}
                for one in self.gaps
            ],
            "archived": None if self.archived is None else moments.text(self.archived),
        }


def number(segment: str) -> int:
    """Return how many segments are before one, whatever its timeline."""
    return int(segment[8:16], 16) * _IN_FILE + int(segment[16:24], 16)


def timelines(archive: t.Mapping[str, t.Any]) -> dict[int, str]:
    """Return the files of the timelines' histories in an archive, by the timelines."""
    found = {}
    for path in archive:
        match = _HISTORY.fullmatch(path)
        if match:
            found[int(match[1], 16)] = path
    return found


def name(timeline: int, segment: int) -> str:
    """Return the name of a segment."""
    return f"{timeline:08X}{segment // _IN_FILE:08X}{segment % _IN_FILE:08X}"


def stanzas(
    wanted: t.Sequence[str],
    info: t.Sequence[t.Mapping[str, t.Any]],
    archives: t.Mapping[str, t.Mapping[str, t.Any]],
    histories: t.Mapping[str, Histories] | None = None,
) -> list[Stanza]:
    """Return what there is of each cluster.

    :param info: what ``pgbackrest info --output=json`` prints.
    :param archives: of each cluster, what ``pgbackrest repo-ls --recurse --output=json`` prints of its archive.
    :param histories: of each cluster, what the files say that :func:`timelines` finds there.
    """
    told = {str(one.get("name")): one for one in info}
    past = histories or {}
    return [
        _stanza(one, told[one], archives.get(one), past.get(one) or {}) if one in told else Stanza(one)
        for one in wanted
    ]


def _stanza(
    of: str,
    told: t.Mapping[str, t.Any],
    archive: t.Mapping[str, t.Any] | None,
    histories: Histories,
) -> Stanza:
    status = told.get("status") or {}
    versions = {one["id"]: f"{one['version']}-{one['id']}" for one in told.get("db") or ()}
    backups = tuple(_backup(one, versions) for one in told.get("backup") or ())
    windows: list[tuple[Window, Reach]] = []
    gaps: list[Gap] = []
    times: list[int] = []
    for part in dict.fromkeys(versions.values()) if archive is not None else ():
        segments = _segments(archive or {}, part)
        times += segments.values()
        of_part = [one for one in backups if one.archive == part and not one.broken]
        if of_part:
            run = _Run(segments, min(one.first for one in of_part), histories)
            windows += _windows(of_part, run)
            gaps += run.gaps
    return Stanza(
        of,
        int(status.get("code", MISSING)),
        str(status.get("message", "")),
        bool(((status.get("lock") or {}).get("backup") or {}).get("held")),
        backups,
        tuple(window for window, _reach in windows),
        tuple(gaps),
        max(times) if times else None,
        tuple(reach for _window, reach in windows),
        histories,
    )


def _backup(told: t.Mapping[str, t.Any], versions: t.Mapping[int, str]) -> Backup:
    sizes, positions = told.get("info") or {}, told.get("lsn") or {}
    first, last = str(told["archive"]["start"]), str(told["archive"]["stop"])
    return Backup(
        label=str(told["label"]),
        kind=str(told["type"]),
        archive=versions.get((told.get("database") or {}).get("id", 0), ""),
        first=number(first),
        last=number(last),
        started=int(told["timestamp"]["start"]),
        stopped=int(told["timestamp"]["stop"]),
        size=int(sizes.get("size") or 0),
        stored=int((sizes.get("repository") or {}).get("delta") or 0),
        broken=bool(told.get("error")),
        timeline=int(last[:8], 16),
        # A release that does not say where in a segment has it begin and end with the segment.
        begin=position(str(positions["start"])) if "start" in positions else number(first) * _BYTES,
        end=position(str(positions["stop"])) if "stop" in positions else (number(last) + 1) * _BYTES,
    )


def _segments(archive: t.Mapping[str, t.Any], part: str) -> dict[tuple[int, int], int]:
    """Return when each segment came, by its timeline and its number."""
    found = {}
    for path, about in archive.items():
        match = _SEGMENT.fullmatch(path) if path.startswith(f"{part}/") else None
        if match:
            found[int(match[1], 16), number(match[1] + match[2] + match[3])] = int(about.get("time") or 0)
    return found


class _Run:
    """The segments that lead from a cluster's first backup to now, and those that are missing among them.

    Each promotion begins another timeline. Its first segment is the one in which the earlier timeline ended: from
    there on the newest timeline counts, whatever a former leader has still archived.
    """

    def __init__(self, segments: t.Mapping[tuple[int, int], int], start: int, histories: Histories) -> None:
        self.times: dict[int, int] = {}
        self.gaps: list[Gap] = []
        #: The timeline that counts at each segment.
        self.counts: dict[int, int] = {}
        begins: dict[int, int] = {}
        for timeline, segment in segments:
            begins[timeline] = min(segment, begins.get(timeline, segment))
        newest = max(begins, default=0)
        self._newest, self._ends = newest, histories.get(newest)
        last = max((segment for timeline, segment in segments if timeline == newest), default=start - 1)
        # Of timelines that begin at one segment the newest counts.
        changes = sorted(begins.items(), key=lambda one: (one[1], one[0]))
        timeline = 0
        missing: list[str] = []
        for segment in range(start, last + 1):
            while changes and changes[0][1] <= segment:
                timeline = max(timeline, changes.pop(0)[0])
            self.counts[segment] = timeline
            came = segments.get((timeline, segment))
            if came is None:
                missing.append(name(timeline, segment))
                continue
            if missing:
                after = self.times.get(segment - len(missing) - 1, came)
                self.gaps.append(Gap(missing[0], missing[-1], len(missing), after, came))
            missing = []
            self.times[segment] = came

    def _leads_on(self, backup: Backup) -> bool:
        """Whether the newest timeline goes on where a backup ends; within a segment only a history knows."""
        if backup.timeline == self._newest:
            return True
        if self._ends is None:
            return self.counts.get(backup.last) == backup.timeline
        return backup.end <= self._ends.get(backup.timeline, -1)

    def end(self, backup: Backup) -> int | None:
        """Return the last segment to which a backup can be brought; None where it lacks one of its own.

        None also for one of a timeline that a restore to an earlier moment has left: no newer WAL follows it.
        """
        if not self._leads_on(backup):
            return None
        if any(segment not in self.times for segment in range(backup.first, backup.last + 1)):
            return None
        last = backup.last
        while last + 1 in self.times:
            last += 1
        return last


def _windows(backups: t.Iterable[Backup], run: _Run) -> list[tuple[Window, Reach]]:
    earliest: dict[int, Backup] = {}
    for backup in backups:
        end = run.end(backup)
        if end is not None:
            earliest[end] = min(backup, earliest.get(end, backup), key=lambda one: one.stopped)
    return [
        (Window(first.stopped, max(first.stopped, run.times[end])), Reach(first.end, (end + 1) * _BYTES))
        for end, first in sorted(earliest.items())
    ]


def proof(told: t.Mapping[str, t.Any]) -> Proof:
    """Return what the file says that the program ``prove_restore`` of the role pgbackrest keeps."""
    good, bad = told.get("proven") or {}, told.get("failed") or {}
    return Proof(
        good.get("at"),
        str(good.get("backup") or ""),
        good.get("until"),
        int(good.get("seconds") or 0),
        int(good.get("checks") or 0),
        bad.get("at"),
        str(bad.get("reason") or ""),
    )


def proof_document(of: Proof) -> dict[str, t.Any]:
    """Return it with its times as text."""
    good = {
        "at": _moment(of.at),
        "backup": of.backup,
        "until": _moment(of.until),
        "seconds": of.seconds,
        "checks": of.checks,
    }
    return {
        "proven": None if of.at is None else good,
        "unproven": None if of.failed is None else {"at": _moment(of.failed), "reason": of.reason},
    }


def _moment(seconds: int | None) -> str | None:
    return None if seconds is None else moments.text(seconds)


# For a person


def description(of: t.Iterable[Stanza], now: int, proofs: t.Mapping[str, Proof] | None = None) -> list[str]:
    """Return a few lines on each cluster.

    :param proofs: of restores, by clusters; those of other clusters are not spoken of.
    """
    return [line for one in of for line in [*_lines(one, now), *_of_proof(one, (proofs or {}).get(one.name), now)]]


def _of_proof(stanza: Stanza, of: Proof | None, now: int) -> t.Iterator[str]:
    cluster = stanza.name
    if of is None:
        return
    if of.at is None:
        # Without a backup there is nothing to prove.
        if stanza.backups:
            yield f"{cluster}: no restore is proven yet. To prove one now: systemctl start pgbackrest-prove@{cluster}"
    else:
        until = f" up to {moments.shown(of.until)}" if of.until is not None else ""
        yield (
            f"{cluster}: a restore was proven {age(now - of.at)} ago: {of.backup}{until}, in {of.seconds} s, with "
            f"{of.checks} checks."
        )
    if of.failed is not None:
        yield f"{cluster}: the last try to prove one failed {age(now - of.failed)} ago: {of.reason}."


def _lines(of: Stanza, now: int) -> t.Iterator[str]:
    if not of.backups:
        yield f"{of.name}: no backup{', one is being taken' if of.running else ''}. pgBackRest says: {of.message}."
        return
    for window in of.windows:
        span = f"{moments.shown(window.earliest)} to {moments.shown(window.latest)}"
        yield f"{of.name}: can be restored to each moment from {span}."
    if not of.windows:
        yield f"{of.name}: cannot be restored, as each backup lacks WAL that it needs."
    newest = max(of.backups, key=lambda one: one.stopped)
    kept = sum(one.stored for one in of.backups)
    many = "1 backup" if len(of.backups) == 1 else f"{len(of.backups)} backups"
    yield (
        f"{of.name}: the newest backup ({newest.kind}) is {age(now - newest.stopped)} old; {many} of a database of "
        f"{size(newest.size)} take {size(kept)}{'; one is being taken' if of.running else ''}."
    )
    if of.archived is not None:
        yield f"{of.name}: the newest WAL in the archive is {age(now - of.archived)} old."
    for gap in of.gaps:
        many = "1 segment" if gap.segments == 1 else f"{gap.segments} segments"
        where = gap.first if gap.segments == 1 else f"{gap.first} to {gap.last}"
        yield (
            f"{of.name}: {many} of WAL missing ({where}), so that moments between {moments.shown(gap.after)} and "
            "the next backup cannot be restored."
        )
    for backup in of.backups:
        if backup.broken:
            yield f"{of.name}: the backup {backup.label} has pages with wrong checksums, and does not count here."


def age(seconds: int) -> str:
    """Return a span for a person."""
    for unit, of in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * of:
            return f"{seconds // of} {unit}"
    return f"{max(0, seconds)} s"


def size(of: float) -> str:
    """Return a number of bytes for a person."""
    for unit in ("B", "kB", "MB", "GB"):
        if of < 1024:
            return f"{of:.0f} {unit}"
        of /= 1024
    return f"{of:.1f} TB"
