# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of each materialized view, and what a task refuses before anything is changed."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.plan import (
    decide,
    index_name,
    plan,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.spec import Desired, parse_views
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.state import (
    Dependent,
    Index,
    State,
    View,
    Wanted,
)

COLUMNS = {"user_id": "integer", "n": "bigint"}
KEY = Index("k", unique=True, usable=True, columns=("user_id",), uses=frozenset({"user_id"}))


def view(form="q", **fields):
    return View(
        **{"kind": "materialized view", "owner": "app", "populated": True, "columns": COLUMNS, **fields}, forms=(form,)
    )


def decided(old=None, columns=None, **options):
    desired = Desired.of({"name": "v", **options})
    views = {} if old is None else {"public.v": old}
    wanted = {"public.v": Wanted((desired.query,), columns or COLUMNS)} if desired.query else {}
    return plan(decide([desired], State(frozenset({"public"}), frozenset({"app", "other"}), views, wanted)))


@pytest.mark.parametrize(
    ("old", "options", "actions", "reason"),
    [
        (None, {"query": "q"}, ["Create"], "it is new"),
        (None, {"query": "q", "populate": False}, ["Create"], None),
        (None, {"query": "q", "state": "refreshed", "max_age": 5}, ["Create"], "it is new"),
        (None, {"state": "absent"}, [], None),
        (view(), {"query": "q"}, [], None),
        (view(), {"query": "q", "owner": "app"}, [], None),
        (view(), {"query": "q", "owner": "other"}, ["Own"], None),
        (view(), {"query": "r"}, ["Replace"], "its definition changes"),
        (view(), {"query": "r", "populate": False}, ["Replace"], "its definition changes"),
        (view(populated=False), {"query": "r", "populate": False}, ["Replace"], None),
        (view(populated=False), {"query": "q"}, ["Refresh"], "it has no rows yet"),
        (view(populated=False), {"query": "q", "populate": False}, [], None),
        (view(), {"query": "q", "unique_index": ["user_id"]}, ["EnsureIndex"], None),
        (view(indexes=(KEY,)), {"query": "q", "unique_index": ["user_id"]}, [], None),
        (view(), {"state": "refreshed"}, ["Refresh"], "it was asked for"),
        (view(age=300.0), {"state": "refreshed", "max_age": 5}, ["Refresh"], "its last refresh was 5 minutes ago"),
        (view(age=299.9), {"state": "refreshed", "max_age": 5}, [], "max_age is 5: due in 1 minutes"),
        (
            view(age=61.0),
            {"query": "q", "state": "refreshed", "max_age": 15},
            [],
            "minutes ago, and max_age is 15: due in 14",
        ),
        (view(age=1.0), {"query": "q", "owner": "other", "state": "refreshed", "max_age": 15}, ["Own"], None),
        (view(age=-1.0), {"state": "refreshed", "max_age": 5}, ["Refresh"], "in the future"),
        (view(), {"state": "refreshed", "max_age": 5}, ["Refresh"], "is not known"),
        (view(), {"state": "absent"}, ["Drop"], None),
        (
            view(),
            {"query": "q", "owner": "other", "unique_index": ["n"], "state": "refreshed"},
            ["Own", "EnsureIndex", "Refresh"],
            "it was asked for",
        ),
    ],
)
def test_what_becomes_of_a_view(old, options, actions, reason):
    planned = decided(old, **options)
    assert [type(action).__name__ for action in planned.actions] == actions
    (row,) = planned.result["views"]
    assert (row["reason"] or "").startswith(reason or "") or reason in row["reason"]
    assert (row["reason"] is None) == (reason is None)
    assert (planned.before == planned.after) == (not actions)


@pytest.mark.parametrize(
    ("old", "options", "concurrently"),
    [
        (view(), {}, False),
        (view(indexes=(KEY,)), {}, True),
        (view(indexes=(KEY,)), {"concurrently": "always"}, True),
        (view(indexes=(KEY,)), {"concurrently": "never"}, False),
        (view(indexes=(Index("half", unique=True, columns=("user_id",)),)), {}, False),
        (view(indexes=(KEY,), populated=False), {}, False),
        (view(indexes=(KEY,), populated=False), {"concurrently": "always"}, False),
        (view(), {"unique_index": ["n"]}, True),
    ],
)
def test_whether_readers_go_on(old, options, concurrently):
    (row,) = decided(old, state="refreshed", **options).result["views"]
    assert row["concurrently"] == concurrently


READER = Dependent("public", "late", "SELECT n FROM public.v", uses=frozenset({"n"}))


