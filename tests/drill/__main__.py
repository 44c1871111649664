# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Breaks a lab's database cluster, row after row, and prints what that costs at the client.

    python -m tests.drill [--rounds N] [ROW…]      # a row by a part of its name; all rows by default

Each round waits until the cluster is redundant, writes for a while, breaks something, heals it, waits until the cluster
is redundant again, and reads every member back. A line for each round is appended to ``rounds.csv``; rounds that this
commit has already are not run again. A lab must be up (`make up` or `make trio`).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.drill import client, judge
from tests.drill.faults import ROWS, Row
from tests.drill.place import Place
from tests.soak.ledger import Ledger

RATE, CONNECTIONS = 100, 8
#: Seconds of writing before the fault, and after the cluster takes writes again.
BEFORE, AFTER = 3.0, 5.0
#: Seconds that a replica may take to replay what it has.
REPLAY = 10.0
#: Of what failed, so many reasons are printed, each to so many characters.
MOST_REASONS, LONGEST_REASON = 4, 110
COLUMNS = ("row", "gap", "refused", "unknown", "lost", "vanished", "two_leaders", "redundant", "timelines", "outcome")


def round_of(row: Row, place: Place) -> tuple[judge.Result, float, str]:
    """Run one round.

    :returns: what it came to, the seconds from the end of the fault until all was redundant, and why writes failed.
    """
    place.wait_for(place.is_redundant, "before the round the cluster is redundant")
    place.prepare()
    writer = client.Client(place.poolers(), place.local(), RATE, CONNECTIONS)
    with client.limited(), contextlib.ExitStack() as ends:
        ends.callback(writer.stop)
        writer.start()
        time.sleep(BEFORE)
        steps = row.steps(place)
        with contextlib.closing(steps):
            taken = next(steps)
            time.sleep(row.away)
        redundant = place.wait_for(place.is_redundant, "after the fault the cluster is redundant")
        time.sleep(AFTER)
        writer.stop()
        leader = place.leader()
        rows = _rows(place, leader)
    spared = [member for member in place.members if member not in taken]
    failed = Counter(each.reason[:LONGEST_REASON] for each in writer.attempts if each.reason)
    reasons = "; ".join(f"{count} x {reason}" for reason, count in failed.most_common(MOST_REASONS))
    return judge.judge(writer.attempts, rows, leader, writer.sightings, spared), redundant, reasons


def _rows(place: Place, leader: str) -> dict[str, list[int]]:
    """The rows of each member; a replica replays for a moment after the last commit."""
    ways = place.local()
    there = client.rows(ways[leader])
    until = time.monotonic() + REPLAY
    while True:
        rows = {member: client.rows(way) for member, way in ways.items()}
        if time.monotonic() > until or all(set(found) == set(there) for found in rows.values()):
            return rows
        time.sleep(0.2)


def main(words: Sequence[str]) -> int:
    """Run the rounds that are missing; returns 1 where one was not right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args(words)
    chosen = [row for row in ROWS if not given.rows or any(part in row.name for part in given.rows)]
    if not chosen:
        parser.error(f"no row has {', '.join(given.rows)} in its name; there are {', '.join(row.name for row in ROWS)}")
    ledger, place, failed = Ledger(__file__.replace("__main__", "rounds"), *COLUMNS), Place(), 0
    for row in chosen:
        done = sum(line["row"] == row.name for line in ledger.of_this_commit())
        for number in range(done + 1, given.rounds + 1):
            outcome, told, reasons = "passed", {}, ""
            try:
                result, redundant, reasons = round_of(row, place)
                if not result.is_right:
                    found = {"lost": result.lost, "vanished": result.vanished, "two leaders": result.two_leaders}
                    outcome = f"{found}, members that differ: {', '.join(result.differing) or 'none'}"
                elif row.goal and result.gap > row.goal:
                    outcome = f"the gap is longer than {row.goal:g} s"
                told = {
                    "gap": f"{result.gap:.1f}",
                    "refused": result.refused,
                    "unknown": result.unknown,
                    "lost": len(result.lost),
                    "vanished": len(result.vanished),
                    "two_leaders": len(result.two_leaders),
                    "redundant": f"{redundant:.0f}",
                    "timelines": " ".join(map(str, result.timelines)),
                }
            except AssertionError as error:
                outcome = " ".join(str(error).split())[:300]
            failed += outcome != "passed"
            ledger.note(row=row.name, **{name: told.get(name, "") for name in COLUMNS[1:-1]}, outcome=outcome)
            print(f"{row.name} {number}: gap {told.get('gap', '?')} s, {told}: {outcome}", flush=True)
            if reasons:
                print(f"    {reasons}", flush=True)
    place.clean()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
