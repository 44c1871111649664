# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lead of a real cluster changes hands behind real poolers, while clients write through them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import psycopg2
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Denied, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import switch
from ansible_collections.scaleout.platform.plugins.module_utils.operations import hand_over
from ansible_collections.scaleout.platform.plugins.module_utils.operations.switch_cluster import SwitchCluster
from tests.unit import patroni_cluster, pooler, postgres_server

pytestmark = pytest.mark.long_tier

MODULE = "ansible_collections.scaleout.platform.plugins.modules.cluster_switchover"
ROOT = pathlib.Path(__file__).parents[5]


@pytest.fixture(scope="module")
def cluster():
    pooler.program()
    with patroni_cluster.running() as running:
        running.wait(
            lambda seen: all(
                member["state"] == ("running" if member["role"] == "leader" else "streaming")
                for member in seen.values()
            )
        )
        yield running


@pytest.fixture(scope="module")
def poolers(cluster):
    with pooler.following(cluster, "vm1") as one, pooler.following(cluster, "vm2") as two:
        with contextlib.closing(one.connect()) as client, client.cursor() as cursor:
            cursor.execute("CREATE TABLE written (client int, number int, PRIMARY KEY (client, number))")
        yield [one, two]


def _options(cluster, poolers=(), **more):
    leader = cluster.leader()
    server = postgres_server.Server(cluster.folder)
    return {
        **server.parameters("postgres", login_port=cluster.ports[leader]["postgres"]),
        **cluster.options(leader),
        "poolers": [one if isinstance(one, dict) else one.options for one in poolers],
        "pooler_user": pooler.USER,
        "pooler_password": pooler.PASSWORD,
        "databases": [pooler.DATABASE],
        "drain": 0.5,
        # On a busy machine a switchover takes its time.
        "hold": switch.LONGEST_HOLD,
        "members": cluster.names,
        "candidate": None,
        "timeout": patroni_cluster.PATIENCE,
        **more,
    }


@contextlib.contextmanager
def _task(cluster, *poolers, **more):
    task = SwitchCluster.of(_options(cluster, poolers, **more))
    try:
        yield task
    finally:
        task.close()


def _run(cluster, *poolers, **more):
    with _task(cluster, *poolers, **more) as task:
        plan = task.plan()
        return {**plan.result, **task.apply(plan)}


class Writer(threading.Thread):
    """Writes numbers through a pooler, one after the other; each is acknowledged, or fails."""

    def __init__(self, number, where):
        super().__init__(daemon=True)
        self.number, self.where = number, where
        self.acknowledged, self.failed, self.ended = [], [], threading.Event()

    def run(self):
        with contextlib.closing(self.where.connect()) as client:
            number = 0
            while not self.ended.wait(0.05):
                number += 1
                try:
                    with client.cursor() as cursor:
                        cursor.execute("INSERT INTO written VALUES (%s, %s)", (self.number, number))
                except psycopg2.Error as error:
                    self.failed.append(" ".join(str(error).split()))
                    return
                self.acknowledged.append(number)


