# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What proves that a cluster can be restored; the molecule scenario ``pgbackrest`` restores one."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import sys

import pytest

FILE = pathlib.Path(__file__).parents[4] / "roles" / "pgbackrest" / "files" / "prove_restore.py"


def _load():
    spec = importlib.util.spec_from_file_location("prove_restore", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


prove = _load()


def backup(label, stop, size=100):
    return {"label": label, "timestamp": {"start": stop - 1, "stop": stop}, "info": {"size": size}}


def test_the_newest_backup_is_the_one_to_restore():
    info = [
        {"name": "other", "backup": [backup("o", 9)]},
        {"name": "main", "backup": [backup("b", 5, 7), backup("a", 3)]},
    ]
    assert prove.newest(info, "main") == ("b", 7)


@pytest.mark.parametrize("info", [[], [{"name": "main", "backup": []}], [{"name": "main"}], [{"name": "other"}]])
def test_without_a_backup_nothing_is_proven(info):
    with pytest.raises(prove.Failed, match="there is no backup of main"):
        prove.newest(info, "main")


def test_a_copy_has_the_limits_of_its_server():
    told = (
        "pg_control version number:            1300\n"
        "max_connections setting:              400\n"
        "max_worker_processes setting:         8\n"
        "max_wal_senders setting:              12\n"
        "max_prepared_xacts setting:           3\n"
        "max_locks_per_xact setting:           128\n"
        "Date of next checkpoint: Mon 30 Nov 2026 03:00:00\n"
    )
    needed = prove.limits(told)
    assert needed == {
        "max_connections": "400",
        "max_worker_processes": "8",
        "max_wal_senders": "12",
        "max_prepared_transactions": "3",
        "max_locks_per_transaction": "128",
    }
    made = prove.settings(pathlib.Path("/copy"), needed)
    assert made["max_connections"] == "400"
    # No client finds it, and it writes into no archive.
    assert (made["listen_addresses"], made["archive_mode"], made["unix_socket_directories"]) == ("", "off", "/copy")


def test_a_value_is_one_word_for_the_shell():
    assert prove.quoted("it's $HOME") == "'it'\\''s $HOME'"


def test_the_last_restore_that_succeeded_stays_known(tmp_path):
    path = tmp_path / "main.json"
    path.write_text("{ torn")
    good = {"at": 10, "backup": "b", "until": 9, "seconds": 3, "checks": 4}
    prove.note(path, **good)
    assert json.loads(path.read_text()) == {"proven": good, "failed": None}
    prove.note(path, at=20, reason="the disk is full")
    assert json.loads(path.read_text()) == {"proven": good, "failed": {"at": 20, "reason": "the disk is full"}}
    prove.note(path, **{**good, "at": 30})
    assert json.loads(path.read_text())["failed"] is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["main.json"]


@pytest.mark.parametrize("name", ["", "../main", "main;reboot", "-main"])
def test_a_name_that_is_none(name, capsys):
    assert prove.main(name) == 2
    assert "is no cluster's name" in capsys.readouterr().err


def test_a_cluster_that_it_was_not_told_of(tmp_path, monkeypatch, capsys):
    (tmp_path / "proof.json").write_text("{}")
    monkeypatch.setattr(prove, "OPTIONS", tmp_path / "proof.json")
    monkeypatch.setattr(prove, "PLACE", tmp_path)
    assert prove.main("main") == 1
    assert "main: nothing is proven:" in capsys.readouterr().err
    assert "has no cluster main" in json.loads((tmp_path / "main.json").read_text())["failed"]["reason"]


def test_a_program_that_fails_says_why():
    with pytest.raises(prove.Failed, match="sh failed: no luck"):
        prove.run(["/bin/sh", "-c", "echo no luck >&2; exit 3"])


def test_too_little_room_is_said_before_anything_is_copied(tmp_path):
    copy = prove.Copy("main", 1, tmp_path)
    with pytest.raises(prove.Failed, match="bytes free, and the copy needs"):
        copy.restore(1 << 60)
    copy.remove()
    assert not [*tmp_path.iterdir()]
