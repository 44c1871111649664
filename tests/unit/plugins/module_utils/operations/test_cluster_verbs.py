# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a verb is asked, what its module is told, and what the run says before and after."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import update
from ansible_collections.scaleout.platform.plugins.module_utils.operations import cluster_verbs
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Server

HOSTS = {
    name: {
        "postgres_cluster": "main",
        "platform_address": f"192.0.2.{number}",
        "postgres_patroni_password": "rest",
        "pgbouncer_password": "console",
    }
    for number, name in enumerate(("pg1", "pg2", "pg3"), 1)
}
SERVERS = tuple(Server(name, host["platform_address"], pooler_port=6432) for name, host in HOSTS.items())
PLATFORM = Platform(
    HOSTS,
    {"postgres": [*HOSTS]},
    {"main": Cluster("main", SERVERS, shards=(0,), databases=("shop",), leader="pg2")},
    playing=("pg1", "pg2", "pg3"),
)


def asked(verb="switchover", **given):
    return cluster_verbs.read(PLATFORM, verb, {"cluster": "main", **given})


def test_what_is_asked():
    assert (asked().cluster.name, asked().member) == ("main", "")
    assert asked(to="pg3").member == "pg3"
    with pytest.raises(InvalidInput, match="its members are pg1, pg2, pg3"):
        asked(to="pg4")
    assert (asked(hold="12").hold, asked(hold=12, drain=0).drain) == (12.0, 0.0)
    with pytest.raises(InvalidInput, match="hold: 'x' is not a number of seconds"):
        asked(hold="x")
    with pytest.raises(InvalidInput, match=r"hold: 60.0 is not a number of seconds from 1 to 15"):
        asked(hold=60)
    assert asked("restart", only_pending="yes").only_pending
    assert not asked("restart").only_pending
    with pytest.raises(InvalidInput, match="only_pending: 'perhaps' is neither true nor false"):
        asked("restart", only_pending="perhaps")


@pytest.mark.parametrize(
    ("playing", "host"), [(("pg1", "pg2", "pg3"), "pg2"), (("pg3",), "pg3"), (("api1", "pg1", "pg3"), "pg1")]
)
def test_who_carries_it_out(playing, host):
    assert cluster_verbs.host_for(dataclasses.replace(PLATFORM, playing=playing), asked()) == host


def test_no_member_answers():
    with pytest.raises(Refused, match="No member of main answers: pg1, pg2, pg3") as caught:
        cluster_verbs.host_for(dataclasses.replace(PLATFORM, playing=("api1",)), asked())
    assert caught.value.code == "no_leader"


def test_what_the_module_is_told():
    hosts = {**HOSTS, "pg1": {**HOSTS["pg1"], "pgbouncer_address": "*", "pgbouncer_databases": ["report"]}}
    told = cluster_verbs.options(dataclasses.replace(PLATFORM, hosts=hosts), asked(to="pg3"), "pg2")
    assert told == {
        "patroni_host": "192.0.2.2",
        "patroni_port": 8008,
        "patroni_user": "patroni",
        "patroni_password": "rest",
        "members": ["pg1", "pg2", "pg3"],
        "candidate": "pg3",
        "drain": 0.5,
        "hold": 10.0,
        "poolers": [{"name": name, "host": host["platform_address"], "port": 6432} for name, host in HOSTS.items()],
        "pooler_user": "pgbouncer",
        "pooler_password": "console",
        "databases": ["report", "shard_0", "shop"],
    }
    without = dataclasses.replace(PLATFORM.clusters["main"], members=(Server("pg1", "192.0.2.1"),))
    assert cluster_verbs.options(PLATFORM, cluster_verbs.Asked("switchover", without), "pg1")["poolers"] == []


PLAN = {
    "leader": "pg3",
    "former": "pg2",
    "lag": 0,
    "poolers": ["pg1", "pg2"],
    "without_poolers": ["pg3"],
    "drain": 0.5,
    "hold": 10.0,
    "patience": 2.0,
}


