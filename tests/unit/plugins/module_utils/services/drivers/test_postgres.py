# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of a host's PostgreSQL, from files and from what the server prints."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import postgres
from ansible_collections.scaleout.platform.plugins.module_utils.services.postgres_hba import REMARK


@pytest.mark.parametrize(
    ("text", "number", "name"),
    [
        (
            'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n',
            "13",
            "Debian GNU/Linux 13 (trixie)",
        ),
        ("ID=ubuntu\nVERSION_ID='12'\nPRETTY_NAME=Ubuntu", "", "Ubuntu"),
        ("# nothing", "", "this system"),
    ],
)
def test_a_release_is_debians_or_none_that_we_know(text, number, name):
    assert postgres.release_of(text) == {"id": number, "name": name}


@pytest.mark.parametrize(
    ("files", "used"),
    [
        ([], False),
        (["base/1/2619", "base/1/2619_fsm", "base/5/PG_VERSION", "base/pgsql_tmp/pgsql_tmp9.0", "pg_tblspc/.x"], False),
        (["base/5/16384"], True),
        (["base/5/16384_vm"], True),
        (["base/5/16384.1"], True),
        (["base/16390/2619"], True),
        (["pg_tblspc/16500"], True),
        (["global/16500"], False),
    ],
)
def test_a_directory_is_used_once_an_object_has_a_users_number(tmp_path, files, used):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert postgres.used(str(tmp_path)) is used


@pytest.mark.parametrize(
    ("configurations", "others"),
    [
        ({"17/main": "port = 5432"}, []),
        ({"15/main": "port = 5432", "17/main": "port = 5432"}, ["15/main"]),
        ({"15/main": "  port=5432 # ours", "17/old": "\tport\t= 5432"}, ["15/main", "17/old"]),
        ({"15/main": "port = 54321"}, []),
        ({"15/main": "#port = 5432\nport = 5433"}, []),
        ({"15/main": "port = 5432\nport = 5433"}, []),
        ({"15/main": "max_connections = 100"}, []),
    ],
)
def test_other_clusters_for_the_port_are_found(tmp_path, configurations, others):
    for cluster, text in configurations.items():
        (tmp_path / cluster).mkdir(parents=True)
        (tmp_path / cluster / "postgresql.conf").write_text(text)
    assert postgres.others(str(tmp_path), 5432, "17/main") == others
    assert postgres.others(str(tmp_path / "nowhere"), 5432, "17/main") == []


@pytest.mark.parametrize(
    ("output", "answer"), [('{"version": 17}\n', {"version": 17}), ("", None), ("[]", None), ("NOTICE: x", None)]
)
def test_an_answer_is_an_object_or_none(output, answer):
    assert postgres.parse(output) == answer


def test_a_host_that_has_nothing_is_an_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "HOME", str(tmp_path))
    monkeypatch.setattr(postgres, "CONFIGURATIONS", str(tmp_path))
    monkeypatch.setattr(postgres, "OS_RELEASE", str(tmp_path / "os-release"))
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian 13"')
    found = postgres.read(0, 1)
    assert (found["version"], found["release"], found["server"], found["others"]) == (17, "Debian 13", None, [])
    monkeypatch.setattr(postgres, "MEMBER", str(tmp_path / "10-member.yml"))
    monkeypatch.setattr(postgres, "JOINED", str(tmp_path / "joined"))
    found = postgres.read(0, 1, "127.0.0.1")
    assert not found["patroni"]["configured"]
    assert not found["patroni"]["joined"]
    assert found["patroni"]["cluster"] is None
    assert found["memory"] > 2**20
    flags = ("configured", "initialised", "standby_signal", "ever_started", "used")
    assert not any(found[flag] for flag in flags)
    (tmp_path / "17/main").mkdir(parents=True)
    for name in ("main/PG_VERSION", "main/standby.signal", "main/postmaster.opts"):
        (tmp_path / "17" / name).touch()
    found = postgres.read(0, 1)
    assert all(found[flag] for flag in flags if flag not in ("configured", "used"))
    assert postgres.read(15, 1)["version"] == 15


def test_the_last_words_are_the_servers_own():
    log = "\n".join(
        [
            *("LOG: old",) * 30,
            "2026-01-01 [1] FATAL:  could not map anonymous shared memory",
            "2026-01-01 [1] HINT:  Reduce shared_buffers.",
            "2026-01-01 [2] app@shop FATAL:  password authentication failed",
            "2026-01-01 [1] LOG:  shut down",
        ]
    )
    assert postgres.last_words(log) == (
        "2026-01-01 [1] FATAL:  could not map anonymous shared memory 2026-01-01 [1] HINT:  Reduce shared_buffers."
    )
    assert postgres.last_words("") == ""


@pytest.mark.parametrize(
    ("hba", "foreign"),
    [
        ("", False),
        ("\n", False),
        ("local all postgres peer\n", True),
        (f"# Ansible managed\n{REMARK}\nlocal all postgres peer\n", False),
    ],
)
def test_p6_a_pg_hba_conf_from_before_us_is_known(hba, foreign):
    assert postgres.foreign(hba) == foreign