@pytest.mark.parametrize(
    ("old", "columns", "options", "code", "says"),
    [
        (view(kind="table"), COLUMNS, {"query": "q"}, "name_taken", "public.v is a table"),
        (view(kind="table"), COLUMNS, {"state": "absent"}, "name_taken", "public.v is a table"),
        (None, COLUMNS, {"state": "refreshed"}, "missing", "give its query"),
        (None, COLUMNS, {"query": "q", "owner": "none"}, "missing", "the role none"),
        (view(others=("function f()",)), COLUMNS, {"query": "r"}, "depended_on", r"depend on it: function f\(\)"),
        (view(others=("function f()",)), COLUMNS, {"state": "absent"}, "depended_on", r"is not dropped"),
        (view(dependents=(READER,)), COLUMNS, {"state": "absent"}, "depended_on", "view public.late"),
        (view(dependents=(READER,)), {"user_id": "integer"}, {"query": "r"}, "depended_on", "lacks the column n"),
        (
            view(dependents=(READER,)),
            {**COLUMNS, "n": "text"},
            {"query": "r"},
            "depended_on",
            "n as text and not bigint",
        ),
        (
            view(),
            COLUMNS,
            {"state": "refreshed", "concurrently": "always"},
            "not_concurrent",
            "name them in unique_index",
        ),
        (
            None,
            COLUMNS,
            {"query": "q", "state": "refreshed", "concurrently": "always"},
            "not_concurrent",
            "name them in unique_index",
        ),
        (
            view(),
            COLUMNS,
            {"query": "q", "unique_index": ["m"]},
            "invalid_input",
            "'m' is no column of public.v, which",
        ),
    ],
)
def test_what_is_refused(old, columns, options, code, says):
    with pytest.raises((Refused, InvalidInput), match=says) as refused:
        decided(old, columns, **options)
    assert refused.value.code == code


def test_readers_of_other_columns_do_not_mind():
    (row,) = decided(view(dependents=(READER,)), {"n": "bigint"}, query="r").result["views"]
    assert (row["action"], row["dependents"]) == ("replaced", ["public.late"])


def test_an_index_goes_with_its_column_and_one_of_ours_with_its_columns():
    ours = Index(index_name("v"), unique=True, usable=True, columns=("n",), uses=frozenset({"n"}))
    planned = decided(view(indexes=(KEY, ours)), {"n": "bigint", "m": "text"}, query="r", unique_index=["m"])
    assert planned.warnings == ("public.v: its new definition lacks columns of index k, which goes with them.",)
    assert planned.actions[0].indexes == ()
    assert planned.after["public.v"]["indexes"] == ["v_scaleout_key"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": ""}, "name: '' is empty"),
        ({"name": "x" * 64}, "name: 'x+' has 64 bytes, and PostgreSQL keeps 63"),
        ({"name": "scaleout_v"}, "name: 'scaleout_v' begins with scaleout_"),
        ({"schema": ""}, "schema: '' is empty"),
        ({"owner": "a\0"}, r"owner: 'a\\x00' has a zero byte"),
        ({"query": None}, "query: None is required for state: present of public.v"),
        ({"query": " ; "}, "query: '' is empty"),
        ({"max_age": 5}, "max_age: 5 does nothing without state: refreshed"),
        ({"state": "refreshed", "max_age": 0}, "max_age: 0 is not a number of minutes from 1 to 5270400"),
        ({"state": "refreshed", "populate": False}, "populate: False does not go with state: refreshed"),
        ({"state": "absent"}, "query: 'q' does not go with state: absent of public.v"),
        ({"unique_index": []}, r"unique_index: \[\] names no column"),
        ({"unique_index": ["a", "a"]}, "unique_index: 'a' is named twice"),
    ],
)
def test_what_can_never_be(options, says):
    with pytest.raises(InvalidInput, match=says):
        Desired.of({"name": "v", "query": "q", **options})


def test_a_view_is_named_once():
    assert len(parse_views([{"name": "v", "query": "q"}, {"name": "v", "schema": "s", "query": "q"}])) == 2
    with pytest.raises(InvalidInput, match=r"views: 'public.v' is named twice"):
        parse_views([{"name": "v", "query": "q"}, {"name": "v", "schema": "public", "query": "q"}])


def test_the_name_of_the_index_fits_whatever_the_view_is_called():
    names = {index_name(name) for name in ("v", "x" * 48, "x" * 49, "x" * 63, "x" * 62 + "y", "ä" * 31)}
    assert len(names) == 6
    assert all(len(name.encode()) <= 63 and name.endswith("_scaleout_key") for name in names)