def test_the_plan():
    assert cluster_verbs.told(asked(), PLAN) == [
        "main: the lead goes from pg2 to pg3, which is 0 bytes behind",
        "   1. a checkpoint on pg2, so that its shutdown has little left to write",
        "   2. the poolers of pg1, pg2 hold requests; open transactions may take 0.5 s to end",
        "   3. Patroni hands the lead to pg3",
        "   4. each pooler lets go as soon as it sends clients to pg3",
        "after 10 s they let go in any case; until then a client may wait 13 s instead of 2 s",
    ]
    assert len(cluster_verbs.told(asked(), {**PLAN, "poolers": []})) == 3


DONE = {**PLAN, "timelines": [4, 5], "held": 1.43, "drained": True, "late": []}


@pytest.mark.parametrize(
    ("more", "lines", "troubles"),
    [
        ({}, [], []),
        ({"drained": False}, ["transactions that did not end within 0.5 s were cut off"], []),
        ({"late": ["pg1"]}, [], ["The poolers of pg1 let go before they sent clients to pg3, so that some may have"]),
    ],
)
def test_what_came_of_it(more, lines, troubles):
    found, wrong = cluster_verbs.summary(asked(), {**DONE, **more})
    assert found == [
        "main: pg3 leads on timeline 5; pg2 led before, on 4, and follows it",
        "writes waited for 1.4 s",
        *lines,
        "the poolers of pg3 held no requests",
    ]
    assert [one.startswith(text) for one, text in zip(wrong, troubles, strict=True)] == [True] * len(troubles)


def step(member, action="restart", leader=False, if_pending=False):
    return {"member": member, "action": action, "leader": leader, "trial": False, "if_pending": if_pending}


RESTART = {
    "steps": [
        step("pg3"),
        step("pg1"),
        step("pg2", "switch_over", leader=True),
        step("pg2", if_pending=True),
    ],
    "restarted": ["pg3", "pg1", "pg2"],
    "leader": "pg2",
    "pending": {"pg3": ["shared_buffers"]},
    "poolers": ["pg1", "pg2", "pg3"],
    "without_poolers": [],
}


def test_the_plan_of_a_restart():
    told = cluster_verbs.options(PLATFORM, asked("restart"), "pg2")
    assert (told["expected"], told["only_pending"], told["switch_over_first"]) == (["pg1", "pg2", "pg3"], False, True)
    assert "candidate" not in told
    assert cluster_verbs.told(asked("restart"), RESTART) == [
        "main: 3 members restart, one at a time; pg2 leads",
        "   1. pg3 restarts (shared_buffers)",
        "   2. pg1 restarts",
        "   3. pg2 hands its lead over, and restarts as a replica",
        "   4. pg2 restarts, if something still waits for it",
        "while the lead changes hands, the poolers of pg1, pg2, pg3 hold requests",
        "before each restart all others have to run on the leader's timeline, or it ends there",
    ]
    alone = {**RESTART, "steps": [step("pg2", leader=True)], "restarted": ["pg2"], "poolers": []}
    assert cluster_verbs.told(asked("restart"), alone)[1] == "   1. pg2 restarts as the leader"
    assert cluster_verbs.told(asked("restart"), {**RESTART, "steps": []}) == ["main: no member has to restart"]


def test_what_came_of_a_restart():
    done = {**RESTART, "leader": "pg1", "held": 1.43, "without_poolers": ["pg3"]}
    assert cluster_verbs.summary(asked("restart"), done) == (
        [
            "main: pg3, pg1, pg2 restarted; pg1 leads",
            "writes waited for 1.4 s while the lead changed hands",
            "the poolers of pg3 held no requests",
        ],
        [],
    )
    nothing = {**RESTART, "restarted": []}
    assert cluster_verbs.summary(asked("restart"), nothing)[0] == ["main: no member restarted; pg2 leads"]


