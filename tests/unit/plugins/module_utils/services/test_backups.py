# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""To which moments a cluster can be restored, and what a person reads of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.services import backups
from ansible_collections.scaleout.platform.plugins.module_utils.services.backups import Gap, Window, name, number

SUM = "d6338fd37e9f9f7a3cd755e7c9a375fe1fe47cca"


def came(segment):
    """When a segment of these tests came."""
    return 1000 + 60 * segment


def archive(*segments, part="15-1"):
    """What repo-ls prints, of pairs of a timeline and a number."""
    found = {".": {"type": "path"}, part: {"type": "path"}, "archive.info": {"type": "file", "size": 368, "time": 9999}}
    for timeline, segment in segments:
        path = f"{part}/{name(timeline, segment)[:16]}/{name(timeline, segment)}"
        found[f"{path}-{SUM}.zst"] = {"type": "file", "size": 848, "time": came(segment)}
    return found


def backup(first, last, timeline=1, kind="full", **more):
    """An entry of what info prints."""
    return {
        "archive": {"start": name(timeline, first), "stop": name(timeline, last)},
        "database": {"id": 1, "repo-key": 1},
        "error": False,
        "info": {"delta": 1, "repository": {"delta": 2**20, "size": 2**20}, "size": 2**30},
        "label": f"20261129-0100{first:02}F",
        "timestamp": {"start": came(first), "stop": came(last)},
        "type": kind,
        **more,
    }


def info(*entries, code=0, message="ok", held=False):
    return [
        {
            "name": "main",
            "archive": [],
            "backup": list(entries),
            "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "15"}],
            "status": {"code": code, "message": message, "lock": {"backup": {"held": held}}},
        }
    ]


def read(of, listed):
    (found,) = backups.stanzas(["main"], of, {} if listed is None else {"main": listed})
    return found


def row(timeline, *numbers):
    return [(timeline, segment) for segment in numbers]


@pytest.mark.parametrize(
    ("entries", "segments", "windows", "gaps"),
    [
        ([], row(1, 1, 2), [], []),
        ([backup(2, 3)], row(1, *range(1, 10)), [Window(came(3), came(9))], []),
        # Both ends at the same segment.
        ([backup(2, 3), backup(6, 6)], row(1, *range(2, 10)), [Window(came(3), came(9))], []),
        # What was before the first backup serves no one.
        ([backup(4, 4)], row(1, 1, 4, 5), [Window(came(4), came(5))], []),
        (
            [backup(2, 2), backup(8, 8)],
            row(1, 2, 3, 4, 6, 7, 8, 9),
            [Window(came(2), came(4)), Window(came(8), came(9))],
            [Gap(name(1, 5), name(1, 5), 1, came(4), came(6))],
        ),
        # A backup that lacks WAL of its own cannot be restored at all.
        ([backup(2, 4)], row(1, 2, 4, 5), [], [Gap(name(1, 3), name(1, 3), 1, came(2), came(4))]),
        ([backup(2, 2, error=True)], row(1, 2, 3), [], []),
        # A promotion within segment 5, of which a former leader has archived nothing.
        ([backup(2, 2)], [*row(1, 2, 3, 4), *row(2, 5, 6)], [Window(came(2), came(6))], []),
        # It has archived more, on a timeline that is dead.
        ([backup(2, 2)], [*row(1, 2, 3, 4, 5, 6, 7, 8), *row(2, 5, 6)], [Window(came(2), came(6))], []),
        # It had not archived what it had written last.
        (
            [backup(2, 2)],
            [*row(1, 2, 3), *row(2, 6, 7)],
            [Window(came(2), came(3))],
            [Gap(name(1, 4), name(1, 5), 2, came(3), came(6))],
        ),
        # Two promotions within one segment.
        ([backup(2, 2)], [*row(1, 2, 3), *row(2, 4), *row(3, 4, 5)], [Window(came(2), came(5))], []),
        # A restore to a moment before the second backup has left its timeline; the third one is of the new one.
        (
            [backup(2, 2), backup(5, 5), backup(8, 8, timeline=2)],
            [*row(1, 2, 3, 4, 5, 6), *row(2, 4, 5, 6, 7, 8, 9)],
            [Window(came(2), came(9))],
            [],
        ),
        # Without the first one only the third is left.
        (
            [backup(5, 5), backup(8, 8, timeline=2)],
            [*row(1, 5, 6), *row(2, 4, 5, 6, 7, 8, 9)],
            [Window(came(8), came(9))],
            [],
        ),
        # A file of 256 segments is over.
        ([backup(254, 254)], row(1, 254, 255, 256, 257), [Window(came(254), came(257))], []),
        ([backup(2, 2)], [], [], []),
    ],
)
def test_windows_and_gaps(entries, segments, windows, gaps):
    found = read(info(*entries), archive(*segments))
    assert list(found.windows) == windows
    assert list(found.gaps) == gaps
    assert found.archived == max((came(segment) for _timeline, segment in segments), default=None)


