# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of databases and roles: which change, and what speaks against it."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import overrides
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import plan as planner
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import Reset, Set
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.overrides import (
    Change,
    Override,
    Scope,
    ScopeState,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.plan import Reload, State
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.profile import Profile
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition

KNOWN = [
    Definition("work_mem", "integer", "user", "4096", "4096", unit="kB", min_val="64", max_val="2147483647"),
    Definition("statement_timeout", "integer", "user", "0", "0", unit="ms", min_val="0", max_val="2147483647"),
    Definition("log_statement", "enum", "superuser", "none", "none", enumvals=("none", "ddl", "mod", "all")),
    Definition("search_path", "string", "user", '"$user", public', '"$user", public'),
    Definition("session_preload_libraries", "string", "superuser", "", ""),
    Definition("DateStyle", "string", "user", "ISO, MDY", "ISO, MDY"),
    Definition("max_connections", "integer", "postmaster", "100", "100", min_val="1", max_val="262143"),
    Definition("max_worker_processes", "integer", "postmaster", "8", "8", min_val="0", max_val="262143"),
    Definition("wal_keep_size", "integer", "sighup", "0", "0", unit="MB", min_val="0", max_val="2147483647"),
    Definition("log_connections", "bool", "superuser-backend", "off", "off"),
    Definition("post_auth_delay", "integer", "backend", "0", "0", unit="s", min_val="0", max_val="2147"),
    Definition("block_size", "integer", "internal", "8192", "8192"),
    Definition("jit", "bool", "user", "on", "on"),
]
APP = Scope(database="app")
BATCH = Scope("app", "batch")


def state(scope=APP, stored=None, changeable=True, missing=(), **facts):
    scopes = (ScopeState(scope, stored or {}, missing, changeable),)
    return State(definitions={definition.key: definition for definition in KNOWN}, scopes=scopes, **facts)


def planned(settings, scope=APP, desired=None, **facts):
    return planner.plan(desired or {}, state(scope, **facts), scoped={scope: settings})


@pytest.mark.parametrize(
    ("name", "wanted", "stored", "literals"),
    [
        ("work_mem", "8MB", None, ("8MB",)),
        # What the server has for all says nothing of what is kept for a database.
        ("work_mem", "4MB", None, ("4MB",)),
        ("work_mem", "8MB", "8192", None),
        ("WORK_MEM", 8192, "8MB", None),
        ("work_mem", "9MB", "8MB", ("9MB",)),
        ("work_mem", "9MB", "garbage", ("9MB",)),
        ("work_mem", None, "8MB", ()),
        ("work_mem", None, None, None),
        ("jit", False, "off", None),
        ("jit", "no", "on", ("off",)),
        ("log_statement", "DDL", "ddl", None),
        ("search_path", ["app", "public"], "app, public", None),
        ("search_path", ["$user", "App"], "public", ("$user", "App")),
        ("search_path", "", None, ("",)),
        ("search_path", "", '""', None),
        ("DateStyle", "ISO, DMY", "iso,dmy", None),
        # Texts of an application's own.
        ("app.tenant", "7", None, ("7",)),
        ("app.tenant", 7, "7", None),
        ("App.Tenant", "8", "7", ("8",)),
        ("app.tenant", None, "7", ()),
        # A setting that an earlier version of the server knew.
        ("gone", None, "1", ()),
    ],
)
def test_changes(name, wanted, stored, literals):
    plan = planned({name: wanted}, stored={} if stored is None else {name.lower(): stored})
    changed = plan.actions[0].changes if plan.actions else ()
    assert [change.literals for change in changed] == ([] if literals is None else [literals])
    assert plan.changed == (literals is not None)
    assert not plan.result["reloaded"]
    assert (plan.before == plan.after) == (not plan.changed)


def test_all_in_one_action_with_what_takes_it_back():
    settings = {"work_mem": "8MB", "search_path": "a, B", "jit": None}
    plan = planned(settings, BATCH, stored={"jit": "off", "search_path": '"A b"'})
    changes = (Change(BATCH, "jit"), Change(BATCH, "search_path", ("a", "b")), Change(BATCH, "work_mem", ("8MB",)))
    undo = (Change(BATCH, "work_mem"), Change(BATCH, "search_path", ("A b",)), Change(BATCH, "jit", ("off",)))
    assert plan.actions == (Override(changes, Override(undo)),)


def test_beside_the_settings_of_the_server():
    plan = planned({"work_mem": "8MB"}, desired={"work_mem": "16MB"})
    change = Override((Change(APP, "work_mem", ("8MB",)),), Override((Change(APP, "work_mem"),)))
    assert plan.actions == (Set("work_mem", ("16MB",), Reset("work_mem")), change, Reload())
    assert plan.before == {"work_mem": "4MB", "overrides": {"database app": {"work_mem": None}}}
    assert plan.after == {"work_mem": "16MB", "overrides": {"database app": {"work_mem": "8MB"}}}
    assert plan.result["overrides"] == [
        {
            "database": "app",
            "role": None,
            "name": "work_mem",
            "before": None,
            "after": "8MB",
            "unit": "kB",
            "context": "user",
        }
    ]


def test_without_overrides_the_diff_has_none():
    plan = planner.plan({"work_mem": "16MB"}, state())
    assert plan.after == {"work_mem": "16MB"}
    assert plan.result["overrides"] == []


@pytest.mark.parametrize(
    ("settings", "facts", "reason"),
    [
        (
            {"work_mem": "1kB"},
            {},
            r"^overrides\[database app\]\.work_mem: '1kB' is outside the server's bounds 64 to 2147",
        ),
        ({"nothing": 1}, {}, "the server does not know"),
        ({'x"; DROP TABLE y; --.z': 1}, {}, "the server does not know"),
        ({"a..b": 1}, {}, "the server does not know"),
        ({"max_connections": 7}, {}, "it counts from the server's start; put it in settings"),
        ({"wal_keep_size": 7}, {}, "it counts for the whole server; put it in settings"),
        ({"log_connections": True}, {}, "a client gives it when it connects"),
        ({"post_auth_delay": 1}, {}, "a client gives it when it connects"),
        ({"block_size": 1}, {}, "cannot be set"),
        ({"session_preload_libraries": []}, {}, "null resets it"),
        ({"work_mem": [1]}, {}, "takes one value"),
        ({"app.token": "hush\n"}, {}, r"app\.token: '\*{8}' contains a line break"),
        ({"work_mem": "8MB"}, {"changeable": False}, "by this user, who may not alter database app"),
        ({"work_mem": "8MB"}, {"missing": ("database",)}, "^overrides: 'app' is not a database of this server"),
        ({"work_mem": "8MB"}, {"in_recovery": True}, "is a standby.*Set work_mem of database app there"),
    ],
)
def test_refused(settings, facts, reason):
    with pytest.raises(Refused, match=reason) as error:
        planned(settings, desired={"work_mem": "16MB"}, **facts)
    assert "hush" not in str(error.value.facts)


def test_a_role_that_is_missing_and_a_bad_value_of_the_servers_are_said_together():
    with pytest.raises(Refused) as error:
        planned({"work_mem": 1}, BATCH, desired={"work_mem": 1}, missing=("database", "role"))
    assert len(error.value.facts["problems"]) == 3
    assert "'batch' is not a role of this server" in error.value.message


def test_nothing_to_change_needs_no_rights_and_no_primary():
    plan = planned({"work_mem": "8MB"}, stored={"work_mem": "8MB"}, changeable=False, in_recovery=True)
    assert not plan.changed


def test_a_secret_is_masked_and_its_change_seen():
    plan = planned({"app.token": "new-secret"}, stored={"app.token": "old-secret"})
    assert plan.changed
    assert "secret" not in str(plan.before)
    assert plan.after["overrides"] == {"database app": {"app.token": "******** (with another secret)"}}
    assert plan.actions[0].changes[0].literals == ("new-secret",)


def test_a_user_without_the_right_to_a_superusers_setting():
    known = state()
    definition = Definition("log_statement", "enum", "superuser", "none", "none", enumvals=("ddl",), settable=False)
    known.definitions["log_statement"] = definition
    with pytest.raises(Refused, match="lacks SET on log_statement"):
        planner.plan({}, known, scoped={APP: {"log_statement": "ddl"}})


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([{"settings": {"a": 1}}], "neither a database nor a role"),
        ([{"database": "", "role": "", "settings": {}}], "neither a database nor a role"),
        ([{"database": "a", "settings": {}}, {"database": "a", "role": None, "settings": {}}], "listed twice"),
    ],
)
def test_items_that_cannot_be(items, reason):
    with pytest.raises(InvalidInput, match=reason):
        overrides.read(items)


