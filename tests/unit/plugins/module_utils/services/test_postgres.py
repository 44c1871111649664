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
from ansible_collections.scaleout.platform.plugins.module_utils.services import postgres
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
STATE = {
    "version": 17,
    "release": "Debian 13",
    "configured": True,
    "initialised": True,
    "standby_signal": False,
    "ever_started": True,
    "used": True,
    "cloning": False,
    "settings_saved": False,
    "others": [],
    "server": SERVER,
}
STANDBY = {
    **STATE,
    "standby_signal": True,
    "server": {**SERVER, "in_recovery": True, "receiver": "streaming", "active_slots": []},
}
BARE = {
    **dict.fromkeys(("configured", "initialised", "standby_signal", "ever_started", "used", "cloning"), False),
    "version": 17,
    "release": "Debian 13",
    "settings_saved": False,
    "others": [],
    "server": None,
}
AGAIN = "run again with postgres_reclone=true and a limit to this host"


def platform(changes=None, cluster=None, members=("pg1", "pg1r")):
    """A cluster of two, with changes: {host: {variable: value}}."""
    variables = {"postgres_cluster": "main", "postgres_replicator_password": "secret", "postgres_base_settings": BASE}
    hosts = {name: {**variables, **(changes or {}).get(name, {})} for name in members}
    servers = tuple(Server(name, f"192.0.2.{number}") for number, name in enumerate(members, 11))
    made = Cluster("main", servers, shards=(0, 1), databases=("app",))
    return Platform(hosts, {"postgres": list(members)}, {"main": dataclasses.replace(made, **(cluster or {}))})


