# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who restores a cluster, in which order its members stop, and what keeps it from being restored."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.failover import restore
from ansible_collections.scaleout.platform.plugins.module_utils.failover.restore import Seen, Way

GB = 1024**3
ASKED = {"cluster": "main", "to": "newest", "timeline": "", "set": "", "discard_old": ""}
MARK = {"id": "20261129T213000Z", "member": "pg2", "asked": ASKED, "told": "the end of the archive"}


def members(**more):
    """Three members of which one is otherwise."""
    return [Seen(name, **{"free": 100 * GB, **more.get(name, {})}) for name in ("pg1", "pg2", "pg3")]


def refused(call, *arguments):
    with pytest.raises(ScaleoutError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize(
    ("more", "wanted", "leader", "who"),
    [
        ({}, "", "pg2", "pg2"),
        ({}, "pg3", "pg2", "pg3"),
        # No one leads.
        ({}, "", "", "pg1"),
        ({"pg1": {"data": False}}, "", "", "pg2"),
        ({}, "", "pg9", "pg1"),
        ({"pg2": {"may_lead": False}}, "", "pg2", "pg1"),
    ],
)
def test_who_restores(more, wanted, leader, who):
    assert restore.restores("main", members(**more), wanted, leader).name == who


def test_who_cannot_restore():
    nofailover = {name: {"may_lead": False} for name in ("pg1", "pg2", "pg3")}
    assert refused(restore.restores, "main", members(**nofailover), "", "").code == "no_candidate"
    assert "has postgres_nofailover" in refused(restore.restores, "main", members(**nofailover), "pg1", "").message
    assert "there is pg1, pg2, pg3." in refused(restore.restores, "main", members(), "pg9", "").message


@pytest.mark.parametrize(
    ("more", "member", "leader", "way"),
    [
        ({}, "pg2", "pg2", Way("pg2", ("pg1", "pg3"), "pg2", True, ("pg1", "pg3"))),
        # Who leads stops last, also where another one restores.
        ({}, "pg2", "pg1", Way("pg2", ("pg2", "pg3"), "pg1", True, ("pg1", "pg3"))),
        ({}, "pg2", "", Way("pg2", ("pg1", "pg3"), "pg2", True, ("pg1", "pg3"))),
        # A second run, before and after the data have changed places.
        ({"pg2": {"mark": MARK}}, "pg2", "", Way("pg2", ("pg1", "pg3"), "pg2", True, ("pg1", "pg3"))),
        ({"pg2": {"note": MARK}}, "pg2", "pg2", Way("pg2", (), "", False, ("pg1", "pg3"))),
    ],
)
def test_the_way(more, member, leader, way):
    assert restore.way(members(**more), member, leader) == way


def test_the_word():
    restore.check_confirmed("main", False, None)
    restore.check_confirmed("main", True, "main")
    found = refused(restore.check_confirmed, "main", True, None)
    assert (found.code, "say -e confirm=main as well." in found.message) == ("serves", True)
    found = refused(restore.check_confirmed, "main", True, True)
    assert found.message == "confirm: True is not the word: main serves; say -e confirm=main."


def test_a_member_that_only_consul_knows_would_lead():
    restore.check_known("main", ["pg1", "pg2"], ["pg2"])
    found = refused(restore.check_known, "main", ["pg1", "pg2"], ["pg1", "pg9"])
    assert (found.code, found.facts["missing"]) == ("not_whole", ["pg9"])
    assert "Consul has pg9 as a member of main, and the inventory has not." in found.message


def test_a_paused_patroni_would_not_start_what_is_restored():
    restore.check_not_paused("main", False)
    assert refused(restore.check_not_paused, "main", True).code == "patroni_paused"


def test_who_is_missing():
    names = ["pg1", "pg2", "pg3"]
    restore.check_all_there("main", names, names, [])
    restore.check_all_there("main", names, ["pg1"], ["pg2", "pg3"])
    found = refused(restore.check_all_there, "main", names, ["pg1"], [])
    assert found.code == "not_whole"
    assert "say -e lost=pg2,pg3." in found.message
    assert "lost: 'pg1' answers" in refused(restore.check_all_there, "main", names, names, ["pg1"]).message
    assert "lost: 'pg9' is not a member" in refused(restore.check_all_there, "main", names, names, ["pg9"]).message


@pytest.mark.parametrize(
    ("member", "discard", "says"),
    [
        (Seen("pg1", free=100 * GB), False, ""),
        (Seen("pg1", free=40 * GB), False, "it has 40.0 GB free, and the database takes 40.0 GB and 0.5 GB for WAL."),
        (Seen("pg1", free=GB, used=40 * GB), True, ""),
        (Seen("pg1", free=1, used=40 * GB), True, "has 40.0 GB for the database and its WAL, and they take 40.5 GB."),
        (Seen("pg1", free=41 * GB, data=False), False, ""),
        (Seen("pg1", free=40 * GB, data=False), False, "has 40.0 GB for the database and its WAL"),
        (Seen("pg1", free=100 * GB, fixed="it is a mount point"), False, "it is a mount point."),
        (Seen("pg1", free=100 * GB, fixed="it is a mount point"), True, ""),
    ],
)
def test_there_is_room_for_both(member, discard, says):
    if not says:
        restore.check_room(member, 40 * GB, discard)
        return
    found = refused(restore.check_room, member, 40 * GB, discard)
    assert found.code == "no_space"
    assert says in found.message
    assert ("-e discard_old=true; they are then overwritten" in found.message) == (member.data and not discard)


def test_a_target_with_smaller_limits():
    had = {"limits": {"max_connections": 200, "max_wal_senders": 10}}
    restore.check_limits("main", members(pg1={**had, "given": {"max_connections": 200}}))
    restore.check_limits("main", members(pg1=had))
    found = refused(restore.check_limits, "main", members(pg1=had, pg2={"given": {"max_connections": 50}}))
    assert found.code == "smaller_limits"
    assert "(max_connections 50 instead of 200)" in found.message


def test_a_restore_that_has_not_ended():
    assert restore.open_one(members()) is None
    assert restore.open_one(members(pg1={"mark": MARK}, pg2={"note": MARK})) == MARK
    restore.check_same("main", MARK, ASKED)
    found = refused(restore.check_same, "main", MARK, {**ASKED, "to": "immediate"})
    assert found.code == "restore_open"
    assert "say -e cluster=main -e to=newest, or take it back" in found.message
    other = {**MARK, "id": "another"}
    found = refused(restore.open_one, members(pg1={"mark": MARK}, pg2={"mark": other}))
    assert (found.code, "in two restores at once" in found.message) == ("restore_open", True)


CONTROL = """pg_control version number:            1300
Database cluster state:               shut down
Latest checkpoint's TimeLineID:       3
max_connections setting:              200
max_locks_per_xact setting:           64
"""


def test_what_a_server_has_and_is_given():
    assert restore.limits(CONTROL) == {"max_connections": 200, "max_locks_per_transaction": 64}
    assert restore.controldata(CONTROL)["Database cluster state"] == "shut down"
    config = {"postgresql": {"parameters": {"max_connections": 100, "max_wal_senders": "10", "work_mem": "4MB"}}}
    assert restore.given(config) == {"max_connections": 100, "max_wal_senders": 10}
    assert restore.given({}) == {}


def test_a_server_that_replays_is_seen_by_no_client_and_archives():
    found = restore.settings("/place", {"max_connections": 7}, "push %p")
    assert (found["listen_addresses"], found["unix_socket_directories"], found["max_connections"]) == (
        "",
        "/place",
        "7",
    )
    assert (found["archive_mode"], found["archive_command"]) == ("on", "push %p")
    assert restore.settings("/place", {}, "")["archive_mode"] == "off"
    assert restore.quoted("it's") == "'it'\\''s'"


def test_what_a_restore_has_written_goes():
    text = """# Do not edit this file manually!
work_mem = '8MB'
# Recovery settings generated by pgBackRest restore on 2026-11-29 21:30:00
restore_command = 'pgbackrest --stanza=main archive-get %f "%p"'
recovery_target_time = '2026-11-29 21:24:05+00'
Recovery_Target_Action='promote'
recovery_prefetch = 'off'
"""
    assert restore.without_recovery(text).splitlines() == [
        "# Do not edit this file manually!",
        "work_mem = '8MB'",
        "recovery_prefetch = 'off'",
    ]


def test_the_settings_of_patroni_stay():
    keys = ["service/main/config", "service/main/members/pg1", "service/main/leader", "service/mainly/leader"]
    assert restore.keys_to_remove(keys, "service/main") == ["service/main/leader", "service/main/members/pg1"]


def test_bad_words():
    assert isinstance(refused(restore.check_confirmed, "main", True, "other"), InvalidInput)
    assert isinstance(refused(restore.check_room, Seen("a"), GB, False), Refused)
