# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which settings are written, and what they need to be in force."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import Entry, Reset, Set
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.plan import Reload, State
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition

KNOWN = [
    Definition("work_mem", "integer", "user", "4096", "4096", unit="kB", min_val="64", max_val="2147483647"),
    Definition("max_connections", "integer", "postmaster", "100", "100", min_val="1", max_val="262143"),
    Definition("shared_buffers", "integer", "postmaster", "16384", "16384", unit="8kB", min_val="16"),
    Definition("wal_buffers", "integer", "postmaster", "512", "-1", unit="8kB", min_val="-1", max_val="262143"),
    Definition("random_page_cost", "real", "user", "4", "4", min_val="0"),
    Definition("wal_level", "enum", "postmaster", "replica", "replica", enumvals=("minimal", "replica", "logical")),
    Definition("DateStyle", "string", "user", "ISO, MDY", "ISO, MDY"),
    Definition("archive_command", "string", "sighup", "", ""),
    Definition("primary_conninfo", "string", "sighup", "", ""),
    Definition("shared_preload_libraries", "string", "postmaster", "", ""),
    Definition("search_path", "string", "user", '"$user", public', '"$user", public'),
    Definition("block_size", "integer", "internal", "8192", "8192"),
    Definition("data_directory", "string", "postmaster", "/d", None),
    Definition("auto_explain.log_analyze", "bool", "superuser", "off", "off"),
]


def state(*entries, definitions=(), **facts):
    """A server with these lines in its files; what is given of ``definitions`` is changed as keyword dicts say."""
    known = {definition.key: definition for definition in KNOWN}
    for name, changes in definitions:
        known[name] = dataclasses.replace(known[name], **changes)
    return State(definitions=known, entries=tuple(Entry(*entry) for entry in entries), **facts)


def planned(desired, *entries, reload=True, **facts):
    return planner.plan(desired, state(*entries, **facts), reload)


AUTO = True
PENDING = {"pending": True}
FROM_FILE = {"source": "configuration file"}


@pytest.mark.parametrize(
    ("desired", "entries", "changes", "actions"),
    [
        # From the default.
        ({"work_mem": "8MB"}, [], {}, [Set("work_mem", ("8MB",), Reset("work_mem")), Reload()]),
        ({"work_mem": "4MB"}, [], {}, []),
        ({"WORK_MEM": 4096}, [], {}, []),
        ({"work_mem": None}, [], {}, []),
        # From a file: the last line counts, and what is there already stays there.
        ({"work_mem": "8MB"}, [("work_mem", "8192")], {"setting": "8192", **FROM_FILE}, []),
        (
            {"work_mem": "8MB"},
            [("work_mem", "8MB"), ("work_mem", "9MB", AUTO)],
            {"setting": "9216", **FROM_FILE},
            [Set("work_mem", ("8MB",), Set("work_mem", ("9MB",))), Reload()],
        ),
        (
            {"work_mem": None},
            [("work_mem", "8MB"), ("Work_Mem", "9MB", AUTO)],
            {"setting": "9216", **FROM_FILE},
            [Reset("work_mem", Set("work_mem", ("9MB",))), Reload()],
        ),
        ({"work_mem": None}, [("work_mem", "8MB")], {"setting": "8192", **FROM_FILE}, []),
        # Written, and not read by the server yet.
        ({"work_mem": "8MB"}, [("work_mem", "8MB", AUTO)], {}, [Reload()]),
        ({"work_mem": None}, [], {"setting": "8192", **FROM_FILE}, [Reload()]),
        ({"max_connections": 200}, [("max_connections", "200", AUTO)], PENDING, []),
        # The session of the user that we are has a value of its own: the server's cannot be seen.
        ({"work_mem": "8MB"}, [("work_mem", "8MB", AUTO)], {"setting": "1024", "source": "user"}, []),
        ({"work_mem": "4MB"}, [], {"setting": "1024", "source": "database"}, []),
        # A value in a file that the server does not understand.
        (
            {"wal_level": "replica"},
            [("wal_level", "none")],
            {},
            [Set("wal_level", ("replica",), Reset("wal_level")), Reload()],
        ),
        # -1 stands for a number that the server computes.
        ({"wal_buffers": -1}, [], {}, []),
        ({"wal_buffers": -1}, [("wal_buffers", "-1", AUTO)], {"source": "override"}, []),
        ({"wal_buffers": "4MB"}, [], {}, []),
        (
            {"wal_buffers": "8MB"},
            [],
            {},
            [Set("wal_buffers", ("8MB",), Reset("wal_buffers")), Reload()],
        ),
        # Six digits of a real number are all that the server shows.
        (
            {"random_page_cost": 1.23456789},
            [("random_page_cost", "1.23456789", AUTO)],
            {"setting": "1.23457", **FROM_FILE},
            [],
        ),
        # Shown otherwise than written.
        ({"DateStyle": "iso"}, [("datestyle", "iso", AUTO)], {"setting": "ISO, DMY", **FROM_FILE}, []),
        ({"datestyle": "iso"}, [("datestyle", "iso", AUTO)], {}, [Reload()]),
        # Lists.
        (
            {"shared_preload_libraries": ["a", "b"]},
            [("shared_preload_libraries", "c, d", AUTO)],
            {},
            [
                Set("shared_preload_libraries", ("a", "b"), Set("shared_preload_libraries", ("c", "d"))),
                Reload(),
            ],
        ),
        ({"shared_preload_libraries": []}, [], {}, []),
        (
            {"shared_preload_libraries": ""},
            [("shared_preload_libraries", "c", AUTO)],
            {},
            [Reset("shared_preload_libraries", Set("shared_preload_libraries", ("c",))), Reload()],
        ),
        ({"search_path": ""}, [], {}, [Set("search_path", ("",), Reset("search_path")), Reload()]),
        # Extensions.
        (
            {"auto_explain.log_analyze": True},
            [],
            {},
            [Set("auto_explain.log_analyze", ("on",), Reset("auto_explain.log_analyze")), Reload()],
        ),
        (
            {"gone.level": None},
            [("gone.level", "3", AUTO)],
            None,
            [Reset("gone.level", Set("gone.level", ("3",))), Reload()],
        ),
        ({"gone.level": None}, [], None, []),
    ],
)
def test_actions(desired, entries, changes, actions):
    name = next(iter(desired)).lower()
    definitions = [] if changes is None else [(name, changes)]
    plan = planned(desired, *entries, definitions=definitions)
    assert list(plan.actions) == actions
    assert plan.changed == bool(actions)
    assert plan.result["reloaded"] == (Reload() in actions)


