# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One page of a user's rows, from one query or from several. Pure."""

from __future__ import annotations

import typing as t
from uuid import UUID

from . import pagination
from .errors import NotFound
from .messages import Parameters, Rows, Step
from .tables import USER, OwnedTable
from .windows import Walk, Window


class Page:
    """
    :param before: it has the rows before this id; None: the newest.
    :param now: milliseconds since 1970, where the table is partitioned by month; else None.
    :param with_total: whether the first query asks how many rows the user has, so that the last one found is known to
        be the last.
    """

    def __init__(
        self,
        table: OwnedTable,
        user_id: UUID,
        limit: int,
        before: UUID | None,
        now: int | None = None,
        with_total: bool = False,
    ) -> None:
        self._table = table
        self._user_id = user_id
        # One more than asked for tells whether there is a next page.
        self._wanted = limit + 1
        self._walk = None if now is None else Walk(before, now)
        self._with_total = with_total
        window = self._walk.window if self._walk else Window(None, before)
        parameters = self._parameters(window, self._wanted)
        if with_total:
            self.first: Step = ((table.page_with_total(window),), parameters)
        else:
            self.first = ((USER, table.page(window)), parameters)

    def further(self, rows: list[Rows]) -> Step | None:
        """What is still to be read of the page."""
        user, items = self._read(rows)
        missing = self._wanted - len(items)
        # A total that is too small is none.
        if self._with_total and user and user["total"] >= len(items):
            missing = min(missing, user["total"] - len(items))
        if self._walk is None or not user or missing <= 0:
            return None
        window = self._walk.further(len(items), missing)
        return None if window is None else ((self._table.page(window),), self._parameters(window, missing))

    def content_of(self, rows: list[Rows]) -> dict[str, t.Any]:
        user, items = self._read(rows)
        if not user:
            raise NotFound("user", self._user_id)
        more = len(items) == self._wanted
        items = items[: self._wanted - 1]
        cursor = pagination.encode_row(self._table.name, items[-1]["id"]) if more else None
        return {"items": items, "next_cursor": cursor}

    def _read(self, rows: list[Rows]) -> tuple[dict[str, t.Any] | None, Rows]:
        """Return something of the user, if there is one, and the page's rows so far."""
        first, *others = rows
        user = first[0] if first else None
        if self._with_total:
            others.insert(0, [{name: row[name] for name in self._table.columns} for row in first if row["id"]])
        return user, [row for window in others for row in window]

    def _parameters(self, window: Window, limit: int) -> Parameters:
        return {**window.parameters, "user_id": self._user_id, "limit": limit}
