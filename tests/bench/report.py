# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints a bench's figures from the JSON that a run of bench.yml wrote.

Seconds are of a task as the controller sees it: one connection over SSH for all of them, pipelining on.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from datetime import datetime

OURS, THEIRS = "this collection", "one-object tasks"


def measured(run: dict) -> dict[tuple[str, str], dict[str, list[float]]]:
    """The seconds of each round, by (subject, what) and who.

    :raises ValueError: when a task that must change something did not, or the other way round.
    """
    figures: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for play in run["plays"]:
        for task in play["tasks"]:
            parts = task["task"]["name"].split(" | ")
            if len(parts) != 3:
                continue
            subject, who, what = parts
            changed = any(host.get("changed", False) for host in task["hosts"].values())
            if changed != (what == "apply"):
                raise ValueError(f"{task['task']['name']}: changed={changed}, not what the figure is of")
            duration = task["task"]["duration"]
            started, ended = (
                datetime.fromisoformat(duration[edge].replace("Z", "+00:00")) for edge in ("start", "end")
            )
            figures[subject, what][who].append((ended - started).total_seconds())
    return figures


def main() -> int:
    """Read the file that the first argument names."""
    with open(sys.argv[1]) as file:
        figures = measured(json.load(file))
    print(f"{'':<24}{OURS:>18}{THEIRS:>20}{'ratio':>8}  (median; least to most over the rounds)")
    for (subject, what), by in figures.items():
        ours, theirs = by.get(OURS), by.get(THEIRS)
        if not ours or not theirs:
            only = ours or theirs
            print(f"{subject + ', ' + what:<24}{'':>18}{statistics.median(only):>18.2f} s")
            continue
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        print(
            f"{subject + ', ' + what:<24}{statistics.median(ours):>16.2f} s{statistics.median(theirs):>18.2f} s"
            f"{statistics.median(ratios):>7.1f}x  ({min(ratios):.1f}x to {max(ratios):.1f}x)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
