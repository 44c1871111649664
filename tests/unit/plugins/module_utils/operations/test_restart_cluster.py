# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Members of a real Patroni cluster restart one at a time; each is asked without code of ours when it was started."""

from __future__ import annotations

import contextlib
import threading
import urllib.error

import psycopg2
import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Denied, InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide, switch
from ansible_collections.scaleout.platform.plugins.module_utils.operations import restart_cluster
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.process import Done
from tests.unit import patroni_cluster, pooler, postgres_server

pytestmark = pytest.mark.long_tier


def _settled(cluster):
    """Wait until a new cluster has a dynamic configuration, and every replica streams."""

    def is_so(seen):
        with contextlib.suppress(urllib.error.HTTPError):
            return cluster.ask(cluster.names[0], "/config") and all(
                member["state"] == ("running" if member["role"] == "leader" else "streaming")
                for member in seen.values()
            )

    cluster.wait(is_so)


@pytest.fixture(scope="module")
def cluster():
    with patroni_cluster.running() as running:
        _settled(running)
        yield running


@pytest.fixture(scope="module")
def single():
    with patroni_cluster.running(members=1) as running:
        _settled(running)
        yield running


def _task(cluster, poolers=(), **more):
    server = postgres_server.Server(cluster.folder)
    options = {
        **server.parameters("postgres", login_port=cluster.ports[cluster.leader()]["postgres"]),
        **cluster.options(cluster.names[0]),
        "unit": "",
        "poolers": [one.options for one in poolers],
        "pooler_user": pooler.USER,
        "pooler_password": pooler.PASSWORD,
        "databases": [pooler.DATABASE],
        "drain": 0.5,
        "hold": switch.LONGEST_HOLD,
        "only_pending": True,
        "members": None,
        "expected": [],
        "switch_over_first": False,
        "timeout": 60,
        "take_back": {},
        **more,
    }
    return contextlib.closing(restart_cluster.RestartCluster.of(options))


def _run(cluster, **more):
    with _task(cluster, **more) as task:
        plan = task.plan()
        return {**plan.result, **(task.apply(plan) if plan.changed else {}), "changed": plan.changed}


def _change(cluster, **parameters):
    """Change parameters as anyone may, and return at once."""
    client = Patroni.from_options(cluster.options(cluster.names[0]))
    client.change_settings({"postgresql": {"parameters": parameters}})
    client.close()


def _started(cluster):
    return {name: cluster.ask(name, "/patroni").get("postmaster_start_time") for name in cluster.names}


def _shown(cluster, name):
    found = {}
    for member in cluster.names:
        with cluster.connect(member) as sql:
            found[member] = sql.one(f"SHOW {name}")
    return set(found.values())


def _words(steps):
    return [(step["action"], step["member"], step["trial"]) for step in steps]


@contextlib.contextmanager
def _writes(cluster, name):
    """Write to a member all the time; yields the list of what failed."""
    failed, stop = [], threading.Event()
    with cluster.connect(name) as sql:
        sql.run("CREATE TABLE IF NOT EXISTS written (at timestamptz DEFAULT now())")

        def write():
            while not stop.wait(0.05):
                try:
                    sql.run("INSERT INTO written DEFAULT VALUES")
                except psycopg2.Error as error:
                    failed.append(error)
                    return

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield failed
        finally:
            stop.set()
            thread.join()
        assert sql.one("SELECT count(*) FROM written") > 10


