# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which partitions come and go, for tables as a server may have them and for any clock and zone."""

from __future__ import annotations

import datetime
import itertools
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import coverage, periods, state
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range, sql_of
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import (
    check_server,
    clash,
    decide,
    hurry,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.outcome import predicted, result
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    Key,
    Leftover,
    Partition,
    Record,
    Root,
    State,
)

NOON = periods.micros_of(datetime.datetime(2024, 3, 15, 12))
TYPES = {"timestamptz": "timestamp with time zone", "uuidv7": "uuid", "number": "bigint", "date": "date"}
MONTHS = {"table": "tasks", "column": "at", "interval": "month", "premake": 2}


def table(*held, kind="timestamptz", by="range", **fields):
    """Return a table with partitions that hold what is written."""
    partitions = tuple(Partition(100 + place, "public", name, bound) for place, (name, bound) in enumerate(held))
    columns = {"at": TYPES[kind], "note": "text"}
    given = {"by": by, "partitioned_by": ("at",), "columns": columns, "partitions": partitions, "owner": "us"}
    return Root(1, "public", **{"name": "tasks", **given, **fields})


def state_of(root=None, clock=NOON, **fields):
    roots = {("public", root.name): root} if root else {}
    return State(150000, clock, False, "us", 1000, roots, schemas={"public": True}, **fields)


def span(name, first, last):
    return name, f"FOR VALUES FROM ('{first} 00:00:00+00') TO ('{last} 00:00:00+00')"


MARCH = span("tasks_y2024m03", "2024-03-01", "2024-04-01")
FEBRUARY = span("tasks_y2024m02", "2024-02-01", "2024-03-01")
JANUARY = span("tasks_y2024m01", "2024-01-01", "2024-02-01")
NOVEMBER = span("tasks_y2023m11", "2023-11-01", "2023-12-01")


def names(decision):
    return [new.name for new in decision.create]


@pytest.mark.parametrize(
    ("held", "options", "created"),
    [
        ([], {}, ["03", "04", "05"]),
        ([], {"premake": 0}, ["03"]),
        ([], {"premake": 0, "past": 2}, ["01", "02", "03"]),
        ([], {"premake": 0, "past": 9, "retention": "2 months"}, ["01", "02", "03"]),
        ([MARCH], {}, ["04", "05"]),
        ([FEBRUARY], {}, ["03", "04", "05"]),
        ([JANUARY], {}, ["03", "04", "05"]),
        ([JANUARY], {"fill_gaps": True}, ["02", "03", "04", "05"]),
        ([JANUARY], {"fill_gaps": True, "retention": "2 weeks"}, ["03", "04", "05"]),
        ([span("all", "2024-01-01", "2025-01-01")], {}, []),
        ([("low", "FOR VALUES FROM (MINVALUE) TO ('2024-04-01 00:00:00+00')")], {}, ["04", "05"]),
        ([("d", "DEFAULT")], {}, ["03", "04", "05"]),
    ],
)
def test_what_is_created(held, options, created):
    decision = decide(PartitionSet.of({**MONTHS, **options}), state_of(table(*held)))
    assert names(decision) == [f"tasks_y2024m{month}" for month in created]


@pytest.mark.parametrize(
    ("options", "retired", "kept"),
    [
        ({}, [], 4),
        ({"retention": "1 month"}, ["tasks_y2023m11", "tasks_y2024m01"], 2),
        ({"retention": "14 days"}, ["tasks_y2023m11", "tasks_y2024m01", "tasks_y2024m02"], 1),
        ({"retention": "15 days"}, ["tasks_y2023m11", "tasks_y2024m01"], 2),
        ({"retention": "1 year"}, [], 4),
    ],
)
def test_what_is_retired(options, retired, kept):
    root = table(NOVEMBER, JANUARY, FEBRUARY, MARCH)
    decision = decide(PartitionSet.of({**MONTHS, "premake": 0, **options}), state_of(root))
    assert [old.partition.name for old in decision.going] == retired
    assert result(decision, predicted(decision))["partitions"] == kept


def test_much_is_dropped_only_with_the_word():
    root = table(NOVEMBER, JANUARY, FEBRUARY, MARCH)
    dropping = {**MONTHS, "retention": "14 days", "retention_action": "drop"}
    decision = decide(PartitionSet.of(dropping), state_of(root))
    assert decision.retention_error.code == "unconfirmed"
    assert (decision.going, len(decision.create)) == ((), 2)
    assert len(decide(PartitionSet.of({**dropping, "confirm": "tasks"}), state_of(root)).going) == 3


