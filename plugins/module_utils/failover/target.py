# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""To which point a cluster is to be restored, and from which backup it gets there; pure.

pgBackRest would choose a backup itself. It looks at the time alone, and so takes one of a timeline that a restore has
left; PostgreSQL then finds no way from it to the newest timeline, after everything was copied. So it is chosen here, by
the histories of the timelines.
"""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import wal

TIME, LSN, NAME, IMMEDIATE, NEWEST = "time", "lsn", "name", "immediate", "newest"

_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]+(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) *(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?", re.IGNORECASE
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?")
#: PostgreSQL keeps so many bytes of a restore point's name.
_NAMED = re.compile(r"[^\x00-\x1f\x7f']{1,63}")
_FORMS = (
    "a time with its zone such as 2026-11-29T21:24:05+00, an LSN such as 0/3000060, name:RESTORE_POINT, immediate, or "
    "newest"
)


class Target(t.NamedTuple):
    """A point in a cluster's history.

    :param text: the point as PostgreSQL takes it; empty for ``immediate`` and ``newest``.
    :param at: of a time, seconds since the epoch.
    """

    kind: str
    text: str = ""
    at: float = 0.0

    def __str__(self) -> str:
        if self.kind == TIME:
            return f"{self.text[:-3]} UTC"
        words = {LSN: f"the LSN {self.text}", NAME: f"the restore point {self.text}", NEWEST: "the end of the archive"}
        return words.get(self.kind, "the end of its backup")


class Backup(t.NamedTuple):
    """A backup, as much as a choice needs.

    :param started: seconds since the epoch, as is ``stopped``.
    :param end: the position in the WAL up to which a restore of it has to replay.
    :param size: bytes of the database.
    """

    label: str
    kind: str
    timeline: int
    started: float
    stopped: float
    end: int
    size: int
    broken: bool = False


class Window(t.NamedTuple):
    """What the archive covers without a gap, as times and as positions in the WAL."""

    earliest: float
    latest: float
    first: int
    last: int


class There(t.NamedTuple):
    """What the repository has of a cluster.

    :param histories: of each timeline but the first, the earlier ones and where each ended.
    """

    backups: tuple[Backup, ...] = ()
    windows: tuple[Window, ...] = ()
    histories: t.Mapping[int, t.Mapping[int, int]] = {}


def parse(given: t.Any) -> Target:
    """Read what the option ``to`` says.

    :raises InvalidInput: it is no point in time.
    """
    text = str(given).strip() if given is not None else ""
    if not text:
        raise InvalidInput("to", given, f"is not set; say -e to=, with {_FORMS}")
    if text in (IMMEDIATE, NEWEST):
        return Target(text)
    if text.startswith("name:"):
        if not _NAMED.fullmatch(text[5:]):
            raise InvalidInput("to", given, "has no name of a restore point, of up to 63 characters without a quote")
        return Target(NAME, text[5:])
    if wal.is_lsn(text):
        return Target(LSN, wal.lsn(wal.position(text)))
    if _DATE.fullmatch(text):
        # Of -e to="2026-11-29 21:24:05+00" Ansible makes two words.
        raise InvalidInput("to", given, f"has no time of day; write it without a blank, as in {text}T21:24:05+00")
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise InvalidInput("to", given, f"is not {_FORMS}")
    if found[3] is None:
        raise InvalidInput("to", given, "has no time zone; say one, such as 2026-11-29T21:24:05+00")
    return _moment(given, found[1], found[2], found[3])


def _moment(given: t.Any, date: str, clock: str, zone: str) -> Target:
    offset = _OFFSET.fullmatch(zone)
    minutes = int(offset[2]) * 60 + int(offset[3] or 0) if offset else 0
    shift = datetime.timedelta(minutes=-minutes if offset and offset[1] == "-" else minutes)
    whole, _dot, fraction = (clock if clock.count(":") == 2 else f"{clock}:00").partition(".")
    try:
        local = datetime.datetime.strptime(f"{date} {whole}", "%Y-%m-%d %H:%M:%S")
        utc = (local - shift).replace(tzinfo=datetime.timezone.utc)
        seconds = utc.timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput("to", given, "is not a time") from None
    more = f".{fraction}" if fraction else ""
    return Target(TIME, f"{utc:%Y-%m-%d %H:%M:%S}{more}+00", seconds + float(f"0{more}" if more else 0))


def parse_timeline(given: t.Any) -> int:
    """Read the option ``timeline``; 0 for the newest one.

    :raises InvalidInput: it is no number of one.
    """
    if given in (None, ""):
        return 0
    if not (str(given).isdigit() and 0 < int(given) < 2**31):
        raise InvalidInput("timeline", given, "is not the number of a timeline")
    return int(given)


def read(stanza: t.Mapping[str, t.Any]) -> There:
    """Read what the module ``backup_info`` returned of a cluster."""
    backups = tuple(
        Backup(
            str(one["label"]),
            str(one["type"]),
            int(one["timeline"]),
            moments.seconds(one["started"]) or 0.0,
            moments.seconds(one["stopped"]) or 0.0,
            wal.position(one["lsn"][1]),
            int(one["size"]),
            bool(one["broken"]),
        )
        for one in stanza.get("backups") or ()
    )
    windows = tuple(
        Window(
            moments.seconds(one["earliest"]) or 0.0,
            moments.seconds(one["latest"]) or 0.0,
            *(wal.position(each) for each in one["lsn"]),
        )
        for one in stanza.get("windows") or ()
    )
    histories = {
        int(timeline): {int(earlier): wal.position(end) for earlier, end in ends.items()}
        for timeline, ends in (stanza.get("histories") or {}).items()
    }
    return There(backups, windows, histories)


def choose(there: There, target: Target, timeline: int = 0, label: str = "", cluster: str = "the cluster") -> Backup:
    """Return the backup from which a point is reached: the last one before it on the way to the timeline.

    :param timeline: which is to be reached; 0 for the newest one.
    :param label: of the backup that an operator named; empty for none.
    :raises Refused: the archive does not cover the point, or has no such backup.
    """
    whole = [one for one in there.backups if not one.broken]
    if not whole:
        raise Refused(f"There is no backup of {cluster} that could be restored.", code="no_backup")
    if label and label not in [one.label for one in whole]:
        raise InvalidInput("set", label, f"is not a backup of {cluster}; there is {_listed(whole)}")
    named = [one for one in whole if label in ("", one.label)]
    if target.kind == IMMEDIATE:
        return max(named, key=lambda one: one.stopped)
    if not timeline:
        _check_window(there, target, cluster)
    way = [one for one in named if _leads(one, there, timeline)]
    before = [one for one in way if _is_before(one, target)]
    if not before:
        what = f"{cluster} cannot be restored to {target}" + (f" on timeline {timeline}" if timeline else "")
        if label:
            raise Refused(f"{what} from {label}: it is later than that, or of another timeline.", code="not_covered")
        raise Refused(f"{what}: no backup leads there. {_windows(there)}", code="not_covered")
    return max(before, key=lambda one: one.stopped)


def _is_before(backup: Backup, target: Target) -> bool:
    if target.kind == TIME:
        return backup.stopped <= target.at
    return target.kind != LSN or backup.end <= wal.position(target.text)


def _leads(backup: Backup, there: There, timeline: int) -> bool:
    """Whether a timeline goes on where a backup ends."""
    to = timeline or newest_timeline(there)
    if backup.timeline == to:
        return True
    end = there.histories.get(to, {}).get(backup.timeline)
    return end is not None and backup.end <= end


def newest_timeline(there: There) -> int:
    """Return the newest timeline that the repository knows."""
    return max([*there.histories, *(one.timeline for one in there.backups)])


def check_followed(cluster: str, held: int, archived: int) -> None:
    """Refuse to follow a timeline that no member is on, such as of a restore that was taken back, without being told.

    :param held: the newest of the members' timelines; 0 where none has data.
    :param archived: the newest one of the archive.
    :raises Refused: they differ.
    """
    if 0 < held < archived:
        raise Refused(
            f"The members of {cluster} are on timeline {held}, and none is on timeline {archived}, which the archive "
            f"has. Say which one the point is on: -e timeline={held} or -e timeline={archived}.",
            code="not_covered",
        )


def left(there: There, timeline: int) -> t.Iterator[str]:
    """Say what a restore does not reach: what was written to the timeline before, after this one had left it."""
    earlier = max(there.histories.get(timeline, ()), default=0)
    if earlier:
        yield (
            f"it follows timeline {timeline}; what was written to timeline {earlier} after the two had parted, as by "
            f"an earlier restore, is reached with -e timeline={earlier}"
        )


def _check_window(there: There, target: Target, cluster: str) -> None:
    """Refuse a point that the archive does not cover.

    :raises Refused: with the window.
    """
    if target.kind == TIME:
        covered = any(one.earliest <= target.at <= one.latest for one in there.windows)
    elif target.kind == LSN:
        covered = any(one.first <= wal.position(target.text) <= one.last for one in there.windows)
    else:
        covered = bool(there.windows)
    if not covered:
        raise Refused(f"The archive does not cover {target}. {_windows(there)}", code="not_covered", cluster=cluster)


def _windows(there: There) -> str:
    if not there.windows:
        return "It covers nothing, as each backup lacks WAL that it needs."
    spans = [
        f"{moments.shown(one.earliest)} to {moments.shown(one.latest)}, LSN {wal.lsn(one.first)} to {wal.lsn(one.last)}"
        for one in there.windows
    ]
    return f"It covers {'; and '.join(spans)}."


def covered(there: There) -> list[str]:
    """Return what the archive covers, a line each, for a person."""
    return [f"the archive covers {moments.shown(one.earliest)} to {moments.shown(one.latest)}" for one in there.windows]


def _listed(backups: t.Iterable[Backup]) -> str:
    return ", ".join(one.label for one in backups)


def arguments(target: Target, timeline: int) -> list[str]:
    """Return what ``pgbackrest restore`` is told of the point. Of ``immediate`` it follows the backup's own timeline.

    :param timeline: which is followed. PostgreSQL itself would take the newest one; after a crash in the middle of its
        promotion that is the one that it has just begun, which ends short of the point.
    """
    if target.kind == IMMEDIATE:
        return ["--type=immediate", "--target-action=promote"]
    way = f"--target-timeline={timeline}"
    if target.kind == NEWEST:
        return ["--type=default", way]
    return [f"--type={target.kind}", f"--target={target.text}", "--target-action=promote", way]


def lost(target: Target, backup: Backup, serves: bool) -> str:
    """Return what is gone afterwards, as a sentence without its period."""
    if target.kind == NEWEST:
        last = (
            "all that its servers archive when they stop is kept" if serves else "what no server had archived is gone"
        )
        return f"the archive is replayed to its end; {last}"
    if target.kind == IMMEDIATE:
        return f"writes after the backup, which ended {moments.shown(backup.stopped)}, are gone"
    return f"writes after {target} are gone"