@pytest.mark.parametrize(("end", "earliest"), [("0/20000F0", 2), ("0/2000100", 2), ("0/2000101", None)])
def test_where_a_timeline_left_another_is_in_its_history(end, earliest):
    """A restore to the end of a backup begins a timeline in the backup's own last segment."""
    first = backup(2, 2, lsn={"start": "0/2000028", "stop": end})
    listed = archive(*row(1, 2, 3), *row(2, 2, 3, 4))
    (found,) = backups.stanzas(["main"], info(first), {"main": listed}, {"main": {2: {1: 0x2000100}}})
    assert [window.earliest for window in found.windows] == ([] if earliest is None else [came(earliest)])


def test_a_backup_says_where_it_begins_and_ends():
    found = read(info(backup(2, 3, timeline=3, lsn={"start": "0/2000028", "stop": "0/3000100"})), archive((3, 2)))
    document = found.document()["backups"][0]
    assert (document["timeline"], document["lsn"]) == (3, ["0/2000028", "0/3000100"])
    # A release that does not say.
    assert read(info(backup(2, 3)), archive()).document()["backups"][0]["lsn"] == ["0/2000000", "0/4000000"]


def test_an_archive_that_was_not_read_says_nothing():
    found = read(info(backup(2, 2)), None)
    assert (found.windows, found.gaps, found.archived, len(found.backups)) == ((), (), None, 1)


def test_backups_of_another_version_have_an_archive_of_their_own():
    of = info(backup(2, 2, database={"id": 1}), backup(1, 1, database={"id": 2}))
    of[0]["db"].append({"id": 2, "repo-key": 1, "system-id": 8, "version": "17"})
    found = read(of, {**archive((1, 2), (1, 3)), **archive((1, 1), (1, 2), part="17-2")})
    assert list(found.windows) == [Window(came(2), came(3)), Window(came(1), came(2))]
    assert found.gaps == ()


def test_a_cluster_that_the_repository_does_not_know():
    (found,) = backups.stanzas(["new"], info(), {"new": {".": {"type": "path"}}})
    assert (found.code, found.backups) == (backups.MISSING, ())
    assert backups.description([found], 0) == ["new: no backup. pgBackRest says: missing."]


def test_other_files_of_an_archive_are_no_segments():
    partial = f"15-1/0000000100000000/{name(1, 4)}.partial-{SUM}.zst"
    others = {path: {"time": 1} for path in (f"15-1/{name(1, 5)}.00000028.backup", "15-1/00000002.history", partial)}
    assert list(read(info(backup(2, 2)), {**archive((1, 2)), **others}).windows) == [Window(came(2), came(2))]


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**40 - 1))
def test_a_number_is_that_of_its_name(timeline, segment):
    assert number(name(timeline, segment)) == segment
    assert len(name(timeline, segment)) == 24


@given(st.sets(st.integers(1, 40), min_size=1), st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True))
def test_a_window_never_spans_a_segment_that_is_missing(there, starts):
    found = read(info(*(backup(one, one) for one in starts)), archive(*((1, segment) for segment in there)))
    missing = set(range(min(starts), max(there) + 1)) - there
    assert sum(gap.segments for gap in found.gaps) == len(missing - set(range(max(there) + 1, 99)))
    for window in found.windows:
        assert not [segment for segment in missing if window.earliest < came(segment) <= window.latest]
    restorable = {window.earliest for window in found.windows}
    assert restorable <= {came(one) for one in starts if one in there}


