# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SQL for rows that belong to a user. Pure.

The primary key of such a table is ``(user_id, id)``, and ids are made in the order of time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .outbox import Event
from .windows import Window

#: Whether there is such a user.
USER = "SELECT id FROM users WHERE id = %(user_id)s"


@dataclass(frozen=True)
class OwnedTable:
    """
    :param noun: what one row is called, in events and in errors.
    :param columns: what is read of a row.
    :param payload: the columns that the events of a row carry.
    :param from_replicas: whether a replica may be read; else the primary is.
    :param by_month: whether maintenance may partition the table by month; it may be plain all the same.
    """

    name: str
    noun: str
    columns: tuple[str, ...]
    payload: tuple[str, ...]
    from_replicas: bool = False
    by_month: bool = False

    @property
    def select(self) -> str:
        return f"SELECT {self._columns} FROM {self.name} WHERE user_id = %(user_id)s AND id = %(id)s"

    @property
    def lock(self) -> str:
        """Comes first in a transaction that has to know the row as it was."""
        return f"SELECT FROM {self.name} WHERE user_id = %(user_id)s AND id = %(id)s FOR UPDATE"

    @property
    def delete(self) -> str:
        return f"DELETE FROM {self.name} WHERE user_id = %(user_id)s AND id = %(id)s RETURNING id"

    def insert(self, values: t.Iterable[str], **computed: str) -> str:
        """
        :param values: the columns whose values are parameters of the same names.
        :param computed: SQL for others.
        """
        expressions = {**{name: f"%({name})s" for name in ("user_id", "id", *values)}, **computed}
        return (
            f"INSERT INTO {self.name} ({', '.join(expressions)}) VALUES ({', '.join(expressions.values())})"
            f" RETURNING {self._columns}"
        )

    def update(self, values: t.Iterable[str], returning: str = "", **computed: str) -> str:
        """
        :param returning: SQL of what is wanted beside the row.
        """
        expressions = {**{name: f"%({name})s" for name in values}, **computed, "updated_at": "now()"}
        assignments = ", ".join(f"{name} = {expression}" for name, expression in expressions.items())
        more = f", {returning}" if returning else ""
        return (
            f"UPDATE {self.name} SET {assignments} WHERE user_id = %(user_id)s AND id = %(id)s"
            f" RETURNING {self._columns}{more}"
        )

    def page(self, window: Window) -> str:
        """Return a statement for ``limit`` rows of a range of ids, the newest first."""
        since = "" if window.since is None else " AND id >= %(since)s"
        before = "" if window.before is None else " AND id < %(before)s"
        return (
            f"SELECT {self._columns} FROM {self.name} WHERE user_id = %(user_id)s{since}{before}"
            " ORDER BY id DESC LIMIT %(limit)s"
        )

    def page_with_total(self, window: Window) -> str:
        """Return one statement for the same and ``total``, how many rows the user has at that moment.

        A user without rows in that range has one line without an id; there is none without such a user.
        """
        return (
            f"SELECT user_stats.total_{self.name} AS total, page.* FROM user_stats"
            f" LEFT JOIN LATERAL ({self.page(window)}) AS page ON true"
            " WHERE user_stats.id = %(user_id)s ORDER BY page.id DESC"
        )

    @property
    def created(self) -> Event:
        return Event(f"{self.noun}.created", self.payload)

    @property
    def changed(self) -> Event:
        return Event(f"{self.noun}.changed", self.payload)

    @property
    def deleted(self) -> Event:
        return Event(f"{self.noun}.deleted")

    @property
    def _columns(self) -> str:
        return ", ".join(self.columns)
