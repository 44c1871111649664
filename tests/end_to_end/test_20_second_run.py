# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A second `make up` is boring: nothing changes, nothing restarts."""

from __future__ import annotations

import re

from tests.end_to_end import lab, playbooks


def test_a_second_run_is_boring(platform):
    before = lab.services()
    again = playbooks.run(*lab.UP, log="20-up-again", as_json=False).succeeded()
    after = lab.services()

    print(f"\nsecond run: {again.seconds:.0f} s; tasks by host: {again.tasks}, {sum(again.tasks.values())} in all")
    assert set(lab.hosts()) <= again.stats.keys()
    assert not again.changes, "\n".join(map(str, again.changes))
    assert {counts["changed"] for counts in again.stats.values()} == {0}
    assert {name: (before.get(name), after.get(name)) for name in before.keys() | after.keys()} == {
        name: (started, started) for name, started in before.items()
    }
    essential = {"nginx.service", "consul.service", f"{lab.APP}.service", "nginx-upstream@api.service"}
    essential |= {"patroni.service", "pgbouncer-leader.service", "postmaster"}
    assert essential <= {service for _unused, service in before}

    shown = again.text
    assert f"{lab.url()}/" in shown
    for host in lab.hosts():
        assert re.search(rf"\b{host}\s+{re.escape(lab.address(host))}\s", shown), f"{host} is not in the topology table"
    for phase in ("environment", "engine", "image", "boot", "packages", "configuration", "in all"):
        assert re.search(rf"^  {phase}\s+[0-9.]+ s$", shown, re.M), f"the phase '{phase}' has no time"


@lab.lab_only
def test_the_shard_map_is_published_by_itself_and_shown(platform):
    made = playbooks.playbook("publish_map.yml", log="20-map").succeeded()
    assert not made.changes, "\n".join(map(str, made.changes))
    for shard in {shard for host in lab.hosts("postgres") for shard in lab.shards(host)}:
        assert f"shard {shard}: database shard_{shard} of " in made.text
