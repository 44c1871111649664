# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changes together with a set, such as a summary of its table; another room supplies it, through an operation."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Root


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
