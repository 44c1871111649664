# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a conversion decides without a server."""

from __future__ import annotations

import itertools
import math
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import (
    decide,
    split,
    statements,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Amount, Grid
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet

NOW = 1_700_000_000_000_000
INTERVALS = ("6 hours", "day", "week", "month", "quarter", "year")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia")


def wanted(**options):
    return PartitionSet.of({"table": "tasks", "column": "at", "interval": "month", "convert": True, **options})


@settings(max_examples=200, deadline=None)
@given(
    interval=st.sampled_from(INTERVALS),
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from(["timestamptz", "uuidv7", "date", "timestamp", "epoch_seconds"]),
    now=st.integers(0, 4 * 10**15),
    ahead=st.one_of(st.none(), st.integers(-(10**15), decide.FARTHEST - 10**12)),
)
def test_the_end_is_a_bound_above_all_rows_and_far_enough_ahead(interval, zone, kind, now, ahead):
    grid = Grid(Axis(kind), Amount.of("interval", interval), zoneinfo.ZoneInfo(zone))
    largest = None if ahead is None else grid.axis.key(now + ahead)
    end = decide.end("tasks", grid, now, largest)
    assert grid.containing(end).lower == end
    assert end > grid.now(now + decide.ROOM)
    assert largest is None or end > largest
    # No farther than that needs: one period less would not do.
    before = grid.before(grid.containing(end)).lower
    assert before <= max(grid.now(now + decide.ROOM), -math.inf if largest is None else largest)


@pytest.mark.parametrize("largest", [math.inf, Axis("timestamptz").key(NOW + decide.FARTHEST + 10**12)])
def test_a_row_of_another_age_is_named(largest):
    grid = Grid(Axis("timestamptz"), Amount(months=1), zoneinfo.ZoneInfo("UTC"))
    with pytest.raises(Refused, match="more than ten years ahead") as refused:
        decide.end("public.tasks", grid, NOW, largest)
    assert refused.value.code == "not_convertible"


@pytest.mark.parametrize(("largest", "end"), [(None, 3000), (0, 3000), (999, 3000), (1000, 4000), (-1, 2000)])
def test_numbers_have_room_for_two_intervals(largest, end):
    grid = Grid(Axis("number"), Amount(step=1000), zoneinfo.ZoneInfo("UTC"))
    assert decide.end("tasks", grid, NOW, largest) == end


@settings(max_examples=100, deadline=None)
@given(
    interval=st.sampled_from(("week", "month", "year")),
    premake=st.integers(0, 5),
    behind=st.one_of(st.none(), st.integers(0, 10**15)),
)
def test_a_split_has_a_partition_for_each_moment_and_none_twice(interval, premake, behind):
    grid = Grid(Axis("timestamptz"), Amount.of("interval", interval), zoneinfo.ZoneInfo("UTC"))
    smallest = None if behind is None else NOW - behind
    last = decide.end("tasks", grid, NOW, smallest)
    news = split.partitions(wanted(interval=interval, premake=premake, convert_old="split"), grid, NOW, smallest, last)
    ranges = [new.bound for new in news]
    assert all(one.upper == following.lower for one, following in itertools.pairwise(ranges))
    assert ranges[0].lower <= (NOW if smallest is None else smallest)
    assert ranges[-1].upper >= last
    assert sum(one.lower > NOW for one in ranges) >= premake
    assert len({new.name for new in news}) == len(news)


@pytest.mark.parametrize(
    ("name", "table", "partition", "expected"),
    [
        ("tasks_pkey", "tasks", "tasks_converted", "tasks_converted_pkey"),
        ("by_time", "tasks", "tasks_converted", "tasks_converted_by_time"),
        ("tasks", "tasks", "tasks_converted", "tasks_converted"),
    ],
)
def test_indexes_are_renamed_with_their_table(name, table, partition, expected):
    assert statements.renamed(name, table, partition) == expected


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=80))
def test_a_name_is_cut_to_what_the_server_keeps(name):
    cut = statements.cut(name)
    assert len(cut.encode()) <= 63
    if len(name.encode()) <= 63:
        assert cut == name
    else:
        assert cut[:5] == name[:5]
        assert cut[-5:] == name[-5:]


@pytest.mark.parametrize(
    ("comment", "facts"),
    [
        (None, None),
        ("what a user wrote", None),
        ("scaleout.platform: {", None),
        ("scaleout.platform: []", None),
        (statements.marked(of="tasks"), {"of": "tasks"}),
    ],
)
def test_our_comments_are_told_from_others(comment, facts):
    assert statements.facts_of(comment) == facts
    assert split.Progress.of(comment) is None


def test_progress_is_read_as_it_was_written():
    progress = split.Progress("digest", 4711, 8, 15)
    facts = {"signature": "digest", "file": 4711, "block": 8, "end": 15}
    assert split.Progress.of(statements.marked(of="tasks", **facts)) == progress


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "tasks_converted"), ({"convert_old": "split"}, "tasks_unpartitioned"), ({"table": "t" * 63}, None)],
)
def test_what_the_table_is_called_afterwards(options, name):
    found = decide.old_name(wanted(**options))
    assert len(found) <= 63
    assert name is None or found == name
