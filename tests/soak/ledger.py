# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a soak keeps: a line of CSV for each trial, in a file beside it that git knows."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from tests.end_to_end import lab


def commit() -> str:
    """The commit that is tried; ``-dirty`` where files, other than the ledgers, differ from it."""
    differ = lab.local("git", "status", "--porcelain", "--", ".", ":!tests/*/*.csv").strip()
    return lab.local("git", "rev-parse", "--short", "HEAD").strip() + ("-dirty" if differ else "")


class Ledger:
    """A file of trials.

    :param soak: the soak's module; the file has its name.
    :param columns: of each line, after the time, the commit and the lab.
    """

    def __init__(self, soak: str, *columns: str) -> None:
        self._path = Path(soak).with_suffix(".csv")
        self._columns = ("time", "commit", "lab", *columns)
        self._tried = {"commit": commit(), "lab": lab.CHOSEN.name}

    def of_this_commit(self) -> list[dict[str, str]]:
        """The trials of this commit on this lab."""
        if not self._path.exists():
            return []
        with self._path.open(newline="") as stream:
            return [row for row in csv.DictReader(stream) if self._tried.items() <= row.items()]

    def note(self, **row: object) -> None:
        """Append a trial."""
        new = not self._path.exists()
        with self._path.open("a", newline="") as stream:
            writer = csv.DictWriter(stream, self._columns, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow({"time": datetime.now(UTC).isoformat(timespec="seconds"), **self._tried, **row})