def test_items():
    items = [{"database": "a", "role": "b", "settings": {"x": 1}}, {"role": "b", "settings": None}]
    assert overrides.read(items) == {Scope("a", "b"): {"x": 1}, Scope(None, "b"): {}}
    assert [str(scope) for scope in overrides.read(items)] == ["role b in database a", "role b"]


PROFILE = Profile("computed", {"work_mem": "20MB", "max_connections": 50, "max_worker_processes": 16, "jit": "off"})


def test_what_the_task_sets_wins_over_the_profile():
    plan = planner.plan({"Work_Mem": None}, state(), profile=PROFILE)
    assert plan.after == {"jit": "off", "max_connections": "50", "max_worker_processes": "16", "work_mem": "4MB"}
    assert plan.result["profile"]["left_out"] == ["work_mem"]
    assert plan.result["profile"]["settings"]["max_connections"] == "50"
    assert plan.result["restart_required"] == ["max_connections", "max_worker_processes"]


def test_a_standby_keeps_limits_that_the_profile_would_lower():
    plan = planner.plan({}, state(in_recovery=True), profile=PROFILE)
    assert plan.after == {"jit": "off", "max_worker_processes": "16", "work_mem": "20MB"}
    assert plan.result["profile"]["left_out"] == ["max_connections"]
    assert plan.warnings == ()


def test_without_a_profile():
    assert planner.plan({}, state()).result["profile"] == {"name": "none", "settings": {}, "left_out": []}
