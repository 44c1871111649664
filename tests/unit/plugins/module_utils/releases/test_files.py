# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packing and unpacking: the same bytes for the same files, and nothing that a release cannot hold."""

from __future__ import annotations

import io
import os
import pathlib
import shutil
import socket
import tarfile
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.releases import files
from ansible_collections.scaleout.platform.plugins.module_utils.releases.archive import JUNK, Entry, digest

names = st.text("abc.-_ é", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
trees = st.recursive(
    st.tuples(st.binary(max_size=64), st.booleans()), lambda leaf: st.dictionaries(names, leaf, max_size=4)
)
sources = st.dictionaries(names, trees, min_size=1, max_size=4)


def write(root: pathlib.Path, tree: dict, backwards: bool = False, mode: int = 0o600) -> None:
    """Write a tree of {name: (bytes, executable) or tree}."""
    root.mkdir()
    for name, node in sorted(tree.items(), reverse=backwards):
        if isinstance(node, dict):
            write(root / name, node, backwards, mode)
        else:
            (root / name).write_bytes(node[0])
            (root / name).chmod(mode | (0o100 if node[1] else 0))


@settings(max_examples=30)
@given(sources)
def test_the_same_files_give_the_same_bytes(tree):
    with tempfile.TemporaryDirectory() as scratch:
        here = pathlib.Path(scratch)
        write(here / "one", tree)
        write(here / "two", tree, backwards=True, mode=0o664)
        for path in (here / "two").rglob("*"):
            os.utime(path, (1, 1))
        packed = []
        for name in ("one", "two"):
            entries = files.scan(str(here / name), (), unpacked=True)
            files.pack(files.reader(str(here / name)), entries, str(here / f"{name}.tar.gz"))
            packed.append((here / f"{name}.tar.gz").read_bytes())
            assert files.entries_of(str(here / f"{name}.tar.gz")) == entries
        assert packed[0] == packed[1]


@settings(max_examples=30)
@given(sources)
def test_what_is_unpacked_is_what_was_packed(tree):
    with tempfile.TemporaryDirectory() as scratch:
        here = pathlib.Path(scratch)
        write(here / "source", tree)
        entries = files.scan(str(here / "source"), (), unpacked=True)
        files.pack(files.reader(str(here / "source")), entries, str(here / "archive"))
        files.unpack(str(here / "archive"), str(here / "release"), digest(entries))
        assert files.scan(str(here / "release"), (), unpacked=True) == entries
        for path in (here / "release").rglob("*"):
            executable = path.is_dir() or (here / "source" / path.relative_to(here / "release")).stat().st_mode & 0o100
            assert path.stat().st_mode & 0o7777 == (0o755 if executable else 0o644)


@pytest.fixture
def source(tmp_path):
    write(tmp_path / "source", {"run": (b"#!/bin/sh\n", True), "lib": {"a.py": (b"a", False)}})
    return tmp_path / "source"


@pytest.fixture
def archive(source, tmp_path):
    files.pack(files.reader(str(source)), files.scan(str(source), JUNK), str(tmp_path / "archive.tar.gz"))
    return tmp_path / "archive.tar.gz"


def test_links_are_followed_out_of_the_directory(source, tmp_path):
    (tmp_path / "shared.py").write_text("shared")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/x").write_text("x")
    (source / "shared.py").symlink_to("../shared.py")
    (source / "more").symlink_to(tmp_path / "more")
    entries = files.scan(str(source), JUNK)
    assert [entry.path for entry in entries] == ["lib", "lib/a.py", "more", "more/x", "run", "shared.py"]
    files.pack(files.reader(str(source)), entries, str(tmp_path / "archive"))
    shutil.rmtree(source)
    files.unpack(str(tmp_path / "archive"), str(tmp_path / "release"), digest(entries))
    assert (tmp_path / "release/shared.py").read_text() == "shared"
    assert not (tmp_path / "release/shared.py").is_symlink()


def test_the_same_directory_twice_is_no_loop(source):
    (source / "lib2").symlink_to("lib")
    assert "lib2/a.py" in [entry.path for entry in files.scan(str(source), JUNK)]


def test_junk_is_left_out_unread(source):
    (source / ".git").mkdir()
    (source / ".git/broken").symlink_to("nowhere")
    (source / "lib/__pycache__").mkdir()
    (source / "lib/__pycache__/a.pyc").write_text("")
    assert [entry.path for entry in files.scan(str(source), JUNK)] == ["lib", "lib/a.py", "run"]


def broken_link(source):
    (source / "link").symlink_to("nowhere")
    return f"{source}/link is a broken link (to nowhere)."


def link_to_itself(source):
    (source / "link").symlink_to("link")
    return f"{source}/link is a broken link (to link)."


def link_to_a_parent(source):
    (source / "lib/up").symlink_to("..")
    return f"{source}/lib/up is a link to a directory that it is in itself."


def socket_file(source):
    (source / "run").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        directory = os.open(source, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{directory}/run")
        os.close(directory)
    return f"{source}/run is neither a file nor a directory."


@pytest.mark.parametrize("spoil", [broken_link, link_to_itself, link_to_a_parent, socket_file])
def test_what_cannot_be_part_of_a_release(source, spoil):
    message = spoil(source)
    with pytest.raises(Refused) as error:
        files.scan(str(source), JUNK)
    assert error.value.message == message


def test_sources_without_files(tmp_path):
    (tmp_path / "empty/.git").mkdir(parents=True)
    (tmp_path / "empty/.git/config").touch()
    (tmp_path / "file").touch()
    for name, reason in (("none", "does not exist"), ("file", "is not a directory"), ("empty", "has no files")):
        with pytest.raises(InvalidInput, match=reason):
            files.scan(str(tmp_path / name), JUNK)


def test_a_file_that_changes_meanwhile(source, tmp_path):
    entries = files.scan(str(source), JUNK)
    (source / "lib/a.py").write_text("b")
    with pytest.raises(Conflict, match=r"lib/a\.py changed while it was being packed"):
        files.pack(files.reader(str(source)), entries, str(tmp_path / "archive"))
    assert sorted(os.listdir(tmp_path)) == ["source"]


def test_a_place_that_cannot_be_written(source):
    with pytest.raises(Refused, match="Cannot write /proc/none/archive"):
        files.pack(files.reader(str(source)), files.scan(str(source), JUNK), "/proc/none/archive")


@pytest.mark.parametrize("length", [0, 10, 100])
def test_a_damaged_archive_leaves_nothing(archive, tmp_path, length):
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(Refused, match="Cannot read the archive"):
        files.unpack(str(archive), str(tmp_path / "release"), "0" * 64)
    assert sorted(os.listdir(tmp_path)) == ["archive.tar.gz", "source"]


def test_other_contents_than_expected_leave_nothing(archive, tmp_path):
    with pytest.raises(Refused, match=f"not {'0' * 64}"):
        files.unpack(str(archive), str(tmp_path / "release"), "0" * 64)
    assert sorted(os.listdir(tmp_path)) == ["archive.tar.gz", "source"]


def test_what_an_earlier_run_left_is_removed(archive, tmp_path):
    (tmp_path / ".incoming-release").mkdir()
    (tmp_path / ".incoming-release/half").touch()
    files.unpack(str(archive), str(tmp_path / "release"), digest(files.entries_of(str(archive))))
    assert sorted(os.listdir(tmp_path / "release")) == ["lib", "run"]


def hostile(**member) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        info = tarfile.TarInfo(member.pop("name"))
        for name, value in member.items():
            setattr(info, name, value)
        tar.addfile(info, io.BytesIO(b"x" * info.size))
    return stream.getvalue()


@pytest.mark.parametrize(
    "member",
    [
        {"name": "../outside", "size": 1},
        {"name": "/tmp/outside", "size": 1},
        {"name": "not/there/outside", "size": 1},
        {"name": "hard", "type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
        {"name": "device", "type": tarfile.CHRTYPE},
        {"name": "pipe", "type": tarfile.FIFOTYPE},
    ],
)
def test_a_hostile_archive(tmp_path, member):
    (tmp_path / "archive").write_bytes(hostile(**member))
    with pytest.raises(Refused, match="cannot be in a release"):
        files.unpack(str(tmp_path / "archive"), str(tmp_path / "release"), "0" * 64)
    assert os.listdir(tmp_path) == ["archive"]


def test_a_name_that_comes_twice(tmp_path):
    with tarfile.open(tmp_path / "archive", "w:gz") as tar:
        for _unused in range(2):
            tar.addfile(tarfile.TarInfo("twice"))
    with pytest.raises(Refused, match="Cannot read the archive"):
        files.unpack(str(tmp_path / "archive"), str(tmp_path / "release"), digest([Entry("twice", "file")]))
    assert os.listdir(tmp_path) == ["archive"]
