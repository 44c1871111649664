# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bounds, as the server prints them and as SQL has them; and names."""

from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import bounds, names
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import (
    Axis,
    BadBound,
    days_before,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import (
    Default,
    Range,
    Remainder,
    Values,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.names import Template
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.periods import Amount, Period

JANUARY, FEBRUARY = 1_704_067_200_000_000, 1_706_745_600_000_000


@pytest.mark.parametrize(
    ("text", "kind", "bound"),
    [
        ("DEFAULT", None, Default()),
        ("FOR VALUES WITH (modulus 8, remainder 3)", None, Remainder(8, 3)),
        ("FOR VALUES IN ('DE', 'FR')", None, Values(frozenset({"DE", "FR"}))),
        (r"FOR VALUES IN ('it''s', E'a\\b', NULL, 'NULL')", None, Values(frozenset({"it's", "a\\b", None, "NULL"}))),
        ("FOR VALUES IN (1, -2)", None, Values(frozenset({"1", "-2"}))),
        (
            "FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00')",
            "timestamptz",
            Range(JANUARY, FEBRUARY),
        ),
        ("FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00:00')", "timestamp", Range(-math.inf, JANUARY)),
        ("FOR VALUES FROM ('infinity') TO (MAXVALUE)", "date", Range(math.inf, math.inf)),
        ("FOR VALUES FROM (-5) TO ('10')", "number", Range(-5, 10)),
        ("FOR VALUES FROM ('1970-01-02') TO ('1970-01-03')", "date", Range(1, 2)),
        (
            "FOR VALUES FROM ('018cc251-f400-0000-0000-000000000000') TO (MAXVALUE)",
            "uuidv7",
            Range((JANUARY // 1000) << 80, math.inf),
        ),
    ],
)
def test_what_the_server_prints_is_read(text, kind, bound):
    assert bounds.parse(text, Axis(kind) if kind else None) == bound


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("FOR VALUES FROM ('a') TO ('b')", "timestamptz"),
        ("FOR VALUES FROM ('2024-01-01', 1) TO ('2024-02-01', 1)", "date"),
        ("FOR VALUES FROM (1.5) TO (2.5)", "number"),
        ("FOR VALUES FROM (1) TO (2)", None),
        ("", "number"),
    ],
)
def test_what_is_no_bound_is_refused(text, kind):
    with pytest.raises(BadBound):
        bounds.parse(text, Axis(kind) if kind else None)


@given(st.frozensets(st.none() | st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_values_are_read_as_they_are_written(values):
    written = Values(values).sql()
    if "NULL" in values or ("E'" in written and None in values):
        return
    assert bounds.parse(written, None) == Values(values)


@pytest.mark.parametrize(
    ("text", "year"),
    [("0001-01-01 00:00:00+00", 1), ("4713-01-01 00:00:00+00 BC", -4712), ("294276-12-31 23:59:59.999999+00", 294276)],
)
def test_dates_of_any_year_are_read(text, year):
    key = Axis("timestamptz").parse(text)
    assert days_before(year, 1, 1) <= key // 86_400_000_000 <= days_before(year, 12, 31)
    assert Axis("date").parse("infinity") == math.inf


@given(st.dates())
def test_days_are_counted_as_python_does(day):
    assert days_before(day.year, day.month, day.day) == (day - datetime.date(1970, 1, 1)).days


def test_an_offset_of_the_zone_is_taken_off():
    axis = Axis("timestamptz")
    assert axis.parse("2024-01-01 02:30:00.5+02:30") == JANUARY + 500_000
    assert axis.parse("2023-12-31 19:00:00-05") == JANUARY


@pytest.mark.parametrize(
    ("interval", "name"),
    [
        ("year", "tasks_y2024"),
        ("quarter", "tasks_y2024q4"),
        ("month", "tasks_y2024m12"),
        ("week", "tasks_y2025w01"),
        ("day", "tasks_y2024m12d30"),
        ("10 days", "tasks_y2024m12d30"),
        ("6 hours", "tasks_y2024m12d30h18"),
        ("15 minutes", "tasks_y2024m12d30h18n45"),
    ],
)
def test_standard_names(interval, name):
    amount = Amount.of("interval", interval)
    template = Template(names.standard("time", amount), "tasks")
    period = Period(0, 0, 1, datetime.datetime(2024, 12, 30, 18, 45))
    assert template.of_period(period) == name


def test_names_of_numbers_and_lists():
    assert Template(names.standard("number"), "t").of_period(Period(0, -1000, 0)) == "t_nm1000"
    assert Template(names.standard("hash"), "t").of_remainder(3) == "t_h3"
    assert Template("p-{value}", "t").of_value("Süd") == "p-Süd"


@pytest.mark.parametrize(
    ("text", "kind"),
    [("{table}", "time"), ("{table}_{lower}", "time"), ("{table_{year}", "time"), ("x{year!r}", "time"), ("x", "list"),
     ("{0}", "time"), ("{year:>9}", "time")],
)  # fmt: skip
def test_templates_that_cannot_be(text, kind):
    with pytest.raises(InvalidInput, match="name"):
        Template(text, "t").check("name", kind)


def test_a_name_that_would_be_cut_off_is_refused():
    with pytest.raises(InvalidInput, match="63"):
        Template("{table}_y{year}", "t" * 60).of_period(Period(0, 0, 1, datetime.datetime(2024, 1, 1)))
