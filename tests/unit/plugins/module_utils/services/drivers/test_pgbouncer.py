# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of PgBouncer's console and of the sockets of its host, and what follows for a pooler."""

from __future__ import annotations

import types

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import pgbouncer
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import Driver

#: As ``SHOW CONFIG`` of 1.24 prints it: key, value, default, changeable.
CONFIG = [
    ["listen_addr", "127.0.0.1,192.0.2.11", "", "no"],
    ["listen_port", "6432", "6432", "no"],
    ["default_pool_size", "20", "20", "yes"],
    ["auth_query", "SELECT usename, passwd FROM pgbouncer.secret_of($1)", "", "yes"],
]
SETTINGS = {row[0]: row[1] for row in CONFIG}
LISTENING = (
    "LISTEN 0 4096 192.0.2.11:6432 0.0.0.0:* uid:998 ino:1 sk:2\nLISTEN 0 128 [::1]:6432 [::]:* uid:998 ino:3 sk:4"
)


def test_the_console_tells_settings_and_pools():
    assert pgbouncer.settings_of(CONFIG) == SETTINGS
    assert pgbouncer.fixed_of(CONFIG) == ["listen_addr", "listen_port"]
    assert pgbouncer.pools_of([["shard_1", "x"], ["pgbouncer", ""], ["app", "x"]]) == ["app", "shard_1"]


INI = """; Ansible managed
[databases]
shard_1 = host=/run/postgresql port=5432
app = host=/run/postgresql port=5432

[pgbouncer]
auth_query = SELECT usename, passwd FROM pgbouncer.secret_of($1)
default_pool_size = 20
listen_addr = 127.0.0.1,192.0.2.11
listen_port = 6432
"""


def test_a_file_tells_settings_and_databases():
    ini = pgbouncer.ini_of(INI)
    assert ini.databases == ["app", "shard_1"]
    assert ini.settings["auth_query"] == "SELECT usename, passwd FROM pgbouncer.secret_of($1)"
    assert (ini.port, ini.addresses) == (6432, ["127.0.0.1", "192.0.2.11"])


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("[pgbouncer]\nlisten_port = 6433\n", 6433),
        ("[pgbouncer]\nlisten_port=6433", 6433),
        ("[pgbouncer]\n;listen_port = 1\n", 6432),
        ("[databases]\nlisten_port = host=x", 6432),
        ("[pgbouncer]\nlisten_port = x", 6432),
        ("", 6432),
    ],
)
def test_the_port_is_that_of_the_file_on_the_disk(text, port):
    assert pgbouncer.ini_of(text).port == port


@pytest.mark.parametrize(
    ("address", "owner", "output", "listens"),
    [
        ("192.0.2.11", "uid:998", LISTENING, True),
        ("::1", "uid:998", LISTENING, True),
        ("192.0.2.12", "uid:998", LISTENING, False),
        ("192.0.2.11", "uid:99", LISTENING, False),
        ("192.0.2.12", "uid:998", LISTENING.replace("192.0.2.11", "0.0.0.0"), True),
        ("192.0.2.12", "uid:998", LISTENING.replace("192.0.2.11", "*"), True),
        ("192.0.2.11", "uid:998", "", False),
    ],
)
def test_who_listens_where(address, owner, output, listens):
    assert pgbouncer.listens({address}, owner, output) is listens


@pytest.fixture(name="pooler")
def _pooler(monkeypatch):
    """A driver of a pooler that answers what ``answers`` says, by the question."""
    answers = {"SHOW CONFIG": CONFIG, "SHOW DATABASES": [["shard_1"], ["app"], ["pgbouncer"]], pgbouncer.PROBE: [["0"]]}
    listening = types.SimpleNamespace(here=True, answers=answers)

    def query(_user, _host, _port, _database, sql, _header=False):
        rows = answers[sql]
        return pgbouncer.Rows([], rows) if isinstance(rows, str) else pgbouncer.Rows(rows, "")

    monkeypatch.setattr(pgbouncer, "query", query)
    monkeypatch.setattr(pgbouncer.files, "text", lambda _path: INI)
    monkeypatch.setattr(
        pgbouncer.PgBouncer, "_listens", lambda _self, address, _port: listening.here or address == "127.0.0.1"
    )
    monkeypatch.setattr(Driver, "ailments", lambda _self: [])
    listening.driver = pgbouncer.PgBouncer("pgbouncer", ["pgbouncer.service"], {}, {}, "digest")
    return listening


@pytest.mark.parametrize(
    ("answers", "here", "level", "ailments"),
    [
        ({}, True, "none", []),
        (
            {"SHOW CONFIG": "Connection refused"},
            True,
            "restart",
            ["PgBouncer does not answer (Connection refused)"],
        ),
        ({}, False, "none", ["it does not listen on 192.0.2.11:6432"]),
        (
            {"SHOW CONFIG": [*CONFIG[:2], ["default_pool_size", "10", "20", "yes"], CONFIG[3]]},
            True,
            "reload",
            ["it does not run with default_pool_size = 20"],
        ),
        (
            {"SHOW CONFIG": [CONFIG[0], ["listen_port", "6433", "6432", "no"], *CONFIG[2:]]},
            True,
            "restart",
            ["it does not run with listen_port = 6432"],
        ),
        ({"SHOW DATABASES": [["old"]]}, True, "reload", ["its pools are old"]),
        ({pgbouncer.PROBE: "no such role"}, True, "none", ["a query through it fails: no such role"]),
    ],
)
def test_a_pooler_is_judged_by_what_it_runs_with(pooler, answers, here, level, ailments):
    pooler.answers.update(answers)
    pooler.here = here
    assert pooler.driver.drift() == level
    assert pooler.driver.ailments() == ailments


def test_earlier_files_are_taken_up_by_a_restart(pooler, monkeypatch):
    levels = []
    monkeypatch.setattr(Driver, "activate", lambda _self, level: levels.append(level) or "")
    pooler.driver.activate("reload")
    pooler.driver.restored()
    pooler.driver.activate("reload")
    assert levels == ["reload", "restart"]
