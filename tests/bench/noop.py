# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run of site.yml costs that has nothing to change, beside one in which every task is a ping.

    python -m tests.bench.noop [ROUNDS]

The platform that the default inventory names must be up. The pings have the same plays, the same tasks, and the same
hosts in each task; hosts that a task skips are skipped there as well. Both are run in turns, and each round's two are
compared with each other, since the machine's speed drifts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "playbooks/site.yml"


def run(playbook: Path, **environment: str) -> tuple[float, str]:
    """Run a playbook to its end; returns its seconds and what it printed."""
    began = time.monotonic()
    done = subprocess.run(
        ["ansible-playbook", str(playbook)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{playbook.name} ended with status {done.returncode}:\n{done.stdout[-3000:]}{done.stderr}")
    return time.monotonic() - began, done.stdout


def results(printed: str) -> list[tuple[str, str, str, bool]]:
    """Return each result of a run as (play, task, host, whether it was skipped), in order."""
    found = []
    play = ""
    for line in printed.splitlines():
        if not line.startswith('{"_event"'):
            continue
        event = json.loads(line)
        kind = event["_event"]
        if kind == "v2_playbook_on_play_start":
            play = event["play"]["id"]
        if kind in ("v2_runner_on_ok", "v2_runner_on_skipped", "v2_runner_on_failed"):
            for host, result in event["hosts"].items():
                if result.get("changed"):
                    raise SystemExit(f"{event['task']['name']} changed {host}: this is no run without a change.")
                found.append((play, event["task"]["id"], host, kind == "v2_runner_on_skipped"))
    return found


def pings(told: list[tuple[str, str, str, bool]]) -> list[dict[str, Any]]:
    """Return a playbook of the same shape."""
    plays: dict[str, dict[str, dict[bool, list[str]]]] = {}
    for play, task, host, skipped in told:
        plays.setdefault(play, {}).setdefault(task, {True: [], False: []})[skipped].append(host)
    made = []
    for tasks in plays.values():
        hosts = sorted({host for by in tasks.values() for some in by.values() for host in some})
        made.append(
            {
                "hosts": hosts,
                "gather_facts": False,
                "become": True,
                "tasks": [
                    {"ansible.builtin.ping": None, "when": f"inventory_hostname in {by[False]!r}"}
                    for by in tasks.values()
                ],
            }
        )
    return made


def main(rounds: int) -> int:
    """Print both, the ratio, and how many results there were."""
    _seconds, printed = run(SITE)
    told = results(printed)
    done = [result for result in told if not result[3]]
    hosts = {host for _play, _task, host, _skipped in told}
    print(f"site.yml without a change: {len(done)} results on {len(hosts)} hosts, {len(told) - len(done)} more skipped")
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        playbook = Path(folder) / "pings.yml"
        playbook.write_text(yaml.safe_dump(pings(told), sort_keys=False))
        for number in range(rounds):
            ours.append(run(SITE)[0])
            theirs.append(run(playbook)[0])
            print(f"round {number + 1}: {ours[-1]:.1f} s, {theirs[-1]:.1f} s with pings", flush=True)
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    print(
        f"{statistics.median(ours):.1f} s, and {statistics.median(theirs):.1f} s with pings: "
        f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