@pytest.mark.parametrize(
    ("desired", "entries", "changes", "restart"),
    [
        ({"max_connections": 200}, [], {}, "200 is set now and 100 is still in force"),
        ({"max_connections": 200}, [("max_connections", "200", AUTO)], PENDING, "200 was set earlier and 100 is"),
        # Another desired takes back what waits for a restart.
        ({"max_connections": 100}, [("max_connections", "200", AUTO)], PENDING, None),
        ({"max_connections": None}, [("max_connections", "200", AUTO)], PENDING, None),
        ({"max_connections": 100}, [], {}, None),
        ({"wal_buffers": None}, [("wal_buffers", "8MB", AUTO)], {"setting": "1024", **FROM_FILE}, "-1 is set now"),
        ({"wal_buffers": None}, [("wal_buffers", "8MB", AUTO)], {}, None),
        ({"shared_preload_libraries": "a"}, [], {}, "a is set now and an empty value is still in force"),
        ({"work_mem": "8MB"}, [], {}, None),
    ],
)
def test_restart_required(desired, entries, changes, restart):
    name = next(iter(desired))
    result = planned(desired, *entries, definitions=[(name, changes)]).result
    assert result["restart_required"] == ([name] if restart else [])
    assert restart is None or restart in result["restart_reasons"][name]


def test_pending_restarts_of_others_are_seen():
    result = planned({"work_mem": "8MB"}, definitions=[("wal_level", PENDING), ("max_connections", PENDING)]).result
    assert result["restart_required"] == []
    assert result["pending_restart_elsewhere"] == ["max_connections", "wal_level"]


def test_pending_restarts_of_others_are_explained():
    changes = [("max_connections", PENDING)]
    result = planned({"work_mem": "8MB"}, ("max_connections", "200", AUTO), definitions=changes).result
    assert result["pending_restart_reasons"] == {
        "max_connections": "max_connections is read only when the server starts: 200 was set earlier and 100 is still "
        "in force",
    }


def test_the_result_in_the_order_of_names_and_with_the_servers_spelling():
    plan = planned({"WORK_MEM": "8192", "datestyle": "ISO, MDY"})
    assert plan.before == {"DateStyle": "ISO, MDY", "work_mem": "4MB"}
    assert plan.after == {"DateStyle": "ISO, MDY", "work_mem": "8MB"}
    assert plan.result["settings"] == [
        {"name": "DateStyle", "before": "ISO, MDY", "after": "ISO, MDY", "unit": None, "context": "user"},
        {"name": "work_mem", "before": "4MB", "after": "8MB", "unit": "kB", "context": "user"},
    ]


def test_without_reload_the_values_are_written_only():
    plan = planned({"work_mem": "8MB"}, reload=False, may_reload=False, file_errors=("f line 1: syntax error",))
    assert plan.actions == (Set("work_mem", ("8MB",), Reset("work_mem")),)
    assert plan.result["reloaded"] is False


def test_all_settings_with_one_reload():
    plan = planned({"work_mem": "8MB", "max_connections": 200, "random_page_cost": 1.1})
    assert [type(action) for action in plan.actions] == [Set, Set, Set, Reload]


