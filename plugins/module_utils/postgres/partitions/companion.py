# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changes together with a set, such as a summary of its table; another room supplies it, through an operation."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Root


@dataclasses.dataclass(frozen=True)
class Moving:
    """What goes with a plain table that becomes a partition set, and has to come along.

    :param triggers: the names of the table's triggers that the statements here make. Of the old table, those of rows
        are dropped before it is attached, and all where its rows have moved.
    :param beside: statements, each with its semicolon, for the partitioned table while it still has a name of its own;
        with its partitions. Rows may be copied into it from then on, and none of them counts.
    :param replaced: statements for the transaction that gives it the table's name; behind that.
    """

    triggers: frozenset[str] = frozenset()
    beside: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


class Companion:
    """Knows what goes with a partition. This one: nothing."""

    def covers(self, _root: Root) -> bool:
        """Whether a table has something that changes with it, so that partitions are detached in one transaction."""
        return False

    def attached(self, _root: Root, _partition: str) -> t.Sequence[str]:
        """Statements, each with its semicolon, for the transaction that attaches an empty partition; behind it."""
        return ()

    def detaching(self, _root: Root, _partition: str) -> t.Sequence[str]:
        """Statements, each with its semicolon, for the transaction that detaches a partition; before it.

        The table is locked in ACCESS EXCLUSIVE mode by then.
        """
        return ()

    def moving(self, _table: Root, _beside: str) -> Moving:
        """What has to come along as a plain table becomes a partition set; looked up each time.

        :param beside: what the partitioned table is called at first, in the same schema.
        :raises Refused: it cannot become one as it is.
        """
        return Moving()
