# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which abandoned slots the guard drops, why, and that it never touches one in use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import guard
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.decide import decide
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.pattern import Pattern
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.plan import Checkpoint, Create, Drop
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.result import result
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.spec import Exclusive, parse_slots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Disk, Slot, State

MB = 1024 * 1024
GB = 1024 * MB


def slot(name, retained, **fields):
    return Slot(name, "physical", retained_bytes=retained, **fields)


def limits(retained=None, free=None, action="drop", pattern=None):
    options = {"max_retained_bytes": retained, "min_free_disk": free, "guard_action": action}
    return guard.Limits.of(options, Pattern.of(pattern))


def findings(slots, asked, disk=None):
    return {finding.name: finding for finding in guard.judge({slot.name: slot for slot in slots}, asked, disk)}


def gone(slots, asked, disk=None):
    return [name for name, finding in findings(slots, asked, disk).items() if finding.choice != "kept"]


def state(*slots, **facts):
    facts = {"version": 150004, "in_recovery": False, "wal_level": "logical", "max_replication_slots": 10, **facts}
    return State(slots={slot.name: slot for slot in slots}, **facts)


@pytest.mark.parametrize(
    ("slots", "asked", "disk", "expected"),
    [
        # One limit for each slot.
        ([slot("a", 2 * GB), slot("b", GB)], limits("1GB"), None, ["a"]),
        ([slot("a", 2 * GB, active=True)], limits("1GB"), None, []),
        ([slot("a", 2 * GB, temporary=True), slot("b", 2 * GB, synced=True)], limits("1GB"), None, []),
        ([slot("a", None, wal_status="lost"), slot("b", None)], limits("1"), None, []),
        ([slot("app_a", 2 * GB), slot("b", 2 * GB)], limits("1GB", pattern="app_*"), None, ["app_a"]),
        # The disk: the oldest goes first, and no more than needed.
        ([slot("a", 500 * MB), slot("b", 100 * MB)], limits(free="1GB"), Disk(700 * MB, 9 * GB), ["a"]),
        ([slot("a", 500 * MB), slot("b", 100 * MB)], limits(free="1GB"), Disk(600 * MB, 9 * GB), ["a", "b"]),
        ([slot("a", 500 * MB)], limits(free="1GB"), Disk(GB, 9 * GB), []),
        ([slot("a", 500 * MB)], limits(free="10%"), Disk(900 * MB, 10 * GB), ["a"]),
        ([slot("a", 500 * MB)], limits(free="10%"), Disk(GB, 10 * GB), []),
        # What frees nothing stays: another one that stays keeps the same WAL, or there is less than a file of it.
        ([slot("a", 500 * MB), slot("b", 600 * MB, active=True)], limits(free="1GB"), Disk(0, 9 * GB), []),
        ([slot("a", 600 * MB), slot("b", 595 * MB, active=True)], limits(free="1GB"), Disk(0, 9 * GB), []),
        ([slot("a", 700 * MB), slot("b", 600 * MB, active=True)], limits(free="1GB"), Disk(0, 9 * GB), ["a"]),
        ([slot("a", 15 * MB)], limits(free="1GB"), Disk(0, 9 * GB), []),
        # What the first limit drops counts for the second.
        ([slot("a", 2 * GB), slot("b", 100 * MB)], limits("1GB", "1GB"), Disk(100 * MB, 9 * GB), ["a"]),
        # Of two that keep the same, both have to go.
        ([slot("a", 500 * MB), slot("b", 500 * MB)], limits(free="1GB"), Disk(700 * MB, 9 * GB), ["a", "b"]),
    ],
)
def test_what_goes(slots, asked, disk, expected):
    assert gone(slots, asked, disk) == expected


@pytest.mark.parametrize(
    ("retained", "free", "reason"),
    [
        ("", None, "max_retained_bytes: '' is not a size"),
        ("much", None, "max_retained_bytes: 'much' is not a size"),
        ("1gb", None, "unknown unit; valid units are B, kB, MB, GB, TB"),
        ("0", None, "not a size above zero"),
        ("-1GB", None, "not a size above zero"),
        ("1e400", None, "not a size"),
        ("10%", None, "max_retained_bytes: '10%' is not a size"),
        (None, "0%", "min_free_disk: '0%' is not a share"),
        (None, "100%", "min_free_disk: '100%' is not a share"),
        (None, "-5%", "min_free_disk: '-5%' is not a size"),
        (None, "", "min_free_disk: '' is not a size"),
    ],
)
def test_limits_that_are_none(retained, free, reason):
    with pytest.raises(InvalidInput, match=reason):
        limits(retained, free)


