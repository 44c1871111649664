# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What restore.yml is asked, what it decides, what each host is told, and what it says before and after."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import aside_copy, restore_cluster
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Server
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_tokens import secret_of

TOKEN = "00000000-0000-4000-8000-000000000002"
NAMES = ("pg1", "pg2", "pg3")
HOSTS = {
    **{
        name: {
            "postgres_cluster": "main",
            "platform_address": f"192.0.2.{number}",
            "consul_agent_token": TOKEN,
            "ansible_facts": {"distribution_major_version": "13"},
        }
        for number, name in enumerate(NAMES, 1)
    },
    "repo1": {"platform_address": "192.0.2.9"},
    "cache1": {
        "platform_address": "192.0.2.8",
        "redis_instances": {"cache": {}, "sessions": {"port": 6381}, "metrics": {"port": 6380, "appendonly": True}},
    },
}
MEMBERS = tuple(Server(name, HOSTS[name]["platform_address"]) for name in NAMES)
PLATFORM = Platform(
    HOSTS,
    {"postgres": [*NAMES], "backup": ["repo1"], "cache": ["cache1"]},
    {"main": Cluster("main", MEMBERS, databases=("shop",))},
)
GB = 1024**3
LOOKED = {
    "mark": None,
    "note": None,
    "runs": True,
    "data": True,
    "limits": {"max_connections": 200},
    "given": {"max_connections": 200},
    "free": 100 * GB,
    "fixed": "",
    "leader": "pg2",
    "timeline": 1,
    "used": 40 * GB,
    "paused": False,
    "members": [*NAMES],
}
STANZA = {
    "backups": [
        {
            "label": "20261129-010002F",
            "type": "full",
            "timeline": 1,
            "started": "2026-11-29T01:00:02Z",
            "stopped": "2026-11-29T01:04:11Z",
            "lsn": ["0/2000028", "0/2000100"],
            "size": 40 * GB,
            "broken": False,
        }
    ],
    "windows": [
        {"earliest": "2026-11-29T01:04:11Z", "latest": "2026-11-29T21:30:00Z", "lsn": ["0/2000100", "0/9000000"]}
    ],
    "histories": {},
}
NOW = 1795987800.0  # 2026-11-29 21:30:00
TO = "2026-11-29T21:24:05+00"


def asked(**given):
    return restore_cluster.read(PLATFORM, {"cluster": "main", "to": TO, "confirm": "main", **given})


def looked(**more):
    return {name: {**LOOKED, **more.get(name, {})} for name in NAMES if more.get(name, {}) is not None}


def decide(request=None, stanza=..., platform=PLATFORM, **more):
    found = STANZA if stanza is ... else stanza
    return restore_cluster.decide(platform, request or asked(), looked(**more), found, NOW)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cluster": None}, "cluster: None is not set; say -e cluster=NAME, where NAME is main."),
        ({"cluster": "x"}, "cluster: 'x' is not a cluster of the inventory; there is main."),
        ({"to": None}, "to: None is not set"),
        ({"to": "2026-11-29T21:24:05"}, "has no time zone"),
        ({"timeline": "x"}, "timeline: 'x' is not the number of a timeline."),
        ({"member": "pg9"}, "member: 'pg9' is not a member of main; its members are pg1, pg2, pg3."),
        ({"discard_old": "perhaps"}, "discard_old: 'perhaps' is neither true nor false."),
        ({"aside": "gone"}, "aside: 'gone' is neither true nor false, nor remove."),
        ({"aside": "true", "to": None}, "to: None is not set"),
    ],
)
def test_what_cannot_be_asked(given, says):
    with pytest.raises(ScaleoutError) as caught:
        asked(**given)
    assert says in caught.value.message


def test_without_backups_there_is_nothing_to_restore():
    bare = dataclasses.replace(PLATFORM, groups={"postgres": [*NAMES]})
    with pytest.raises(ScaleoutError, match="There are no backups: the group backup has no host") as caught:
        restore_cluster.read(bare, {"cluster": "main", "to": TO})
    assert caught.value.code == "no_backup"