def test_what_a_person_reads():
    of = info(backup(2, 2), backup(8, 8, kind="incr"), backup(9, 9, error=True), held=True)
    found = read(of, archive(*row(1, 2, 3, 4, 6, 7, 8, 9)))
    assert backups.description([found], came(9) + 3 * 86400) == [
        "main: can be restored to each moment from 1970-01-01 00:18:40 UTC to 1970-01-01 00:20:40 UTC.",
        "main: can be restored to each moment from 1970-01-01 00:24:40 UTC to 1970-01-01 00:25:40 UTC.",
        "main: the newest backup (full) is 3 d old; 3 backups of a database of 1 GB take 3 MB; one is being taken.",
        "main: the newest WAL in the archive is 3 d old.",
        "main: 1 segment of WAL missing (000000010000000000000005), so that moments between 1970-01-01 00:20:40 UTC "
        "and the next backup cannot be restored.",
        "main: the backup 20261129-010009F has pages with wrong checksums, and does not count here.",
    ]


def test_the_document_has_times_as_text():
    document = read(info(backup(2, 2)), archive((1, 2), (1, 4))).document()
    assert document["windows"] == [
        {"earliest": "1970-01-01T00:18:40Z", "latest": "1970-01-01T00:18:40Z", "lsn": ["0/3000000", "0/3000000"]}
    ]
    assert document["gaps"][0]["before"] == "1970-01-01T00:20:40Z"
    assert document["archived"] == "1970-01-01T00:20:40Z"
    assert document["backups"][0]["stored"] == 2**20


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (59, "59 s"), (120, "2 min"), (7200, "2 h"), (86400, "24 h"), (172800, "2 d")]
)
def test_ages(seconds, text):
    assert backups.age(seconds) == text


@pytest.mark.parametrize(("of", "text"), [(0, "0 B"), (2**20, "1 MB"), (1536 * 2**20, "2 GB"), (3 * 2**40, "3.0 TB")])
def test_sizes(of, text):
    assert backups.size(of) == text


@pytest.mark.parametrize(
    ("told", "lines", "document"),
    [
        (
            {},
            ["main: no restore is proven yet. To prove one now: systemctl start pgbackrest-prove@main"],
            {"proven": None, "unproven": None},
        ),
        (
            {"proven": {"at": 1000, "backup": "b", "until": 940, "seconds": 41, "checks": 4}, "failed": None},
            [
                "main: a restore was proven 2 h ago: b up to 1970-01-01 00:15:40 UTC, in 41 s, with 4 checks.",
            ],
            {
                "proven": {
                    "at": "1970-01-01T00:16:40Z",
                    "backup": "b",
                    "until": "1970-01-01T00:15:40Z",
                    "seconds": 41,
                    "checks": 4,
                },
                "unproven": None,
            },
        ),
        (
            {
                "proven": {"at": 1000, "backup": "b", "until": None, "seconds": 41, "checks": 4},
                "failed": {"at": 8000, "reason": "pgbackrest failed: no key"},
            },
            [
                "main: a restore was proven 2 h ago: b, in 41 s, with 4 checks.",
                "main: the last try to prove one failed 3 min ago: pgbackrest failed: no key.",
            ],
            {
                "proven": {"at": "1970-01-01T00:16:40Z", "backup": "b", "until": None, "seconds": 41, "checks": 4},
                "unproven": {"at": "1970-01-01T02:13:20Z", "reason": "pgbackrest failed: no key"},
            },
        ),
    ],
)
def test_what_is_known_of_restores(told, lines, document):
    of = backups.proof(told)
    assert backups.proof_document(of) == document
    stanza = read(info(backup(1, 1)), archive((1, 1)))
    assert backups.description([stanza], 8200, {"main": of})[-len(lines) :] == lines
    assert not [line for line in backups.description([stanza], 8200) if "restore was" in line or "proven" in line]
