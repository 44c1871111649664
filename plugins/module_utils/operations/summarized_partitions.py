# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a summary right while partitions of its table come and go."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion, Moving
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.decide import CODE
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import Root
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import server, triggers
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import SUFFIXES, Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import Standing


class SummarizedPartitions(Companion):
    """What the summaries of a database need when a partition is attached or detached, or a table becomes a set.

    They are read once, when the first table is asked for, and again for each table that becomes a set.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._standing: list[Standing] | None = None

    def covers(self, root: Root) -> bool:
        return bool(self._of(root))

    def attached(self, root: Root, partition: str) -> t.Sequence[str]:
        return [one for part in self._parts(root) for one in triggers.arriving(part, partition)]

    def detaching(self, root: Root, partition: str) -> t.Sequence[str]:
        return [one for part in self._parts(root) for one in triggers.leaving(part, partition)]

    def moving(self, table: Root, beside: str) -> Moving:
        self._standing = None
        for one in self._of(table):
            if not one.whole:
                # To make it whole here would hide from summary_table that it has to be counted again.
                reason = (
                    f"triggers of its summary {one.summary} are missing or disabled, so that the summary may be wrong"
                )
                raise Refused(
                    f"{table.schema}.{table.name} cannot become a partition set: {reason}. Run summary_table for it "
                    "first, which counts it again.",
                    code=CODE,
                    reasons=[reason],
                )
        parts = self._parts(table)
        return Moving(
            frozenset(f"{part.stem}_{suffix}" for part in parts for suffix in SUFFIXES),
            tuple(one for part in parts for one in triggers.beside(part, beside)),
            tuple(one for part in parts for one in triggers.replaced(part)),
        )

    def _parts(self, root: Root) -> list[Part]:
        return [one.part for one in self._of(root)]

    def _of(self, root: Root) -> list[Standing]:
        if self._standing is None:
            self._standing = server.standing(self._session)
        wanted = (root.schema, root.name)
        return [one for one in self._standing if (one.part.source.schema, one.part.source.table) == wanted]
