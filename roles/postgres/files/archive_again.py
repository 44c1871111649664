# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Has a replica that is about to lead archive what its former leader may not have archived. Patroni calls it.

A replica counts a segment that it received as archived. A leader that was lost with segments still to be archived
would leave a gap, over which no restore goes. So all complete segments that the replica has are marked to be archived
as soon as it leads; the archive takes one that it already has as done. It only renames files, and never keeps a
replica from leading.
"""

from __future__ import annotations

import pathlib
import re
import sys
import typing as t

_DONE = re.compile(r"[0-9A-F]{24}\.done")


def again(names: t.Iterable[str]) -> list[str]:
    """Return the marks of complete segments that count as archived, among the names in ``archive_status``."""
    return sorted(name for name in names if _DONE.fullmatch(name))


def main(data: pathlib.Path) -> int:
    """Mark the segments; returns how many there are.

    :param data: the member's data directory.
    """
    status, count = data / "pg_wal" / "archive_status", 0
    for name in again(entry.name for entry in status.iterdir()):
        # The server may recycle a segment meanwhile, with its mark.
        try:
            (status / name).rename(status / name.replace(".done", ".ready"))
            count += 1
        except FileNotFoundError:
            continue
    return count


if __name__ == "__main__":
    try:
        print(f"{main(pathlib.Path(sys.argv[1]))} segments are archived again once this member leads", flush=True)
    except OSError as error:
        print(f"segments that the former leader has not archived may be missing in the archive: {error}", flush=True)