def test_a_password_is_masked_and_its_change_seen():
    entry = ("primary_conninfo", "host=a password=old", AUTO)
    plan = planned({"primary_conninfo": "host=a password=new"}, entry)
    assert plan.changed
    assert plan.before == {"primary_conninfo": "host=a password=********"}
    assert plan.after == {"primary_conninfo": "host=a password=******** (with another secret)"}
    # The action carries the real value, and how to bring the old one back.
    assert plan.actions[0].literals == ("host=a password=new",)
    assert plan.actions[0].undo.literals == ("host=a password=old",)


@pytest.mark.parametrize(
    ("desired", "facts", "reason"),
    [
        ({"work_memm": 1}, {}, "settings.work_memm: '1' is for a setting that the server does not know."),
        ({"work_memm": None}, {}, "does not know"),
        ({'x"; DROP TABLE y; --': 1}, {}, "does not know"),
        ({"pg_stat_statements.track": "all"}, {}, "'pg_stat_statements' not loaded yet.*shared_preload_libraries"),
        ({"block_size": 8192}, {}, "cannot be set"),
        ({"data_directory": "/e"}, {}, "cannot be set"),
        ({"work_mem": "1kB"}, {}, "bounds 64 to 2147483647, counted in kB"),
        ({"wal_level": "none"}, {}, "minimal, replica, logical"),
        ({"work_mem": "8MB"}, {"definitions": [("work_mem", {"alterable": False})]}, "lacks ALTER SYSTEM on work_mem"),
        (
            {"work_mem": "8MB"},
            {"definitions": [("work_mem", {"source": "command line"})]},
            "no effect: the server was started with work_mem = 4MB on its command line",
        ),
        ({"work_mem": "8MB"}, {"may_alter": False}, "allow_alter_system is off"),
        ({"work_mem": "8MB"}, {"may_reload": False}, "pg_reload_conf"),
        ({"work_mem": "8MB"}, {"file_errors": ("f line 3: syntax error",)}, "f line 3: syntax error"),
        ({"primary_conninfo": "password=hush\n"}, {}, r"password=\*{8}"),
    ],
)
def test_refused(desired, facts, reason):
    with pytest.raises(Refused, match=reason) as refusal:
        planned(desired, **facts)
    assert "hush" not in refusal.value.message


@pytest.mark.parametrize(
    ("desired", "entries", "actions"),
    [
        ("8MB", [("work_mem", "16MB")], []),
        ("8192kB", [("work_mem", "16MB", AUTO)], []),
        ("8MB", [], []),
        # The file has it, and the server never will.
        ("16MB", [("work_mem", "16MB")], None),
        ("16MB", [], None),
        # A reset is about the file.
        (None, [("work_mem", "16MB")], []),
        (None, [("work_mem", "16MB", AUTO)], [Reset("work_mem", Set("work_mem", ("16MB",))), Reload()]),
    ],
)
def test_m5_what_the_command_line_says_is_what_counts(desired, entries, actions):
    definitions = [("work_mem", {"setting": "8192", "source": "command line"})]
    if actions is None:
        with pytest.raises(Refused, match="work_mem = 8MB on its command line"):
            planned({"work_mem": desired}, *entries, definitions=definitions)
        return
    plan = planned({"work_mem": desired}, *entries, definitions=definitions)
    assert list(plan.actions) == actions
    assert plan.before == plan.after == {"work_mem": "8MB"}


def test_an_empty_list_that_a_file_forbids():
    with pytest.raises(Refused, match="take it out of the configuration file"):
        planned({"shared_preload_libraries": []}, ("shared_preload_libraries", "a"))


def test_all_problems_at_once():
    with pytest.raises(Refused) as refusal:
        planned({"work_mem": "1kB", "nothing": 1, "max_connections": 7})
    assert [problem.split(":")[0] for problem in refusal.value.facts["problems"]] == [
        "settings.nothing",
        "settings.work_mem",
    ]


def test_nothing_to_do_needs_no_rights():
    definitions = [("work_mem", {"alterable": False})]
    plan = planned({"work_mem": "4MB"}, definitions=definitions, may_alter=False, may_reload=False)
    assert not plan.changed


def test_a_standby_is_not_to_have_less_than_its_primary():
    desired = {"max_connections": 50, "work_mem": "1MB"}
    assert planned(desired).warnings == ()
    assert "falls from 100 to 50 on a standby" in planned(desired, in_recovery=True).warnings[0]
    assert planned({"max_connections": 500}, in_recovery=True).warnings == ()


@pytest.mark.parametrize("desired", [{"": 1}, {"  ": 1}, {7: 1}, {"work_mem": 1, "Work_Mem": 2}])
def test_names_that_are_none(desired):
    with pytest.raises(InvalidInput):
        planner.check_names(desired)
