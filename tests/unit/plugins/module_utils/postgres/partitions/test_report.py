# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said of the sets that there are."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.show_partitions import ShowPartitions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import periods, report
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.report import Facts
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    Partition,
    Record,
    Root,
)

LABELS = r'schema="public",table="odd \"name"'
NOON = periods.micros_of(datetime.datetime(2024, 3, 15, 12))


def table(*held, column="at", column_type="timestamp with time zone", **fields):
    partitions = tuple(Partition(100 + place, "public", f"p{place}", bound) for place, bound in enumerate(held))
    given = {"by": "range", "partitioned_by": (column,), "columns": {column: column_type}, "partitions": partitions}
    return Root(1, "public", 'odd "name', **{**given, **fields})


def span(first, last):
    return f"FOR VALUES FROM ('{first} 00:00:00+00') TO ('{last} 00:00:00+00')"


@pytest.mark.parametrize(
    ("held", "days", "until"),
    [
        ([], 0, None),
        ([span("2024-03-01", "2024-04-01")], 16.5, "2024-04-01 00:00:00+00"),
        ([span("2024-03-01", "2024-04-01"), span("2024-04-01", "2024-05-01")], 46.5, "2024-05-01 00:00:00+00"),
        ([span("2024-03-01", "2024-04-01"), span("2024-04-02", "2024-05-01")], 16.5, "2024-04-01 00:00:00+00"),
        ([span("2024-04-01", "2024-05-01")], 0, None),
        (["FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"], None, "MAXVALUE"),
    ],
)
def test_days_ahead(held, days, until):
    said = report.describe(table(*held), Facts(NOON))
    assert (said["days_ahead"], said["covered_until"]) == (days, until)
    assert said["numbers_ahead"] is None
    assert said["covered_until_seconds"] == (None if days is None else NOON // 1_000_000 + days * 86_400)


def test_a_day_begins_in_the_zone_of_the_set():
    midnight = NOON + 11 * 3_600_000_000 + 1_800_000_000
    held = "FOR VALUES FROM ('2024-03-16') TO ('2024-03-17')"
    root = table(held, column_type="date", comment=Record("Europe/Berlin", "day", "date").line())
    said = report.describe(root, Facts(midnight))
    assert (said["days_ahead"], said["managed"], said["time_zone"]) == (1, True, "Europe/Berlin")


def test_numbers_ahead():
    held = ["FOR VALUES FROM ('0') TO ('100')", "FOR VALUES FROM ('100') TO ('200')"]
    said = report.describe(table(*held, column_type="bigint"), Facts(NOON, largest=50))
    assert (said["numbers_ahead"], said["days_ahead"], said["kind"]) == (150, None, "number")


@pytest.mark.parametrize(
    "fields",
    [
        {"by": "hash", "partitioned_by": ("at",)},
        {"partitioned_by": ("at", "other")},
        {"partitioned_by": (None,)},
        {"columns": {"at": "point"}},
    ],
)
def test_what_is_not_understood_is_shown_as_it_is(fields):
    said = report.describe(table("FOR VALUES FROM ('(1,2)') TO ('(3,4)')", **fields), Facts(NOON))
    assert said["partitions"][0]["bounds"] == "FROM ('(1,2)') TO ('(3,4)')"
    assert said["days_ahead"] is None


def test_the_figures_as_prometheus_reads_them():
    held = [span("2024-03-01", "2024-04-01"), span("2024-04-02", "2024-05-01"), "DEFAULT"]
    text = report.exposition([report.describe(table(*held, default=102), Facts(NOON, default_rows=7))])
    labels = f"{{{LABELS}}}"
    for sample in ("days_ahead", " 16.5"), ("gaps", " 1"), ("default_rows", " 7"), ("partitions", " 3"):
        assert f"\nscaleout_partition_set_{sample[0]}{labels}{sample[1]}\n" in text
    assert "numbers_ahead" not in text
    assert text.startswith("# HELP scaleout_partition_set_days_ahead Days until")


@pytest.mark.parametrize(
    ("facts", "ahead", "code"),
    [
        (Facts(NOON, error=Refused("PostgreSQL refused.", code="timeout")), None, "timeout"),
        (Facts(NOON, denied=True), None, None),
        (Facts(NOON), 100, None),
    ],
)
def test_numbers_are_not_counted_from_0_where_the_largest_is_not_known(facts, ahead, code):
    said = report.describe(table("FOR VALUES FROM ('0') TO ('100')", column_type="bigint"), facts)
    assert (said["numbers_ahead"], said["failed"], said["code"]) == (ahead, code is not None, code)
    assert f"failed{{{LABELS}}} {code is not None:d}\n" in report.exposition([said])


BROKEN = """
CREATE TABLE a (at timestamp) PARTITION BY RANGE (at); COMMENT ON TABLE a IS 'partition_set: {"time_zone": "No/Land"}';
CREATE TABLE a_1 PARTITION OF a FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
CREATE TABLE b (k int) PARTITION BY RANGE (k);
CREATE FOREIGN DATA WRAPPER none; CREATE SERVER far FOREIGN DATA WRAPPER none;
CREATE FOREIGN TABLE b_far PARTITION OF b FOR VALUES FROM (0) TO (10) SERVER far;
CREATE TABLE c (at timestamptz) PARTITION BY RANGE (at);
CREATE FOREIGN TABLE c_far PARTITION OF c DEFAULT SERVER far;
CREATE TABLE c_1 PARTITION OF c FOR VALUES FROM ('2001-01-01') TO (MAXVALUE);
CREATE TABLE d (k int) PARTITION BY RANGE (k); CREATE TABLE d_0 PARTITION OF d FOR VALUES FROM (0) TO (10)
"""


def test_a_set_that_cannot_be_read_keeps_no_other_from_being_described(server, database, client):
    client.run(BROKEN)
    task = ShowPartitions.of({"schema": None, "tables": None, **server.parameters(database)})
    try:
        plan = task.plan()
    finally:
        task.close()
    found = {one["table"]: one for one in plan.result["sets"]}
    codes = {"a": "invalid_input", "b": "refused", "c": "refused", "d": None}
    assert {name: one["code"] for name, one in found.items()} == codes
    assert [one["partition_count"] for one in found.values()] == [1, 1, 2, 1]
    assert [found[name]["numbers_ahead"] for name in "bd"] == [None, 10]
    assert found["c"]["last_bound"] == "MAXVALUE"
    assert [said.split(" ")[0] for said in plan.warnings] == ["public.a", "public.b", "public.c"]
    assert "No/Land" in plan.warnings[0]
    for name, one in found.items():
        labels = f'{{schema="public",table="{name}"}}'
        assert f"scaleout_partition_set_failed{labels} {one['failed']:d}\n" in plan.result["exposition"]


def test_a_server_is_asked(server, database, client):
    client.run("CREATE TABLE a (k bigint) PARTITION BY RANGE (k)")
    client.run("CREATE TABLE a_0 PARTITION OF a FOR VALUES FROM (0) TO (100)")
    client.run("CREATE TABLE a_default PARTITION OF a DEFAULT")
    client.run("INSERT INTO a SELECT n FROM generate_series(90, 105) n")
    client.run("CREATE TABLE plain (k int)")
    client.run("CREATE ROLE onlooker LOGIN")

    def look(user="postgres", **options):
        given = {"schema": None, "tables": None, **server.parameters(database, login_user=user), **options}
        task = ShowPartitions.of(given)
        try:
            return task.plan().result["sets"]
        finally:
            task.close()

    (said,) = look()
    assert (said["default"], said["default_rows"], said["partition_count"]) == ("a_default", 6, 2)
    assert said["bytes"] > 0
    assert look(schema="nowhere") == []
    assert [said["table"] for said in look(tables=["a"])] == ["a"]
    for given, where in ({}, "this database"), ({"schema": "public"}, "the schema public"):
        with pytest.raises(Refused, match=f"^tables: plain, typo is no partitioned table of {where}.$") as refused:
            look(tables=["typo", "a", "plain"], **given)
        assert refused.value.code == "missing"
    assert look("onlooker")[0]["default_rows"] is None
