# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which point is meant, from which backup it is reached, and which cannot be."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import target
from ansible_collections.scaleout.platform.plugins.module_utils.failover.target import Backup, Target, There, Window

SEGMENT = 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("to", "kind", "text"),
    [
        ("2026-11-29T21:24:05+00", "time", "2026-11-29 21:24:05+00"),
        ("2026-11-29 21:24:05.25+01:30", "time", "2026-11-29 19:54:05.25+00"),
        ("2026-11-29 21:24Z", "time", "2026-11-29 21:24:00+00"),
        ("2026-11-29 21:24:05 UTC", "time", "2026-11-29 21:24:05+00"),
        ("2026-01-01 00:30:00-0800", "time", "2026-01-01 08:30:00+00"),
        ("0/3000060", "lsn", "0/3000060"),
        ("1/ab00", "lsn", "1/AB00"),
        ("name:before_release", "name", "before_release"),
        ("immediate", "immediate", ""),
        ("newest", "newest", ""),
    ],
)
def test_what_is_a_point(to, kind, text):
    found = target.parse(to)
    assert (found.kind, found.text) == (kind, text)


@pytest.mark.parametrize(
    ("to", "says"),
    [
        (None, "to: None is not set; say -e to=, with a time with its zone such as 2026-11-29T21:24:05+00"),
        ("2026-11-29T21:24:05", "has no time zone; say one, such as 2026-11-29T21:24:05+00."),
        ("2026-11-29", "has no time of day; write it without a blank, as in 2026-11-29T21:24:05+00."),
        ("2026-13-29T21:24:05Z", "is not a time."),
        ("0001-01-01T00:00:00+05", "is not a time."),
        ("yesterday", "to: 'yesterday' is not a time with its zone"),
        ("newst", "name:RESTORE_POINT, immediate, or newest."),
        ("name:", "has no name of a restore point"),
        ("name:it's", "has no name of a restore point"),
        ("0/123456789", "is not a time with its zone"),
    ],
)
def test_what_is_none(to, says):
    with pytest.raises(InvalidInput) as caught:
        target.parse(to)
    assert says in caught.value.message


@given(
    st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2100, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", " "]),
)
def test_a_time_means_the_same_in_each_zone(moment, minutes, between):
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))
    local = moment.replace(tzinfo=zone)
    found = target.parse(local.isoformat(sep=between, timespec="microseconds"))
    assert datetime.datetime.fromisoformat(found.text.replace("+00", "+00:00")) == local
    assert abs(found.at - local.timestamp()) < 1e-3


def test_what_pgbackrest_is_told():
    at = target.parse("2026-11-29T21:24:05Z")
    assert target.arguments(at, 3) == [
        "--type=time",
        "--target=2026-11-29 21:24:05+00",
        "--target-action=promote",
        "--target-timeline=3",
    ]
    assert target.arguments(Target("newest"), 2) == ["--type=default", "--target-timeline=2"]
    # What is newer than the backup may be another timeline.
    assert target.arguments(Target("immediate"), 2) == ["--type=immediate", "--target-action=promote"]


def backup(number, timeline=1, **more):
    """One that ends with the segment of its number, and as many seconds after 1970."""
    return Backup(f"B{number}", "full", timeline, number - 1, number, number * SEGMENT, 2**30, **more)


def window(first, last):
    return Window(first, last, first * SEGMENT, (last + 1) * SEGMENT)


def at(seconds):
    return Target("time", "then", seconds)


def lsn(segment):
    return target.parse(f"0/{segment * SEGMENT:X}")


#: A failover at 15; a restore to 22 that left the timeline 2, and with it the backup of 25.
HISTORY = {2: {1: 15 * SEGMENT}, 3: {1: 15 * SEGMENT, 2: 22 * SEGMENT}}
THERE = There(
    (backup(10), backup(20, 2), backup(25, 2), backup(30, 3)),
    (window(10, 40),),
    HISTORY,
)


