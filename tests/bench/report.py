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

OURS, THEIRS, PSQL, CONNECT = "this collection", "one-object tasks", "psql", "connect only"
OTHERS = (THEIRS, PSQL)


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
    least = figures.pop(("Connection", "no-op"))[CONNECT]
    print(f"{'seconds of a task':<22}" + "".join(f"{who:>18}" for who in (OURS, *OTHERS, CONNECT)))
    for (subject, what), by in figures.items():
        row = "".join(f"{statistics.median(seconds):>18.2f}" for seconds in (by[OURS], *map(by.get, OTHERS), least))
        print(f"{subject + ', ' + what:<22}{row}")
    print("\nmedian (lowest to highest) of the rounds; at most: a task that costs no more than to connect")
    for (subject, what), by in figures.items():
        print(f"{subject + ', ' + what:<22}" + "; ".join(_ratios(by, least)))
    both = [by for (_subject, what), by in figures.items() if what == "no-op"]
    theirs, ours = ([sum(seconds) for seconds in zip(*(by[who] for by in both), strict=True)] for who in (THEIRS, OURS))
    print(f"{'all of them, no-op':<22}{_ratio(theirs, ours)} faster than {THEIRS}")
    return 0


def _ratios(by: dict[str, list[float]], least: list[float]) -> list[str]:
    """The ratios of one figure in words, each of two that were measured in the same round."""
    return [
        f"{_ratio(by[THEIRS], by[OURS])} faster than {THEIRS}, at most {_ratio(by[THEIRS], least)}",
        f"{_ratio(by[OURS], least)} of {CONNECT}",
        f"{_ratio(by[OURS], by[PSQL])} of {PSQL}",
    ]


def _ratio(above: list[float], below: list[float]) -> str:
    ratios = [one / other for one, other in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    sys.exit(main())
