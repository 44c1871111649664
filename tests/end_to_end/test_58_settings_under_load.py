# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A setting of each service changes by a run of site.yml, while users read and write.

The failed requests are those of a service that has one member only and cannot take the change up without a restart.
PostgreSQL's setting is one that a reload takes up: a restart of a leader costs its clients a moment, and has a test
without load.
"""

from __future__ import annotations

import itertools
import json

from tests.end_to_end import lab, load, playbooks

#: What the inventory has of PostgreSQL's. A run that is given others has none of these.
SETTINGS = lab.variables(lab.hosts("postgres")[0])["postgres_settings"]

#: A setting of each service, none of which has this value otherwise.
CHANGES = {
    "consul_settings": {"log_level": "WARN", "performance": {"raft_multiplier": 5}},
    "nginx_client_max_body_size": "11m",
    "pgbouncer_settings": {"server_lifetime": 3500},
    "postgres_settings": {**SETTINGS, "work_mem": "5MB"},
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


def leaders() -> dict[str, str]:
    """Who leads each cluster."""
    return {cluster: lab.leader(cluster) for cluster in map(lab.cluster_of, lab.hosts("postgres"))}


@lab.lab_only
def test_p1_one_database_server_of_a_cluster_restarts_at_a_time(platform):
    more = {**SETTINGS, "max_connections": SETTINGS["max_connections"] + 20}
    settings = json.dumps({"postgres_settings": more})
    times, led = [started()], [leaders()]
    for arguments, log in ((["-e", settings], "58-restarts"), ([], "58-restarts-back")):
        playbooks.playbook("site.yml", "--tags", "postgres", *arguments, log=log).succeeded()
        assert all(lab.whole(cluster) for cluster in led[-1])
        times.append(started())
        led.append(leaders())

    for name, at in (("raised", 0), ("lowered", 1)):
        earlier, later = times[at : at + 2]
        for cluster, leader in led[at].items():
            order = sorted(lab.members(cluster), key=later.__getitem__)
            print(f"\n{name}: " + ", ".join(f"{host} {later[host] - later[order[0]]:.1f} s" for host in order))
            assert all(later[host] > earlier[host] for host in order), "nothing was tried"
            # Between two restarts the cluster is looked at, and is whole.
            assert all(later[after] - later[first] > 1 for first, after in itertools.pairwise(order)), name
            # A replica may have more of a limit than its leader, and never less.
            assert leader == order[-1 if name == "raised" else 0], name
    # They restarted where they led.
    assert led[0] == led[1] == led[2]
    assert lab.get("/users?limit=1").status == 200