@pytest.mark.parametrize("text", ["App_*", "a.*", "^a", "a b", "", "a'", "ä*"])
def test_patterns_that_fit_no_slot(text):
    with pytest.raises(InvalidInput, match=r"pattern: .* is not a pattern of slot names"):
        Pattern.of(text)


def test_each_choice_has_its_reason():
    slots = [
        slot("active", 2 * GB, active=True, user="walsender pg1r (pid 7)"),
        slot("busy", MB, active=True, user="walsender x (pid 8)"),
        slot("fresh", None),
        slot("little", MB),
        slot("much", 3 * GB, inactive_since="2026-11-25T14:20:59Z"),
        slot("other", 3 * GB),
    ]
    said = findings(slots, limits("1GB", pattern="[!o]*"))
    assert {name: finding.reason for name, finding in said.items()} == {
        "active": "walsender pg1r (pid 7) uses it although it keeps 2GB of WAL, more than max_retained_bytes",
        "busy": "walsender x (pid 8) uses it",
        "fresh": "it keeps no WAL",
        "little": "it keeps 1MB of WAL, which is within the limits",
        "much": "no client has used it since 2026-11-25T14:20:59Z and it keeps 3GB of WAL, "
        "more than max_retained_bytes 1GB",
        "other": "its name is not in the pattern [!o]*",
    }
    assert [name for name, finding in said.items() if finding.alarming] == ["active", "much"]


def test_the_disk_is_named_in_the_reason():
    said = findings([slot("a", 500 * MB), slot("b", 600 * MB, active=True)], limits(free="1GB"), Disk(5 * MB, 9 * GB))
    assert said["a"].reason == "to drop it would free nothing, as the slot b stays and keeps as much WAL"
    said = findings([slot("a", 500 * MB), slot("b", 20 * MB)], limits(free="100MB"), Disk(50 * MB, 9 * GB))
    assert "500MB of WAL, the oldest that is left, and 50MB of the disk are free" in said["a"].reason
    assert said["b"].reason == "the others free enough of the disk"


@pytest.mark.parametrize(
    ("asked", "keep", "disk", "says"),
    [
        (limits("1GB"), None, None, "max_slot_wal_keep_size is -1"),
        (limits("1GB"), 256 * MB, None, "is 256MB and max_retained_bytes 1GB: the server invalidates"),
        (limits("1GB"), GB, None, "the server invalidates a slot before the guard"),
        (limits("1GB"), 2 * GB, None, None),
        (limits(free="1GB"), 20 * GB, Disk(5 * GB, 10 * GB), "max_slot_wal_keep_size is 20GB and the disk has 10GB"),
        (limits(free="1GB"), 2 * GB, Disk(5 * GB, 10 * GB), None),
        (limits(free="1GB"), 2 * GB, Disk(MB, 10 * GB), "abandoned slots account for 0B only; something else"),
    ],
)
def test_the_server_and_the_guard_disagree(asked, keep, disk, says):
    said = guard.sentences((), asked, keep, disk)
    assert says in said[0] if says else said == []


def test_a_report_changes_nothing_and_a_drop_gives_the_disk_back():
    server = state(slot("a", 2 * GB), slot("b", MB), max_slot_wal_keep_size=10 * GB)
    report = planner.plan(decide((), server, limits=limits("1GB", action="report")))
    assert not report.changed
    assert report.result["guard"]["slots"][0]["choice"] == "reported"
    assert "would drop, with guard_action: drop, the slot a" in report.warnings[0]
    decision = decide((), server, limits=limits("1GB"))
    drop = planner.plan(decision)
    assert drop.actions == (Drop("a", spare=True), Checkpoint())
    assert drop.warnings[0].startswith("The guard drops the slot a: no client uses it and")
    assert (drop.before["a"], drop.after["a"]) == ({"slot_type": "physical"}, None)
    # A client came back before its turn.
    after = result(decision, {"a": slot("a", GB, active=True), "b": slot("b", MB)})
    assert (after["slots"][0]["action"], after["guard"]["slots"][0]["choice"]) == ("none", "kept")


def test_a_listed_slot_is_there_again_and_as_it_was():
    server = state(
        Slot("a", "logical", "pgoutput", "d", two_phase=True, retained_bytes=2 * GB), databases=frozenset({"d"})
    )
    desired_slots = parse_slots([{"name": "a", "slot_type": "logical", "plugin": "pgoutput", "database": "d"}])
    plan = planner.plan(decide(desired_slots, server, limits=limits("1GB")))
    assert plan.actions == (
        Drop("a", spare=True),
        Create("a", "pgoutput", "d", two_phase=True),
        Checkpoint(),
    )
    assert plan.result["slots"][0]["action"] == "recreated"


