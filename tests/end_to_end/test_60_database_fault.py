# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A primary is lost: its shards say so, the others (a trio has none) do not notice, and all heals by itself."""

from __future__ import annotations

import time

from tests.end_to_end import lab, load

#: The leader of the last cluster that has shards.
VICTIM = [host for host in lab.hosts("postgres") if lab.leads(host) and lab.shards(host)][-1]
#: Seconds from the primary's return until no request fails any more.
HEALS_WITHIN = 10


def test_a_lost_primary_costs_its_shards_only(platform):
    theirs = {str(shard) for shard in lab.shards(VICTIM)}
    others = {str(shard) for host in lab.hosts("postgres") for shard in lab.shards(host)} - theirs
    unit = lab.ssh(VICTIM, "systemctl list-units --type=service --state=running --plain --no-legend 'postgresql@*'")
    unit = unit.split()[0]
    with load.ledger("database") as ledger:
        time.sleep(3)
        struck_at = ledger.now
        lab.ssh(VICTIM, f"systemctl stop {unit}")
        try:
            assert lab.ssh(VICTIM, f"systemctl is-active {unit}", check=False) == "inactive", "the fault did not bite"
            time.sleep(12)
        finally:
            lab.ssh(VICTIM, f"systemctl start {unit}")
            healed_at = ledger.now
        time.sleep(HEALS_WITHIN + 1)
        told = ledger.report()

    load.tell(f"{VICTIM} stopped at {struck_at:.0f} s, started at {healed_at:.0f} s", told)
    print(f"  by shard {told['by_shard']}")
    load.assert_right(told)
    failed = {
        shard: {kind for kind in counts if kind not in ("ok", "wrong")} for shard, counts in told["by_shard"].items()
    }
    assert {shard for shard, kinds in failed.items() if kinds} == theirs, "503 for others than the lost shards"
    assert told["failed"]["by_kind"].keys() == {"503"}
    for example in told["failed"]["examples"]["503"]:
        assert any(f'"shard":"{shard}"' in example.replace(": ", ":") for shard in theirs), example
    assert all(told["by_shard"][shard]["ok"] > 0 for shard in others | theirs)
    assert struck_at - 1 <= told["failed"]["first_at"]
    assert told["failed"]["last_at"] <= healed_at + HEALS_WITHIN
