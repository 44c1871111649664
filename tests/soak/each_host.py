# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Switches off each VM of a lab in turn: site.yml has to converge the others, name the lost one, and bring it back.

    python -m tests.soak.each_host [HOST…]

It takes some two minutes a VM and appends a line for each to ``each_host.csv``. VMs that already have a line for this
commit are left out, so a soak that broke off goes on where it was. The lab must be up (`make up` or `make trio`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from tests.end_to_end import lab, playbooks
from tests.soak.ledger import Ledger

#: A file that every host has from us, bent on another host to see that the run converged it.
BENT = "/etc/systemd/journald.conf.d/60-scaleout.conf"


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
    assert made.status != 0, f"the run without {victim} ended green"
    assert f"{victim} did not answer" in made.summary, f"the run without {victim} does not name it: {made.failures}"
    assert "# bent" not in lab.ssh(witness, f"cat {BENT}"), f"{witness} was not converged while {victim} was off"
    others = [f"{host}:" for host in lab.hosts() if host != victim]
    more = [line for line in made.other_failures if line.startswith(tuple(others))]
    assert not more, f"without {victim} others failed: {more}"
    return made.seconds


def back(victim: str) -> float:
    """Run site.yml when a VM is on again; returns its seconds."""
    assert lab.wait_for(lambda: lab.ssh(victim, "echo up", check=False) == "up", 60) is not None, f"{victim} is away"
    made = playbooks.playbook("site.yml", log=f"soak-back-{victim}").succeeded()
    assert victim in made.tasks, f"the run passed {victim} over"
    assert lab.wait_for(lambda: lab.get("/users?limit=1").status == 200, 30) is not None, "the platform does not serve"
    for cluster in {lab.cluster_of(host) for host in lab.hosts("postgres")}:
        assert lab.wait_for(lambda name=cluster: lab.whole(name), 30) is not None, lab.patroni(cluster)
    return made.seconds


def main(names: Sequence[str]) -> int:
    """Try each VM; returns how many failed."""
    ledger = Ledger(__file__, "host", "groups", "without_seconds", "back_seconds", "outcome")
    hosts, failed = lab.hosts(), 0
    skipped = set() if names else {row["host"] for row in ledger.of_this_commit()}
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
        ledger.note(
            host=victim,
            groups=" ".join(groups),
            without_seconds=seconds[0],
            back_seconds=seconds[1],
            outcome=outcome,
        )
        print(f"{victim} ({', '.join(groups)}): {seconds[0]} s without it, {seconds[1]} s back: {outcome}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
