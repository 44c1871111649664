# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tasks by month and the view ``user_stats``: callers see the same with and without them, and a query touches few
partitions."""

from __future__ import annotations

import typing as t
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from api_lab import months
from api_lab.lab import AHEAD, BY_MONTH, PAST, SUMMED, Lab
from api_lab.server import ApiServer
from api_lab.waiting import until
from reference_api.routers.tasks import TABLE
from reference_api.uuid7 import Uuid7, milliseconds_of
from reference_api.windows import Walk
from test_pagination import pages

SHARDS = "0123"
DAY = 24 * 3600


def id_of(day: float) -> uuid.UUID:
    """An id that was made so many days ago."""
    at = datetime.now(UTC) - timedelta(days=day)
    return Uuid7(clock=lambda: int(at.timestamp() * 1000))()


def has_tasks(lab: Lab, user_id: str, days: t.Iterable[float]) -> list[str]:
    """Give the user tasks of so many days ago; return their ids, the newest first."""
    ids = sorted((id_of(day) for day in days), reverse=True)
    shard = lab.shard_of(user_id)
    query = "INSERT INTO tasks (user_id, id, title) SELECT %s, unnest(%s::uuid[]), 'Water the plants'"
    lab.primary_of(shard).execute(query, [user_id, ids], f"shard_{shard}")
    return [str(one) for one in ids]


@pytest.mark.parametrize("shard", SHARDS)
@pytest.mark.parametrize("limit", [1, 7, 200])
def test_pages_reach_as_far_as_the_tasks_do(lab: Lab, api: ApiServer, shard: str, limit: int) -> None:
    user_id, _token = lab.user_on(shard)
    # Some of a clock that is ahead, many of the last months, a long pause, and a few of long ago.
    ids = has_tasks(lab, user_id, [-40, -1, *range(60), 300, 301, 600, 650])
    listed = list(pages(api, f"/users/{user_id}/tasks", limit))
    assert [task["id"] for page in listed for task in page] == ids
    assert all(len(page) == limit for page in listed[:-1])


@pytest.mark.parametrize("shard", SHARDS)
def test_a_short_list_is_whole(lab: Lab, api: ApiServer, shard: str) -> None:
    user_id, _token = lab.user_on(shard)
    path = f"/users/{user_id}/tasks"
    assert api.get(path).body == {"items": [], "next_cursor": None}
    ids = has_tasks(lab, user_id, [1, 200, 500])
    body = api.get(path).body
    assert ([task["id"] for task in body["items"]], body["next_cursor"]) == (ids, None)
    assert api.get(f"/users/{uuid.uuid4()}/tasks").status == 404


def partitions_in(plan: t.Mapping[str, t.Any]) -> set[str]:
    """The partitions of tasks that a plan reads or changes."""
    found = {plan["Relation Name"]} if plan.get("Relation Name", "").startswith("tasks_y") else set()
    return found.union(*(partitions_in(child) for child in plan.get("Plans", ())))


def plan_of(lab: Lab, statement: str, **parameters: t.Any) -> set[str]:
    """The partitions that a statement touches, as the API sends it."""
    with lab.primary_of(BY_MONTH[0]).connect(f"shard_{BY_MONTH[0]}") as connection:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), parameters)
        row = cursor.fetchone()
    assert row
    return partitions_in(row[0][0]["Plan"])


STATEMENTS = [TABLE.select, TABLE.lock, TABLE.update({"title"}), TABLE.delete]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_an_id_touches_one_partition(lab: Lab, statement: str) -> None:
    month = months.this_month()
    values = {"user_id": uuid.uuid4(), "title": "x"}
    assert plan_of(lab, statement, id=id_of(0), **values) == {months.name_of(month)}
    # Of a time that has no partition: before the first and after the last.
    for day in (30 * (PAST + 3), -30 * (AHEAD + 3)):
        assert plan_of(lab, statement, id=id_of(day), **values) == set()


def test_a_page_touches_the_months_that_it_asks_for(lab: Lab) -> None:
    walk = Walk(None, milliseconds_of(id_of(0)))
    month = months.this_month()
    newest = {months.name_of(months.following(month, by)) for by in range(-2, AHEAD + 1)}
    asked = {"user_id": uuid.uuid4(), "limit": 51}
    assert plan_of(lab, TABLE.page(walk.window), **walk.window.parameters, **asked) == newest
    older = walk.further(found=40, missing=11)
    assert older
    before = {months.name_of(months.following(month, -by)) for by in range(3, 6)}
    assert plan_of(lab, TABLE.page(older), **older.parameters, **asked) == before


@pytest.mark.parametrize("day", [30 * (PAST + 3), -30 * (AHEAD + 3)])
def test_an_id_outside_what_is_kept_is_not_found(lab: Lab, api: ApiServer, day: int) -> None:
    user_id, _token = lab.user_on(BY_MONTH[0])
    path = f"/users/{user_id}/tasks/{id_of(day)}"
    for answer in (api.get(path), api.patch(path, {"title": "x"}), api.delete(path)):
        assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(("days", "said"), [(200, "200 days ahead of"), (-900, "900 days behind")])
def test_a_wrong_clock_is_refused_and_shown(
    lab: Lab, another: t.Callable[..., ApiServer], days: int, said: str
) -> None:
    api = another(days * DAY)
    api.start()
    user_id, _token = lab.user_on(BY_MONTH[0])
    refused = api.post(f"/users/{user_id}/tasks", {"title": "x"})
    assert (refused.status, refused.code) == (503, "id_out_of_range")
    assert said in refused.body["error"]["message"]
    assert refused.headers["Retry-After"]
    lines = api.get("/metrics").body.splitlines()
    assert f'reference_api_ids_refused_total{{cause="clock",shard="{BY_MONTH[0]}"}} 1.0' in lines
    assert not [line for line in lines if line.startswith("reference_api_shard_errors_total{")]
    name = f'reference_api_clock_ahead_seconds{{server="pg1",shard="{BY_MONTH[0]}"}} '
    (ahead,) = [float(line.removeprefix(name)) for line in lines if line.startswith(name)]
    assert ahead == pytest.approx(days * DAY, abs=2)
    # Nothing was written, and its neighbours go on.
    assert lab.a.get(f"/users/{user_id}/tasks").body["items"] == []
    assert lab.a.post(f"/users/{user_id}/tasks", {"title": "x"}).status == 201


def test_a_right_clock_shows_no_error(api: ApiServer) -> None:
    ahead = [line for line in api.get("/metrics").body.splitlines() if line.startswith("reference_api_clock_ahead_sec")]
    assert len(ahead) == 4
    assert all(abs(float(line.rpartition(" ")[2])) < 1 for line in ahead)


def test_a_partition_that_was_not_made_in_time(lab: Lab, api: ApiServer) -> None:
    shard = BY_MONTH[0]
    user_id, _token = lab.user_on(shard)
    name, month = months.name_of(months.this_month()), months.this_month()
    primary, database = lab.primary_of(shard), f"shard_{shard}"
    bounds = f"FROM ('{months.start(month)}') TO ('{months.start(months.following(month))}')"
    primary.execute(f"ALTER TABLE tasks DETACH PARTITION {name}", database=database)
    try:
        refused = api.post(f"/users/{user_id}/tasks", {"title": "x"})
        assert (refused.status, refused.code) == (503, "id_out_of_range")
        assert "which has no partition yet" in refused.body["error"]["message"]
        lines = api.get("/metrics").body.splitlines()
        assert f'reference_api_ids_refused_total{{cause="partition",shard="{shard}"}} 1.0' in lines
        assert f'reference_api_shard_errors_total{{code="id_out_of_range",shard="{shard}"}} 1.0' in lines
        # What needs no partition goes on.
        assert api.post(f"/users/{user_id}/habits", {"name": "Run"}).status == 201
    finally:
        primary.execute(f"ALTER TABLE tasks ATTACH PARTITION {name} FOR VALUES {bounds}", database=database)
    assert api.post(f"/users/{user_id}/tasks", {"title": "x"}).status == 201


@pytest.mark.parametrize("shard", SHARDS)
def test_stats_say_what_there_is(lab: Lab, api: ApiServer, shard: str) -> None:
    user_id, _token = lab.user_on(shard)
    path = f"/users/{user_id}"

    def stats() -> tuple[int, ...]:
        body = api.get(f"{path}/stats").body
        assert (body.pop("user_id"), body.pop("events"), body.pop("last_event_at")) == (user_id, None, None)
        return tuple(body[name] for name in ("total_tasks", "completed_tasks", "total_habits", "best_streak"))

    assert stats() == (0, 0, 0, 0)
    tasks = [api.post(f"{path}/tasks", {"title": "x", "status": "completed"}).body["id"] for _number in range(3)]
    has_tasks(lab, user_id, [100, 500])
    habit = api.post(f"{path}/habits", {"name": "Run"}).body["id"]
    for day in ("2026-01-01", "2026-01-02"):
        assert api.post(f"{path}/habits/{habit}/check-ins", {"day": day}).status == 201
    assert stats() == (5, 3, 1, 2)
    assert api.patch(f"{path}/tasks/{tasks[0]}", {"status": "pending"}).status == 200
    assert api.delete(f"{path}/tasks/{tasks[1]}").status == 204
    assert api.delete(f"{path}/habits/{habit}").status == 204
    assert stats() == (4, 1, 0, 0)
    assert api.delete(path).status == 204
    assert (api.get(f"{path}/stats").status, api.get(f"{path}/stats").code) == (404, "not_found")


def test_maintenance_comes_to_a_shard_that_serves(lab: Lab, api: ApiServer) -> None:
    """The view comes and goes under readers and writers: no request fails, no page and no count is wrong."""
    shard = next(one for one in BY_MONTH if one not in SUMMED)
    user_id, _token = lab.user_on(shard)
    ids = has_tasks(lab, user_id, [1, 100, 600])

    def ask() -> None:
        assert api.get(f"/users/{user_id}/stats").body["total_tasks"] == 3
        assert [task["id"] for task in api.get(f"/users/{user_id}/tasks").body["items"]] == ids

    with ThreadPoolExecutor() as executor:
        asking = executor.submit(lambda: [ask() for _number in range(100)])
        months.summarize(lab.primary_of(shard), f"shard_{shard}")
        asking.result()
    lab.primary_of(shard).execute("DROP VIEW user_stats", database=f"shard_{shard}")
    # It is noticed within a second; until then the shard is said to lack the table.
    until(lambda: api.get(f"/users/{user_id}/stats").status == 200, 5, "it is counted again")
    ask()
