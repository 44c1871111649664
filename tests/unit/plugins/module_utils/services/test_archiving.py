# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a server archives its WAL, and when that is taken back."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Server
from ansible_collections.scaleout.platform.plugins.module_utils.services import archiving, postgres, table

MAIN = Cluster("main", (Server("pg1", "192.0.2.11"), Server("pg1r", "192.0.2.12")))
OURS = "/usr/bin/pgbackrest --stanza=main archive-push %p"


def platform(*backup, **cluster):
    own = {"postgres_cluster": "main", "postgres_replicator_password": "secret", "postgres_patroni_password": "secret"}
    groups = {"postgres": ["pg1", "pg1r"], "backup": list(backup), "all": ["pg1", "pg1r", "repo1"]}
    made = MAIN.__class__(**{**MAIN.__dict__, **cluster})
    return Platform({"pg1": own, "pg1r": own, "repo1": {}}, groups, {"main": made})


def test_both_servers_are_told_to_archive_where_there_is_a_host_for_it():
    wanted = {"archive_mode": "on", "archive_command": OURS, "archive_timeout": "1min"}
    assert archiving.settings(platform("repo1"), MAIN) == wanted
    for host in ("pg1", "pg1r"):
        settings = postgres.wanted(platform("repo1"), host, None)["settings"]
        assert {name: settings.get(name) for name in wanted} == wanted


def test_without_a_host_for_backups_nothing_is_said():
    assert archiving.settings(platform(), MAIN) == {}
    assert not {*archiving.SETTINGS} & {*postgres.wanted(platform(), "pg1", None)["settings"]}


def test_a_cluster_may_complete_its_segments_less_often():
    settings = postgres.wanted(platform("repo1", settings={"archive_timeout": "5min"}), "pg1", None)["settings"]
    assert settings["archive_timeout"] == "5min"


@pytest.mark.parametrize(
    ("backup", "in_force", "taken_back"),
    [
        ((), OURS, True),
        (("repo1",), OURS, False),
        ((), "cp %p /archive/%f", False),
        ((), "", False),
        ((), None, False),
    ],
)
def test_what_is_ours_is_taken_back_when_the_backups_are_gone(backup, in_force, taken_back):
    server = {"archive_command": in_force, "limits": {}, "databases": {}, "active_slots": [], "receiver": None}
    settings = postgres.wanted(platform(*backup), "pg1", {"version": 17, "server": server})["settings"]
    assert [name for name in archiving.SETTINGS if settings.get(name, "") is None] == (
        list(archiving.SETTINGS) if taken_back else []
    )


@pytest.mark.parametrize(("backup", "services"), [((), []), (("repo1",), ["pgbackrest"])])
def test_pgbackrest_is_a_service_where_there_is_a_host_for_backups(backup, services):
    for host in ("pg1", *backup):
        assert [one for one in table.here(platform(*backup), host) if one == "pgbackrest"] == services
        assert ("pgbackrest" in table.kept_units(platform(*backup), host)) is bool(services)
