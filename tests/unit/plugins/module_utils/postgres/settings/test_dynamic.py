# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of a setting under Patroni; the names that it treats apart are compared with its own."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import dynamic
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import Entry, Reset, Set
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.plan import State, plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import BadValue, Definition

WORK_MEM = Definition(
    "work_mem", "integer", "user", "4096", "4096", "configuration file", "kB", min_val="64", max_val="2147483647"
)
CONNECTIONS = Definition(
    "max_connections", "integer", "postmaster", "100", "100", "command line", min_val="1", max_val="262143"
)
LIBRARIES = Definition("shared_preload_libraries", "string", "postmaster", "", "")
KEEP = Definition("wal_keep_size", "integer", "sighup", "128", "0", unit="MB", min_val="0", max_val="2147483647")


def base(definition, text):
    return Entry(definition.name, text)


def written(definition, text):
    return Entry(definition.name, text, main=True)


def auto(definition, text):
    return Entry(definition.name, text, automatic=True)


@pytest.mark.parametrize(
    ("definition", "wanted", "lines", "parameters", "before", "after", "change", "reset"),
    [
        (WORK_MEM, "8MB", [], {}, "4MB", "8MB", ("work_mem", None, "8MB"), False),
        # The default of every member.
        (WORK_MEM, "4MB", [], {}, "4MB", "4MB", None, False),
        # What a file of this member says, the others may not have.
        (WORK_MEM, "4MB", [base(WORK_MEM, "4MB")], {}, "4MB", "4MB", ("work_mem", None, "4MB"), False),
        (WORK_MEM, "8192kB", [written(WORK_MEM, "8MB")], {"work_mem": "8MB"}, "8MB", "8MB", None, False),
        (
            WORK_MEM,
            9000,
            [written(WORK_MEM, "8MB")],
            {"Work_Mem": 8192},
            "8MB",
            "9000kB",
            ("Work_Mem", 8192, "9000kB"),
            0,
        ),
        (WORK_MEM, None, [written(WORK_MEM, "8MB")], {"work_mem": "8MB"}, "8MB", "4MB", ("work_mem", "8MB", None), 0),
        (WORK_MEM, None, [], {}, "4MB", "4MB", None, False),
        (
            WORK_MEM,
            "8MB",
            [written(WORK_MEM, "8MB"), auto(WORK_MEM, "5MB")],
            {"work_mem": "8MB"},
            "5MB",
            "8MB",
            None,
            True,
        ),
        (CONNECTIONS, 200, [written(CONNECTIONS, "100")], {}, "100", "200", ("max_connections", None, 200), False),
        (CONNECTIONS, 100, [written(CONNECTIONS, "100")], {}, "100", "100", None, False),
        # Patroni takes its default for what it does not use.
        (CONNECTIONS, 100, [written(CONNECTIONS, "100")], {"max_connections": 5}, "100", "100", None, False),
        (
            CONNECTIONS,
            None,
            [written(CONNECTIONS, "90")],
            {"max_connections": 90},
            "90",
            "100",
            ("max_connections", 90, None),
            0,
        ),
        (
            LIBRARIES,
            ["auto_explain", "My lib"],
            [],
            {},
            "",
            'auto_explain, "My lib"',
            ("shared_preload_libraries", None, 'auto_explain, "My lib"'),
            False,
        ),
        (KEEP, "128MB", [written(KEEP, "128MB")], {}, "128MB", "128MB", None, False),
        (KEEP, "64MB", [written(KEEP, "64MB")], {"wal_keep_segments": 4}, "64MB", "64MB", None, False),
        (
            KEEP,
            None,
            [written(KEEP, "1GB")],
            {"wal_keep_size": "1GB"},
            "1GB",
            "128MB",
            ("wal_keep_size", "1GB", None),
            0,
        ),
    ],
)
def test_decisions(definition, wanted, lines, parameters, before, after, change, reset):
    decision = dynamic.decide(definition.name, wanted, definition, lines, parameters)
    assert (decision.before, decision.after, decision.change) == (before, after, change)
    assert (decision.action is not None) == bool(reset)


def test_what_is_reset_can_be_brought_back():
    decision = dynamic.decide("work_mem", "8MB", WORK_MEM, [auto(WORK_MEM, "5MB")], {})
    assert decision.action == Reset("work_mem", undo=Set("work_mem", ("5MB",)))


def test_a_user_without_alter_system_needs_it_only_to_reset():
    poor = dataclasses.replace(WORK_MEM, alterable=False)
    assert dynamic.decide("work_mem", "8MB", poor, [], {}).change
    with pytest.raises(BadValue, match=r"is overruled by postgresql\.auto\.conf, and this user lacks ALTER SYSTEM"):
        dynamic.decide("work_mem", "8MB", poor, [auto(WORK_MEM, "5MB")], {})


@pytest.mark.parametrize("name", sorted(dynamic.ELSEWHERE))
def test_what_belongs_elsewhere_can_only_be_removed(name):
    definition = Definition(name, "string", "sighup", "", "")
    with pytest.raises(BadValue, match="cannot be set"):
        dynamic.decide(name, "x", definition, [], {})
    assert dynamic.decide(name, None, definition, [], {name: "x"}).change == (name, "x", None)