SEEN = {"state": "creating replica", "copied": 70 * 1024**2, "size": 100 * 1024**2, "lag": None, "done": False}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "member: None is not set; say -e member=NAME, where NAME is one of pg1, pg2, pg3."),
        ({"member": "pg4"}, "member: 'pg4' is not a member of main; its members are pg1, pg2, pg3."),
        ({"member": "pg3"}, "confirm: None is not the word: pg3 throws its data away"),
        ({"member": "pg3", "confirm": "pg1"}, "confirm: 'pg1' is not the word"),
        ({"member": "pg3", "confirm": True}, "confirm: True is not the word"),
    ],
)
def test_whose_data_goes_is_said_twice(given, says):
    with pytest.raises(InvalidInput) as caught:
        asked("reinit", **given)
    assert says in caught.value.message


def test_a_copy():
    request = asked("reinit", member="pg3", confirm="pg3")
    told = cluster_verbs.options(PLATFORM, request, "pg2")
    assert (told["member"], told["wait"]) == ("pg3", 10)
    assert "poolers" not in told
    assert cluster_verbs.told(request, {**SEEN, "leader": "pg2"}) == [
        "main: pg3, which is creating replica, throws its data away and copies pg2"
    ]
    assert cluster_verbs.progress(request, SEEN) == "pg3: creating replica, 70 of 100 MB copied"
    assert cluster_verbs.progress(request, {**SEEN, "size": None}) == "pg3: creating replica, 70 MB copied"
    done = {"state": "streaming", "copied": None, "size": None, "lag": 7, "done": True}
    assert cluster_verbs.progress(request, done) == "pg3: streaming, 7 bytes behind"
    assert cluster_verbs.progress(request, {**done, "lag": None}) == "pg3: streaming"
    assert cluster_verbs.summary(request, done) == (["main: pg3 follows with its new copy, 7 bytes behind"], [])
    assert "It does not follow yet" in cluster_verbs.summary(request, SEEN)[1][0]
    assert cluster_verbs.patience(PLATFORM, "pg2") == 86400


def test_an_update():
    request = asked("update", hold=12)
    assert (request.hold, request.member) == (12.0, "")
    told = cluster_verbs.options(PLATFORM, request, "pg2")
    assert (told["expected"], told["only_pending"], told["switch_over_first"]) == (["pg1", "pg2", "pg3"], False, True)
    assert "members" not in told
    turn = cluster_verbs.turn(PLATFORM, request, "pg3")
    assert (turn["members"], turn["unit"], turn["switch_over_first"]) == (["pg3"], "patroni.service", False)
    assert (turn["patroni_host"], turn["timeout"]) == ("192.0.2.3", 600)
    looked = cluster_verbs.looked_for(PLATFORM, "pg3")
    assert looked["packages"] == ["consul", "postgresql", "patroni", "pgbouncer"]
    assert cluster_verbs.pooler(PLATFORM, request, "pg3") == ("192.0.2.3", 6432)
    without = dataclasses.replace(PLATFORM.clusters["main"], members=(Server("pg1", "192.0.2.1"),))
    assert cluster_verbs.pooler(PLATFORM, request._replace(cluster=without), "pg1") is None


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ({}, []),
        ({"late": ["pg1"]}, ["the poolers of pg1 let go before they sent clients to pg3"]),
        ({"without_poolers": ["pg1"]}, ["the poolers of pg1 held no requests"]),
    ],
)
def test_what_an_update_cost(more, lines):
    done = {"leader": "pg3", "held": 1.43, "late": [], "without_poolers": [], **more}
    first = "pg3 leads; writes waited for 1.4 s while the lead changed hands"
    assert cluster_verbs.held(done) == [first, *lines]


def test_poolers_that_hold_are_told_only_where_the_lead_changes_hands():
    answer = {"leader": "pg2", "poolers": ["pg1"], "without_poolers": ["pg3"]}
    package = update.Package("postgresql-17", "17.1", "17.2")
    newer = update.Host("pg2", (package,), {"17": 1.0})
    told = cluster_verbs.told_update(asked("update"), answer, ["pg2"], [newer])
    assert told[-2:] == [
        "while the lead changes hands, the poolers of pg1 hold requests",
        "the poolers of pg3 do not answer, and hold none",
    ]
    told = cluster_verbs.told_update(asked("update"), answer, ["pg1"], [newer._replace(name="pg1")])
    assert not any("poolers" in line for line in told)
