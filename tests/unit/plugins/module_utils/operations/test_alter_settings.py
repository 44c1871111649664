# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that go to the dynamic configuration of a real Patroni; what is seen is asked without code of ours."""

from __future__ import annotations

import contextlib
import urllib.error

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    InvalidInput,
    PartlyApplied,
    Refused,
    Stranger,
)
from ansible_collections.scaleout.platform.plugins.module_utils.operations import alter_settings
from tests.unit import patroni_cluster, postgres_server

pytestmark = pytest.mark.long_tier


@pytest.fixture(scope="module")
def cluster():
    with patroni_cluster.running(members=1) as running:
        # There is a leader before there is a dynamic configuration.
        running.wait(lambda _seen: _has_settings(running))
        yield running


def _has_settings(cluster):
    with contextlib.suppress(urllib.error.HTTPError):
        return _shared(cluster)["max_connections"]


@pytest.fixture
def sql(cluster):
    with cluster.connect("one") as client:
        yield client


def _options(cluster, settings, **more):
    server = postgres_server.Server(cluster.folder)
    return {
        **server.parameters("postgres", login_port=cluster.ports["one"]["postgres"]),
        **cluster.options("one"),
        "settings": settings,
        "overrides": [],
        "profile": "none",
        "workload": "mixed",
        "storage": "ssd",
        "memory": None,
        "cores": None,
        "reload": True,
        **more,
    }


def _run(cluster, settings, **more):
    """Run the module's task, and return its plan."""
    with contextlib.closing(alter_settings.AlterSettings.of(_options(cluster, settings, **more))) as task:
        plan = task.plan()
        if plan.changed:
            task.apply(plan)
        return plan


def _plan(cluster, settings, **more):
    with contextlib.closing(alter_settings.AlterSettings.of(_options(cluster, settings, **more))) as task:
        return task.plan()


def _shared(cluster):
    cluster.ask("one", "/cluster")  # which makes it look for what it answers from memory
    return cluster.ask("one", "/config")["postgresql"]["parameters"]


def test_a_value_is_written_once_and_in_force_when_the_task_ends(cluster, sql):
    plan = _plan(cluster, {"work_mem": "5MB", "log_min_duration_statement": "1s"})
    assert plan.before["dynamic_configuration"] == {"log_min_duration_statement": None, "work_mem": None}
    assert plan.after["dynamic_configuration"] == {"log_min_duration_statement": "1s", "work_mem": "5MB"}
    assert "work_mem" not in _shared(cluster)

    plan = _run(cluster, {"work_mem": "5MB", "log_min_duration_statement": "1s"})
    assert (plan.before["work_mem"], plan.after["work_mem"]) == ("4MB", "5MB")
    assert sql.one("SHOW work_mem") == "5MB"
    assert _shared(cluster)["work_mem"] == "5MB"
    assert plan.result["written_to"] == "dynamic_configuration"
    assert plan.result["take_back"] == {"log_min_duration_statement": None, "work_mem": None}
    assert not _run(cluster, {"work_mem": "5120kB", "log_min_duration_statement": "1s"}).changed

    plan = _run(cluster, {"work_mem": None, "log_min_duration_statement": None})
    assert plan.after["work_mem"] == "4MB"
    assert sql.one("SHOW work_mem") == "4MB"
    assert "work_mem" not in _shared(cluster)
    assert not _run(cluster, {"work_mem": None, "log_min_duration_statement": None}).changed


def test_what_is_on_the_command_line_waits_for_a_restart(cluster, sql):
    plan = _run(cluster, {"max_connections": 60, "wal_keep_size": "256MB"})
    assert plan.result["restart_required"] == ["max_connections"]
    assert plan.result["take_back"] == {"max_connections": "50", "wal_keep_size": None}
    assert sql.one("SHOW wal_keep_size") == "256MB"
    assert sql.one("SELECT pending_restart FROM pg_settings WHERE name = 'max_connections'")
    assert _shared(cluster)["max_connections"] == 60

    again = _run(cluster, {"max_connections": 60})
    assert not again.changed
    assert again.result["restart_required"] == ["max_connections"]
    assert _run(cluster, {}).result["pending_restart_elsewhere"] == ["max_connections"]

    # Patroni's own default counts then.
    plan = _run(cluster, {"max_connections": None, "wal_keep_size": None})
    assert (plan.after["max_connections"], plan.after["wal_keep_size"]) == ("100", "128MB")
    assert sql.one("SHOW wal_keep_size") == "128MB"
    assert not _run(cluster, {"max_connections": 50}).result["restart_required"]
    assert not sql.one("SELECT pending_restart FROM pg_settings WHERE name = 'max_connections'")


def test_what_alter_system_has_left_is_taken_out(cluster, sql):
    sql.run("ALTER SYSTEM SET work_mem = '9MB'")
    sql.run("SELECT pg_reload_conf()")
    plan = _run(cluster, {"work_mem": "6MB"})
    assert (plan.before["work_mem"], plan.after["work_mem"]) == ("9MB", "6MB")
    assert (plan.before["auto_conf"], plan.after["auto_conf"]) == ({"work_mem": "9MB"}, {"work_mem": None})
    assert plan.result["reset_in_auto_conf"] == ["work_mem"]
    assert sql.one("SHOW work_mem") == "6MB"
    assert sql.rows("SELECT 1 FROM pg_file_settings WHERE name = 'work_mem' AND sourcefile LIKE '%auto.conf'") == []
    assert not _run(cluster, {"work_mem": "6MB"}).changed
    # Though all members share the right value already.
    sql.run("ALTER SYSTEM SET work_mem = '9MB'")
    plan = _run(cluster, {"work_mem": "6MB"})
    assert plan.changed
    assert "dynamic_configuration" not in plan.after
    _run(cluster, {"work_mem": None})


