# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import part, text
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import Column, Source, Summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import Kept

TASKS = {
    "table": "tasks",
    "schema": None,
    "group_by": ["user_id"],
    "columns": [{"name": "total", "function": "count", "column": None, "filter": None}],
}
ONE = {"schema": "public", "name": "stats", "tables": [TASKS], "every": None}


def of(**changed):
    return Summary.of({**ONE, **changed})


def columns(*given):
    keys = ("name", "function", "column", "filter")
    return [{**TASKS, "columns": [dict(zip(keys, one, strict=True)) for one in given]}]


BAD = [
    ({"name": ""}, "name: '' is empty."),
    ({"name": "a\0b"}, "has a zero byte"),
    ({"name": "ä" * 32}, "has 64 bytes"),
    ({"schema": ""}, "schema: '' is empty."),
    ({"tables": []}, "tables: [] has no table to summarize."),
    (
        {"tables": [{**TASKS, "group_by": []}]},
        "group_by: [] of public.tasks is empty: a summary has a row for each group.",
    ),
    ({"tables": [{**TASKS, "group_by": ["a", "a"]}]}, "has a column twice"),
    ({"tables": [{**TASKS, "columns": []}]}, "columns: [] of public.tasks is empty: nothing would be kept of it."),
    ({"tables": [TASKS, TASKS]}, "tables: 'public.tasks' is there twice; give it all its columns in one place."),
    (
        {"tables": [TASKS, {**TASKS, "table": "habits", "group_by": ["a", "b"]}]},
        "of public.habits has 2 columns, and that of public.tasks has 1",
    ),
    ({"tables": columns(("best", "max", None, None))}, "column: None is missing: best is the max of a column."),
    ({"tables": columns(("some", "count", None, "  "))}, "filter: '  ' of some is empty."),
    ({"tables": columns(("user_id", "count", None, None))}, "columns: 'user_id' would be twice in public.stats."),
    ({"tables": columns(("a", "count", None, None), ("a", "sum", "b", None))}, "'a' would be twice"),
    ({"name": "tasks"}, "name: 'tasks' is one of the tables that it would summarize."),
    ({"every": {"table": "users", "schema": None, "columns": []}}, "columns: [] of public.users is empty"),
]


@pytest.mark.parametrize(("changed", "message"), BAD)
def test_what_can_never_be_is_named(changed, message):
    with pytest.raises(InvalidInput) as caught:
        of(**changed)
    assert message in caught.value.message


def test_the_groups_are_called_as_in_the_table_that_makes_them():
    assert of().groups == ("user_id",)
    assert of(every={"table": "users", "schema": "app", "columns": ["id"]}).groups == ("id",)


def test_a_declaration_can_be_read_again():
    wanted = of(
        tables=columns(("some", "count", None, "a = 'b'"), ("best", "max", "x", None)),
        every={"table": "users", "schema": None, "columns": ["id"]},
    )
    assert Summary.of_declaration(json.loads(json.dumps(wanted.declaration()))) == wanted


@pytest.mark.parametrize("comment", ["", "of another", "scaleout.platform summary: {", "scaleout.platform summary: {}"])
def test_a_comment_of_another_is_no_summary(comment):
    assert Kept.of(comment) is None


NAMES = strategies.text(
    strategies.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=70
)


@given(NAMES, NAMES, strategies.integers(1, 120))
def test_names_of_objects_fit_and_tell_tables_apart(view, table, generation):
    stem = part.stem(view, Source("public", table, ("a",)), generation)
    assert len((stem + "_filter99").encode()) <= 63
    assert stem != part.stem(view, Source("public", table + "x", ("a",)), generation)
    assert stem != part.stem(view, Source("public", table, ("a",)), generation + 1)


@given(strategies.text(strategies.sampled_from("ab$'\\\"scaleout1"), max_size=30) | strategies.just("x$scaleout"))
def test_a_text_is_between_tags_that_it_does_not_have(content):
    quoted = text.literal(content)
    tag = quoted[: quoted.index("$", 1) + 1]
    assert quoted == f"{tag}{content}{tag}"
    # The first tag after the one at the beginning is the one at the end.
    assert quoted.index(tag, 1) == len(quoted) - len(tag)


def test_a_filter_is_given_the_columns_that_it_names():
    types = {"status": "text", "Done": "boolean", "other": "integer"}
    one = part.Part(
        "public",
        "p",
        Source("public", "t", ("g",), (Column("a", "count", "", 'STATUS = $$x$$ AND "Done"'),)),
        types=types,
    )
    assert one.arguments(one.filters[0]) == ("status", "Done")
