# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the commits that a former leader has and the cluster lacks, and then rewinds it. Patroni calls it as pg_rewind.

A rewind throws away what only this member wrote, so that it can follow the new leader. A write that no client was told
of may go, but a member cannot know which those are. So the write-ahead log from the point of divergence on is copied
first, with a list of its commits, to a folder of its own below :data:`KEPT`. A rewind that loses no commit keeps
nothing. Where the copy fails, such as on a full disk, nothing is rewound, and Patroni says so in its journal.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing as t

KEPT = pathlib.Path("/var/lib/postgresql/kept")
#: Where Debian has the programs of each version.
PROGRAMS = pathlib.Path("/usr/lib/postgresql")
#: What is left of a disk for the platform to go on with, in bytes.
RESERVE = 64 * 1024 * 1024

_DIVERGED = re.compile(r"servers diverged at WAL location ([0-9A-F]+/[0-9A-F]+) on timeline (\d+)")
_COMMIT = re.compile(r"desc: (?:COMMIT|PREPARE)")


class Divergence(t.NamedTuple):
    """Where this member left the history of the cluster."""

    location: str
    timeline: int


def diverged(told: str) -> Divergence | None:
    """Return where ``pg_rewind --dry-run`` says that the servers diverged; None when there is nothing to rewind."""
    found = _DIVERGED.search(told)
    return Divergence(found[1], int(found[2])) if found and "no rewind required" not in told else None


def segments(names: t.Iterable[str], at: Divergence, size: int) -> list[str]:
    """Return the segments that hold what was written after a divergence, oldest first.

    :param names: of files in ``pg_wal``.
    :param size: of a segment, in bytes.
    """
    high, low = (int(part, 16) for part in at.location.split("/"))
    first = f"{at.timeline:08X}{high:08X}{low // size:08X}"
    return sorted(
        name for name in names if re.fullmatch(r"[0-9A-F]{24}", name) and first <= name < f"{at.timeline:08X}G"
    )


def commits(dump: str) -> list[str]:
    """Return the lines of pg_waldump that end a transaction with its effects."""
    return [line for line in dump.splitlines() if _COMMIT.search(line)]


def keep(data: pathlib.Path, at: Divergence, programs: pathlib.Path, kept: pathlib.Path, now: str) -> str:
    """Copy what a rewind would throw away.

    :param data: the member's data directory.
    :param now: names the folder.
    :returns: a line for the journal; empty when no commit is lost.
    :raises OSError: it cannot be kept.
    """
    wal = data / "pg_wal"
    names = [entry.name for entry in wal.iterdir() if re.fullmatch(r"[0-9A-F]{24}", entry.name)]
    size = max(((wal / name).stat().st_size for name in names), default=1)
    found = segments(names, at, size)
    command = [programs / "pg_waldump", "--path", wal, "--timeline", str(at.timeline), "--start", at.location]
    # It ends with an error where the log ends.
    dump = _run([*command, "--rmgr=Transaction"]).stdout
    lost = commits(dump)
    if not lost:
        return ""
    kept.mkdir(mode=0o700, exist_ok=True)
    free = shutil.disk_usage(kept).free - RESERVE
    if size * len(found) > free:
        raise OSError(f"{size * len(found)} bytes are to be kept in {kept}, which has room for {max(0, free)}")
    place = kept / f"{now}-timeline-{at.timeline}"
    part = kept / f".{place.name}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    for name in found:
        shutil.copy2(wal / name, part / name)
    (part / "commits.txt").write_text("\n".join([f"After {at.location} on timeline {at.timeline}:", *lost, ""]))
    for entry in [*part.iterdir(), part]:
        _sync(entry)
    part.replace(place)
    _sync(kept)
    return f"{len(lost)} commits that only this member had are kept in {place}"


def _sync(path: pathlib.Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _run(command: t.Sequence[t.Any]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment, check=False)


def _programs(data: pathlib.Path | None) -> pathlib.Path:
    version = (data / "PG_VERSION").read_text().strip() if data else ""
    found = [version] if version else sorted((each.name for each in PROGRAMS.iterdir() if each.name.isdigit()), key=int)
    return PROGRAMS / found[-1] / "bin"


def main(words: t.Sequence[str], kept: pathlib.Path = KEPT, programs: pathlib.Path | None = None) -> int:
    """Do as pg_rewind does with these words, after the commits were kept.

    :param programs: where pg_rewind is; by default it is found by the version of the data.
    """
    data = pathlib.Path(words[words.index("-D") + 1]) if "-D" in words else None
    programs = programs or _programs(data)
    rewind = [str(programs / "pg_rewind"), *words]
    if data:
        looked = _run([*rewind, "--dry-run"])
        if looked.returncode:
            print(looked.stdout + looked.stderr, end="", file=sys.stderr)
            return looked.returncode
        at = diverged(looked.stdout + looked.stderr)
        if at:
            now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
            try:
                print(keep(data, at, programs, kept, now) or "no commit is lost by this rewind", file=sys.stderr)
            except OSError as error:
                print(f"nothing was rewound, for the commits of this member cannot be kept: {error}", file=sys.stderr)
                return 1
    return subprocess.run(rewind, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
