# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The upkeep of the databases under load: the shards' tasks become months, statistics are kept, and a run with nothing
to do is boring."""

from __future__ import annotations

import time

from tests.end_to_end import lab, load, playbooks

pytestmark = lab.any_size

KINDS = "SELECT relkind FROM pg_class WHERE oid = 'public.tasks'::regclass"
PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.tasks'::regclass"
DIFFERENT = """
    SELECT count(*) FROM user_stats AS s
    FULL JOIN (SELECT user_id AS id, count(*) AS total FROM tasks GROUP BY user_id) AS t USING (id)
    WHERE coalesce(s.total_tasks, 0) <> coalesce(t.total, 0)
"""


def on_shards(query: str) -> dict[int, str]:
    """What the leader of each shard answers."""
    return {
        shard: lab.sql(host, f"shard_{shard}", query)[0][0]
        for host in lab.hosts("postgres")
        if lab.leads(host)
        for shard in lab.shards(host)
    }


def test_tasks_become_months_with_statistics_under_load(platform):
    assert set(on_shards(KINDS).values()) == {"r"}
    foretold = playbooks.playbook("maintain.yml", "--check", log="88-check").succeeded()
    assert foretold.changes
    assert set(on_shards(KINDS).values()) == {"r"}
    with load.ledger("maintain") as ledger:
        kept = playbooks.playbook("maintain.yml", log="88-maintain").succeeded()
        time.sleep(3)
        told = ledger.report()
    load.tell(f"tasks become months, in {kept.seconds:.0f} s", told)
    load.assert_right(told)
    assert told["failed"]["total"] == 0
    assert set(on_shards(KINDS).values()) == {"p"}
    # What there was, in one, and the months behind it.
    assert min(map(int, on_shards(PARTITIONS).values())) >= 3
    assert set(on_shards(DIFFERENT).values()) == {"0"}


def test_another_upkeep_finds_the_statistics_right_and_the_next_one_nothing_to_do(platform):
    verified = playbooks.playbook("maintain.yml", "-e", "maintain_verify=true", log="88-verify").succeeded()
    assert verified.text.count("summaries verified: exact") >= len(on_shards(KINDS))
    again = playbooks.playbook("maintain.yml", log="88-again").succeeded()
    print(f"\nupkeep with nothing to do: {again.seconds:.0f} s, {sum(again.tasks.values())} results")
    assert not again.changes, "\n".join(map(str, again.changes))