def test_the_plan():
    found = decide()
    assert found.lines == (
        "main: restored to 2026-11-29 21:24:05 UTC from the backup 20261129-010002F (full, of a database of 40 GB), "
        "which ended 2026-11-29 01:04:11 UTC",
        "the archive covers 2026-11-29 01:04:11 UTC to 2026-11-29 21:30:00 UTC",
        "writes after 2026-11-29 21:24:05 UTC are gone",
        "   1. PostgreSQL and Patroni stop on pg1, pg3, pg2; clients get errors from here on",
        "   2. what Consul has of main is removed, but for Patroni's settings",
        "   3. pg2 restores beside its data and replays, and nothing is changed until that has succeeded",
        "   4. pg2's data of before become main.before-20261129T213000Z beside them; they are yours to remove",
        "   5. Patroni starts on pg2, which leads; clients are served again",
        "   6. pg1, pg3 throw their data away and copy pg2",
    )
    told = found.told
    assert (told["member"], told["set"], told["keep"], told["stanza"]) == ("pg2", "20261129-010002F", True, "main")
    assert told["command"][-1] == "--target-timeline=1"
    assert found.serves


def test_other_plans():
    lines = decide(asked(discard_old="true", member="pg1")).lines
    assert "   3. pg1 restores over its data, which are lost, and replays" in lines
    lines = decide(asked(to="name:release", lost="pg3"), pg3=None).lines
    assert any("only the replay finds the restore point" in line for line in lines)
    assert lines[-1] == "pg3 must stay off until then, or would bring the data of before back"
    # A promotion of which nothing has been archived yet.
    told = decide(asked(to="newest"), pg2={"timeline": 4}).told
    assert told["command"] == ["--type=default", "--target-timeline=4"]


@pytest.mark.parametrize(
    ("given", "more", "stanza", "code", "says"),
    [
        ({"confirm": None}, {}, STANZA, "serves", "say -e confirm=main as well."),
        ({"confirm": "yes"}, {}, STANZA, "invalid_input", "confirm: 'yes' is not the word"),
        ({"to": "2026-11-30T00:00:00Z"}, {}, STANZA, "not_covered", "It covers 2026-11-29 01:04:11 UTC to"),
        ({}, {}, {}, "no_backup", "There is no backup of main that could be restored."),
        ({}, {}, None, "unreachable", "The host that keeps the backups, repo1, does not answer."),
        ({}, {"pg3": None}, STANZA, "not_whole", "say -e lost=pg3."),
        ({}, dict.fromkeys(NAMES), STANZA, "unreachable", "No member of main answers: pg1, pg2, pg3."),
        ({}, {"pg2": {"free": GB}}, STANZA, "no_space", "pg2 cannot keep its present data beside"),
        ({}, {"pg1": {"given": {"max_connections": 20}}}, STANZA, "smaller_limits", "20 instead of 200"),
        ({"set": "x"}, {}, STANZA, "invalid_input", "set: 'x' is not a backup of main"),
    ],
)
def test_what_is_refused(given, more, stanza, code, says):
    with pytest.raises(ScaleoutError) as caught:
        decide(asked(**given), stanza, **more)
    assert caught.value.code == code
    assert says in caught.value.message


def test_a_cluster_that_does_not_run_needs_no_word():
    down = {name: {"runs": False, "leader": ""} for name in NAMES}
    found = decide(asked(confirm=None), **down)
    assert (found.serves, found.told["member"]) == (False, "pg1")


def test_an_earlier_timeline_is_named():
    there = {**STANZA, "histories": {2: {1: "0/5000000"}}}
    with pytest.raises(
        ScaleoutError, match="are on timeline 1, and none is on timeline 2, which the archive has"
    ) as caught:
        decide(stanza=there)
    assert caught.value.code == "not_covered"
    two = {name: {"timeline": 2} for name in NAMES}
    assert any("reached with -e timeline=1" in line for line in decide(stanza=there, **two).lines)


