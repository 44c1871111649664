# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a replica archives when it leads: all that a leader was lost with before it was archived."""

from __future__ import annotations

import pytest

from tests.unit import postgres_pair

archive = postgres_pair.program("archive_again")


def test_complete_segments_that_count_as_archived():
    names = [
        "000000010000000000000005.done",
        "000000010000000000000004.done",
        "000000010000000000000006.ready",
        "00000002.history.done",
        "000000010000000000000007.partial.done",
        "000000010000000000000003.00000028.backup.done",
    ]
    assert archive.again(names) == names[1::-1]


@pytest.fixture
def pair(tmp_path):
    """Both archive to a folder, and of what the first one wrote nothing has come there."""
    with postgres_pair.running(archive_mode="on", archive_timeout="0") as made:
        place = made.folder / "archive"
        made.run_as(["mkdir", str(place)])
        made.place = place
        for name in ("one", "two"):
            # Behind a gate, which stands for a repository that does not answer.
            made.execute_all(
                name,
                f"ALTER SYSTEM SET archive_command = 'test -e {made.folder}/gate && cp %p {place}/%f'",
                "SELECT pg_reload_conf()",
            )
        for _each in range(4):
            made.execute_all("one", "CREATE TABLE t AS SELECT 1 AS n", "DROP TABLE t", "SELECT pg_switch_wal()")
        wanted = made.execute("one", "SELECT pg_walfile_name(pg_current_wal_lsn())")[0][0]
        made.wait(lambda: made.execute("two", f"SELECT pg_last_wal_replay_lsn() >= '{made.flushed()}'")[0][0])
        # An immediate stop: a fast one would wait for the archive, and that is what a lost host does not do.
        made.run("pg_ctl", "-D", made.data["one"], "-w", "-s", "-m", "immediate", "stop")
        # The first one came with the copy itself, which marks nothing.
        made.before = [f"{int(wanted, 16) - back:024X}" for back in (3, 2, 1)]
        yield made


@pytest.mark.parametrize("is_called", [False, True])
def test_what_the_lost_leader_had_not_archived(pair, is_called):
    if is_called:
        told = pair.run_as(
            ["/usr/bin/python3", "-B", str(postgres_pair.FILES / "archive_again.py"), str(pair.data["two"])]
        )
        assert "segments are archived again once this member leads" in told.stdout
    pair.run_as(["touch", str(pair.folder / "gate")])
    pair.promote()
    pair.wait((pair.place / "00000002.history").exists)
    pair.wait(lambda: not list((pair.data["two"] / "pg_wal" / "archive_status").glob("00000001*.ready")))
    found = sorted(path.name for path in pair.place.iterdir())
    # Without the program there is the gap that it is for.
    assert [name for name in pair.before if name in found] == (pair.before if is_called else [])


def test_it_never_keeps_a_replica_from_leading(pair):
    done = pair.run_as(["/usr/bin/python3", "-B", str(postgres_pair.FILES / "archive_again.py"), "/nowhere"])
    assert (done.returncode, "may be missing in the archive" in done.stdout) == (0, True)
