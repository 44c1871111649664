# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Patroni calls as pg_rewind, on two real servers of which one went its own way."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.unit import postgres_pair, postgres_server

SIZE = 16 * 1024 * 1024

rewind = postgres_pair.program("keep_and_rewind")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("pg_rewind: servers diverged at WAL location 0/5000148 on timeline 1\n", ("0/5000148", 1)),
        ("pg_rewind: servers diverged at WAL location 1A/FF on timeline 12\nrewinding from last …", ("1A/FF", 12)),
        ("pg_rewind: servers diverged at WAL location 0/1 on timeline 1\npg_rewind: no rewind required\n", None),
        ("pg_rewind: source and target cluster are on the same timeline\npg_rewind: no rewind required\n", None),
        ("", None),
    ],
)
def test_where_they_diverged(told, expected):
    assert rewind.diverged(told) == expected


def test_the_segments_from_there_on_and_of_that_timeline_only():
    names = [
        "000000010000000000000004",
        "000000010000000000000005",
        "000000010000000000000006",
        "000000010000000100000000",
        "000000020000000000000005",
        "00000002.history",
        "000000010000000000000005.partial",
        "archive_status",
    ]
    assert rewind.segments(names, rewind.Divergence("0/5000148", 1), SIZE) == names[1:4]
    assert rewind.segments(names, rewind.Divergence("0/5000148", 2), SIZE) == names[4:5]


def test_what_ends_a_transaction():
    dump = (
        "rmgr: Transaction len (rec/tot):     34/    34, tx: 730, lsn: 0/05000148, prev 0/0, desc: COMMIT 2026-11-30\n"
        "rmgr: Transaction len (rec/tot):     34/    34, tx: 731, lsn: 0/05000170, prev 0/0, desc: ABORT 2026-11-30\n"
        "rmgr: Transaction len (rec/tot):     34/    34, tx: 732, lsn: 0/05000190, prev 0/0, desc: PREPARE gid a\n"
    )
    assert [line.split("desc: ")[1].split()[0] for line in rewind.commits(dump)] == ["COMMIT", "PREPARE"]


def rewound(pair, kept, *options):
    """Rewind the first server by the program, as Patroni would."""
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(pair.folder)!r}); import keep_and_rewind as program\n"
        f"{''.join(f'{option}{chr(10)}' for option in options)}"
        f"sys.exit(program.main(sys.argv[1:], pathlib.Path({str(kept)!r}), pathlib.Path({str(pair.programs)!r})))"
    )
    shutil.copy(postgres_pair.FILES / "keep_and_rewind.py", pair.folder / "keep_and_rewind.py")
    source = f"host={pair.folder} port=5432 user=postgres dbname=postgres"
    words = ["-D", str(pair.data["one"]), "--source-server", source]
    command = [*pair.prefix, "/usr/bin/python3", "-B", "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


@pytest.fixture
def pair():
    with postgres_pair.running() as made:
        made.promote()
        yield made


def test_commits_that_only_this_member_has_are_kept_before_it_is_rewound(pair):
    pair.execute("one", "CREATE TABLE lost AS SELECT 42 AS answer")
    pair.execute("two", "CREATE TABLE stays AS SELECT 43 AS answer")
    pair.stop("one")
    kept = pair.folder / "kept"
    done = rewound(pair, kept)
    assert done.returncode == 0, done.stderr
    (place,) = kept.iterdir()
    assert place.name.endswith("-timeline-1")
    assert place.stat().st_mode & 0o077 == 0
    assert "1 commits that only this member had are kept in" in done.stderr
    listed = (place / "commits.txt").read_text()
    assert listed.count("desc: COMMIT") == 1
    # An independent look: the records of the lost table are in what was kept, and the server has the other's.
    (segment,) = [entry for entry in place.iterdir() if entry.suffix != ".txt"]
    dumped = pair.run("pg_waldump", segment, check=False).stdout
    assert "Heap" in dumped
    (pair.data["one"] / "standby.signal").touch()
    pair.start("one")
    assert pair.execute("one", "SELECT relname::text FROM pg_class WHERE relname IN ('lost', 'stays')") == [("stays",)]


def test_a_rewind_that_loses_no_commit_keeps_nothing(pair):
    pair.execute("two", "CREATE TABLE stays AS SELECT 43 AS answer")
    pair.stop("one")
    done = rewound(pair, pair.folder / "kept")
    assert done.returncode == 0, done.stderr
    assert "no commit is lost" in done.stderr
    assert not (pair.folder / "kept").exists()


@pytest.mark.parametrize("fault", ["no room", "a file in the way"])
def test_where_they_cannot_be_kept_nothing_is_rewound(pair, fault):
    pair.execute("one", "CREATE TABLE lost AS SELECT 42 AS answer")
    pair.stop("one")
    kept = pair.folder / "kept"
    if fault == "a file in the way":
        kept.touch()
    before = pair.run("pg_controldata", pair.data["one"]).stdout
    done = rewound(pair, kept, *(["program.RESERVE = 1 << 62"] if fault == "no room" else []))
    assert done.returncode == 1
    assert "nothing was rewound, for the commits of this member cannot be kept" in done.stderr
    assert pair.run("pg_controldata", pair.data["one"]).stdout == before


def test_it_is_otherwise_pg_rewind(capfd):
    programs = postgres_server.programs()
    if not (programs / "pg_rewind").exists():
        pytest.skip(f"{programs} lacks pg_rewind")
    assert rewind.main(["--help"], programs=programs) == 0
    assert "--restore-target-wal" in capfd.readouterr().out
    assert rewind.main(["-D", os.devnull, "--source-server", "host=nowhere"], programs=programs) != 0
