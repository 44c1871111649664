# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/switchover.yml and its kin: what cannot be asked is one sentence, and the rest is done to a cluster."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

import pytest
import yaml

from tests.unit import patroni_cluster, pooler

INVENTORY = """
all:
  vars:
    consul_gossip_key: MDEyMzQ1Njc4OWFiY2RlZg==
    consul_management_token: 00000000-0000-4000-8000-000000000001
    consul_agent_token: 00000000-0000-4000-8000-000000000002
    consul_reader_token: 00000000-0000-4000-8000-000000000003
    postgres_replicator_password: replicates
    postgres_patroni_password: patroni
    postgres_clusters: {main: {databases: [shop]}, other: {databases: [report]}}
  children:
    consul_server: {hosts: {consul1: {ansible_host: 192.0.2.1}}}
    postgres:
      hosts:
        pg1: {ansible_host: 192.0.2.11, postgres_cluster: main}
        pg2: {ansible_host: 192.0.2.12, postgres_cluster: main}
        pg3: {ansible_host: 192.0.2.13, postgres_cluster: other}
"""


@pytest.mark.parametrize(
    ("playbook", "options", "says"),
    [
        ("switchover", [], "cluster: None is not set; say -e cluster=NAME, where NAME is main or other."),
        (
            "switchover",
            ["cluster=mains"],
            "cluster: 'mains' is not a cluster of the inventory; there is main or other.",
        ),
        ("reinit", ["cluster=main", "member=pg2"], "confirm: None is not the word: pg2 throws its data away"),
        ("restart", ["cluster=main", "only_pending=x"], "only_pending: 'x' is neither true nor false."),
        ("update", [], "cluster: None is not set; say -e cluster=NAME, where NAME is main or other."),
        ("update", ["cluster=mains"], "cluster: 'mains' is not a cluster of the inventory; there is main or other."),
        ("update", ["cluster=main", "hold=60"], "hold: 60.0 is not a number of seconds from 1 to 15."),
        ("switchover", ["cluster=main", "to=pg3"], "to: 'pg3' is not a member of main; its members are pg1, pg2."),
    ],
)
def test_what_cannot_be_asked_is_said_before_a_host_is_touched(run_untouched, playbook, options, says):
    given = [word for option in options for word in ("-e", option)]
    status, said = run_untouched(INVENTORY, f"playbooks/{playbook}.yml", *given)
    assert status == 2, said
    assert says in said
    assert "Traceback" not in said