def test_what_is_not_listed_goes_within_the_pattern():
    server = state(
        slot("app_a", 1),
        slot("app_b", 1),
        slot("app_t", 1, temporary=True),
        slot("app_u", 1, active=True, user="walsender u (pid 3)"),
        slot("other", 1),
    )
    desired_slots = parse_slots([{"name": "app_a"}, {"name": "app_u"}])
    plan = planner.plan(decide(desired_slots, server, Exclusive(Pattern("app_*"))))
    assert plan.actions == (Drop("app_b"),)
    assert [row["name"] for row in plan.result["slots"]] == ["app_a", "app_u", "app_b"]
    with pytest.raises(Refused, match=r"slot app_u is in use by walsender u .pid 3.; with force: true"):
        decide(desired_slots[:1], server, Exclusive(Pattern("app_*")))
    plan = planner.plan(decide(desired_slots[:1], server, Exclusive(Pattern("app_*"), force=True)))
    assert plan.actions == (Drop("app_b", force=True), Drop("app_u", force=True))


SLOTS = st.lists(
    st.builds(
        Slot,
        name=st.sampled_from("abcdefgh"),
        slot_type=st.just("physical"),
        active=st.booleans(),
        temporary=st.booleans(),
        retained_bytes=st.none() | st.integers(0, 4 * GB),
        wal_status=st.sampled_from(["reserved", "extended", "lost"]),
    ),
    unique_by=lambda slot: slot.name,
)
DESIRED = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from("abcdefghij"),
            "state": st.sampled_from(["present", "absent"]),
            "force": st.booleans(),
            "recreate": st.booleans(),
        }
    ),
    unique_by=lambda desired: desired["name"],
)
LIMITS = st.none() | st.builds(
    limits, st.none() | st.sampled_from(["1MB", "1GB"]), st.sampled_from(["100MB", "5GB", "50%"])
)


@given(
    SLOTS,
    DESIRED,
    LIMITS,
    st.none() | st.builds(Exclusive, st.just(Pattern("[a-d]")), st.booleans()),
    st.integers(0, 10),
)
def test_the_plan_for_any_server(slots, wanted, asked, exclusive, free):
    """Nothing in use goes without force, each recreated slot is created right after, and a second run agrees."""
    server = state(*slots, max_replication_slots=20, disk=Disk(free * GB, 10 * GB))
    desired_slots = parse_slots(wanted)
    forced = {desired.name for desired in desired_slots if desired.force}
    try:
        plan = planner.plan(decide(desired_slots, server, exclusive, asked))
    except Refused:
        return
    now = dict(server.slots)
    for position, action in enumerate(plan.actions):
        if isinstance(action, Drop):
            before = now.pop(action.name)
            assert not before.temporary or action.name in {
                desired.name for desired in desired_slots if desired.state == "absent"
            }
            assert not before.active or action.name in forced or (exclusive and exclusive.force)
            assert not (before.active and action.spare)
            if any(isinstance(later, Create) and later.name == action.name for later in plan.actions):
                assert plan.actions[position + 1].name == action.name
        elif isinstance(action, Create):
            assert action.name not in now
            now[action.name] = Slot(action.name, "physical")
    assert {name for name, described in plan.after.items() if described} <= set(now)
    for desired in desired_slots:
        assert (desired.name in now) == (desired.state == "present")
    again = state(*now.values(), max_replication_slots=20, disk=Disk(10 * GB, 10 * GB))
    assert not planner.plan(decide(desired_slots, again, exclusive, asked)).changed


@given(SLOTS, st.sampled_from(["100MB", "5GB", "50%"]), st.integers(0, 10))
def test_the_guard_frees_what_is_missing_with_as_few_slots_as_can_be(slots, asked, free):
    disk = Disk(free * GB, 10 * GB)
    going = gone(slots, limits(free=asked), disk)
    missing = limits(free=asked).floor(disk) - disk.free
    if missing <= 0:
        assert going == []
        return

    def freed(names):
        held = [guard.kept(slot) for slot in slots if slot.name not in names]
        return max((guard.kept(slot) for slot in slots), default=0) - max(held, default=0)

    for name in going:
        assert freed([other for other in going if other != name]) < missing
