# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which slots are dropped and created, and what is refused before the first one is touched."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.decide import decide
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.plan import Alter, Create, Drop
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.result import result
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.spec import Desired, parse_slots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Slot, State

STANDBY = Slot("standby", "physical", active=True, active_pid=7, user="walsender pg1r (pid 7)", restart_lsn="0/30")
IDLE = Slot("idle", "physical")
REPORTS = Slot("reports", "logical", "pgoutput", "shard_0", restart_lsn="0/20", wal_status="reserved")
LOST = Slot("lost", "physical", wal_status="lost")
BRIEF = Slot("brief", "physical", temporary=True, active=True, user="client backend psql (pid 9)")

SERVER = State(
    version=150004,
    in_recovery=False,
    wal_level="logical",
    max_replication_slots=7,
    slots={slot.name: slot for slot in (STANDBY, IDLE, REPORTS, LOST, BRIEF)},
    databases=frozenset({"shard_0", "shard_1"}),
)


def logical(name, database="shard_0", plugin="pgoutput", **options):
    return {"name": name, "slot_type": "logical", "plugin": plugin, "database": database, **options}


def absent(name, **options):
    return {"name": name, "state": "absent", **options}


def planned(*slots, **facts):
    return planner.plan(decide(parse_slots(slots), dataclasses.replace(SERVER, **facts)))


@pytest.mark.parametrize(
    ("slots", "actions"),
    [
        ([{"name": "new"}], [Create("new")]),
        ([{"name": "new", "reserve_wal": True}], [Create("new", reserve_wal=True)]),
        ([logical("new")], [Create("new", "pgoutput", "shard_0")]),
        ([{"name": "idle"}], []),
        ([{"name": "idle", "reserve_wal": True}], []),
        ([{"name": "standby"}, logical("reports")], []),
        ([absent("idle")], [Drop("idle")]),
        ([absent("none")], []),
        ([absent("lost")], [Drop("lost")]),
        ([absent("standby", force=True)], [Drop("standby", force=True)]),
        (
            [logical("new", two_phase=True, failover=False)],
            [Create("new", "pgoutput", "shard_0", two_phase=True, failover=False)],
        ),
        ([logical("reports", two_phase=False, failover=False, recreate=True)], []),
        ([{"name": "lost", "recreate": True}], [Drop("lost"), Create("lost")]),
        # Each is recreated before the next one is touched.
        (
            [
                logical("reports", two_phase=True, recreate=True),
                logical("standby", force=True, recreate=True),
                {"name": "lost", "recreate": True},
                absent("idle"),
                {"name": "new"},
            ],
            [
                Drop("idle"),
                Drop("lost"),
                Create("lost"),
                Drop("reports"),
                Create("reports", "pgoutput", "shard_0", two_phase=True),
                Drop("standby", force=True),
                Create("standby", "pgoutput", "shard_0"),
                Create("new"),
            ],
        ),
        # What is dropped makes room for what is created, wherever it stands in the list.
        ([{"name": "a"}, {"name": "b"}, {"name": "c"}, absent("idle")], [Drop("idle"), *map(Create, "abc")]),
        # One connection for each database: its slots are neighbours.
        (
            [logical("a", "shard_1"), logical("b", "shard_0"), logical("c", "shard_1"), absent("idle"), absent("lost")],
            [
                Drop("idle"),
                Drop("lost"),
                Create("b", "pgoutput", "shard_0"),
                Create("a", "pgoutput", "shard_1"),
                Create("c", "pgoutput", "shard_1"),
            ],
        ),
    ],
)
def test_actions(slots, actions):
    plan = planned(*slots)
    assert list(plan.actions) == actions
    assert plan.changed == bool(actions)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"name": ""}, "not a slot name"),
        ({"name": "Capital"}, "not a slot name"),
        ({"name": "a-b"}, "not a slot name"),
        ({"name": "a\n"}, "not a slot name"),
        ({"name": "ä"}, "not a slot name"),
        ({"name": "x" * 64}, "not a slot name"),
        ({"name": "x'; DROP TABLE y; --"}, "not a slot name"),
        ({"name": "x", "slot_type": "logical", "database": "d"}, "plugin: None does not do"),
        ({"name": "x", "slot_type": "logical", "plugin": "pgoutput"}, "database: None does not do"),
        ({"name": "x", "plugin": "pgoutput"}, "does not go with the physical slot x"),
        ({"name": "x", "database": "d"}, "does not go with the physical slot x"),
        ({"name": "x", "two_phase": True}, "two_phase: True does not go with the physical slot x"),
        ({"name": "x", "failover": True}, "failover: True does not go with the physical slot x"),
        (logical("x", reserve_wal=True), "does not go with the logical slot x"),
    ],
)
def test_slots_that_can_never_be(options, reason):
    with pytest.raises(InvalidInput, match=reason):
        parse_slots([options])