@pytest.mark.parametrize(
    ("definition", "lines", "parameters", "found"),
    [
        (None, [], {"a.b": 1}, None),
        (WORK_MEM, [], {}, None),
        (WORK_MEM, [base(WORK_MEM, "5MB"), auto(WORK_MEM, "6MB")], {}, None),
        (WORK_MEM, [written(WORK_MEM, "5MB")], {"work_mem": "5120kB"}, None),
        (WORK_MEM, [written(WORK_MEM, "5MB")], {"work_mem": "6MB"}, "5MB"),
        (WORK_MEM, [written(WORK_MEM, "5MB")], {}, "5MB"),
        (WORK_MEM, [], {"work_mem": "6MB"}, ""),
        # Nothing is known of what Patroni makes of nonsense.
        (WORK_MEM, [written(WORK_MEM, "64kB")], {"work_mem": "much"}, None),
        (CONNECTIONS, [written(CONNECTIONS, "100")], {}, None),
        (CONNECTIONS, [written(CONNECTIONS, "100")], {"max_connections": 20}, None),
        (CONNECTIONS, [written(CONNECTIONS, "90")], {}, "90"),
    ],
)
def test_what_a_member_has_for_itself(definition, lines, parameters, found):
    assert dynamic.unlike(definition, lines, parameters) == found


def test_what_overrules():
    definitions, lines = {"work_mem": WORK_MEM}, [written(WORK_MEM, "5MB")]
    for wanted, found in [("6MB", {"work_mem": "5MB"}), ("5MB", {}), (None, {}), ("much", {})]:
        assert dynamic.overruled({"work_mem": wanted}, definitions, lines, {}) == found
    # That it goes from the dynamic configuration does not make it go from the member's.
    assert dynamic.awaited({"work_mem": None}, definitions, lines, {"work_mem": "7MB"}) == {}
    assert dynamic.awaited({"work_mem": None}, definitions, lines, {"work_mem": "5MB"}) == {"work_mem": None}


def test_the_plan_is_one_request_and_what_it_takes_back():
    state = State({"work_mem": WORK_MEM, "max_connections": CONNECTIONS}, (auto(WORK_MEM, "5MB"),), may_alter=True)
    parameters = {"max_connections": 50}
    made = plan({"work_mem": "8MB", "max_connections": 200}, state, parameters=parameters)
    patch, files, reset, _reload, in_force = made.actions
    assert patch.changes == (("max_connections", 200), ("work_mem", "8MB"))
    assert patch.undo.changes == (("max_connections", 50), ("work_mem", None))
    assert (files.in_force, in_force.in_force) == (False, True)
    assert reset.name == "work_mem"
    assert made.result["take_back"] == {"max_connections": 50, "work_mem": None}
    assert made.result["reset_in_auto_conf"] == ["work_mem"]


def test_a_secret_is_neither_shown_nor_taken_back():
    command = Definition("archive_command", "string", "sighup", "", "")
    state = State({"archive_command": command}, (written(command, "put --token=old"),))
    made = plan({"archive_command": "put --token=new"}, state, parameters={"archive_command": "put --token=old"})
    assert "old" not in repr((made.before, made.after, made.result))
    assert "new" not in repr((made.before, made.after, made.result))
    assert made.before != made.after
    assert made.result["take_back"] == {}
    assert made.actions[0].changes == (("archive_command", "put --token=new"),)


@given(
    st.one_of(st.none(), st.integers(64, 10**6)),
    st.one_of(st.none(), st.integers(64, 10**6)),
    st.one_of(st.none(), st.integers(64, 10**6)),
    st.one_of(st.none(), st.integers(64, 10**6)),
)
def test_what_is_planned_is_not_planned_again(wanted, kept, below, automatic):
    lines = [base(WORK_MEM, str(below))] if below else []
    parameters = {"work_mem": kept} if kept else {}
    first = dynamic.decide(
        "work_mem", wanted, WORK_MEM, [*lines, *([auto(WORK_MEM, str(automatic))] if automatic else [])], parameters
    )
    assert (first.action is not None) == (automatic is not None)
    if first.change:
        parameters = {} if first.change.after is None else {"work_mem": first.change.after}
    again = dynamic.decide("work_mem", wanted, WORK_MEM, lines, parameters)
    assert (again.change, again.action) == (None, None)
    assert again.after == first.after
    assert (wanted is None) == ("work_mem" not in parameters) or wanted == 4096


def test_the_names_are_patronis():
    config = pytest.importorskip("patroni.postgresql.config", reason="Patroni is not installed")
    validator = pytest.importorskip("patroni.postgresql.validator", reason="Patroni is not installed")
    options = config.ConfigHandler.CMDLINE_OPTIONS
    assert set(options) - {"wal_keep_segments"} == set(dynamic.SHARED) | (set(options) & set(dynamic.ELSEWHERE))
    for name, (default, least) in dynamic.SHARED.items():
        given_default, check, _version = options[name]
        assert str(given_default) == default or (given_default, default) == ("hot_standby", "replica")
        assert check(default)
        if least:
            assert check(least)
            assert not check(least - 1)
    recovery = set(validator.recovery_parameters) - {"pause_at_recovery_target", "standby_mode", "trigger_file"}
    assert recovery <= set(dynamic.ELSEWHERE)
