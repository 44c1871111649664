# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A setting of each service changes by a run of site.yml, while users read and write.

The failed requests are those of a service that has one member only and cannot take the change up without a restart.
PostgreSQL's setting is one that a reload takes up: its restarts wait for failover, and have a test without load.
"""

from __future__ import annotations

import itertools
import json

from tests.end_to_end import lab, load, playbooks

#: A setting of each service, none of which has this value otherwise.
CHANGES = {
    "consul_settings": {"log_level": "WARN", "performance": {"raft_multiplier": 5}},
    "nginx_client_max_body_size": "11m",
    "pgbouncer_settings": {"server_lifetime": 3500},
    "postgres_settings": {"work_mem": "5MB"},
    "rabbitmq_settings": {"heartbeat": 45},
    "redis_settings": {"tcp-keepalive": 250},
    "reference_api_cache_ttl": 59,
}
#: The tasks that put them in force.
TASKS = {
    "consul : Run Consul with its configuration",
    "nginx : Run nginx with its configuration",
    "pgbouncer : Run PgBouncer with its configuration",
    "postgres : Change the settings",
    "rabbitmq : Run RabbitMQ with its configuration",
    "app : Unpack the release, and read the application's state",
}


@lab.lab_only
def test_no_request_fails_while_every_service_changes(platform):
    with load.ledger("settings", longest=900) as ledger:
        begun = ledger.now
        changed = playbooks.playbook("site.yml", "-e", json.dumps(CHANGES), log="58-change")
        ended = ledger.now
        told = ledger.report()
    load.tell(f"site.yml with a change of each service, {begun:.0f} to {ended:.0f} s", told)
    print("\n".join(f"  {change}" for change in sorted(changed.changed)))
    changed.succeeded()
    missing = {task for task in TASKS if not any(change.task == task for change in changed.changes)}
    assert not missing, "nothing was tried"
    assert any("redis" in change.task for change in changed.changes), "nothing was tried"
    load.assert_right(told)
    assert told["failed"]["total"] == 0, told["failed"]

    back = playbooks.playbook("site.yml", log="58-back").succeeded()
    assert {change.host for change in back.changes} == {change.host for change in changed.changes}
    assert lab.get("/users?limit=1").status == 200


def started() -> dict[str, float]:
    """When each database server was started, in seconds since 1970."""
    query = "SELECT extract(epoch FROM pg_postmaster_start_time())"
    return {host: float(lab.sql(host, "postgres", query)[0][0]) for host in lab.hosts("postgres")}


@lab.lab_only
def test_p1_one_database_server_restarts_at_a_time(platform):
    primaries = {host for host in lab.hosts("postgres") if lab.leads(host)}
    before = started()
    settings = json.dumps({"postgres_settings": {"max_connections": 120}})
    playbooks.playbook("site.yml", "--tags", "postgres", "-e", settings, log="58-restarts").succeeded()
    raised = started()
    playbooks.playbook("site.yml", "--tags", "postgres", log="58-restarts-back").succeeded()
    lowered = started()

    for name, earlier, times in (("raised", before, raised), ("lowered", raised, lowered)):
        order = sorted(times, key=times.__getitem__)
        print(f"\n{name}: " + ", ".join(f"{host} {times[host] - times[order[0]]:.1f} s" for host in order))
        assert all(times[host] > earlier[host] for host in times), "nothing was tried"
        # A turn is a restart and at least one look at the server afterwards.
        assert all(times[after] - times[first] > 1 for first, after in itertools.pairwise(order)), name
    standbys = [host for host in lab.hosts("postgres") if host not in primaries]
    assert max(raised[host] for host in standbys) < min(raised[host] for host in primaries)
    assert min(lowered[host] for host in standbys) > max(lowered[host] for host in primaries)
    assert lab.get("/users?limit=1").status == 200