@pytest.mark.parametrize(("rows", "refused"), [([5, 95], False), ([21, 79], True), ([-1, 79], True), ([0, 0], False)])
def test_a_fifth_of_the_rows_needs_the_word(rows, refused):
    old = Partition(1, "public", *JANUARY, rows=rows[0], size=30)
    new = Partition(2, "public", *MARCH, rows=rows[1], size=70)
    dropping = {**MONTHS, "retention": "14 days", "retention_action": "drop"}
    decision = decide(PartitionSet.of(dropping), state_of(table(partitions=(old, new))))
    assert (decision.retention_error is not None) is refused


def test_what_was_interrupted_comes_first_and_is_finished_in_any_case():
    pending = Partition(1, "public", *FEBRUARY, pending=True)
    root = table(partitions=(Partition(2, "public", *JANUARY), pending, Partition(3, "public", *MARCH)))
    kept = decide(PartitionSet.of(MONTHS), state_of(root))
    assert [(old.partition.name, old.action) for old in kept.going] == [("tasks_y2024m02", "finalized")]
    keeping = {**MONTHS, "retention": "14 days", "retention_action": "keep"}
    assert [old.action for old in decide(PartitionSet.of(keeping), state_of(root)).retire] == ["kept", "finalized"]


@pytest.mark.parametrize(
    ("options", "root", "code"),
    [
        ({}, None, "missing"),
        ({"column": "when"}, table(), "missing"),
        ({"column": "note"}, table(partitioned_by=("note",)), "invalid_input"),
        ({}, table(may_own=False), "denied"),
        ({}, table(may_create=False), "denied"),
        ({}, table(kind="timestamptz", by="hash"), "differs"),
        ({}, table(partitioned_by=("note",)), "differs"),
        ({}, table(partitioned_by=("at", "note")), "differs"),
        ({}, table(partitioned_by=(None,)), "differs"),
        ({"kind": "date"}, table(), "invalid_input"),
        ({}, table(by=None, partitioned_by=()), "differs"),
        ({"interval": "1000"}, table(), "invalid_input"),
        ({}, table(comment=Record("Europe/Berlin").line()), None),
        ({"time_zone": "UTC"}, table(comment=Record("Europe/Berlin").line()), "differs"),
        ({}, table(comment=Record(kind="timestamp").line()), "differs"),
        ({}, table(span("odd", "2024-03-10", "2024-03-20")), "overlap"),
        ({}, table(span("odd", "2024-03-10", "2024-07-01")), "overlap"),
        ({}, table(("odd", "FOR VALUES FROM ('x') TO ('y')")), "differs"),
        ({}, table(span("tasks_y2024m04", "2020-03-01", "2020-04-01")), "name_taken"),
        ({"retention": "1 year", "retention_action": "move", "move_to": "attic"}, table(), "missing"),
        ({"name": "{table}_{year}"}, table(), "invalid_input"),
        ({"table": "t" * 60, "default": True, "name": "{table}{year}"}, table(name="t" * 60), "invalid_input"),
        ({"definition": ["note text"]}, None, "invalid_input"),
        ({"definition": ["at timestamptz NOT NULL"]}, None, None),
        ({"definition": ["at varchar"]}, None, "invalid_input"),
    ],
)
def test_what_is_refused(options, root, code):
    wanted = PartitionSet.of({**MONTHS, **options})
    if code is None:
        decide(wanted, state_of(root))
        return
    with pytest.raises(ScaleoutError) as refused:
        decide(wanted, state_of(root))
    assert refused.value.code == code
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize(
    ("kind", "key", "options", "code"),
    [
        ("p", Key("tasks_pkey", ("id",)), {}, None),
        ("r", Key("tasks_pkey", ("id",)), {}, "unpartitionable"),
        ("r", Key("tasks_pkey", ("at", "id")), {}, "not_partitioned"),
        ("v", Key("tasks_pkey", ("at",)), {}, "differs"),
    ],
)
def test_plain_tables_are_refused(kind, key, options, code):
    partitioned = {} if kind == "p" else {"by": None, "partitioned_by": ()}
    root = Root(1, "public", "tasks", **{"by": "range", "partitioned_by": ("at",), **partitioned}, kind=kind,
                columns={"at": TYPES["timestamptz"]}, keys=(key,))  # fmt: skip
    wanted = PartitionSet.of({**MONTHS, **options})
    if code is None:
        assert decide(wanted, state_of(root)).create
        return
    with pytest.raises(ScaleoutError) as refused:
        decide(wanted, state_of(root))
    assert refused.value.code == code


