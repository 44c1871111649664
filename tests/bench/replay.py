# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Our policies beside Kubernetes' HPA on every generated demand, and how long 58 days take to replay.

    python -m tests.bench.replay

The figures of the demands are the same on every machine. A row says where its policy is not as good as the HPA.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from ansible_collections.scaleout.platform.plugins.module_utils.operations.replay_scaling import ReplayScaling
from ansible_collections.scaleout.platform.plugins.module_utils.replay.report import span
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import KINDS
from ansible_collections.scaleout.platform.plugins.modules.scaling_replay import ARGUMENTS

DAYS, LONG = 4, 58
HPA = "hpa"
POLICIES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "target": {"targets": [{"metric": "cpu", "target": 70, "up": {"cooldown": 0}}]},
    "crowd": {
        "targets": [{"metric": "cpu", "target": 70, "duration": 0, "up": {"cooldown": 0}, "down": {"cooldown": 300}}]
    },
}
TITLES = ("demand", "policy", "too few", "member-hours", "actions", "doubles 10 in", "not as good as the HPA in")
WORDS = {"tau_u": "time with too few", "member_hours": "member-hours", "actions": "actions"}


def replay(kind: str, policy: dict[str, Any], days: int, interval: int, baselines: list[str]) -> dict[str, Any]:
    """Replay a demand of 200 to 3,000 requests a second for members of 250 that start in a minute."""
    options = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
    trace = dict.fromkeys(ARGUMENTS["trace"]["options"])
    options.update(
        policy={"min": 2, "max": 20, "interval": interval, **policy},
        trace={**trace, "kind": kind, "hours": 24.0 * days, "low": 200.0, "peak": 3000.0},
        member={"capacity": 250.0, "starts_in": 60.0},
        baselines=baselines,
    )
    return ReplayScaling(options).plan().result


def row(kind: str, name: str, run: dict[str, Any], worse: list[dict[str, Any]], days: int) -> tuple[str, ...]:
    """The cells of a policy on a demand."""
    scores, double = run["scores"], run["doubling"][-1]["seconds"]
    return (
        kind,
        name,
        span(scores["tau_u"] / 100 * days * 86400),
        f"{scores['member_hours']:.0f}",
        str(scores["actions"]),
        "more than a day" if double is None else span(double),
        "" if name == HPA else ", ".join(WORDS[one["score"]] for one in worse) or "nothing",
    )


def table(interval: int) -> list[tuple[str, ...]]:
    """The rows of all demands."""
    rows = [TITLES]
    for kind in KINDS:
        for name, policy in POLICIES.items():
            found = replay(kind, policy, DAYS, interval, [HPA])
            ours, theirs = found["runs"]
            rows.append(row(kind, name, ours, found["worse"], DAYS))
        rows.append(row(kind, HPA, theirs, [], DAYS))
    return rows


def main() -> int:
    """Print the tables, then the seconds."""
    for interval in (60, 15):
        print(f"{DAYS} days with a sample each {interval} s")
        rows = table(interval)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for cells in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        print()
    for name, policy in POLICIES.items():
        wall, cpu = time.perf_counter(), time.process_time()
        replay("wave", policy, LONG, 60, [])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{LONG} days with a sample each 60 s, by {name}: {wall:.1f} s, {cpu:.1f} s of a processor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
