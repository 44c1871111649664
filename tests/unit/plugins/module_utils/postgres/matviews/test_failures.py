# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What fails beforehand and what fails on the way, and whether the message says which view and which option."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError

from .test_server import QUERY, Place


@pytest.fixture(name="place")
def _place(server, database):
    return Place(server, database)


@pytest.mark.parametrize(
    "bad",
    [
        {"query": QUERY.replace("user_id", "user_ids")},
        {"query": QUERY, "unique_index": ["user_ids"]},
        {"query": QUERY, "state": "refreshed", "concurrently": "always"},
    ],
)
def test_what_can_be_told_beforehand_leaves_all_views_alone(place, bad):
    for check in (True, False):
        with pytest.raises(ScaleoutError, match=r"public\.bad"):
            place.task({"name": "good", "query": QUERY}, {"name": "bad", **bad}, check=check)
        assert place.rows("SELECT relname FROM pg_class WHERE relkind = 'm'") == []


@pytest.mark.parametrize("populate", [True, False])
def test_always_concurrently_creates_a_view_and_refreshes_it_from_then_on(place, populate):
    options = {"name": "stats", "query": QUERY, "unique_index": ["user_id"]}
    if not populate:
        place.task(**options, populate=False)
    for action, concurrently in (("refreshed" if not populate else "created", False), ("refreshed", True)):
        _plan, (row,) = place.task(**options, state="refreshed", concurrently="always")
        assert (row["action"], row["concurrently"], row["populated"]) == (action, concurrently, True)


def test_a_view_that_is_left_alone_says_when_it_is_due(place):
    place.task(name="stats", query=QUERY)
    for seconds, left in ((0, 15), (840, 1)):
        place.run(f"UPDATE scaleout_refreshes SET refreshed_at = now() - interval '{seconds} s'")
        plan, (row,) = place.task(name="stats", state="refreshed", max_age=15)
        assert (plan.changed, row["action"], f"max_age is 15: due in {left} minutes" in row["reason"]) == (
            False,
            "none",
            True,
        )


DUPLICATES = "SELECT user_id % 2 AS one FROM tasks"


@pytest.mark.parametrize(
    ("before", "options", "says"),
    [
        (None, {"query": DUPLICATES, "unique_index": ["one"]}, "unique_index of public.stats: .*one.* is duplicated"),
        ({"query": DUPLICATES}, {"query": DUPLICATES, "unique_index": ["one"]}, "unique_index of public.stats: "),
        (None, {"query": "SELECT 1 / (user_id - 1) AS x FROM tasks"}, "query of public.stats: .*division by zero"),
        ({"query": QUERY}, {"query": "SELECT 1 / (user_id - 1) AS x FROM tasks"}, "query of public.stats: "),
    ],
)
def test_what_fails_on_the_way_names_the_view_and_the_option(place, before, options, says):
    if before:
        place.task(name="stats", **before)
    definition = "SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'm'"
    there = place.rows(definition)
    with pytest.raises(ScaleoutError, match=says):
        place.task(name="stats", **options)
    assert place.rows(definition) == there
    assert place.nothing_is_left() == []


def test_equal_rows_in_a_concurrent_refresh_name_the_view_and_the_options(place):
    query = "SELECT user_id FROM tasks WHERE id < 4"
    place.task(name="stats", query=query, unique_index=["user_id"])
    place.run("UPDATE tasks SET user_id = 1")
    with pytest.raises(ScaleoutError, match=r"query or unique_index of public\.stats: .*duplicate"):
        place.task(name="stats", query=query, unique_index=["user_id"], state="refreshed")


def test_statistics_keep_their_target_and_comment_over_a_change(place):
    place.task(name="stats", query=QUERY)
    place.run(
        'CREATE SCHEMA "else"; GRANT ALL ON SCHEMA "else" TO app; SET ROLE app',
        'CREATE STATISTICS "else".both_of ON user_id, tasks FROM stats',
        "CREATE STATISTICS plain ON user_id, tasks FROM stats",
        'ALTER STATISTICS "else".both_of SET STATISTICS 321',
        "COMMENT ON STATISTICS \"else\".both_of IS 'why'",
    )
    told = """SELECT pg_get_statisticsobjdef(oid), nullif(stxstattarget, -1), stxowner::regrole::text,
                     obj_description(oid, 'pg_statistic_ext') FROM pg_statistic_ext ORDER BY stxname"""
    before = place.rows(told)
    assert [line[1:] for line in before] == [(321, "app", "why"), (None, "app", None)]
    changed = QUERY.replace("FROM tasks", "FROM tasks WHERE done")
    assert place.actions(name="stats", query=changed) == ["replaced"]
    assert place.rows(told) == before
