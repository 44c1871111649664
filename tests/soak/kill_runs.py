# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kills site.yml at a random moment while it changes a service, three times each, and looks at what the next run does.

    python -m tests.soak.kill_runs [SERVICE…]      # SCALEOUT_SEED=<number> the same moments again

What is killed is the whole of ansible-playbook on the controller (SIGKILL), so that modules on the hosts end when they
do. The next run has to converge, the one after it must change nothing, and the platform has to serve all the time in
which nothing restarts it. A line for each kill is appended to ``kill_runs.csv``. A lab must be up.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime

from tests.end_to_end import lab, playbooks
from tests.soak.ledger import Ledger

KILLS = 3

#: By tag of site.yml: a setting of the service, with the number of the kill in its value.
CHANGES = {
    "nginx": lambda number: {"nginx_client_max_body_size": f"{20 + number}m"},
    "pgbouncer": lambda number: {"pgbouncer_settings": {"server_lifetime": 3000 + number}},
    "postgres": lambda number: {
        "postgres_settings": {
            **lab.variables(lab.hosts("postgres")[0])["postgres_settings"],
            "deadlock_timeout": f"{2 + number}s",
        }
    },
    "redis": lambda number: {"redis_settings": {"tcp-keepalive": 200 + number}},
    "rabbitmq": lambda number: {"rabbitmq_settings": {"heartbeat": 40 + number}},
    "consul": lambda number: {
        "consul_settings": {"performance": {"raft_multiplier": 2}, "dns_config": {"max_stale": f"{100 + number}s"}}
    },
}


def killed(service: str, change: dict, second: float) -> str:
    """Start a run that changes a service, kill it so many seconds after the service's play began; returns the task."""
    log = lab.LOGS / f"soak-kill-{service}.log"
    lab.LOGS.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        run = subprocess.Popen(
            ["ansible-playbook", "playbooks/site.yml", "--tags", service, "-e", json.dumps(change)],
            cwd=lab.ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"},
        )
    try:
        began = lab.wait_for(lambda: f"PLAY [{service}]" in log.read_text(), 120)
        assert began is not None, f"the play {service} never began: {log.read_text()[-2000:]}"
        time.sleep(second)
        assert run.poll() is None, f"the run ended within {second:.1f} s of its play {service}: nothing was tried"
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait(30)
    tasks = [line for line in log.read_text().splitlines() if line.startswith("TASK [")]
    return tasks[-1].removeprefix("TASK [").split("]")[0] if tasks else ""


def duration(service: str) -> float:
    """The seconds that a service's play takes when it changes something."""
    log = f"soak-kill-{service}-whole"
    change = CHANGES[service](0)
    made = playbooks.playbook("site.yml", "--tags", service, "-e", json.dumps(change), log=log).succeeded()
    assert made.changes, f"{change} changes nothing"
    times = [
        datetime.fromisoformat(event["_timestamp"]).timestamp()
        for event in map(json.loads, (line for line in made.text.splitlines() if line.startswith('{"_event"')))
        if (event.get("task") or {}).get("name", "").startswith(f"scaleout.platform.{service} :")
        and "Check" not in event["task"]["name"]
    ]
    return max(times) - min(times) + 1


def judged(service: str, change: dict) -> int:
    """Run twice after a kill; returns how many changes the first of them made."""
    arguments = ("--tags", service, "-e", json.dumps(change))
    again = playbooks.playbook("site.yml", *arguments, log=f"soak-kill-{service}-next").succeeded()
    boring = playbooks.playbook("site.yml", *arguments, log=f"soak-kill-{service}-boring").succeeded()
    assert not boring.changes, f"the run after the next still changes: {'; '.join(map(str, boring.changes))}"
    assert lab.wait_for(lambda: lab.get("/users?limit=1").status == 200, 10) is not None, "the platform does not serve"
    return len(again.changes)


def main(names: Sequence[str]) -> int:
    """Kill runs of each service; returns 1 where one failed."""
    seed = int(os.environ.get("SCALEOUT_SEED") or random.randrange(10**6))
    chance, failed = random.Random(seed), 0
    ledger = Ledger(__file__, "seed", "service", "kill", "second", "task", "changed_by_next", "outcome")
    print(f"seed {seed}")
    for service in names or CHANGES:
        whole = duration(service)
        for number in range(1, KILLS + 1):
            change, second = CHANGES[service](number), chance.uniform(0, whole)
            task, changes, outcome = "", "", "passed"
            try:
                task = killed(service, change, second)
                changes = str(judged(service, change))
            except AssertionError as error:
                outcome = " ".join(str(error).split())[:300]
                failed += 1
            ledger.note(
                seed=seed,
                service=service,
                kill=number,
                second=f"{second:.1f}",
                task=task,
                changed_by_next=changes,
                outcome=outcome,
            )
            print(f"{service} {number}: after {second:.1f} of {whole:.0f} s, in {task}: {outcome}", flush=True)
        playbooks.playbook("site.yml", "--tags", service, log=f"soak-kill-{service}-back").succeeded()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