def test_a_limit_that_rises_counts_on_the_replica_first(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    before = _started(cluster)
    _change(cluster, max_connections=60)
    with _task(cluster) as task:
        plan = task.plan()
    assert _words(plan.result["steps"]) == [("restart", replica, True), ("restart", leader, False)]
    assert plan.result["pending"] == {leader: ["max_connections"], replica: ["max_connections"]}
    assert _started(cluster) == before

    done = _run(cluster)
    assert (done["restarted"], done["leader"]) == ([replica, leader], leader)
    after = _started(cluster)
    assert before[replica] < after[replica] < after[leader]
    assert _shown(cluster, "max_connections") == {"60"}
    assert not _run(cluster)["changed"]
    assert _started(cluster) == after


def test_a_limit_that_falls_counts_on_the_leader_first(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    before = _started(cluster)
    _change(cluster, max_connections=40)
    cluster.wait(lambda seen: all(seen[name].get("pending_restart") for name in cluster.names))
    # The other order does not work: Patroni starts a replica with the old limit.
    client = Patroni.from_options(cluster.options(replica, patroni_timeout=90.0))
    client.restart(60)
    client.close()
    cluster.wait(lambda seen: seen[replica]["state"] == "streaming" and seen[replica].get("pending_restart"))
    with cluster.connect(replica) as sql:
        assert sql.one("SHOW max_connections") == "60"

    done = _run(cluster)
    assert _words(done["steps"]) == [("restart", leader, True), ("restart", replica, False)]
    assert done["restarted"] == [leader, replica]
    after = _started(cluster)
    assert before[leader] < after[leader] < after[replica]
    assert _shown(cluster, "max_connections") == {"40"}
    assert cluster.leader() == leader


def test_one_that_falls_and_another_that_rises(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    _change(cluster, max_connections=35, max_worker_processes=10)
    done = _run(cluster)
    assert _words(done["steps"]) == [
        ("restart", replica, True),
        ("restart", leader, False),
        ("restart", replica, False),
    ]
    assert _shown(cluster, "max_connections") == {"35"}
    assert _shown(cluster, "max_worker_processes") == {"10"}


def test_a_value_that_keeps_postgresql_from_starting_never_reaches_the_leader(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    before = _started(cluster)
    with _writes(cluster, leader) as failed:
        _change(cluster, shared_buffers="900GB")
        with pytest.raises(restart_cluster.NotStarted) as caught:
            _run(cluster, take_back={"shared_buffers": "64MB"})
        cluster.wait(lambda seen: seen[replica]["state"] == "streaming")
    assert failed == []
    error = caught.value
    assert (error.code, error.facts["member"], error.facts["taken_back"]) == ("not_started", replica, True)
    after = _started(cluster)
    assert after[leader] == before[leader]
    assert cluster.leader() == leader
    assert _shown(cluster, "shared_buffers") == {"64MB"}
    cluster.wait(lambda seen: not any(seen[name].get("pending_restart") for name in cluster.names))
    assert not _run(cluster)["changed"]


def test_without_a_way_back_it_stays_at_one_member(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    before = _started(cluster)
    _change(cluster, shared_buffers="900GB")
    with pytest.raises(restart_cluster.NotStarted, match="No member after it was touched") as caught:
        _run(cluster)
    assert caught.value.facts["taken_back"] is False
    # Once more: the leader does not restart while the replica is away.
    with pytest.raises(decide.NotWhole, match=f"{leader} does not restart now: {replica} does not run") as caught:
        _run(cluster, members=[leader])
    assert caught.value.facts["missing"] == [f"{replica} does not run"]
    assert _started(cluster)[leader] == before[leader]
    _change(cluster, shared_buffers="64MB")
    cluster.wait(lambda seen: seen[replica]["state"] == "streaming")


def test_the_lead_is_handed_over_first(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    before = _started(cluster)
    done = _run(cluster, only_pending=False, switch_over_first=True)
    assert _words(done["steps"])[:2] == [("restart", replica, True), ("switch_over", leader, False)]
    assert done["leader"] == cluster.leader() == replica
    after = _started(cluster)
    assert before[replica] < after[replica] < after[leader]


def test_poolers_hold_while_the_lead_is_handed_over(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    with pooler.following(cluster) as one:
        done = _run(cluster, only_pending=False, switch_over_first=True, poolers=[one])
        assert not one.paused()
        assert one.settings() == pooler.SETTINGS
    assert (done["restarted"], done["leader"]) == ([replica, leader], replica)
    assert (done["poolers"], done["without_poolers"]) == (["vm1"], [])
    assert done["held"] > 0


@pytest.fixture(name="systemctl")
def _systemctl(cluster, monkeypatch):
    """Stand in for systemd, of which there is none here: yields what it was told. ``one`` and ``two`` are the units."""
    told = []

    def run(argv, _timeout):
        told.append(argv)
        cluster.stop(argv[-1])
        cluster.start(argv[-1])
        return Done(0, "", "")

    monkeypatch.setattr(restart_cluster, "run", run)
    return told


def test_patroni_restarts_with_its_server(cluster, systemctl):
    leader, replica = cluster.leader(), cluster.replica()
    before = _started(cluster)
    with _writes(cluster, leader) as failed:
        # It is asked itself, as on its host.
        its_own = {"patroni_port": cluster.ports[replica]["rest"]}
        done = _run(cluster, only_pending=False, members=[replica], unit=replica, **its_own)
    assert failed == []
    assert (done["restarted"], done["leader"], systemctl) == ([replica], leader, [["systemctl", "restart", replica]])
    after = _started(cluster)
    assert before[replica] < after[replica]
    assert before[leader] == after[leader] == _started(cluster)[leader]


def test_patroni_does_not_restart_on_a_leader(cluster, systemctl):
    leader = cluster.leader()
    with pytest.raises(Refused, match=f"{leader} leads; hand its lead over") as caught:
        _run(cluster, only_pending=False, members=[leader], unit=leader)
    assert (caught.value.code, systemctl, cluster.leader()) == ("is_leader", [], leader)


def test_a_patroni_that_does_not_come_back(cluster, monkeypatch):
    replica = cluster.replica()

    def run(argv, _timeout):
        cluster.stop(replica)
        return Done(1, "", "Job for one.service failed.")

    monkeypatch.setattr(restart_cluster, "run", run)
    other = cluster.ports[cluster.leader()]["rest"]
    with pytest.raises(restart_cluster.NotStarted, match=f"{replica} did not start") as caught:
        _run(cluster, only_pending=False, members=[replica], unit=replica, timeout=10, patroni_port=other)
    assert "Job for one.service failed." in caught.value.message
    cluster.start(replica)
    cluster.wait(lambda seen: seen[replica]["state"] == "streaming")


def test_a_member_that_patroni_has_forgotten_keeps_the_others_from_restarting(cluster):
    before = _started(cluster)
    with pytest.raises(decide.NotWhole) as caught:
        _run(cluster, only_pending=False, expected=["one", "two", "three"])
    assert caught.value.facts["missing"] == ["three: Patroni does not know it"]
    assert _started(cluster) == before


def test_only_the_members_that_are_named(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    before = _started(cluster)
    assert _run(cluster, only_pending=False, members=[replica])["restarted"] == [replica]
    assert _started(cluster)[leader] == before[leader]


def test_a_login_that_is_wrong_is_said_at_once(cluster):
    before = _started(cluster)
    with pytest.raises(Denied):
        _run(cluster, only_pending=False, patroni_password="wrong")
    assert _started(cluster) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"members": ["four"]}, "members: 'four' is not a member of the cluster; its members are one, two."),
        ({"members": []}, "members: [] is empty, or names one twice."),
        ({"members": ["one", "one"]}, "is empty, or names one twice."),
        ({"timeout": 0}, "timeout: 0 is less than a second."),
    ],
)
def test_options_that_cannot_be(cluster, options, says):
    with pytest.raises(InvalidInput) as caught:
        _run(cluster, only_pending=False, **options)
    assert caught.value.message.endswith(says)


def test_no_replica_that_may_lead(cluster, monkeypatch):
    monkeypatch.setattr(decide, "LAG", -1)
    leader = cluster.leader()
    with pytest.raises(Refused, match=f"No replica may lead now instead of {leader}") as caught:
        _run(cluster, only_pending=False, members=[leader], switch_over_first=True, timeout=2)
    assert caught.value.code == "no_candidate"
    assert cluster.leader() == leader


def test_a_cluster_of_one_takes_back_too(single):
    _change(single, shared_buffers="900GB")
    with pytest.raises(restart_cluster.NotStarted) as caught:
        _run(single, take_back={"shared_buffers": "64MB"})
    assert caught.value.facts["taken_back"] is True
    assert _shown(single, "shared_buffers") == {"64MB"}
    assert single.leader() == "one"