def test_names_up_to_the_limit_and_only_once():
    assert parse_slots([{"name": "x" * 63}, {"name": "0_"}])
    with pytest.raises(InvalidInput, match="named twice"):
        parse_slots([{"name": "x"}, absent("x")])


def test_what_is_not_given_has_the_default():
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Desired) if field.name != "name")
    assert parse_slots([{"name": "x", **nothing}]) == parse_slots([{"name": "x"}])


@pytest.mark.parametrize(
    ("slot", "facts", "reason"),
    [
        # What exists otherwise, or is of no use any more.
        (logical("idle"), {}, "slot idle exists with slot_type 'physical' and not 'logical'"),
        ({"name": "reports"}, {}, "slot reports exists with slot_type 'logical' and not 'physical'"),
        (logical("reports", plugin="wal2json"), {}, "plugin 'pgoutput' and not 'wal2json'"),
        (logical("reports", "shard_1"), {}, "database 'shard_0' and not 'shard_1'"),
        ({"name": "lost"}, {}, "slot lost is lost"),
        (logical("reports", two_phase=True), {}, "exists with two_phase False and not True"),
        ({"name": "standby", "slot_type": "logical", "plugin": "p", "database": "d"}, {}, "With recreate: true"),
        ({"name": "brief"}, {}, "temporary one of client backend psql"),
        # What is in use.
        (absent("standby"), {}, "slot standby is in use by walsender pg1r .pid 7.; with force: true"),
        (logical("standby", recreate=True), {}, "slot standby is in use by .* the slot dropped and recreated"),
        (logical("brief", recreate=True), {}, "temporary one"),
        # What the server cannot do.
        (logical("new", failover=True), {}, "failover: true before PostgreSQL 17; this one runs 15.4"),
        (
            logical("reports", failover=True),
            {"version": 160002},
            "before PostgreSQL 17; this one runs 16.2",
        ),
        (logical("new", failover=True), {"version": 170000, "in_recovery": True}, "failover: true on a standby"),
        (logical("reports", failover=True), {"version": 170000, "in_recovery": True}, "failover altered on a standby"),
        (logical("reports", failover=True), {"version": 170000, "may_replicate": False}, "REPLICATION"),
        (logical("idle", recreate=True), {"in_recovery": True}, "on a standby before PostgreSQL 16"),
        (logical("idle", "nowhere", recreate=True), {}, "database 'nowhere', which does not exist"),
        ({"name": "lost", "recreate": True}, {"may_replicate": False}, "REPLICATION"),
        ({"name": "new"}, {"wal_level": "minimal"}, "needs wal_level replica or logical"),
        (logical("new"), {"wal_level": "replica"}, "needs wal_level logical; this server has replica"),
        (logical("new"), {"in_recovery": True}, "on a standby before PostgreSQL 16; this one runs 15.4"),
        (logical("new", "nowhere"), {}, "database 'nowhere', which does not exist"),
        (logical("new", plugin="gone"), {"missing_plugins": frozenset({"gone"})}, "'gone', which is not installed"),
        (logical("new"), {"allowed_plugins": frozenset({"wal2json"})}, "output_plugin_libraries"),
        ({"name": "new"}, {"may_replicate": False}, "REPLICATION"),
        (absent("idle"), {"may_replicate": False}, "REPLICATION"),
        (
            {"name": "new"},
            {"max_replication_slots": 5},
            "max_replication_slots is 5 and 6 are needed: 5 slots exist, 0 ",
        ),
    ],
)
def test_refused(slot, facts, reason):
    with pytest.raises(Refused, match=reason):
        planned(slot, **facts)


@pytest.mark.parametrize(
    ("slot", "facts"),
    [
        ({"name": "new"}, {"in_recovery": True}),
        (logical("new"), {"in_recovery": True, "version": 160000}),
        (absent("idle"), {"in_recovery": True}),
        (logical("new"), {"allowed_plugins": frozenset({"pgoutput"})}),
        # Nothing to create, so nothing stands in the way.
        ({"name": "idle"}, {"max_replication_slots": 1, "may_replicate": False}),
        (absent("idle"), {"max_replication_slots": 1}),
    ],
)
def test_granted(slot, facts):
    planned(slot, **facts)


def test_the_number_needed_counts_all_of_them():
    with pytest.raises(Refused, match="8 are needed: 5 slots exist, 1 to be dropped, 4 to be created") as refusal:
        planned(*({"name": name} for name in "abcd"), absent("idle"))
    assert refusal.value.facts == {"needed": 8, "max_replication_slots": 7}