def test_who_is_lost_by_the_second_run_must_not_lead_either():
    first = decide()
    stopped = {"runs": False, "leader": "", "mark": first.told}
    found = decide(asked(lost="pg3"), None, pg1=stopped, pg2=stopped, pg3=None)
    assert found.told["lost"] == ["pg3"]


def test_a_mark_that_was_left_behind_is_not_the_word():
    old = {**decide().told, "id": "20261101T000000Z"}
    with pytest.raises(ScaleoutError) as caught:
        decide(asked(confirm=None), None, pg3={"mark": old, "runs": False})
    assert caught.value.code == "serves"


@pytest.mark.parametrize(
    ("more", "code"), [({"members": ["pg1", "pg2", "pg9"]}, "not_whole"), ({"paused": True}, "patroni_paused")]
)
def test_what_consul_has_that_would_undo_a_restore(more, code):
    with pytest.raises(ScaleoutError) as caught:
        decide(pg1=more)
    assert caught.value.code == code


def test_a_second_run_goes_on():
    first = decide()
    mark = {**first.told, "step": "fetched", "started_by": "x"}
    stopped = {"runs": False, "leader": ""}
    some = {"pg1": {**stopped, "mark": first.told}, "pg2": {**stopped, "mark": mark}, "pg3": stopped}
    # The repository is not asked again, nor is the word.
    found = decide(asked(confirm=None), None, **some)
    assert (found.told, found.goes_on, found.way) == (first.told, True, first.way)
    assert found.lines[0] == "main: the restore to 2026-11-29 21:24:05 UTC goes on that was begun 20261129T213000Z"

    leads = {**some, "pg2": {"note": {**mark, "step": "changed"}, "leader": "pg2"}}
    found = decide(asked(confirm=None), None, **leads)
    assert (found.way.replays, found.way.first, found.way.last) == (False, (), "")

    with pytest.raises(ScaleoutError, match="has begun to restore, and cannot be reached"):
        decide(asked(lost="pg2"), None, **{**some, "pg2": None})
    with pytest.raises(ScaleoutError, match=r"say -e cluster=main -e to=2026-11-29T21:24:05\+00, or take it back"):
        decide(asked(to="newest"), None, **some)


def turns(decision, state, leader=False):
    return [name for name in NAMES if restore_cluster.takes_part(decision, state, name, leader)]


def test_whose_turn_it_is():
    decision = decide().document()
    assert turns(decision, "stopped") == ["pg1", "pg3"]
    assert turns(decision, "stopped", leader=True) == ["pg2"]
    for state in ("forgotten", "restored", "led", "finished"):
        assert turns(decision, state) == ["pg2"]
    assert turns(decision, "followed") == ["pg1", "pg3"]
    leads = {**decision, "way": {**decision["way"], "first": (), "last": "", "replays": False}}
    assert [turns(leads, state) for state in ("stopped", "forgotten", "restored", "led")] == [[], [], [], ["pg2"]]


@pytest.mark.parametrize(
    ("state", "leader", "done", "awaited"),
    [
        ("stopped", False, {}, []),
        ("stopped", True, {"stopped": ["pg1"]}, ["pg3"]),
        ("forgotten", False, {"stopped": ["pg1", "pg3"]}, ["pg2"]),
        ("forgotten", False, {"stopped": ["pg1", "pg2", "pg3"]}, []),
        ("restored", False, {"stopped": ["pg1"]}, ["pg2"]),
        ("led", False, {}, ["pg2"]),
        ("followed", False, {"restored": ["pg2"]}, ["pg2"]),
        ("finished", False, {"led": ["pg2"], "followed": ["pg1"]}, ["pg3"]),
    ],
)
def test_a_host_that_was_lost_on_the_way_keeps_the_rest_from_going_on(state, leader, done, awaited):
    assert restore_cluster.awaited(decide().document(), state, leader, done) == awaited


