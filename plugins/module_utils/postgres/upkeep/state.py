# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The partitioned tables of a database and what their upkeep goes by; pure. Times are microseconds since 1970."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A table that holds rows of a partitioned one.

    :param bound: of the direct partition that it is, or is a part of, as the server prints it.
    :param age: transactions since the oldest one that its rows still refer to.
    :param vacuumed: when VACUUM was last run on it by a command, as far as the server's statistics know.
    :param pages: of its rows, at its last VACUUM or ANALYZE.
    :param closed: when the last row that it can take was due; None where nothing says so.
    """

    schema: str
    name: str
    bound: str = ""
    age: int = 0
    vacuumed: int | None = None
    pages: int = 1
    closed: int | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.schema}.{self.name}"


@dataclasses.dataclass(frozen=True)
class Root:
    """A partitioned table that is no partition itself.

    :param strategy: ``range``, ``hash`` or ``list``.
    :param column_type: the type of its only key column, as PostgreSQL writes it; "" where there are several.
    :param comment: its comment, in which a partition set keeps what its column means.
    :param analyzed: when ANALYZE was last run on it, as far as the server's statistics know.
    """

    schema: str
    name: str
    strategy: str = "range"
    column_type: str = ""
    comment: str = ""
    analyzed: int | None = None
    leaves: tuple[Leaf, ...] = ()

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.schema}.{self.name}"


@dataclasses.dataclass(frozen=True)
class State:
    """What the database says, read once.

    :param clock: the server's time.
    """

    clock: int
    in_recovery: bool
    roots: tuple[Root, ...] = ()