@contextlib.contextmanager
def _writing(poolers, first=0):
    writers = [Writer(first + number, poolers[number % len(poolers)]) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        time.sleep(0.5)
        for writer in writers:
            writer.ended.set()
            writer.join(60)


def _untouched(poolers):
    return all(not one.paused() and one.settings() == pooler.SETTINGS for one in poolers)


def test_writers_wait_and_none_fails(cluster, poolers):
    former = cluster.leader()
    timeline = cluster.seen()[former]["timeline"]
    with _writing(poolers, 10) as writers:
        time.sleep(1)
        done = _run(cluster, *poolers)
    print(f"writes waited for {done['held']} s, the former leader followed after {done['follows_after']} s more")
    assert [writer.failed for writer in writers] == [[], []]
    assert done["leader"] == cluster.leader() != former
    assert done["former"] == former
    assert done["timelines"] == [timeline, timeline + 1]
    assert done["late"] == []
    assert _untouched(poolers)
    for writer in writers:
        assert len(writer.acknowledged) > 5
        for name in cluster.names:
            with (
                contextlib.closing(
                    psycopg2.connect(
                        host=str(cluster.folder),
                        port=cluster.ports[name]["postgres"],
                        dbname=pooler.DATABASE,
                        user="postgres",
                    )
                ) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("SELECT number FROM written WHERE client = %s ORDER BY 1", (writer.number,))
                assert [row[0] for row in cursor] == writer.acknowledged


def test_a_plan_changes_nothing_and_names_long_transactions(cluster, poolers, monkeypatch):
    monkeypatch.setattr(switch, "LONG", 0.1)
    leader = cluster.leader()
    with contextlib.closing(poolers[0].connect()) as client, client.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1")
        time.sleep(0.5)
        with _task(cluster, *poolers) as task:
            plan = task.plan()
        assert [one["database"] for one in plan.result["transactions"]] == [pooler.DATABASE]
        assert "are cut off: process" in plan.warnings[0]
        cursor.execute("COMMIT")
    assert plan.changed
    assert plan.before == {"leader": leader}
    assert cluster.leader() == leader
    assert _untouched(poolers)


def test_who_cannot_lead_is_refused_before_a_pooler_holds_anything(cluster, poolers):
    leader = cluster.leader()
    with pytest.raises(Refused) as caught:
        _run(cluster, *poolers, candidate=leader)
    assert caught.value.code == "already_leads"
    with pytest.raises(Refused) as caught:
        _run(cluster, *poolers, members=["one"])
    assert caught.value.code == "unknown_member"
    poolers[1].show(f"PAUSE {pooler.DATABASE}")
    with pytest.raises(Refused) as caught:
        _run(cluster, *poolers)
    poolers[1].show(f"RESUME {pooler.DATABASE}")
    assert caught.value.code == "held_already"
    assert cluster.leader() == leader


def test_a_patroni_that_refuses_leaves_nothing_held(cluster, poolers):
    leader = cluster.leader()
    with pytest.raises(Denied):
        _run(cluster, *poolers, patroni_password="wrong")
    assert cluster.leader() == leader
    assert _untouched(poolers)


def test_a_switchover_that_takes_longer_than_the_hold_lets_go_and_comes_to_its_end(cluster, poolers, monkeypatch):
    former = cluster.leader()
    monkeypatch.setattr(hand_over.HandOver, "_leads", lambda *_: time.sleep(1.2) or "")
    monkeypatch.setattr(hand_over._Order, "another", lambda _self: "")
    done = _run(cluster, *poolers, hold=1.0)
    assert done["late"] == ["vm1", "vm2"]
    assert done["leader"] == cluster.leader() != former
    assert _untouched(poolers)


def test_a_pooler_that_is_away_keeps_the_others_from_nothing(cluster, poolers):
    former = cluster.leader()
    done = _run(cluster, poolers[0], {"name": "vm3", "host": "127.0.0.1", "port": 1})
    assert (done["poolers"], done["without_poolers"]) == (["vm1"], ["vm3"])
    assert cluster.leader() != former


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_go(cluster, poolers, number):
    """The module itself, as Ansible starts it, while an open transaction keeps it waiting."""
    leader = cluster.leader()
    with contextlib.closing(poolers[0].connect()) as client, client.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1")
        options = {key: value for key, value in _options(cluster, poolers, drain=7.5).items() if value is not None}
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options})
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))},
        )
        process.stdin.write(arguments)
        process.stdin.close()
        until = time.monotonic() + 60
        while not all(one.paused() for one in poolers):
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(number)
        said = json.loads(process.stdout.read())
        process.wait(60)
        cursor.execute("COMMIT")
    assert said["code"] == "interrupted"
    assert cluster.leader() == leader
    assert _untouched(poolers)
