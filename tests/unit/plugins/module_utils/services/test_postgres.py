# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a member of a cluster is refused, how well it is, and what its host is to have."""

from __future__ import annotations

import dataclasses
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Database,
    Platform,
    Server,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services import postgres, postgres_hba
from ansible_collections.scaleout.platform.plugins.module_utils.topology.databases import with_applications

BASE = {"max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10, "wal_level": "logical"}
LIMITS = dict(postgres.UNSET)
SERVER = {
    "version": 17,
    "system": "1",
    "in_recovery": False,
    "lsn": "0/1",
    "receiver": None,
    "active_slots": ["pg1r"],
    "lost_slots": [],
    "databases": {"postgres": "postgres"},
    "limits": LIMITS,
    "restart_pending": False,
    "hba_unread": False,
    "hba_errors": [],
}


def member(name, role="replica", state="streaming", timeline=1):
    return {"name": name, "role": role, "state": state, "timeline": timeline}


SEEN = {
    "leader": "pg1",
    "paused": False,
    "members": {"pg1": member("pg1", "leader", "running"), "pg1r": member("pg1r")},
}
PATRONI = {
    "version": [4, 0, 7],
    "configured": True,
    "joined": True,
    "restoring": False,
    "scope": "main",
    "cluster": SEEN,
}
NO_PATRONI = {"version": None, "configured": False, "joined": False, "restoring": False, "scope": "", "cluster": None}
STATE = {
    "version": 17,
    "release": "Debian 13",
    "configured": False,
    "initialised": True,
    "standby_signal": False,
    "ever_started": True,
    "used": True,
    "memory": 2**30,
    "patroni": PATRONI,
    "others": [],
    "server": SERVER,
}
REPLICA = {
    **STATE,
    "standby_signal": True,
    "server": {**SERVER, "in_recovery": True, "receiver": "streaming", "active_slots": []},
}
BARE = {
    **dict.fromkeys(("configured", "initialised", "standby_signal", "ever_started", "used"), False),
    "version": 17,
    "release": "Debian 13",
    "memory": 2**30,
    "patroni": NO_PATRONI,
    "others": [],
    "server": None,
}
#: As Debian's own unit runs a server, before Patroni.
BEFORE = {**STATE, "configured": True, "patroni": NO_PATRONI}
AGAIN = "run again with a limit to this host and -e postgres_reclone="


def platform(changes=None, cluster=None, members=("pg1", "pg1r")):
    """A cluster of two, with changes: {host: {variable: value}}."""
    variables = {
        "postgres_cluster": "main",
        "postgres_replicator_password": "secret",
        "postgres_patroni_password": "secret",
        "postgres_base_settings": BASE,
    }
    hosts = {name: {**variables, **(changes or {}).get(name, {})} for name in members}
    servers = tuple(Server(name, f"192.0.2.{number}") for number, name in enumerate(members, 11))
    made = Cluster("main", servers, shards=(0, 1), databases=("app",))
    return Platform(hosts, {"postgres": list(members)}, {"main": dataclasses.replace(made, **(cluster or {}))})


def both(**variables):
    return dict.fromkeys(("pg1", "pg1r"), variables)


@pytest.mark.parametrize(
    ("host", "state"),
    [
        ("pg1", None),
        ("pg1r", None),
        ("pg1", STATE),
        ("pg1", BARE),
        ("pg1r", REPLICA),
        ("pg1r", BARE),
        # As Debian's package leaves it, and as release 0.1.0 does: Patroni takes both over.
        ("pg1r", {**BARE, "configured": True, "initialised": True, "ever_started": True, "server": SERVER}),
        ("pg1", BEFORE),
        ("pg1r", {**REPLICA, "configured": True, "patroni": NO_PATRONI}),
        # Patroni is about to copy its leader.
        ("pg1r", {**BARE, "patroni": PATRONI}),
    ],
)
def test_a_right_host_has_no_problems(host, state):
    assert postgres.problems(platform(), host, state) == []


@pytest.mark.parametrize(
    ("host", "changes", "state", "code", "text"),
    [
        # the inventory
        (
            "pg1",
            {"pg1": {"postgres_cluster": "other"}},
            None,
            "no_cluster",
            "postgres_cluster must name one of postgres_clusters",
        ),
        *(
            (
                "pg1",
                {"pg1": {"postgres_replicator_password": value}},
                None,
                "missing_secret",
                "the secret postgres_replicator_password is missing",
            )
            for value in (None, "", " ")
        ),
        *(
            (
                "pg1",
                {"pg1": {"postgres_database_owner": name}},
                None,
                "invalid_name",
                f"postgres_database_owner has {name!r}, which is not a name of letters, digits, underscores and "
                "hyphens",
            )
            for name in ('a"b', "a'b", "a;b", "a b", "", 7, "1a")
        ),
        (
            "pg1",
            {"pg1": {"postgres_database_owner": "a" * 64}},
            None,
            "invalid_name",
            f"postgres_database_owner has {'a' * 64!r}, which has 64 bytes, and PostgreSQL keeps 63 of a name",
        ),
        (
            "pg1",
            {"pg1": {"postgres_users": [{"name": "a;b", "password": "hidden"}]}},
            None,
            "invalid_name",
            "postgres_users has 'a;b', which is not a name of letters, digits, underscores and hyphens",
        ),
        (
            "pg1",
            {"pg1": {"postgres_users": [{"password": "hidden"}]}},
            None,
            "invalid_name",
            "postgres_users has None, which is not a name of letters, digits, underscores and hyphens",
        ),
        (
            "pg1",
            {"pg1": {"postgres_peer_users": ["a b"]}},
            None,
            "invalid_name",
            "postgres_peer_users has 'a b', which is not a name of letters, digits, underscores and hyphens",
        ),
        (
            "pg1",
            {"pg1": {"postgres_users": ["app"]}},
            None,
            "invalid_users",
            "postgres_users must be a list of {name, password}",
        ),
        (
            "pg1",
            {"pg1": {"postgres_peer_users": "app"}},
            None,
            "invalid_users",
            "postgres_peer_users must be a list of names",
        ),
        *(
            (
                "pg1",
                {"pg1": {"postgres_peer_users": [name]}},
                None,
                "reserved_name",
                f"postgres_peer_users must not name {name}",
            )
            for name in ("postgres", "replicator")
        ),
        (
            "pg1",
            {"pg1": {"postgres_users": [{"name": "replicator", "password": "hidden"}]}},
            None,
            "reserved_name",
            "postgres_users must not name replicator, which the role owns",
        ),
        (
            "pg1r",
            {"pg1": {"postgres_settings": {"work_mem": "8MB"}}},
            None,
            "different_values",
            "postgres_settings differs from that of pg1; the members of main have it in common, in group_vars or in "
            "postgres_clusters",
        ),
        (
            "pg1r",
            {"pg1": {"postgres_version": 15}},
            None,
            "different_values",
            "postgres_version differs from that of pg1; the members of main have it in common, in group_vars or in "
            "postgres_clusters",
        ),
        *(
            (
                "pg1",
                {"pg1": {"postgres_patroni_password": value}},
                None,
                "missing_secret",
                "the secret postgres_patroni_password is missing",
            )
            for value in (None, "", " ")
        ),
        (
            "pg1",
            {"pg1": {"postgres_patroni_settings": {"ttl": 30, "tty": 1}}},
            None,
            "unknown_setting",
            "postgres_patroni_settings has 'tty'; it may have ttl, loop_wait, retry_timeout, primary_start_timeout, "
            "maximum_lag_on_failover, member_slots_ttl",
        ),
        (
            "pg1",
            {"pg1": {"postgres_patroni_settings": {"retry_timeout": 10}}},
            None,
            "bad_timing",
            "postgres_patroni_settings: ttl 20, loop_wait 2 and retry_timeout 10 do not go together; ttl is at least "
            "20, loop_wait 1, retry_timeout 3, and loop_wait + 2 * retry_timeout at most ttl",
        ),
        (
            "pg1",
            {"pg1": {"postgres_patroni_settings": {"ttl": "long"}}},
            None,
            "invalid_input",
            "postgres_patroni_settings has 'long' as its ttl, which is not a number of seconds",
        ),
        *(
            (
                "pg1",
                {"pg1": {"postgres_failover_priority": value}},
                None,
                "invalid_input",
                f"postgres_failover_priority is {value!r}, not a number from 1 to 1000",
            )
            for value in (0, -1, "high", 1001)
        ),
        (
            "pg1",
            both(postgres_nofailover=True),
            None,
            "no_candidate",
            "postgres_nofailover is true for all members of main, so that none could lead",
        ),
        # the host
        (
            "pg1",
            {},
            {**BARE, "version": 0, "release": "Debian 14"},
            "unknown_release",
            "no PostgreSQL is known for Debian 14; set postgres_version",
        ),
        (
            "pg1",
            {},
            {**STATE, "server": {**SERVER, "version": 15}},
            "other_version",
            "port 5432 is served by PostgreSQL 15, and postgres_version is 17; this role makes no upgrade",
        ),
        (
            "pg1",
            {},
            {**STATE, "others": ["15/main", "17/old"]},
            "port_taken",
            "the cluster 15/main, 17/old is configured for port 5432, which this role needs for 17/main",
        ),
        *(
            (
                host,
                {},
                {**BARE, **there},
                "no_data",
                "PostgreSQL is configured, but /var/lib/postgresql/17/main is empty; is a disk not mounted? To copy it "
                f"anyway, {AGAIN}{host}",
            )
            for host in ("pg1", "pg1r")
            for there in ({"configured": True}, {"patroni": {**PATRONI, "cluster": None}})
        ),
        (
            "pg1",
            {},
            {**STATE, "patroni": {**PATRONI, "scope": "other"}},
            "other_cluster",
            "Patroni runs it as a member of other, and postgres_cluster is main; remove the host from the one first",
        ),
        (
            "pg1",
            {},
            {**BEFORE, "patroni": {**PATRONI, "configured": False, "joined": False, "scope": "batman"}},
            "managed_elsewhere",
            "Patroni runs PostgreSQL here as a member of batman, and not by this role; let it go first, or take the "
            "host out of the group postgres",
        ),
        (
            "pg1",
            {},
            {**STATE, "patroni": {**PATRONI, "restoring": True, "cluster": None}, "initialised": False},
            "restore_open",
            "a restore of main has not ended, and keeps Patroni from starting; run restore.yml again, or take it back "
            "as docs/backups.md says",
        ),
        (
            "pg1r",
            {"pg1": {"__postgres": {"state": BEFORE}}},
            BEFORE,
            "two_primaries",
            "/var/lib/postgresql/17/main is a primary's and holds data, and pg1 is one too; which of them is to stay "
            "is yours to say: move the other's /var/lib/postgresql/17/main away",
        ),
    ],
)
def test_what_cannot_be_gets_a_code_and_a_sentence(host, changes, state, code, text):
    (problem,) = postgres.problems(platform(changes), host, state)
    assert (problem.code, problem.host, problem.text) == (code, host, text)


@pytest.mark.parametrize(
    ("members", "host", "code", "text"),
    [
        (
            ("pg1", "pg-2", "PG_2"),
            "PG_2",
            "slot_taken",
            "the member pg-2 has the same replication slot pg_2; rename one",
        ),
        (
            ("pg1", "a" * 64),
            "a" * 64,
            "invalid_name",
            f"its replication slot {'a' * 64} has 64 bytes, and PostgreSQL keeps 63 of a name",
        ),
    ],
)
def test_slots_have_names_of_their_own(members, host, code, text):
    made = platform(members=members)
    (problem,) = postgres.problems(made, host)
    assert (problem.code, problem.text) == (code, text)
    assert postgres.problems(made, members[0]) == []


@pytest.mark.parametrize("state", [{**BARE, "configured": True}, {**BARE, "patroni": {**PATRONI, "cluster": None}}])
def test_p5_the_name_of_the_host_is_the_word_for_its_data(state):
    (problem,) = postgres.problems(platform(both(postgres_reclone="pg1")), "pg1r", state)
    assert problem.code == "no_data"
    assert postgres.problems(platform(both(postgres_reclone="pg1r")), "pg1r", state) == []


def seen(leader="pg1", **members):
    return {**PATRONI, "cluster": {**SEEN, "leader": leader, "members": {**SEEN["members"], **members}}}


@pytest.mark.parametrize(
    ("host", "changes", "server", "found"),
    [
        ("pg1", {}, {}, []),
        ("pg1", {"patroni": {**PATRONI, "cluster": None}}, {}, ["Patroni does not answer"]),
        ("pg1", {"patroni": seen(leader="")}, {}, ["the cluster main has no leader"]),
        ("pg1", {"server": None}, {}, ["PostgreSQL does not accept connections (running)"]),
        ("pg1", {}, {"hba_errors": ["line 3: x", "line 4: y"]}, ["pg_hba.conf is wrong, line 3: x, line 4: y"]),
        ("pg1r", {}, {}, []),
        ("pg1r", {}, {"receiver": None}, ["it does not stream from pg1 (streaming)"]),
        (
            "pg1r",
            {"patroni": seen(pg1=member("pg1", "leader", "running", 2))},
            {},
            ["it is on timeline 1 and pg1 on 2"],
        ),
        # The other one leads by now, and this one follows: both are well.
        ("pg1r", {"patroni": seen(leader="pg1r", pg1r=member("pg1r", "leader", "running"))}, {"receiver": None}, []),
    ],
)
def test_health(host, changes, server, found):
    state = STATE if host == "pg1" else REPLICA
    state = {**state, "server": {**state["server"], **server}, **changes}
    assert postgres.health(platform(), host, state) == found


def test_a_host_that_patroni_does_not_know_is_not_healthy():
    state = {**STATE, "patroni": {**PATRONI, "cluster": {**SEEN, "members": {}}}}
    assert postgres.health(platform(), "pg1", state) == ["Patroni does not know it as a member of main"]


@pytest.mark.parametrize(
    ("state", "adopted"),
    [
        (BARE, ""),
        (STATE, ""),
        (BEFORE, "leader"),
        ({**BEFORE, "standby_signal": True}, "replica"),
        # Debian's package has made it, and no one has used it.
        ({**BEFORE, "used": False}, ""),
    ],
)
def test_what_patroni_takes_over(state, adopted):
    found = postgres.wanted(platform(), "pg1", state)
    assert found["adopts"] == adopted
    # A cluster that goes takes its files with it.
    assert ("config_dir" in found["member"]["postgresql"]) is bool(adopted)


def test_a_server_that_was_taken_over_keeps_its_files_where_they_are():
    found = postgres.wanted(platform(), "pg1", {**STATE, "configured": True})
    assert (found["adopts"], "config_dir" in found["member"]["postgresql"]) == ("", True)


def test_a_replica_learns_of_its_leader_from_what_the_run_has_found():
    made = platform()
    assert postgres.wanted(made, "pg1r", {**BEFORE, "standby_signal": True})["followed"] == ""
    found = dataclasses.replace(made.clusters["main"], leader="pg1")
    made = dataclasses.replace(made, clusters={"main": found})
    assert postgres.wanted(made, "pg1r", {**BEFORE, "standby_signal": True})["followed"] == "pg1"


@pytest.mark.parametrize(
    ("sizes", "memory"), [((4, 2), "2048MB"), ((2, 4), "2048MB"), ((4, None), "4096MB"), ((0, 0), "")]
)
def test_a_cluster_has_the_memory_of_its_smallest_member(sizes, memory):
    mine, its = sizes
    changes = {"pg1r": {"__postgres": {"state": {**REPLICA, "memory": its * 2**30}}}} if its is not None else {}
    assert postgres.wanted(platform(changes), "pg1", {**STATE, "memory": mine * 2**30})["memory"] == memory
    made = platform({"pg1": {"postgres_memory": "3GB"}})
    assert postgres.wanted(made, "pg1", {**STATE, "memory": mine * 2**30})["memory"] == "3GB"


@pytest.mark.parametrize(("state", "copies"), [("creating replica", True), ("streaming", False), ("starting", False)])
def test_a_copy_is_waited_for(state, copies):
    there = {**REPLICA, "patroni": seen(pg1r=member("pg1r", state=state))}
    assert postgres.wanted(platform(), "pg1r", there)["copies"] is copies
    assert postgres.wanted(platform(), "pg1r", BARE)["copies"] is False


def test_what_a_member_is_to_have():
    changes = both(postgres_database_owner="app", postgres_settings={"work_mem": "8MB", "port": 1, "hot_standby": "on"})
    made = platform(changes, cluster={"workload": "dw", "settings": {"work_mem": "64MB", "max_wal_size": "2GB"}})
    state = {**STATE, "server": {**SERVER, "databases": {"shard_0": "app", "shard_1": "postgres"}}}
    found = postgres.wanted(made, "pg1", state)
    assert found["settings"] == {**BASE, "work_mem": "8MB", "max_wal_size": "2GB"}
    assert (found["workload"], found["version"], found["data"]) == ("dw", 17, "/var/lib/postgresql/17/main")
    assert (found["leads"], found["leader"]) == (True, "pg1")
    assert found["databases"] == [{"name": name, "owner": "app"} for name in ("shard_0", "shard_1", "app")]
    assert [each["name"] for each in found["databases_due"]] == ["shard_1", "app"]
    assert found["service"]["tags"] == ["main", "shard-0", "shard-1"]
    other = postgres.wanted(made, "pg1r", REPLICA)
    assert (other["leads"], other["leader"], other["settings"]) == (False, "pg1", found["settings"])
    assert postgres.wanted(made, "lb1", None) == {}


@pytest.mark.parametrize(
    ("told", "due"), [({}, True), ({"rewinds": None}, True), ({"rewinds": False}, True), ({"rewinds": True}, False)]
)
def test_the_replicas_role_may_read_what_a_rewind_reads(told, due):
    state = {**STATE, "server": {**SERVER, **told}}
    assert postgres.wanted(platform(), "pg1", state)["rewinds_due"] is due


def test_h12_the_database_of_an_application_and_its_owner_are_declared_in_one_place():
    shop = Application("shop", "api", "scaleout.platform.app", database=Database("shop", "seller", "main"))
    other = Application("blog", "api", "scaleout.platform.app", database=Database("blog", "blog", "elsewhere"))
    made = platform()
    (name,) = made.clusters
    shop = dataclasses.replace(shop, database=Database("shop", "seller", name))
    made = dataclasses.replace(
        made,
        clusters=with_applications(made.clusters, [shop]),
        applications={"shop": shop, "blog": other, "plain": Application("plain", "api", "acme.plain")},
    )
    found = postgres.wanted(made, "pg1", STATE)
    assert found["roles"] == [{"name": "seller", "role_attr_flags": "LOGIN", "application": "shop"}]
    assert found["memberships"] == []
    assert found["databases"][-1] == {"name": "shop", "owner": "seller"}
    assert {each["owner"] for each in found["databases"][:-1]} == {"postgres"}
    assert {"name": "shop", "owner": "seller"} in found["databases_due"]
    twice = {**made.hosts["pg1"], "postgres_users": [{"name": "seller", "password": "hidden"}]}
    problems = postgres.problems(dataclasses.replace(made, hosts={**made.hosts, "pg1": twice}), "pg1")
    assert [(one.code, str(one)) for one in problems] == [
        (
            "duplicate",
            "pg1: postgres_users has seller, which is a role of the application shop; its entry there is enough.",
        )
    ]


def test_who_may_connect():
    made = platform({"pg1": {"postgres_peer_users": ["pgbouncer"], "platform_address": "2001:db8::1"}})
    found = [" ".join(line.split()) for line in postgres_hba.lines(made, "pg1", made.clusters["main"])]
    assert found == [
        "local all postgres peer",
        'local all "pgbouncer" peer',
        "local all all scram-sha-256",
        "local replication replicator scram-sha-256",
        "host all all 127.0.0.1/32 scram-sha-256",
        "host all all ::1/128 scram-sha-256",
        "host replication replicator 192.0.2.11/32 scram-sha-256",
        "host replication replicator 192.0.2.12/32 scram-sha-256",
        "host postgres replicator 192.0.2.11/32 scram-sha-256",
        "host postgres replicator 192.0.2.12/32 scram-sha-256",
        "host all all 192.0.2.11/32 scram-sha-256",
        "host all all 192.0.2.12/32 scram-sha-256",
        "host all all 2001:db8::1/128 scram-sha-256",
        "host all all pg1r scram-sha-256",
    ]
    made = platform({"pg1r": {"postgres_allowed_networks": ["10.0.0.0/8", "app.internal"]}})
    found = [" ".join(line.split()) for line in postgres_hba.lines(made, "pg1r", made.clusters["main"])]
    assert found[-2:] == ["host all all 10.0.0.0/8 scram-sha-256", "host all all app.internal scram-sha-256"]
    assert postgres.wanted(made, "pg1r", None)["member"]["postgresql"]["pg_hba"] == found


@given(st.text(alphabet=string.printable + "äß漢", min_size=1))
def test_no_sentence_and_no_answer_tells_the_password(secret):
    marked = f"s3cr3t{secret}s3cr3t"
    made = platform(both(postgres_replicator_password=marked, postgres_patroni_password=marked))
    for host, state in (("pg1", STATE), ("pg1r", STATE), ("pg1r", REPLICA)):
        assert "s3cr3t" not in repr((postgres.problems(made, host, state), postgres.wanted(made, host, state)))


def test_the_argument_of_the_look():
    made = platform({"pg1": {"postgres_version": "15", "platform_address": "192.0.2.1"}})
    assert postgres.look(made, "pg1") == {"version": 15, "port": 5432, "patroni_host": "192.0.2.1"}
    assert postgres.look(platform(), "pg1") == {"version": 0, "port": 5432, "patroni_host": "pg1"}