@contextlib.contextmanager
def _forwarding(address, port, to):
    """Take connections at an address, and hand them on to a port of 127.0.0.1."""

    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _where = listening.accept()
                server = socket.create_connection(("127.0.0.1", to))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    with socket.create_server((address, port)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def cluster():
    pooler.program()
    with patroni_cluster.running() as running, contextlib.ExitStack() as stack:
        running.wait(
            lambda seen: all(
                member["state"] == ("running" if member["role"] == "leader" else "streaming")
                for member in seen.values()
            )
        )
        running.addresses = {name: f"127.0.77.{number}" for number, name in enumerate(running.names, 1)}
        for name, address in running.addresses.items():
            # Where the role has Patroni.
            stack.enter_context(_forwarding(address, 8008, running.ports[name]["rest"]))
        yield running


@pytest.fixture(name="play")
def _play(cluster, run_playbook):
    """A function that runs a playbook on the cluster; all hosts are this one, and there is no Consul."""

    def run(playbook, poolers, *options):
        hosts = {
            name: {
                "postgres_cluster": "main",
                "platform_address": address,
                "pgbouncer_address": "127.0.0.1",
                "pgbouncer_port": poolers[name].port,
            }
            for name, address in cluster.addresses.items()
        }
        variables = {
            **yaml.safe_load(INVENTORY)["all"]["vars"],
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "postgres_patroni_password": patroni_cluster.PASSWORD,
            "pgbouncer_password": pooler.PASSWORD,
            "postgres_clusters": {"main": {"databases": [pooler.DATABASE]}},
        }
        inventory = {
            "all": {
                "vars": variables,
                "children": {
                    "consul_server": {"hosts": {"consul1": {"platform_address": "127.0.77.9"}}},
                    "postgres": {"hosts": hosts},
                },
            }
        }
        words = [
            word
            for option in ("cluster=main", '{"lease_optional": true}', *options)
            if option != "check"
            for word in ("-e", option)
        ]
        check = ["--check"] if "check" in options else []
        return run_playbook(yaml.safe_dump(inventory), f"playbooks/{playbook}.yml", *words, *check)

    return run


@pytest.mark.long_tier
def test_a_switchover_says_its_plan_and_what_came_of_it(cluster, play):
    former, to = cluster.leader(), cluster.replica()
    with pooler.following(cluster, "vm1") as one, pooler.following(cluster, "vm2") as two:
        poolers = dict(zip(cluster.names, (one, two), strict=True))
        status, said = play("switchover", poolers, "check")
        assert status == 0, said
        assert f"main: the lead goes from {former} to {to}, which is" in said
        assert f"the poolers of {', '.join(cluster.names)} hold requests" in said
        assert cluster.leader() == former

        status, said = play("switchover", poolers, f"to={to}", "hold=15")
        # A busy machine may need longer than a hold may last.
        assert status == 0 or "let go before they sent clients" in said, said
        assert f"main: {to} leads on timeline " in said
        assert f"{former} led before" in said
        assert cluster.leader() == to
        assert not one.paused()
        assert not two.paused()

        status, said = play("switchover", poolers, f"to={to}")
        assert status == 2, said
        assert f"The switchover of main did not go as it was asked: {to} leads already." in said, said
        assert patroni_cluster.PASSWORD not in said
        assert pooler.PASSWORD not in said


@pytest.mark.long_tier
def test_a_restart_takes_one_member_after_the_other(cluster, play):
    leader, replica = cluster.leader(), cluster.replica()
    before = {name: cluster.ask(name, "/patroni")["postmaster_start_time"] for name in cluster.names}
    with pooler.following(cluster, "vm3") as one:
        poolers = dict.fromkeys(cluster.names, one)
        status, said = play("restart", poolers, "check")
        assert status == 0, said
        assert f"1. {replica} restarts" in said
        assert f"2. {leader} hands its lead over, and restarts as a replica" in said

        # Both members' poolers are the same one here.
        poolers[leader] = pooler.Pooler(one.folder, 1, "away")
        status, said = play("restart", poolers)
        assert status == 0, said
        assert f"main: {replica}, {leader} restarted; {replica} leads" in said
        assert f"the poolers of {leader} held no requests" in said
    after = {name: cluster.ask(name, "/patroni")["postmaster_start_time"] for name in cluster.names}
    assert before[replica] < after[replica] < after[leader]


@pytest.mark.long_tier
def test_a_member_is_rebuilt_and_its_way_is_told(cluster, play):
    leader, replica = cluster.leader(), cluster.replica()
    before = cluster.ask(replica, "/patroni")["postmaster_start_time"]
    poolers = dict.fromkeys(cluster.names, pooler.Pooler(cluster.folder, 1, "away"))
    status, said = play("reinit", poolers, f"member={leader}", f"confirm={leader}")
    assert status == 2, said
    assert f"{leader} leads: what it has would be thrown away. Hand its lead over first." in said, said

    status, said = play("reinit", poolers, f"member={replica}", f"confirm={replica}")
    assert status == 0, said
    assert f"main: {replica}, which is streaming, throws its data away and copies {leader}" in said
    assert f"main: {replica} follows with its new copy, 0 bytes behind" in said
    assert cluster.ask(replica, "/patroni")["postmaster_start_time"] > before
    assert cluster.leader() == leader
