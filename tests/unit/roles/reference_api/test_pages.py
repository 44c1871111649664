# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pages of a table by month: they show what one query would show, and ask for a few months at a time."""

from __future__ import annotations

import pathlib
import sys
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parents[4] / "roles" / "reference_api" / "files"))

from reference_api.errors import NotFound
from reference_api.pages import Page
from reference_api.pagination import decode_row
from reference_api.tables import OwnedTable
from reference_api.uuid7 import first_of, milliseconds_of
from reference_api.windows import FIRST, Walk

NOW = int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp() * 1000)
DAY = 24 * 3600 * 1000
ANN = uuid.UUID(int=7)
TABLE = OwnedTable("tasks", "task", ("id", "title"), (), by_month=True)


def made(milliseconds: int) -> uuid.UUID:
    return uuid.UUID(int=first_of(milliseconds).int + 5)


def month(text: str) -> uuid.UUID:
    return first_of(int(datetime.fromisoformat(f"{text}-01T00:00+00:00").timestamp() * 1000))


class Database:
    """Answers the statements of a page."""

    def __init__(self, ids: list[uuid.UUID], users: int = 1, total: int | None = None) -> None:
        self.ids = sorted(ids, reverse=True)
        self.total = len(ids) if total is None else total
        self.users = users
        self.asked: list[tuple[uuid.UUID | None, uuid.UUID | None]] = []

    def answer(self, statements, parameters):
        return [self._rows(statement, parameters) for statement in statements]

    def _rows(self, statement, parameters):
        assert parameters["user_id"] == ANN
        user = [{"id": ANN, "total": self.total}] * self.users
        if "FROM tasks" not in statement:
            return user
        since, before = parameters.get("since"), parameters.get("before")
        # A bound is in the statement where it is among the parameters.
        assert ("id >= %(since)s" in statement, "id < %(before)s" in statement) == (
            since is not None,
            before is not None,
        )
        self.asked.append((since, before))
        found = [one for one in self.ids if (since is None or one >= since) and (before is None or one < before)]
        rows = [{"id": one, "title": "x"} for one in found[: parameters["limit"]]]
        if "AS total" not in statement:
            return rows
        return [{**row, "total": self.total} for row in rows] or [
            {"id": None, "title": None, "total": self.total}
        ] * self.users


def read(page: Page, database: Database):
    rows = database.answer(*page.first)
    while (step := page.further(rows)) is not None:
        rows += database.answer(*step)
    return page.content_of(rows)


_TIMES = st.integers(0, 70 * 30 * DAY).map(lambda ago: NOW + 60 * DAY - ago) | st.integers(0, 2**48 - 1)
_IDS = st.lists(_TIMES.map(made) | st.uuids(), max_size=40, unique=True)


@given(_IDS, st.integers(1, 12), st.booleans(), st.integers(0, 2**48 - 1) | st.just(NOW))
def test_all_pages_show_each_row_once_and_newest_first(ids, limit, with_total, now) -> None:
    now = min(now, NOW * 5)  # The last year that Python knows is near.
    database, seen, before = Database(ids), [], None
    while True:
        database.asked = []
        content = read(Page(TABLE, ANN, limit, before, now, with_total and before is None), database)
        seen += [row["id"] for row in content["items"]]
        assert all(set(row) == {"id", "title"} for row in content["items"])
        # Each range begins where the one before has ended.
        assert [upper for _lower, upper in database.asked] == [
            before,
            *(lower for lower, _upper in database.asked[:-1]),
        ]
        assert len(database.asked) <= 4
        if content["next_cursor"] is None:
            break
        assert len(content["items"]) == limit
        before = decode_row("tasks", content["next_cursor"])
    assert seen == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    ("ago", "total", "asked"),
    [
        pytest.param(list(range(60)), True, [("2026-09", None)], id="busy"),
        pytest.param([1, 2, 3], True, [("2026-09", None)], id="new-with-total"),
        pytest.param([], True, [("2026-09", None)], id="none-with-total"),
        pytest.param([], False, [("2026-09", None), ("2025-09", "2026-09"), (None, "2025-09")], id="none"),
        pytest.param([1, 2, 3], False, [("2026-09", None), (None, "2026-09")], id="new"),
        pytest.param(
            [at * 4 for at in range(60)], False, [("2026-09", None), ("2026-04", "2026-09")], id="as-dense-before"
        ),
        pytest.param([100, 200], True, [("2026-09", None), ("2025-09", "2026-09")], id="a-pause"),
        pytest.param(
            [1, 40, 400],
            True,
            [("2026-09", None), ("2026-06", "2026-09"), ("2025-12", "2026-06"), (None, "2025-12")],
            id="sparse",
        ),
        pytest.param([-40, 1, 2], True, [("2026-09", None)], id="of-a-clock-that-is-ahead"),
    ],
)
def test_how_far_back_a_page_asks(ago, total, asked) -> None:
    database = Database([made(NOW - days * DAY) for days in ago])
    content = read(Page(TABLE, ANN, 50, None, NOW, total), database)
    assert len(content["items"]) == min(50, len(ago))
    assert database.asked == [tuple(end and month(end) for end in window) for window in asked]


def test_a_later_page_begins_at_its_cursor() -> None:
    before = made(NOW - 365 * DAY)
    database = Database([made(NOW - days * DAY) for days in range(1000)])
    content = read(Page(TABLE, ANN, 50, before, NOW), database)
    assert len(content["items"]) == 50
    assert database.asked == [(month("2025-09"), before)]


def test_a_plain_table_is_asked_once() -> None:
    database = Database([made(NOW - days * 100 * DAY) for days in range(20)])
    assert len(read(Page(TABLE, ANN, 50, None), database)["items"]) == 20
    assert database.asked == [(None, None)]


def test_a_total_that_is_too_small_ends_nothing() -> None:
    database = Database([made(NOW - days * 30 * DAY) for days in range(20)], total=1)
    assert len(read(Page(TABLE, ANN, 50, None, NOW, True), database)["items"]) == 20


@pytest.mark.parametrize("with_total", [False, True])
def test_without_the_user_nothing_more_is_asked(with_total: bool) -> None:
    database = Database([], users=0)
    with pytest.raises(NotFound):
        read(Page(TABLE, ANN, 50, None, NOW, with_total), database)
    assert len(database.asked) == 1


@pytest.mark.parametrize("now", [0, 1, 400 * DAY, NOW])
@pytest.mark.parametrize("found", [0, 1])
def test_a_walk_ends(now: int, found: int) -> None:
    walk = Walk(None, now)
    windows = [walk.window]
    while (window := walk.further(found, 50)) is not None:
        windows.append(window)
    assert windows[-1].since is None
    assert len(windows) <= 4
    assert FIRST == 3
    assert all(milliseconds_of(window.since) < now for window in windows[:-1])