def test_the_diff_shows_what_does_not_move_by_itself():
    plan = planned({"name": "standby"}, logical("new"), absent("idle"), absent("none"))
    assert plan.before == {
        "standby": {"slot_type": "physical"},
        "new": None,
        "idle": {"slot_type": "physical"},
        "none": None,
    }
    assert plan.after == {
        "standby": {"slot_type": "physical"},
        "new": {"slot_type": "logical", "plugin": "pgoutput", "database": "shard_0"},
        "idle": None,
        "none": None,
    }


def test_whoever_is_ended_is_named():
    assert planned(absent("idle", force=True)).warnings == ()
    assert (
        "in use by walsender pg1r (pid 7); that process is ended" in planned(absent("standby", force=True)).warnings[0]
    )


def test_the_result_before_and_after_the_apply():
    slots = [logical("reports"), {"name": "new"}, absent("standby", force=True), absent("none")]
    decision = decide(parse_slots(slots), SERVER)
    rows = planned(*slots).result["slots"]
    assert [(row["name"], row["action"], row["active"]) for row in rows] == [
        ("reports", "none", False),
        ("new", "created", False),
        ("standby", "dropped", False),
        ("none", "none", False),
    ]
    assert [row["slot_type"] for row in rows] == ["logical", "physical", "physical", None]
    assert [row["restart_lsn"] for row in rows] == ["0/20", None, "0/30", None]

    now = {"reports": REPORTS, "new": Slot("new", "physical", restart_lsn="0/40")}
    after = result(decision, now)["slots"]
    assert [row["restart_lsn"] for row in after] == ["0/20", "0/40", "0/30", None]
    assert [row["action"] for row in after] == [row["action"] for row in rows]
    assert [row["before"] and row["before"]["restart_lsn"] for row in after] == ["0/20", None, "0/30", None]
    assert [row["after"] and row["after"]["restart_lsn"] for row in after] == ["0/20", "0/40", None, None]


def test_a_copy_of_the_primarys_is_left_to_the_primary():
    synced = Slot("synced", "logical", "pgoutput", "shard_0", failover=True, synced=True)
    facts = {"version": 170000, "in_recovery": True, "slots": {"synced": synced}}
    assert not planned(logical("synced"), **facts).changed
    for slot in (absent("synced"), logical("synced", two_phase=True, recreate=True)):
        with pytest.raises(Refused, match="copy of its primary's"):
            planned(slot, **facts)


@pytest.mark.parametrize("recreate", [False, True])
@pytest.mark.parametrize("now", [False, True])
def test_a_slot_that_need_not_be_recreated_is_altered(now, recreate):
    slot = dataclasses.replace(REPORTS, failover=now)
    asked = logical("reports", failover=not now, recreate=recreate)
    plan = planned(asked, version=170000, slots={"reports": slot})
    assert plan.actions == (Alter("reports", not now),)
    assert plan.result["slots"][0]["action"] == "altered"
    assert plan.result["slots"][0]["after"]["restart_lsn"] == slot.restart_lsn
    altered = dataclasses.replace(slot, failover=not now)
    assert not planned(asked, version=170000, slots={"reports": altered}).changed


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"active": True, "user": "walsender sub (pid 8)"}, "in use by walsender sub"), ({"synced": True}, "copy of its")],
)
def test_a_slot_in_use_is_not_altered(facts, reason):
    slot = dataclasses.replace(REPORTS, **facts)
    with pytest.raises(Refused, match=reason):
        planned(logical("reports", failover=True), version=170000, slots={"reports": slot})


def test_the_result_of_a_slot_that_is_recreated():
    plan = planned({"name": "lost", "recreate": True})
    row = plan.result["slots"][0]
    assert (row["action"], row["wal_status"], row["before"]["wal_status"]) == ("recreated", None, "lost")
    assert row["after"]["wal_status"] is None
    assert plan.before != plan.after


def test_p2_a_lost_slot_is_reported_and_the_others_are_provided():
    found = planner.plan(decide(parse_slots([{"name": "lost"}, {"name": "other"}]), SERVER, report_lost=True))
    assert list(found.actions) == [Create("other")]
    assert [row["action"] for row in found.result["slots"]] == ["none", "created"]
    assert found.warnings == (
        "The slot lost is lost: what it needs was removed, so its consumer cannot go on. It stays as it is until its "
        "consumer is set up again.",
    )


def test_p2_a_lost_slot_is_made_again_by_a_word_and_one_of_another_type_is_refused():
    def decided(slot):
        return decide(parse_slots([slot]), SERVER, report_lost=True)

    assert list(planner.plan(decided({"name": "lost", "recreate": True})).actions) == [Drop("lost"), Create("lost")]
    with pytest.raises(Refused, match="exists with slot_type"):
        decided(logical("lost"))
