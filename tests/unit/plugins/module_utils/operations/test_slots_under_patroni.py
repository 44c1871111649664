# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Slots of a real cluster under Patroni: what is registered stays, what is not goes, the members' are left alone."""

from __future__ import annotations

import contextlib
import os
import signal

import psycopg2
import psycopg2.extras
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils import patroni
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused, ScaleoutError, Stranger
from ansible_collections.scaleout.platform.plugins.module_utils.operations.alter_slots import AlterSlots
from ansible_collections.scaleout.platform.plugins.module_utils.operations.show_slots import ShowSlots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection
from tests.unit import patroni_cluster, postgres_server

#: What a plain server is given on its command line, here as by people; Patroni gives four more.
GIVEN = {
    "wal_level": "logical",
    "hot_standby": "on",
    "wal_log_hints": "on",
    "track_commit_timestamp": "on",
    "max_wal_senders": "5",
    "max_replication_slots": "5",
    "max_worker_processes": "4",
}


@pytest.fixture(scope="module")
def cluster():
    with patroni_cluster.running() as running:
        yield running


@pytest.fixture(scope="module")
def moved(cluster):
    """Slots of ours after three loops of Patroni and a switchover; yields the former leader and the new one."""
    old, new = cluster.leader(), cluster.replica()
    with cluster.connect(old) as sql:
        sql.run("CREATE TABLE said (text text)")
        sql.run("CREATE PUBLICATION said FOR TABLE said")
        # These are not registered.
        sql.run("SELECT pg_create_physical_replication_slot('strange', true)")
        sql.run("SELECT pg_create_logical_replication_slot('strange_logical', 'pgoutput')")
    permanent = [{"name": "kept", "reserve_wal": True}, logical("read")]
    assert done(cluster, old, *permanent) == ["created", "created"]
    assert done(cluster, old, {"name": "bare"}, logical("left", two_phase=True), kind="ignored") == ["created"] * 2
    loops(cluster)
    assert slots(cluster, old) == {"kept", "read", "bare", "left", new}
    with cluster.connect(old) as sql:
        sql.run("INSERT INTO said VALUES ('before')")
    cluster.wait(lambda seen: seen[new].get("lag") == 0 and "read" in slots(cluster, new))
    patroni.Patroni.from_options(cluster.options(old)).switch_over(old, new)
    cluster.wait(lambda seen: seen[new]["role"] == "leader" and seen[old]["state"] == "streaming")
    loops(cluster)
    return old, new


def test_without_patroni_host_nothing_is_made_on_its_servers(cluster):
    for member in cluster.names:
        with pytest.raises(Refused, match="cannot be created without patroni_host: Patroni runs this server") as caught:
            run(cluster, member, {"name": "unasked"}, patroni_host=None)
        assert caught.value.code == "patroni_unasked"
        assert "unasked" not in slots(cluster, member)


def test_a_plain_server_is_none_of_patronis_whatever_its_command_line(cluster):
    with postgres_server.running(**GIVEN) as server:
        there = {"login_unix_socket": str(server.folder), "login_port": 5432}
        plan = run(cluster, "one", {"name": "plain"}, patroni_host=None, **there)
        assert plan.result["slots"][0]["action"] == "created"
        with pytest.raises(Stranger, match="the Patroni there runs another cluster"):
            run(cluster, "one", {"name": "foreign"}, **there)


def test_without_the_login_nothing_is_made(cluster):
    leader = cluster.leader()
    with pytest.raises(ScaleoutError, match="patroni_password") as caught:
        run(cluster, leader, {"name": "unsaid", "reserve_wal": True}, patroni_password="wrong")
    assert caught.value.code == "denied"
    assert "unsaid" not in slots(cluster, leader)


