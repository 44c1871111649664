# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Patroni knows of slots, what it is told, and what is refused because Patroni would drop it."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patroni.dcs import slot_name_from_member_name
from patroni.utils import patch_config

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import guard
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.pattern import Pattern
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.plan import Create, Drop, Register
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.registration import decide
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.registry import (
    Entry,
    Registry,
    slot_of,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.result import result
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.spec import Exclusive, parse_slots
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Slot, State

GB = 1024**3
TWO = Slot("pg_2", "physical", restart_lsn="0/30", retained_bytes=9 * GB)
KEPT = Slot("kept", "physical", restart_lsn="0/30", retained_bytes=9 * GB)
READ = Slot("read", "logical", "pgoutput", "app", restart_lsn="0/20", retained_bytes=9 * GB)
LEFT = Slot("left", "logical", "test_decoding", "app", restart_lsn="0/20", retained_bytes=9 * GB)
ODD = Slot("odd", "physical", restart_lsn="0/30", retained_bytes=9 * GB)
LOGICAL_ODD = Slot("logical_odd", "logical", "pgoutput", "app", restart_lsn="0/20", retained_bytes=9 * GB)
ALL = (TWO, KEPT, READ, LEFT, ODD, LOGICAL_ODD)

SETTINGS = {
    "slots": {
        "kept": {"type": "physical"},
        "read": {"type": "logical", "database": "app", "plugin": "pgoutput"},
        "awaited": {"type": "physical"},
    },
    "ignore_slots": [
        {"name": "left", "type": "logical", "database": "app", "plugin": "test_decoding"},
        {"type": "logical", "plugin": "wal2json"},
    ],
}
KNOWN = Registry.of(SETTINGS, ["pg-1", "pg.2"], "pg-1")
SERVER = State(
    version=150004,
    in_recovery=False,
    wal_level="logical",
    max_replication_slots=20,
    slots={slot.name: slot for slot in ALL},
    databases=frozenset({"app"}),
    max_slot_wal_keep_size=20 * GB,
)


def logical(name, plugin="pgoutput", **options):
    return {"name": name, "slot_type": "logical", "plugin": plugin, "database": "app", **options}


def absent(name, **options):
    return {"name": name, "state": "absent", **options}


def decided(*slots, kind="permanent", known=KNOWN, exclusive=None, limits=None, **facts):
    exclusive = Exclusive(Pattern(exclusive)) if exclusive else None
    state = dataclasses.replace(SERVER, **facts)
    return decide(parse_slots(slots), state, exclusive, limits, registry=known, kind=kind)


def planned(*slots, **options):
    return planner.plan(decided(*slots, **options))


@pytest.mark.parametrize(
    ("slots", "kind", "actions"),
    [
        # It is registered before it is created.
        (
            [{"name": "new", "reserve_wal": True}, logical("fresh")],
            "permanent",
            [
                Register((Entry("new", "permanent"), Entry("fresh", "permanent", "logical", "pgoutput", "app"))),
                Create("new", reserve_wal=True),
                Create("fresh", "pgoutput", "app"),
            ],
        ),
        (
            [{"name": "new"}, logical("fresh", two_phase=True)],
            "ignored",
            [
                Register((Entry("new", "ignored"), Entry("fresh", "ignored", "logical", "pgoutput", "app"))),
                Create("new"),
                Create("fresh", "pgoutput", "app", two_phase=True),
            ],
        ),
        # A matcher of many names does.
        ([logical("w", "wal2json")], "ignored", [Create("w", "wal2json", "app")]),
        # There, and known.
        ([{"name": "kept"}, logical("read")], "permanent", []),
        ([logical("left", "test_decoding")], "ignored", []),
        # There, and not known, or otherwise.
        ([{"name": "odd"}], "permanent", [Register((Entry("odd", "permanent"),))]),
        ([{"name": "kept"}], "ignored", [Register((Entry("kept", "ignored"),))]),
        (
            [logical("left", "test_decoding")],
            "permanent",
            [Register((Entry("left", "permanent", "logical", "test_decoding", "app"),))],
        ),
        # It is unregistered before it is dropped, also where it is not there yet.
        ([absent("kept")], "permanent", [Register((Entry("kept", None, ""),)), Drop("kept")]),
        ([absent("left")], "permanent", [Register((Entry("left", None, ""),)), Drop("left")]),
        ([absent("awaited")], "permanent", [Register((Entry("awaited", None, ""),))]),
        ([absent("odd")], "permanent", [Drop("odd")]),
        ([absent("nowhere")], "permanent", []),
        # Recreated with another plugin, it is registered again; as it was, it stays registered.
        (
            [logical("read", "test_decoding", recreate=True)],
            "permanent",
            [
                Register((Entry("read", "permanent", "logical", "test_decoding", "app"),)),
                Drop("read"),
                Create("read", "test_decoding", "app"),
            ],
        ),
        (
            [logical("left", "test_decoding", two_phase=True, recreate=True)],
            "ignored",
            [Drop("left"), Create("left", "test_decoding", "app", two_phase=True)],
        ),
    ],
)
def test_what_patroni_is_told(slots, kind, actions):
    assert list(planned(*slots, kind=kind).actions) == actions


@pytest.mark.parametrize(
    ("entries", "changes"),
    [
        ([Entry("new", "permanent")], {"slots": {"new": {"type": "physical"}}}),
        (
            [Entry("new", "permanent", "logical", "pgoutput", "app"), Entry("kept", None)],
            {"slots": {"kept": None, "new": {"type": "logical", "database": "app", "plugin": "pgoutput"}}},
        ),
        # What it was before is no part of what it is.
        ([Entry("read", "permanent")], {"slots": {"read": {"type": "physical", "database": None, "plugin": None}}}),
        ([Entry("left", None)], {"ignore_slots": [{"type": "logical", "plugin": "wal2json"}]}),
        (
            [Entry("kept", "ignored")],
            {
                "slots": {"kept": None},
                "ignore_slots": [*SETTINGS["ignore_slots"], {"name": "kept", "type": "physical"}],
            },
        ),
        ([Entry("nowhere", None)], {}),
        ([Entry("kept", "permanent")], {}),
    ],
)
def test_one_request_for_all(entries, changes):
    assert KNOWN.changes(KNOWN.told(entries)) == changes


def test_the_last_matcher_takes_its_list_along():
    known = Registry.of({"ignore_slots": [{"name": "a", "type": "physical"}]})
    assert known.changes(known.told([Entry("a", None)])) == {"ignore_slots": None}


@pytest.mark.parametrize("key", ["slots", "permanent_slots", "permanent_replication_slots"])
def test_permanent_slots_are_kept_where_they_are(key):
    known = Registry.of({"slots": {}, key: {"a": None}})
    assert known.kind(Slot("a", "physical")) == "permanent"
    assert list(known.changes(known.told([Entry("b", "permanent")]))) == [key]


@pytest.mark.parametrize(
    ("settings", "slot", "kind"),
    [
        (SETTINGS, TWO, "member"),
        (SETTINGS, dataclasses.replace(TWO, slot_type="logical", plugin="p", database="d"), None),
        (SETTINGS, KEPT, "permanent"),
        (SETTINGS, READ, "permanent"),
        (SETTINGS, dataclasses.replace(READ, database="other"), None),
        (SETTINGS, dataclasses.replace(READ, plugin="wal2json"), None),
        (SETTINGS, LEFT, "ignored"),
        (SETTINGS, dataclasses.replace(LEFT, plugin="pgoutput"), None),
        (SETTINGS, dataclasses.replace(LEFT, name="any", plugin="wal2json"), "ignored"),
        (SETTINGS, ODD, None),
        ({"slots": {"odd": None}}, ODD, "permanent"),
        ({"slots": {"read": {"database": "app", "plugin": "pgoutput"}}}, READ, "permanent"),
        ({"slots": [], "ignore_slots": ["odd", {}]}, ODD, "ignored"),
        ({**SETTINGS, "postgresql": {"use_slots": "off"}}, KEPT, None),
        ({}, ODD, None),
    ],
)
def test_whose_a_slot_is(settings, slot, kind):
    assert Registry.of(settings, ["pg-1", "pg.2"]).kind(slot) == kind


@pytest.mark.parametrize(
    ("member", "slot"),
    [("pg-1.Example", "pg_1_example"), ("a b", "au0032b"), ("ü", "u0252"), ("x" * 70, "x" * 63), ("a_1", "a_1")],
)
def test_the_name_of_a_members_slot(member, slot):
    assert slot_of(member) == slot


@given(st.text(max_size=80))
def test_patroni_calls_a_members_slot_the_same(member):
    assert slot_of(member) == slot_name_from_member_name(member)


NAMES = st.sampled_from("abcd")
LOGICAL = {"type": "logical", "database": "app", "plugin": "pgoutput"}
PERMANENT_SLOTS = st.dictionaries(NAMES, st.sampled_from([{"type": "physical"}, LOGICAL, {}, {"extra": 1}]), max_size=3)
MATCHERS = st.lists(
    st.sampled_from(
        [{"name": "a"}, {"name": "b", **LOGICAL}, {"plugin": "wal2json"}, {"name": "c", "type": "physical"}]
    ),
    max_size=3,
)
KINDS = st.sampled_from(["permanent", "ignored", None])
ENTRIES = st.dictionaries(NAMES, st.tuples(KINDS, st.booleans()))


@given(PERMANENT_SLOTS, MATCHERS, ENTRIES)
def test_patroni_takes_what_it_is_told(permanent, matchers, told):
    settings = {"ttl": 20, "slots": permanent, "ignore_slots": matchers}
    ours = {
        name: Slot(name, "logical", "pgoutput", "app") if logical else Slot(name, "physical")
        for name, (_kind, logical) in told.items()
    }
    before = Registry.of(settings)
    changes = before.changes(before.told(Entry.of(ours[name], told[name][0]) for name in told))
    after = json.loads(json.dumps(settings))
    patch_config(after, json.loads(json.dumps(changes)))
    known = Registry.of(after)
    assert {name: known.kind(slot) for name, slot in ours.items()} == {name: what[0] for name, what in told.items()}
    assert not known.changes(known.told(Entry.of(ours[name], told[name][0]) for name in told))
    assert {name: value for name, value in after.get("slots", {}).items() if name not in told} == {
        name: value for name, value in permanent.items() if name not in told
    }
    assert after["ttl"] == 20


REPLICA = {"in_recovery": True}
UNASKED = {"known": None, "by_patroni": True}


@pytest.mark.parametrize(
    ("slots", "options", "code", "says"),
    [
        ([{"name": "new"}], {}, "patroni_drops", "reserves no WAL; use reserve_wal: true"),
        ([logical("new", two_phase=True)], {}, "patroni_drops", "again without its two_phase; use patroni_slot: ignor"),
        ([logical("new", failover=True)], {"version": 170004}, "patroni_drops", "again without its failover"),
        ([logical("read", failover=True)], {"version": 170004}, "patroni_drops", "again without its failover"),
        (
            [{"name": "new", "reserve_wal": True}],
            {"known": Registry.of({"postgresql": {"use_slots": False}})},
            "patroni_drops",
            "keeps no slots while postgresql.use_slots is false",
        ),
        ([{"name": "pg_2"}], {}, "patroni_member", "that of Patroni's member pg.2,"),
        ([{"name": "pg_2"}], {"kind": "ignored"}, "patroni_member", "that of Patroni's member pg.2,"),
        ([absent("pg_1")], {}, "patroni_member", "that of Patroni's member pg-1,"),
        ([{"name": "new", "reserve_wal": True}], REPLICA, "standby", "made on the leader, which is pg-1."),
        ([logical("left", "test_decoding")], REPLICA, "standby", "made on the leader, which is pg-1."),
        (
            [{"name": "new", "reserve_wal": True}],
            {**REPLICA, "known": Registry()},
            "standby",
            "Patroni names none at this moment.",
        ),
        # The leader's copies are dropped there.
        ([absent("kept")], REPLICA, "standby", "copy of its primary's"),
        ([{"name": "new"}], UNASKED, "patroni_unasked", "cannot be created without patroni_host"),
        ([absent("kept")], UNASKED, "patroni_unasked", "cannot be dropped without patroni_host"),
    ],
)
def test_what_patroni_cannot_keep(slots, options, code, says):
    with pytest.raises(Refused) as refused:
        decided(*slots, **options)
    assert refused.value.code == code
    assert says in refused.value.message


def test_what_changes_nothing_needs_no_patroni():
    assert not planned({"name": "kept"}, absent("nowhere"), **UNASKED).changed


def test_exclusive_leaves_what_is_patronis():
    plan = planned({"name": "kept"}, exclusive="*")
    gone = [action.name for action in plan.actions if isinstance(action, Drop)]
    assert gone == ["left", "logical_odd", "read"]
    assert [(entry.name, entry.kind) for entry in plan.actions[0].entries] == [
        ("left", None),
        ("read", None),
        ("awaited", None),
    ]


def test_exclusive_on_a_replica_keeps_the_leaders_registrations():
    assert list(planned({"name": "kept"}, exclusive="*", **REPLICA).actions) == [
        Drop("left"),
        Drop("logical_odd"),
    ]


LIMITS = guard.Limits(max_retained=GB, drop=True)


def test_the_guard_leaves_what_is_patronis_and_says_what_to_do():
    plan = planned(limits=LIMITS)
    assert [action.name for action in plan.actions if isinstance(action, Drop)] == [
        *("kept", "left", "logical_odd", "read"),
    ]
    assert [entry.name for entry in plan.actions[0].entries] == ["kept", "left", "read"]
    said = " ".join(plan.warnings)
    does = "no client uses it, it keeps 9GB of WAL, and"
    assert f"leaves the slot pg_2: {does} it is that of Patroni's member pg.2; start that member" in said
    assert f"leaves the slot odd: {does} Patroni drops it unless" in said


def test_the_guard_drops_on_a_replica_what_was_left_there():
    plan = planned(limits=LIMITS, **REPLICA)
    assert list(plan.actions)[:-1] == [Drop(name, spare=True) for name in ("left", "logical_odd")]
    kept = {row["name"]: row["reason"] for row in plan.result["guard"]["slots"] if row["choice"] == "kept"}
    assert kept["read"] == kept["kept"] == "it is the copy of the primary's"


def test_what_the_guard_makes_again_stays_registered():
    plan = planned({"name": "kept"}, limits=dataclasses.replace(LIMITS, pattern=Pattern("kept")))
    assert list(plan.actions)[:2] == [Drop("kept", spare=True), Create("kept")]


def test_what_check_and_diff_mode_show():
    plan = planned({"name": "odd"}, logical("fresh"), absent("left"), absent("awaited"))
    assert plan.before == {
        "odd": {"slot_type": "physical"},
        "fresh": None,
        "left": {"patroni": "ignored", "slot_type": "logical", "plugin": "test_decoding", "database": "app"},
        "awaited": {"patroni": "permanent"},
    }
    assert plan.after == {
        "odd": {"patroni": "permanent", "slot_type": "physical"},
        "fresh": {"patroni": "permanent", "slot_type": "logical", "plugin": "pgoutput", "database": "app"},
        "left": None,
        "awaited": None,
    }
    assert [(row["action"], row["patroni"]) for row in plan.result["slots"]] == [
        ("registered", "permanent"),
        ("created", "permanent"),
        ("dropped", None),
        ("unregistered", None),
    ]
    assert plan.warnings == ("Patroni restarts PostgreSQL on each replica once, to copy the slot fresh there.",)


def test_without_patroni_nothing_is_said_of_it():
    decision = decided({"name": "kept"}, known=None)
    assert "patroni" not in result(decision)["slots"][0]


def test_a_slot_that_is_used_again_keeps_its_registration():
    decision = decided(limits=dataclasses.replace(LIMITS, pattern=Pattern("kept")))
    now = {"kept": dataclasses.replace(KEPT, active=True)}
    (row,) = result(decision, now)["slots"]
    assert (row["action"], row["patroni"]) == ("none", "permanent")
