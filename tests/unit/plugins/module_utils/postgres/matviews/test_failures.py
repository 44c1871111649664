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