def test_slots_are_made_on_the_leader(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    with pytest.raises(Refused, match=f"Patroni wants slots to be made on the leader, which is {leader}") as caught:
        run(cluster, replica, {"name": "misplaced", "reserve_wal": True})
    assert caught.value.code == "standby"


def test_a_members_slot_is_left_alone(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    with pytest.raises(Refused, match=f"that of Patroni's member {replica}") as caught:
        run(cluster, leader, {"name": replica, "state": "absent", "force": True})
    assert caught.value.code == "patroni_member"
    assert whose(cluster, leader)[replica] == "member"


def test_what_we_made_is_there_after_a_switchover(cluster, moved):
    old, new = moved
    assert slots(cluster, new) == {"kept", "read", old}
    assert slots(cluster, old) == {"kept", "read", "bare", "left", new}
    assert whose(cluster, new) == {"kept": "permanent", "read": "permanent", old: "member"}
    assert whose(cluster, old)["left"] == whose(cluster, old)["bare"] == "ignored"
    with cluster.connect(new) as sql:
        # What is decoded is what is on the disk, and these servers do not wait for that.
        sql.run("SET synchronous_commit = on")
        sql.run("INSERT INTO said VALUES ('after')")
        options = "'proto_version', '1', 'publication_names', 'said'"
        said = sql.rows(f"SELECT data FROM pg_logical_slot_get_binary_changes('read', NULL, NULL, {options})")
    read = b"".join(bytes(row[0]) for row in said)
    assert b"before" in read
    assert b"after" in read


def test_a_second_run_changes_nothing(cluster, moved):
    assert done(cluster, moved[1], {"name": "kept", "reserve_wal": True}, logical("read")) == ["none", "none"]


def test_one_that_is_used_again_in_time_is_kept_and_stays_registered(cluster, moved):
    new = moved[1]
    with cluster.connect(new) as sql:
        sql.run("CREATE TABLE more AS SELECT repeat('x', 100) FROM generate_series(1, 5000)")
        here = sql.one("SELECT pg_current_wal_flush_lsn()::text")
    task = asked(cluster, new, max_retained_bytes="64kB", pattern="kept", guard_action="drop")
    plan = task.plan()
    assert plan.result["slots"][0]["action"] == "dropped"
    port, kind = cluster.ports[new]["postgres"], psycopg2.extras.PhysicalReplicationConnection
    client = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", connection_factory=kind)
    try:
        client.cursor().start_replication(slot_name="kept", start_lsn=here)
        (row,) = task.apply(plan)["slots"]
    finally:
        client.close()
        task.close()
    assert (row["action"], row["patroni"]) == ("none", "permanent")
    loops(cluster)
    assert "kept" in slots(cluster, new)


def test_the_guard_finds_on_a_former_leader_what_was_left_there(cluster, moved):
    old, new = moved
    with cluster.connect(new) as sql:
        sql.run("INSERT INTO said SELECT repeat('x', 100) FROM generate_series(1, 5000)")
    cluster.wait(lambda seen: seen[old].get("lag") == 0)
    plan = run(cluster, old, max_retained_bytes="64kB", guard_action="drop")
    assert [row["name"] for row in plan.result["slots"]] == ["left"]
    loops(cluster)
    assert slots(cluster, old) == {"kept", "read", "bare", new}
    # On the leader it may be made again, as it is registered.
    assert "left" in {matcher["name"] for matcher in cluster.ask(new, "/config")["ignore_slots"]}


def test_one_that_is_there_is_registered_and_exclusive_drops_the_rest(cluster, moved):
    old, new = moved
    with cluster.connect(new) as sql:
        sql.run("SELECT pg_create_physical_replication_slot('by_hand', true)")
    task = asked(cluster, new, {"name": "by_hand"}, exclusive=True, pattern="*")
    plan = task.plan()
    assert plan.before["by_hand"] == {"slot_type": "physical"}
    assert plan.after["by_hand"] == {"slot_type": "physical", "patroni": "permanent"}
    task.apply(plan)
    task.close()
    loops(cluster)
    assert slots(cluster, new) == {"by_hand", old}
    assert slots(cluster, old) == {"by_hand", new}
    assert not cluster.ask(new, "/config").get("ignore_slots")


def test_absent_stays_absent(cluster, moved):
    assert done(cluster, moved[1], {"name": "by_hand", "state": "absent"}) == ["dropped"]
    loops(cluster)
    assert [slots(cluster, member) for member in moved] == [{moved[1]}, {moved[0]}]
    assert done(cluster, moved[1], {"name": "by_hand", "state": "absent"}) == ["none"]


def test_the_guard_names_the_member_whose_slot_it_leaves(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    with cluster.connect(replica) as sql:
        receiver = sql.one("SELECT pid FROM pg_stat_wal_receiver")
    os.kill(receiver, signal.SIGSTOP)
    try:
        with cluster.connect(leader) as sql:
            sql.run("CREATE TABLE much AS SELECT repeat('x', 100) FROM generate_series(1, 5000)")
            sql.rows(
                "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = %s",
                (replica,),
            )
        plan = run(cluster, leader, max_retained_bytes="64kB", guard_action="drop")
        assert not plan.changed
        assert f"it is that of Patroni's member {replica}; start that member" in " ".join(plan.warnings)
    finally:
        os.kill(receiver, signal.SIGCONT)


def logical(name, **options):
    return {"name": name, "slot_type": "logical", "plugin": "pgoutput", "database": "postgres", **options}


def asked(cluster, member, *wanted, kind="permanent", **options):
    """A task on a member; its Patroni is asked, and the options are those that the module gives."""
    slot = dict.fromkeys(("slot_type", "plugin", "database", "reserve_wal", "two_phase", "failover", "state"))
    params = {
        **{name: option.get("default") for name, option in connection.ARGUMENT_SPEC.items()},
        **dict.fromkeys(("name", "pattern", "force", "recreate", "max_retained_bytes", "min_free_disk")),
        **at(cluster, member),
        "exclusive": False,
        "guard_action": "report",
        "lost_action": "refuse",
        "timeout": 60,
        "patroni_slot": kind,
        "slots": [{**slot, "force": None, "recreate": None, **one} for one in wanted],
        **options,
    }
    return AlterSlots.of(params)


def at(cluster, member):
    """Where a member's PostgreSQL and Patroni are, as options."""
    return {
        "login_unix_socket": str(cluster.folder),
        "login_port": cluster.ports[member]["postgres"],
        "login_user": "postgres",
        **cluster.options(member),
    }


def run(cluster, member, *wanted, **options):
    """Plan, and apply what is planned."""
    task = asked(cluster, member, *wanted, **options)
    try:
        plan = task.plan()
        if plan.changed:
            plan.result.update(task.apply(plan))
        return plan
    finally:
        task.close()


def done(cluster, member, *wanted, **options):
    """Run a task, and return what became of each slot."""
    return [row["action"] for row in run(cluster, member, *wanted, **options).result["slots"]]


def slots(cluster, member):
    """The names of a member's slots; none while it restarts, as it does to copy a logical one."""
    with contextlib.suppress(psycopg2.OperationalError), cluster.connect(member) as sql:
        return {row[0] for row in sql.rows("SELECT slot_name FROM pg_replication_slots")}
    return set()


def whose(cluster, member):
    """What the module replication_slot_info says of whose the slots are."""
    defaults = {name: option.get("default") for name, option in connection.ARGUMENT_SPEC.items()}
    task = ShowSlots.of({**defaults, **at(cluster, member), "pattern": "*"})
    try:
        return {row["name"]: row["patroni"] for row in task.plan().result["slots"]}
    finally:
        task.close()


def loops(cluster, count=3):
    """Wait until each member has looked at its slots again, and has gone through so many loops since."""
    # Patroni reads the slots again once it has made one.
    tell(cluster, {"slots": {"nudge": {"type": "physical"}}})
    cluster.wait(lambda _seen: all("nudge" in slots(cluster, member) for member in cluster.names))
    tell(cluster, {"slots": {"nudge": None}})
    begun = {member: turns(cluster, member) for member in cluster.names}
    cluster.wait(
        lambda _seen: all(
            turns(cluster, member) >= begun[member] + count and "nudge" not in slots(cluster, member)
            for member in cluster.names
        )
    )


def tell(cluster, changes):
    """Change the dynamic configuration; on a busy machine its store takes more than one attempt."""
    client = patroni.Patroni.from_options(cluster.options(cluster.leader()))
    for _attempt in range(5):
        with contextlib.suppress(Conflict):
            return client.change_settings(changes)
    raise AssertionError(changes)


def turns(cluster, member):
    """How many loops a member's Patroni has gone through, as it logs them."""
    return (cluster.folder / f"{member}.log").read_text().count("no action. I am ")
