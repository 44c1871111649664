# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Switches off each VM of a lab in turn: site.yml has to converge the others, name the lost one, and bring it back.

    python -m tests.soak.each_host [HOST…]

It takes some two minutes a VM and appends a line for each to ``each_host.csv``. VMs that already have a line for this
commit are left out, so a soak that broke off goes on where it was. The lab must be up (`make up` or `make trio`).
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.end_to_end import lab, playbooks

LEDGER = Path(__file__).with_suffix(".csv")
COLUMNS = ("time", "commit", "lab", "host", "groups", "without_seconds", "back_seconds", "outcome")

#: A file that every host has from us, bent on another host to see that the run converged it.
BENT = "/etc/systemd/journald.conf.d/60-scaleout.conf"


def commit() -> str:
    """The commit that is tried; ``-dirty`` where files, other than the ledgers, differ from it."""
    differ = lab.local("git", "status", "--porcelain", "--", ".", ":!tests/soak/*.csv").strip()
    return lab.local("git", "rev-parse", "--short", "HEAD").strip() + ("-dirty" if differ else "")


def done(tried: str) -> set[str]:
    """The VMs of this lab that have a line for a commit already."""
    if not LEDGER.exists():
        return set()
    with LEDGER.open(newline="") as stream:
        return {
            row["host"] for row in csv.DictReader(stream) if (row["commit"], row["lab"]) == (tried, lab.CHOSEN.name)
        }


def note(**row: str) -> None:
    """Append a line."""
    new = not LEDGER.exists()
    with LEDGER.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def without(victim: str, witness: str) -> float:
    """Run site.yml while a VM is off; returns its seconds.

    :param witness: a host that has to be converged meanwhile.
    """
    lab.ssh(witness, f"echo '# bent' >> {BENT}")
    lab.engine("stop", "--time", "20", lab.container(victim))
    try:
        running = lab.engine("inspect", "-f", "{{.State.Running}}", lab.container(victim)).strip()
        assert running == "false", f"{victim} is not off"
        made = playbooks.playbook("site.yml", log=f"soak-without-{victim}")
    finally:
        lab.engine("start", lab.container(victim))
    said = "\n".join(line for line in made.failures if "What this run came to" in line)
    assert made.status != 0, f"the run without {victim} ended green"
    assert f"{victim} did not answer" in said, f"the run without {victim} does not name it: {made.failures}"
    assert "# bent" not in lab.ssh(witness, f"cat {BENT}"), f"{witness} was not converged while {victim} was off"
    others = [f"{host}:" for host in lab.hosts() if host != victim]
    more = [line for line in made.failures if line.startswith(tuple(others)) and "came to" not in line]
    assert not more, f"without {victim} others failed: {more}"
    return made.seconds


def back(victim: str) -> float:
    """Run site.yml when a VM is on again; returns its seconds."""
    assert lab.wait_for(lambda: lab.ssh(victim, "echo up", check=False) == "up", 60) is not None, f"{victim} is away"
    made = playbooks.playbook("site.yml", log=f"soak-back-{victim}").succeeded()
    assert victim in made.tasks, f"the run passed {victim} over"
    assert lab.wait_for(lambda: lab.get("/users?limit=1").status == 200, 30) is not None, "the platform does not serve"
    return made.seconds


def main(names: Sequence[str]) -> int:
    """Try each VM; returns how many failed."""
    tried, failed = commit(), 0
    hosts = lab.hosts()
    skipped = done(tried) if not names else set()
    for victim in [host for host in names or hosts if host not in skipped]:
        witness = next(host for host in hosts if host != victim)
        groups = sorted(name for name in lab.inventory() if victim in lab.inventory()[name].get("hosts", ()))
        seconds = ["", ""]
        outcome = "passed"
        try:
            seconds[0] = f"{without(victim, witness):.0f}"
            seconds[1] = f"{back(victim):.0f}"
        except (AssertionError, subprocess.SubprocessError) as error:
            outcome = " ".join(str(error).split())[:300]
            failed += 1
        now = datetime.now(UTC).isoformat(timespec="seconds")
        note(
            time=now,
            commit=tried,
            lab=lab.CHOSEN.name,
            host=victim,
            groups=" ".join(groups),
            without_seconds=seconds[0],
            back_seconds=seconds[1],
            outcome=outcome,
        )
        print(f"{victim} ({', '.join(groups)}): {seconds[0]} s without it, {seconds[1]} s back: {outcome}", flush=True)
        time.sleep(1)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