def test_a_smaller_interval_begins_where_the_larger_one_ends():
    daily = {**MONTHS, "interval": "day", "premake": 20}
    created = names(decide(PartitionSet.of(daily), state_of(table(MARCH))))
    assert created == [f"tasks_y2024m04d{day:02d}" for day in range(1, 5)]


def test_ids_whose_bounds_have_the_version_of_a_uuid():
    """As people write them by hand."""
    march = "FOR VALUES FROM ('018df74f-8400-7000-8000-000000000000') TO ('018e96f4-a800-7000-8000-000000000000')"
    april = "FOR VALUES FROM ('018e96f4-a800-7000-8000-000000000000') TO ('018f3173-7000-7000-8000-000000000000')"
    created = decide(PartitionSet.of(MONTHS), state_of(table(("by_hand", march), kind="uuidv7"))).create
    assert sql_of(created[0].bound, Axis("uuidv7")) == april


def test_the_last_numbers_of_a_type():
    root = table(kind="number", columns={"at": "integer"})
    numbers = {**MONTHS, "interval": "1000000000", "premake": 9}
    created = decide(PartitionSet.of(numbers), state_of(root, largest={("public", "tasks"): 5}))
    assert [sql_of(new.bound, Axis("number")) for new in created.create][-1] == (
        "FOR VALUES FROM ('2000000000') TO (MAXVALUE)"
    )


def test_hash_and_list():
    by_hash = {"table": "tasks", "by": "hash", "column": "at", "modulus": 2}
    one = ("tasks_h1", "FOR VALUES WITH (modulus 2, remainder 1)")
    assert names(decide(PartitionSet.of(by_hash), state_of(table(one, by="hash")))) == ["tasks_h0"]
    with pytest.raises(ScaleoutError) as differs:
        decide(PartitionSet.of({**by_hash, "modulus": 4}), state_of(table(one, by="hash")))
    assert differs.value.code == "differs"
    by_list = {"table": "tasks", "by": "list", "column": "at", "values": {"a": ["1", 2], "b": [None]}}
    there = table(("x", "FOR VALUES IN ('2', '1')"), by="list")
    decision = decide(PartitionSet.of({**by_list, "default": True}), state_of(there))
    assert names(decision) == ["tasks_b", "tasks_default"]
    with pytest.raises(ScaleoutError) as overlap:
        decide(PartitionSet.of({**by_list, "values": {"a": [1]}}), state_of(there))
    assert overlap.value.code == "overlap"


def test_the_comment_of_a_user_is_kept():
    decision = decide(PartitionSet.of(MONTHS), state_of(table(MARCH, comment="Mine,\nall mine.")))
    assert decision.comment.startswith("Mine,\nall mine.\npartition_set: {")
    again = table(MARCH, comment=decision.comment)
    assert decide(PartitionSet.of({**MONTHS, "premake": 0}), state_of(again)).changes is False
    changed = decide(PartitionSet.of({**MONTHS, "interval": "quarter", "premake": 0, "past": 0}), state_of(table(
        span("q", "2024-01-01", "2024-04-01"), comment=decision.comment)))  # fmt: skip
    assert changed.comment.startswith("Mine,\nall mine.\npartition_set: {")
    assert changed.comment.count(state.MARK) == 1


@pytest.mark.parametrize("line", ["partition_set: {", "partition_set: []", 'partition_set: {"time_zone": 3}', "other"])
def test_a_comment_that_is_not_ours_says_nothing(line):
    assert state.read_record(line) == Record()


def test_a_leftover_is_read_as_it_is_written():
    left = Leftover(7, "attic", "old", "moved", "deep", "of old", upper=5)
    text = state.comment_with("of old", left.line(table()))
    assert state.read_leftover(7, "attic", "old", text) == (("public", "tasks"), left)
    assert state.read_leftover(7, "attic", "old", 'partition_set: {"action": "eaten"}') is None