@pytest.mark.parametrize(
    ("there", "to", "timeline", "label", "chosen"),
    [
        (THERE, Target("newest"), 0, "", "B30"),
        (THERE, at(35), 0, "", "B30"),
        (THERE, at(30), 0, "", "B30"),
        # The last one before it is of a timeline that the restore has left.
        (THERE, at(29), 0, "", "B20"),
        (THERE, at(12), 0, "", "B10"),
        # What was restored away can be reached by its timeline.
        (THERE, at(29), 2, "", "B25"),
        (THERE, at(29), 0, "B10", "B10"),
        (THERE, lsn(31), 0, "", "B30"),
        (THERE, lsn(21), 0, "", "B20"),
        (THERE, Target("name", "x"), 0, "", "B30"),
        (THERE, Target("name", "x"), 0, "B10", "B10"),
        (THERE, Target("immediate"), 0, "", "B30"),
        (THERE, Target("immediate"), 0, "B25", "B25"),
        (There((backup(10), backup(12, broken=True)), (window(10, 40),)), at(20), 0, "", "B10"),
    ],
)
def test_the_backup_is_the_last_one_on_the_way(there, to, timeline, label, chosen):
    assert target.choose(there, to, timeline, label).label == chosen


COVERS = "It covers 1970-01-01 00:00:10 UTC to 1970-01-01 00:00:40 UTC, LSN 0/A000000 to 0/29000000."


@pytest.mark.parametrize(
    ("there", "to", "timeline", "label", "code", "says"),
    [
        (There(), at(5), 0, "", "no_backup", "There is no backup of main that could be restored."),
        (THERE, at(5), 0, "", "not_covered", COVERS),
        (THERE, at(41), 0, "", "not_covered", COVERS),
        (THERE, lsn(9), 0, "", "not_covered", f"The archive does not cover the LSN 0/9000000. {COVERS}"),
        (
            There(THERE.backups, (window(10, 12), window(30, 40)), HISTORY),
            at(20),
            0,
            "",
            "not_covered",
            "1970-01-01 00:00:12 UTC, LSN 0/A000000 to 0/D000000; and 1970-01-01 00:00:30 UTC to",
        ),
        (There(THERE.backups, (), HISTORY), Target("newest"), 0, "", "not_covered", "It covers nothing"),
        (THERE, at(29), 0, "B30", "not_covered", "from B30: it is later than that, or of another timeline."),
        (THERE, at(29), 0, "B25", "not_covered", "from B25: it is later than that, or of another timeline."),
        (THERE, at(29), 9, "", "not_covered", "on timeline 9: no backup leads there."),
        (THERE, at(29), 0, "B9", "invalid_input", "set: 'B9' is not a backup of main; there is B10, B20, B25, B30."),
    ],
)
def test_what_cannot_be_reached_is_said_with_the_window(there, to, timeline, label, code, says):
    with pytest.raises((Refused, InvalidInput)) as caught:
        target.choose(there, to, timeline, label, "main")
    assert caught.value.code == code
    assert says in caught.value.message


@pytest.mark.parametrize("given", ["x", "0", "-1", str(2**31)])
def test_a_timeline_has_a_number(given):
    with pytest.raises(InvalidInput, match="is not the number of a timeline"):
        target.parse_timeline(given)
    assert (target.parse_timeline("3"), target.parse_timeline(None)) == (3, 0)


def test_what_the_module_tells_is_read():
    stanza = {
        "backups": [
            {
                "label": "B",
                "type": "full",
                "timeline": 2,
                "started": "2026-11-29T01:00:00Z",
                "stopped": "2026-11-29T01:04:11Z",
                "lsn": ["0/2000028", "0/2000100"],
                "size": 7,
                "broken": False,
            }
        ],
        "windows": [
            {"earliest": "2026-11-29T01:04:11Z", "latest": "2026-11-29T02:00:00Z", "lsn": ["0/2000100", "0/4000000"]}
        ],
        "histories": {"2": {"1": "0/1000060"}},
    }
    found = target.read(stanza)
    assert (found.backups[0].timeline, found.backups[0].end, found.histories) == (2, 0x2000100, {2: {1: 0x1000060}})
    assert target.newest_timeline(found) == 2
    assert target.choose(found, target.parse("2026-11-29T01:30:00Z")).label == "B"
    assert target.read({}) == There()


@pytest.mark.parametrize(
    ("to", "serves", "says"),
    [
        ("2026-11-29T21:24:05Z", True, "writes after 2026-11-29 21:24:05 UTC are gone"),
        ("0/3000060", True, "writes after the LSN 0/3000060 are gone"),
        ("name:x", True, "writes after the restore point x are gone"),
        ("immediate", True, "writes after the backup, which ended 1970-01-01 00:00:10 UTC, are gone"),
        ("newest", True, "the archive is replayed to its end; all that its servers archive when they stop is kept"),
        ("newest", False, "the archive is replayed to its end; what no server had archived is gone"),
    ],
)
def test_what_is_gone(to, serves, says):
    assert target.lost(target.parse(to), backup(10), serves) == says
