# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a summary right while partitions of its table come and go."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Root
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import server, triggers
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import Part


class SummarizedPartitions(Companion):
    """What the summaries of a database need when a partition is attached or detached.

    They are read once, when the first table is asked for.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._parts: list[Part] | None = None

    def covers(self, root: Root) -> bool:
        return bool(self._of(root))

    def attached(self, root: Root, partition: str) -> t.Sequence[str]:
        return [one for part in self._of(root) for one in triggers.arriving(part, partition)]

    def detaching(self, root: Root, partition: str) -> t.Sequence[str]:
        return [one for part in self._of(root) for one in triggers.leaving(part, partition)]

    def _of(self, root: Root) -> list[Part]:
        if self._parts is None:
            self._parts = [part for kept in server.summaries(self._session) for part in kept.parts]
        return [part for part in self._parts if (part.source.schema, part.source.table) == (root.schema, root.name)]