def test_names_that_something_else_has():
    decision = decide(PartitionSet.of(MONTHS), state_of(table()))
    assert clash(decision, {("public", "tasks_y2024m04"): {}}).code == "name_taken"
    assert clash(decision, {("other", "tasks_y2024m04"): {}}) is None


def test_a_clock_that_is_days_off_is_refused():
    check_server(state_of(), NOON / 1_000_000 + 3600)
    with pytest.raises(ScaleoutError) as refused:
        check_server(state_of(), NOON / 1_000_000 - 3 * 365 * 86_400)
    assert refused.value.code == "clock"


def test_a_wait_that_may_end_in_a_deadlock_is_named():
    assert hurry(state_of(), 500) == ()
    assert "deadlock_timeout 1000 ms" in hurry(state_of(), 1000)[0]


@settings(max_examples=100)
@given(
    kind=st.sampled_from(["timestamptz", "uuidv7", "date", "number"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe"]),
    interval=st.sampled_from(["day", "week", "month", "quarter", "year"]),
    premake=st.integers(0, 12),
    past=st.integers(0, 6),
    retention=st.integers(1, 400),
    runs=st.lists(st.integers(0, 200 * 86_400), min_size=1, max_size=5),
    start=st.integers(31_536_000, 2_000_000_000),
)
def test_the_plan_covers_premake_and_retention_exactly(kind, zone, interval, premake, past, retention, runs, start):
    """Runs at rising times: each ends with all that is wanted and nothing that is old, without gap or overlap."""
    number = kind == "number"
    options = {"table": "tasks", "column": "at", "kind": kind, "premake": premake, "past": past, "fill_gaps": True}
    options.update(interval="1000" if number else interval, retention=str(retention) if number else f"{retention} days")
    wanted = PartitionSet.of(options if number else {**options, "time_zone": zone})
    axis, clock, held, comment = Axis(kind), start * 1_000_000, [], ""
    for step in runs:
        clock += step * 1_000_000
        largest = clock // 10**9
        root = table(*((new.name, sql_of(new.bound, axis)) for new in held), kind=kind, comment=comment)
        decision = decide(wanted, state_of(root, clock, largest={("public", "tasks"): largest}))
        comment = decision.comment or comment
        gone = {old.partition.name for old in decision.going}
        # What is put away was all older than the retention, and what stays is not.
        now = largest if number else decision.grid.now(clock)
        if number:
            cutoff = now - retention
        else:
            wall = periods.wall_of(clock, zoneinfo.ZoneInfo(zone)) - datetime.timedelta(days=retention)
            instant = periods.instant_of(wall, zoneinfo.ZoneInfo(zone))
            cutoff = axis.key(periods.micros_of(wall) if axis.is_wall else instant)
        assert all(new.bound.upper <= cutoff for new in held if new.name in gone)
        held = [new for new in held if new.name not in gone] + list(decision.create)
        assert all(new.bound.upper > cutoff for new in held)
        ranges = sorted(new.bound for new in held)
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(ranges))
        assert coverage.gaps(ranges) == []
        period = decision.grid.containing(now)
        for _ahead in range(premake):
            period = decision.grid.after(period)
        assert ranges[-1].upper >= period.upper
        assert coverage.covered_until(ranges, now) == ranges[-1].upper
        # A second run at the same time finds nothing to do.
        again = table(*((new.name, sql_of(new.bound, axis)) for new in held), kind=kind, comment=comment)
        assert not decide(wanted, state_of(again, clock, largest={("public", "tasks"): largest})).changes


def test_the_highest_partition_comes_first():
    held = ["FOR VALUES FROM (MINVALUE) TO (0)", "DEFAULT", "FOR VALUES FROM ('9') TO ('10')",
            "FOR VALUES FROM ('10') TO (MAXVALUE)"]  # fmt: skip
    ordered = coverage.highest_first([Partition(place, "public", "p", bound) for place, bound in enumerate(held)])
    assert [one.oid for one in ordered] == [3, 2, 0, 1]


def test_covered_until():
    ranges = [Range(0, 10), Range(10, 20), Range(30, 40)]
    assert coverage.covered_until(ranges, 5) == 20
    assert coverage.covered_until(ranges, 35) == 40
    assert coverage.covered_until(ranges, 25) is None
