# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The leader of a cluster is lost: another member takes its place in seconds, and it follows when it is back."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.end_to_end import lab, load, playbooks

#: The last cluster that has shards.
CLUSTER = next(lab.cluster_of(host) for host in reversed(lab.hosts("postgres")) if lab.shards(host))
#: Seconds from the fault within which another member leads and no request fails any more.
FAILS_OVER_WITHIN = 15
#: Seconds from the lost member's return within which it follows.
FOLLOWS_WITHIN = 60

PID = "head -n 1 /var/lib/postgresql/*/main/postmaster.pid"
TIMELINE = "SELECT timeline_id FROM pg_control_checkpoint()"


@dataclass(frozen=True)
class Fault:
    """A way to lose a leader, as shell commands.

    :param strike: ``{pid}`` is its postmaster's.
    :param bitten: succeeds while the fault is there.
    """

    name: str
    strike: str
    bitten: str
    heal: str


FAULTS = [
    # Both are away for as long as the test wants it.
    Fault(
        "stopped",
        "systemctl stop patroni",
        "! systemctl is-active --quiet patroni && ! kill -0 {pid}",
        "systemctl start patroni",
    ),
    # Patroni is not, and sees to it by itself.
    Fault("killed", "kill -KILL {pid}", "! kill -0 {pid}", "systemctl is-active --quiet patroni"),
]


def timeline(host: str) -> int:
    """How often the lead has changed, as far as a server has written down."""
    lab.sql(host, "postgres", "CHECKPOINT")
    return int(lab.sql(host, "postgres", TIMELINE)[0][0])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_another_member_takes_the_place_of_a_lost_leader(platform, fault):
    assert lab.wait_for(lambda: lab.whole(CLUSTER), FOLLOWS_WITHIN) is not None, lab.patroni(CLUSTER)
    victim = lab.leader(CLUSTER)
    began_on, pid = timeline(victim), lab.ssh(victim, PID)
    theirs = {str(shard) for shard in lab.shards(victim)}
    others = {str(shard) for host in lab.hosts("postgres") for shard in lab.shards(host)} - theirs
    with load.ledger(f"database-{fault.name}") as ledger:
        time.sleep(3)
        struck_at = ledger.now
        lab.ssh(victim, fault.strike.format(pid=pid))
        try:
            took = lab.wait_for(lambda: lab.leader(CLUSTER) not in ("", victim), FAILS_OVER_WITHIN)
            time.sleep(12)
            lab.ssh(victim, fault.bitten.format(pid=pid))
        finally:
            lab.ssh(victim, fault.heal)
            healed_at = ledger.now
        back = lab.wait_for(lambda: lab.whole(CLUSTER), FOLLOWS_WITHIN)
        time.sleep(3)
        told = ledger.report()
    after = lab.leader(CLUSTER)

    load.tell(f"{victim} {fault.name} at {struck_at:.0f} s, left alone from {healed_at:.0f} s on", told)
    print(f"  {after} leads, seen after {took or -1:.1f} s; all are back {back or -1:.1f} s after the fault ended")
    print(f"  by shard {told['by_shard']}")
    assert took is not None, "no other member leads"
    assert back is not None, lab.patroni(CLUSTER)
    assert after != victim, "the lead went back by itself"
    assert timeline(after) > began_on, "the fault did not bite"
    load.assert_right(told)
    assert told["verification"]["requests"] > 0
    failed = {
        shard for shard, counts in told["by_shard"].items() if any(kind not in ("ok", "wrong") for kind in counts)
    }
    assert failed <= theirs, "503 for others than the shards of the lost leader"
    assert told["failed"]["by_kind"].keys() <= {"503"}
    for example in told["failed"]["examples"].get("503", ()):
        assert any(f'"shard":"{shard}"' in example.replace(": ", ":") for shard in theirs), example
    assert all(told["by_shard"][shard]["ok"] > 0 for shard in others | theirs)
    if told["failed"]["total"]:
        assert struck_at - 1 <= told["failed"]["first_at"]
        assert told["failed"]["last_at"] <= struck_at + FAILS_OVER_WITHIN


def test_a_run_after_a_failover_finds_nothing_to_do(platform):
    clusters = {lab.cluster_of(host) for host in lab.hosts("postgres")}
    leaders, before = {name: lab.leader(name) for name in clusters}, lab.services()
    run = playbooks.playbook("site.yml", log="60-after").succeeded()
    assert not run.changes, "\n".join(map(str, run.changes))
    assert lab.services() == before, "something restarted"
    assert {name: lab.leader(name) for name in clusters} == leaders