@pytest.mark.parametrize(
    ("host", "state"),
    [
        ("pg1", None),
        ("pg1r", None),
        ("pg1", STATE),
        ("pg1", BARE),
        ("pg1r", STANDBY),
        ("pg1r", BARE),
        # As Debian's package leaves it, and half a copy: both are about to be copied.
        ("pg1r", {**BARE, "configured": True, "initialised": True, "ever_started": True, "server": SERVER}),
        ("pg1r", {**BARE, "configured": True, "cloning": True}),
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
            {"pg1": {"postgres_settings": {"max_connections": "200", "max_wal_senders": 20}}},
            None,
            "limits_below_primary",
            "a standby must not have max_connections, max_wal_senders lower than its primary pg1; compare the "
            "postgres_settings of both",
        ),
        (
            "pg1r",
            {
                "pg1r": {"postgres_settings": {"max_prepared_transactions": None}},
                "pg1": {"postgres_settings": {"max_prepared_transactions": 5}},
            },
            None,
            "limits_below_primary",
            "a standby must not have max_prepared_transactions lower than its primary pg1; compare the "
            "postgres_settings of both",
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
                "pg1",
                {},
                state,
                "is_standby",
                "it is the first member of the cluster main, and so its primary, and is a standby; this role promotes "
                "nothing: promote it yourself, or put the primary first in the inventory",
            )
            for state in (STANDBY, {**STATE, "standby_signal": True, "server": None})
        ),
        (
            "pg1",
            {},
            {**BARE, "cloning": True},
            "interrupted_copy",
            "it is the primary of the cluster main and holds a base backup that was interrupted; empty "
            "/var/lib/postgresql/17/main first",
        ),
        (
            "pg1",
            {},
            {**BARE, "configured": True},
            "no_data",
            "PostgreSQL is configured, but /var/lib/postgresql/17/main is empty; is a disk not mounted?",
        ),
        (
            "pg1r",
            {},
            {**BARE, "configured": True},
            "no_data",
            "PostgreSQL is configured, but /var/lib/postgresql/17/main is empty; is a disk not mounted? To copy it "
            f"anyway, {AGAIN}",
        ),
        (
            "pg1r",
            {},
            STATE,
            "is_primary",
            "it is a standby of pg1, but /var/lib/postgresql/17/main is a primary's and holds data; to throw that data "
            f"away, {AGAIN}",
        ),
        (
            "pg1r",
            {"pg1": {"__postgres": {"state": {**STATE, "server": {**SERVER, "system": "2"}}}}},
            STANDBY,
            "other_database",
            "it is a standby of another database than the one on pg1 (their system identifiers differ); to copy that "
            f"one, {AGAIN}",
        ),
        (
            "pg1",
            {"pg1": {"postgres_settings": {"max_connections": 120, "max_wal_senders": 5}}},
            STATE,
            "limits_both_ways",
            "some of max_connections, max_locks_per_transaction, max_prepared_transactions, max_wal_senders, "
            "max_worker_processes are to rise and others to fall; a standby needs the one before its primary and the "
            "other after it, so change them in two runs",
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
            "the standby pg-2 has the same replication slot pg_2; rename one",
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


@pytest.mark.parametrize(
    ("host", "changes", "state"),
    [
        ("pg1r", {"pg1r": {"postgres_reclone": "true"}}, STATE),
        ("pg1r", {"pg1r": {"postgres_reclone": True}}, {**BARE, "configured": True}),
        ("pg1r", {"pg1": {"__postgres": {"state": {**STATE, "server": None}}}}, STANDBY),
        ("pg1r", {"pg1": {"__postgres": {"state": STATE}}}, STANDBY),
        (
            "pg1r",
            {
                "pg1": {"postgres_settings": {"max_connections": 200}},
                "pg1r": {"postgres_settings": {"max_connections": 300}},
            },
            STANDBY,
        ),
    ],
)
def test_a_word_or_the_right_neighbour_makes_it_right(host, changes, state):
    assert postgres.problems(platform(changes), host, state) == []


@pytest.mark.parametrize(
    ("host", "changes", "found"),
    [
        ("pg1", {}, []),
        ("pg1", {"active_slots": []}, ["no standby streams from the slots pg1r"]),
        ("pg1", {"hba_errors": ["line 3: x", "line 4: y"]}, ["pg_hba.conf is wrong, line 3: x, line 4: y"]),
        ("pg1r", {}, []),
        ("pg1r", {"in_recovery": False}, ["it is not in recovery"]),
        ("pg1r", {"receiver": None}, ["it does not stream from pg1 (192.0.2.11:5432)"]),
    ],
)
def test_health(host, changes, found):
    state = STATE if host == "pg1" else STANDBY
    made = platform({"pg1": {"ansible_play_hosts": ["pg1", "pg1r"]}})
    assert postgres.health(made, host, {**state, "server": {**state["server"], **changes}}) == found
    assert postgres.health(made, host, {**state, "server": None}) == ["PostgreSQL does not accept connections"]


LOST = {
    "pg1": {
        "ansible_play_hosts": ["pg1", "pg1r"],
        "__postgres": {"state": {"server": {**SERVER, "lost_slots": ["pg1r"]}}},
    }
}


def test_p2_a_lost_slot_is_the_standbys_trouble_and_not_the_primarys():
    """It is the primary that sees it; the run goes on there, and the standby is told what to do."""
    made = platform(LOST)
    silent = {**STANDBY, "server": {**STANDBY["server"], "receiver": None}}
    (problem,) = postgres.problems(made, "pg1r", silent)
    assert problem.code == "slot_lost"
    assert problem.text.startswith("its replication slot pg1r on pg1 is lost")
    assert problem.text.endswith(AGAIN)
    assert postgres.health(made, "pg1r", silent)[1] == problem.text
    primary = {**STATE, "server": {**SERVER, "active_slots": [], "lost_slots": ["pg1r"]}}
    assert postgres.problems(made, "pg1", primary) == postgres.health(made, "pg1", primary) == []


@pytest.mark.parametrize(
    ("changes", "receiver"),
    [
        ({"pg1r": {"postgres_reclone": True}}, None),
        # It has caught up from an archive, and streams through the slot.
        ({}, "streaming"),
    ],
)
def test_p2_what_is_about_to_be_copied_or_streams_is_not_refused(changes, receiver):
    state = {**STANDBY, "server": {**STANDBY["server"], "receiver": receiver}}
    assert postgres.problems(platform({**LOST, **changes}), "pg1r", state) == []


@pytest.mark.parametrize("host", ["pg1", "pg1r"])
def test_p5_a_data_disk_that_is_not_mounted_is_refused(host):
    (problem,) = postgres.problems(platform(), host, {**BARE, "configured": True})
    assert problem.code == "no_data"
    assert "is a disk not mounted?" in problem.text


def test_a_standby_that_takes_no_part_is_not_waited_for():
    made = platform({"pg1": {"ansible_play_hosts": ["pg1"]}})
    assert postgres.health(made, "pg1", {**STATE, "server": {**SERVER, "active_slots": []}}) == []


def test_what_a_primary_is_to_have():
    changes = {"pg1": {"postgres_database_owner": "app", "postgres_settings": {"work_mem": "8MB"}}}
    made = platform(changes, cluster={"workload": "dw", "settings": {"work_mem": "64MB", "max_wal_size": "2GB"}})
    state = {**STATE, "server": {**SERVER, "databases": {"shard_0": "app", "shard_1": "postgres"}}}
    found = postgres.wanted(made, "pg1", state)
    assert found["settings"] == {**BASE, "work_mem": "8MB", "max_wal_size": "2GB"}
    assert (found["workload"], found["version"], found["data"]) == ("dw", 17, "/var/lib/postgresql/17/main")
    assert (found["is_standby"], found["leader"], found["clone"]) == (False, "pg1", False)
    assert found["databases"] == [{"name": name, "owner": "app"} for name in ("shard_0", "shard_1", "app")]
    assert [each["name"] for each in found["databases_due"]] == ["shard_1", "app"]
    assert found["slots"] == [{"name": "pg1r", "slot_type": "physical", "reserve_wal": True}]
    assert found["service"]["tags"] == ["primary", "shard-0", "shard-1"]


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
    assert postgres.wanted(made, "pg1r", STANDBY)["roles"] == []
    twice = {**made.hosts["pg1"], "postgres_users": [{"name": "seller", "password": "hidden"}]}
    problems = postgres.problems(dataclasses.replace(made, hosts={**made.hosts, "pg1": twice}), "pg1")
    assert [(one.code, str(one)) for one in problems] == [
        (
            "duplicate",
            "pg1: postgres_users has seller, which is a role of the application shop; its entry there is enough.",
        )
    ]


def test_what_a_standby_is_to_have():
    made = platform()
    found = postgres.wanted(made, "pg1r", BARE)
    conninfo = (
        "host='192.0.2.11' port=5432 user=replicator passfile='/var/lib/postgresql/.pgpass.replication' "
        "application_name=pg1r"
    )
    assert found["settings"] == {**BASE, "primary_conninfo": conninfo, "primary_slot_name": "pg1r"}
    assert (found["conninfo"], found["slot"], found["leader_address"]) == (conninfo, "pg1r", "192.0.2.11")
    assert (found["is_standby"], found["clone"], found["databases"], found["slots"]) == (True, True, [], [])
    assert found["service"]["tags"] == ["standby", "shard-0", "shard-1"]
    assert postgres.wanted(made, "lb1", None) == {}


@pytest.mark.parametrize(
    ("settings", "fall", "standby"),
    [
        ({}, False, "before_primary"),
        ({"shared_buffers": "1GB"}, False, "before_primary"),
        ({"max_connections": 120}, False, "before_primary"),
        ({"max_connections": "90"}, True, "after_primary"),
        ({"max_connections": None}, False, "before_primary"),
    ],
)
def test_p1_standbys_change_before_their_primary_unless_limits_fall(settings, fall, standby):
    made = platform({name: {"postgres_settings": settings} for name in ("pg1", "pg1r")})
    found = postgres.wanted(made, "pg1", STATE)
    assert (found["limits_fall"], found["turn"]) == (fall, "primary")
    assert postgres.wanted(made, "pg1r", STANDBY)["turn"] == standby


@pytest.mark.parametrize(
    ("host", "before", "now", "as_before"),
    [
        ("pg1r", {"receiver": "streaming"}, None, False),
        ("pg1r", {"receiver": "streaming"}, {"receiver": None}, False),
        ("pg1r", {"receiver": "streaming"}, {"receiver": "streaming"}, True),
        # Its primary was away before: that it answers is all there is to wait for.
        ("pg1r", {"receiver": None}, {"receiver": None}, True),
        ("pg1", {"active_slots": ["pg1r"]}, {"active_slots": []}, False),
        ("pg1", {"active_slots": ["pg1r"]}, {"active_slots": ["pg1r", "other"]}, True),
        # The consumer of a slot that is none of ours comes back when it likes.
        ("pg1", {"active_slots": ["other"]}, {"active_slots": []}, True),
        ("pg1", {"active_slots": []}, {"active_slots": []}, True),
        ("pg1", None, {"active_slots": []}, True),
    ],
)
def test_p1_a_turn_ends_when_the_server_is_as_it_was_before(host, before, now, as_before):
    read = {"state": {"server": before and {**SERVER, **before}}}
    made = platform({host: {"__postgres_before": read}})
    state = {**STATE, "server": now and {**SERVER, **now}}
    assert postgres.wanted(made, host, state)["as_before"] is as_before


@pytest.mark.parametrize(
    ("changes", "clone"),
    [
        ({}, False),
        ({"standby_signal": False, "used": False}, True),
        ({"standby_signal": False, "initialised": False}, True),
        ({"standby_signal": False}, False),
        ({"cloning": True, "ever_started": False}, True),
        ({"cloning": True}, False),
    ],
)
def test_a_standby_is_copied_only_where_there_is_nothing_to_lose(changes, clone):
    assert postgres.wanted(platform(), "pg1r", {**STANDBY, **changes})["clone"] is clone
    assert not postgres.wanted(platform(), "pg1", {**STANDBY, **changes})["clone"]


def test_who_may_connect():
    made = platform({"pg1": {"postgres_peer_users": ["pgbouncer"], "platform_address": "2001:db8::1"}})
    assert postgres.wanted(made, "pg1", None)["hba"] == [
        "local   all          postgres                                             peer",
        'local   all          "pgbouncer"                                          peer',
        "local   all          all                                                  scram-sha-256",
        "host    all          all         127.0.0.1/32                             scram-sha-256",
        "host    all          all         ::1/128                                  scram-sha-256",
        "host    replication  replicator  192.0.2.12/32                            scram-sha-256",
        "host    all          all         2001:db8::1/128                          scram-sha-256",
        "host    all          all         pg1r                                     scram-sha-256",
    ]
    made = platform({"pg1r": {"postgres_allowed_networks": ["10.0.0.0/8", "app.internal"]}})
    assert postgres.wanted(made, "pg1r", None)["hba"][-2:] == [
        "host    all          all         10.0.0.0/8                               scram-sha-256",
        "host    all          all         app.internal                             scram-sha-256",
    ]


@given(st.text(alphabet=string.printable + "äß漢", min_size=1))
def test_no_sentence_and_no_answer_tells_the_password(secret):
    marked = f"s3cr3t{secret}s3cr3t"
    made = platform({name: {"postgres_replicator_password": marked} for name in ("pg1", "pg1r")})
    for host, state in (("pg1", STATE), ("pg1r", STATE), ("pg1r", STANDBY)):
        assert "s3cr3t" not in repr((postgres.problems(made, host, state), postgres.wanted(made, host, state)))


def test_the_argument_of_the_look():
    assert postgres.look(platform({"pg1": {"postgres_version": "15"}}), "pg1") == {"version": 15, "port": 5432}
    assert postgres.look(platform(), "pg1") == {"version": 0, "port": 5432}