def test_texts_and_lists_arrive_as_they_are_meant(cluster, sql):
    wanted = {
        "archive_command": r"""test '%p' = "a\b" && true""",
        "search_path": ["My schema", "public"],
        "log_statement": "DDL",
        "jit": False,
        "random_page_cost": 1.25,
        "log_file_mode": "0640",
    }
    _run(cluster, wanted)
    assert sql.one("SELECT setting FROM pg_file_settings WHERE name = 'archive_command'") == wanted["archive_command"]
    assert sql.one("SHOW search_path") == '"My schema", public'
    assert [sql.one(f"SHOW {name}") for name in ("log_statement", "jit", "random_page_cost")] == ["ddl", "off", "1.25"]
    assert not _run(cluster, wanted).changed
    assert _run(cluster, dict.fromkeys(wanted)).changed


def test_a_profile_goes_there_and_overrides_to_their_database(cluster, sql):
    overrides = [{"database": "postgres", "role": None, "settings": {"lock_timeout": "3s"}}]
    options = {"overrides": overrides, "profile": "computed", "memory": "1GB", "cores": 2}
    plan = _plan(cluster, {"max_connections": 50}, **options)
    assert plan.after["dynamic_configuration"]["shared_buffers"] == "256MB"
    assert "max_connections" not in plan.after["dynamic_configuration"]
    _run(cluster, {}, overrides=overrides)
    assert sql.one("SELECT setconfig FROM pg_db_role_setting") == ["lock_timeout=3s"]
    assert not _run(cluster, {}, overrides=overrides).changed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_connections": "x"}, "settings.max_connections: 'x' "),
        ({"max_connections": 20}, "is less than 25, which Patroni does not use: it would take its default, 100"),
        ({"wal_level": "minimal"}, "is not one of the values that Patroni uses: replica, logical"),
        ({"port": 5433}, "it is postgresql.listen in the configuration file of each member"),
        ({"hot_standby": False}, "Patroni always has it on"),
        ({"synchronous_standby_names": "*"}, "Patroni writes it by synchronous_mode"),
        ({"restore_command": "true"}, "put it under postgresql.recovery_conf"),
        ({"no_setting": 1}, "is for a setting that the server does not know"),
    ],
)
def test_what_patroni_would_take_without_a_word_is_refused(cluster, settings, said):
    before = _shared(cluster)
    with pytest.raises(Refused) as caught:
        _run(cluster, {"work_mem": "7MB", **settings})
    assert said in caught.value.message
    assert caught.value.code == "invalid_setting"
    assert _shared(cluster) == before


def test_the_members_own_file_wins_and_is_named(cluster, sql, monkeypatch):
    monkeypatch.setattr(alter_settings, "SLACK", 0.0)
    before = _shared(cluster)
    with pytest.raises(Refused, match=r"unix_socket_directories = .*: so says the configuration file") as caught:
        _plan(cluster, {"unix_socket_directories": "/nowhere", "work_mem": "7MB"})
    assert (caught.value.code, caught.value.facts["settings"]) == ("overruled", ["unix_socket_directories"])
    assert _shared(cluster) == before


def test_the_members_own_file_wins_and_says_the_same(cluster, sql, monkeypatch):
    monkeypatch.setattr(alter_settings, "SLACK", 5.0)
    here = str(cluster.folder)
    _run(cluster, {"unix_socket_directories": here})
    # Until now nothing could be seen of it; then the change is taken back.
    with pytest.raises(Refused, match=r"first\. No setting was changed\.$") as caught:
        _run(cluster, {"unix_socket_directories": "/nowhere"})
    assert caught.value.code == "overruled"
    assert _shared(cluster)["unix_socket_directories"] == here
    with pytest.raises(Refused) as caught:
        _run(cluster, {"unix_socket_directories": None})
    assert caught.value.code == "overruled"


def test_without_patroni_host_its_server_says_whose_it_is(cluster, sql):
    with pytest.raises(Refused, match="Patroni started it: with patroni_host, the value goes to"):
        _plan(cluster, {"max_connections": 70}, patroni_host=None)
    (warning,) = _plan(cluster, {"max_wal_size": "300MB"}, patroni_host=None).warnings
    assert warning.startswith("Patroni manages this server, and has max_wal_size too")
    assert _plan(cluster, {"work_mem": "9MB"}, patroni_host=None).warnings == ()


def test_a_change_without_its_login(cluster):
    with pytest.raises(Denied):
        _run(cluster, {"work_mem": "7MB"}, patroni_password="wrong")
    assert "work_mem" not in _shared(cluster)


def test_reload_has_no_meaning_there(cluster):
    with pytest.raises(InvalidInput, match="reload: False does not go with patroni_host"):
        _plan(cluster, {}, reload=False)


def test_another_database_than_patronis(cluster, monkeypatch):
    monkeypatch.setattr(alter_settings.same_database, "identifier", lambda _session: "1")
    with pytest.raises(Stranger, match="its database is not the one at"):
        _plan(cluster, {})


def test_a_patroni_that_does_nothing_is_waited_for_for_a_while(cluster, monkeypatch):
    monkeypatch.setattr(alter_settings, "SLACK", 0.0)
    monkeypatch.setattr(
        alter_settings.AlterSettings,
        "_patch",
        lambda self, patch: self._remember({"loop_wait": 0.1, "postgresql": {"parameters": dict(patch.changes)}}),
    )
    with pytest.raises(PartlyApplied, match="Patroni did not put work_mem in force") as caught:
        _run(cluster, {"work_mem": "8MB"})
    assert caught.value.facts["cause"] == "timeout"
