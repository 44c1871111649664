# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal on a real file system."""

from __future__ import annotations

import getpass
import grp
import os
import subprocess

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.journal import (
    Journal,
    WriteFailed,
    exchange,
    read,
    stage,
    staged_name,
    unstage,
)
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import KEPT, REFUSED, File

OWNER, GROUP = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


def file(path, content, **fields):
    return File(str(path), content, **{"owner": OWNER, "group": GROUP, "mode": 0o640, **fields})


@pytest.fixture
def journal(tmp_path):
    return Journal("x", str(tmp_path / "journals"))


def put(wanted):
    stage(wanted)
    exchange(wanted)


def test_a_file_arrives_whole_with_its_owner_and_mode(tmp_path):
    wanted = file(tmp_path / "new/folder/x.conf", "text with \udcff and\r\nlines\n")
    put(wanted)
    assert read(wanted.path).is_as(wanted)
    assert os.listdir(tmp_path / "new/folder") == ["x.conf"]


def test_what_was_staged_can_be_forgotten(tmp_path):
    wanted = file(tmp_path / "x.conf", "new")
    stage(wanted)
    assert os.path.exists(staged_name(wanted.path))
    unstage([wanted])
    assert os.listdir(tmp_path) == []


def test_an_account_that_is_missing_is_told_and_leaves_nothing(tmp_path):
    with pytest.raises(WriteFailed) as caught:
        stage(file(tmp_path / "x.conf", "new", owner="no-such-user"))
    assert caught.value.code == "no_account"
    assert "no-such-user" in caught.value.message
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], check=True)
    try:
        put(file(mount / "x.conf", "old"))
        with pytest.raises(WriteFailed) as caught:
            stage(file(mount / "x.conf", "x" * 200_000))
        assert caught.value.code == "disk_full"
        assert read(str(mount / "x.conf")).content == "old"
        assert os.listdir(mount) == ["x.conf"]
    finally:
        subprocess.run(["umount", mount], check=True)


def test_something_else_of_that_name_is_refused(tmp_path):
    (tmp_path / "x.conf").mkdir()
    with pytest.raises(Refused) as caught:
        read(str(tmp_path / "x.conf"))
    assert caught.value.code == "not_a_file"


def test_kept_files_come_back_and_new_ones_go(tmp_path, journal):
    old, new = file(tmp_path / "old", "1"), file(tmp_path / "new", "2")
    put(old)
    journal.begin([old.path, new.path])
    assert journal.step() == KEPT
    put(file(old.path, "changed", mode=0o600))
    put(new)
    journal.refuse()
    assert journal.step() == REFUSED
    assert journal.restore() is True
    assert read(old.path).is_as(old)
    assert read(new.path).content is None
    journal.close(None)
    assert journal.step() is None


def test_copies_of_an_open_transaction_stay(tmp_path, journal):
    """The second run finds files on the disk that were never proven."""
    proven, another = file(tmp_path / "a", "proven"), file(tmp_path / "b", "b")
    put(proven)
    put(another)
    journal.begin([proven.path])
    put(file(proven.path, "unproven"))
    journal.begin([proven.path, another.path])
    put(file(another.path, "changed"))
    journal.restore()
    assert read(proven.path).content == "proven"
    assert read(another.path).content == "b"


def test_the_proven_text_can_be_read_while_a_transaction_is_open(tmp_path, journal):
    proven, new = file(tmp_path / "a", "proven"), file(tmp_path / "b", "new")
    put(proven)
    assert journal.kept(proven.path) is None
    journal.begin([proven.path, new.path])
    put(file(proven.path, "unproven"))
    assert journal.kept(proven.path) == "proven"
    assert journal.kept(new.path) is None
    journal.close(None)
    assert journal.kept(proven.path) is None


def test_nothing_to_go_back_to(tmp_path, journal):
    journal.begin([str(tmp_path / "new")])
    put(file(tmp_path / "new", "2"))
    assert journal.restore() is False
    assert read(str(tmp_path / "new")).content is None


def test_what_is_in_force_is_noted_until_the_service_is_gone(journal):
    assert journal.in_force() is None
    journal.close({"/a": "1"})
    assert journal.in_force() == {"/a": "1"}
    journal.close(None)
    assert journal.in_force() == {"/a": "1"}
    journal.forget()
    assert journal.in_force() is None


def test_a_damaged_note_is_none(tmp_path, journal):
    journal.close({"/a": "1"})
    (tmp_path / "journals/x/in_force.json").write_text('{"format": 1, "files"')
    assert journal.in_force() is None


def test_copies_are_for_root_only(tmp_path, journal):
    secret = file(tmp_path / "a", "secret", mode=0o640)
    put(secret)
    journal.begin([secret.path])
    folder = tmp_path / "journals/x"
    assert (folder / "kept").stat().st_mode & 0o777 == 0o700
    assert (folder / "kept/0").stat().st_mode & 0o777 == 0o600


def test_two_processes_at_once(journal, tmp_path):
    with journal.lock(), pytest.raises(Conflict) as caught, Journal("x", str(tmp_path / "journals")).lock():
        pytest.fail("the lock did not keep the second one out")
    assert caught.value.code == "busy"