def test_what_a_member_is_told():
    assert restore_cluster.look(PLATFORM, asked(), "pg1") == {
        "state": "looked",
        "cluster": "main",
        "member": "pg1",
        "data": "/var/lib/postgresql/17/main",
        "programs": "/usr/lib/postgresql/17/bin",
        "consul_token": secret_of(TOKEN, "patroni/main"),
        "patroni_host": "192.0.2.1",
        "patroni_port": 8008,
    }


def test_what_came_of_it():
    decision = decide(asked(lost="pg3"), pg3=None).document()
    kept = "/var/lib/postgresql/17/main.before-20261129T213000Z"
    assert restore_cluster.summary(PLATFORM, asked(), decision, {"timeline": 3}, {"kept": kept}) == [
        "main: restored to 2026-11-29 21:24:05 UTC; pg2 leads on timeline 3",
        "   writes after 2026-11-29 21:24:05 UTC are gone",
        f"   what was there before is in {kept} on pg2; remove it when you are sure",
        "   take a full backup, from which a next restore is short: "
        "backup.yml -e backup_cluster=main -e backup_type=full",
        "   caches may have rows that are gone. Where they keep what is read from this cluster, empty them:",
        "   redis-cli -h 192.0.2.8 -p 6379 --askpass FLUSHALL ASYNC    # cache on cache1",
        "   redis-cli -h 192.0.2.8 -p 6381 --askpass FLUSHALL ASYNC    # sessions on cache1",
        "   bring pg3 back with reinit.yml -e cluster=main -e member=",
    ]
    without = dataclasses.replace(PLATFORM, groups={"postgres": [*NAMES]})
    assert restore_cluster.caches(without) == []


def test_a_copy_beside_everything():
    request = asked(aside="true", confirm=None)
    decision, lines = aside_copy.decide(PLATFORM, request, STANZA)
    assert lines == [
        "main: a copy as of 2026-11-29 21:24:05 UTC is restored on repo1, beside everything, from the backup "
        "20261129-010002F (full, of a database of 40 GB), which ended 2026-11-29 01:04:11 UTC",
        "the archive covers 2026-11-29 01:04:11 UTC to 2026-11-29 21:30:00 UTC",
        "main itself goes on, and nothing of it changes",
    ]
    told = aside_copy.options(PLATFORM, request, decision, "r", 10)
    assert (told["cluster"], told["state"], told["hosts"]) == ("main", "present", 3)
    assert told["programs"] == "/usr/lib/postgresql/17/bin"
    assert told["restore"]["set"] == "20261129-010002F"
    assert told["restore"]["run"] == "r"
    lines = aside_copy.summary(PLATFORM, request, {"socket": "/s"})
    assert lines[0] == "main: a copy as of 2026-11-29 21:24:05 UTC runs on repo1, on the socket /s alone"
    assert "pg_dump -h /s --table=TABLE DATABASE' | ssh pg1 'runuser -u postgres -- psql DATABASE'" in lines[3]


def test_a_copy_is_removed():
    request = asked(aside="remove", to=None)
    decision, lines = aside_copy.decide(PLATFORM, request, {})
    assert lines == ["main: the copy on repo1 stops and is removed"]
    told = aside_copy.options(PLATFORM, request, decision, "r", 10)
    assert (told["state"], told["restore"]) == ("absent", {})
    assert aside_copy.summary(PLATFORM, request, {}) == ["main: there is no copy on repo1 any more"]
    with pytest.raises(ScaleoutError, match="repo1, does not answer"):
        aside_copy.decide(PLATFORM, request, None)
    assert asked(aside="no").aside == ""


def test_progress():
    assert restore_cluster.progress("pg2", {"doing": "replays", "bytes": 3 * 1024**2}) == "pg2: replays, 3 MB so far"
    assert restore_cluster.progress("pg2", {"doing": "starts (starting)"}) == "pg2: starts (starting)"
    assert restore_cluster.patience(PLATFORM, "pg1") == 86400
