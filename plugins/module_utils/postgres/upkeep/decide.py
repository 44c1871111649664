# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which partitioned tables are to be analyzed, and which closed partitions to be frozen; pure.

Autovacuum analyzes the partitions and never the table that they belong to, so that the planner knows nothing of the
whole. And it freezes a partition that no one writes to any more only when its transactions are old, in the middle of
whatever else is going on then. Frozen early, all pages of it are passed over from then on.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.upkeep.state import Leaf, Root, State

_HOUR = 3_600_000_000
#: The most of each option that is no typing error.
MOST_HOURS, MOST_PARTITIONS, MOST_AGE = 10 * 366 * 24, 10_000, 2_000_000_000


@dataclasses.dataclass(frozen=True)
class Rules:
    """When something is due.

    :param analyze_after: hours after the last ANALYZE of a partitioned table; 0 for never.
    :param freeze_after: hours after a partition closed, so that no late row comes any more.
    :param freeze_age: transactions after which a closed partition is looked at once more.
    :param freeze_most: partitions to freeze in one run; 0 for none.
    """

    analyze_after: int = 24
    freeze_after: int = 24
    freeze_age: int = 50_000_000
    freeze_most: int = 4

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any]) -> Rules:
        """The rules that a task's options say.

        :raises InvalidInput: naming the option that cannot be.
        """
        most = {"analyze_after": MOST_HOURS, "freeze_after": MOST_HOURS, "freeze_most": MOST_PARTITIONS}
        for option, largest in {**most, "freeze_age": MOST_AGE}.items():
            if not 0 <= options[option] <= largest:
                raise InvalidInput(option, options[option], f"is not a number from 0 to {largest}")
        return cls(**{field.name: options[field.name] for field in dataclasses.fields(cls)})


@dataclasses.dataclass(frozen=True)
class Analyze:
    """Sample the rows of a partitioned table."""

    root: Root


@dataclasses.dataclass(frozen=True)
class Freeze:
    """Freeze the rows of a closed partition.

    :param reason: why it is due, as a clause.
    """

    leaf: Leaf
    reason: str


@dataclasses.dataclass(frozen=True)
class Decision:
    """What is to be done now, and which partitions are due and have to wait for another run."""

    analyze: tuple[Analyze, ...] = ()
    freeze: tuple[Freeze, ...] = ()
    waiting: tuple[Freeze, ...] = ()


def decide(state: State, rules: Rules) -> Decision:
    """Decide what is due; of the partitions those with the oldest transactions come first."""
    analyze = tuple(Analyze(root) for root in state.roots if _is_stale(root, state.clock, rules))
    found = [
        Freeze(leaf, reason)
        for root in state.roots
        for leaf in root.leaves
        for reason in [why_freeze(leaf, state.clock, rules)]
        if reason is not None
    ]
    found.sort(key=lambda one: (-one.leaf.age, one.leaf.label))
    return Decision(analyze, tuple(found[: rules.freeze_most]), tuple(found[rules.freeze_most :]))


def why_freeze(leaf: Leaf, clock: int, rules: Rules) -> str | None:
    """Say why a partition is to be frozen now; None where it is not.

    A VACUUM of ours is not run on an open partition. So one that was vacuumed since it closed is frozen, until it was
    written to again, which its age shows in the end. If the statistics are lost, it is vacuumed again: that
    reads the visibility map and no page that is frozen.
    """
    if leaf.closed is None or leaf.pages == 0 or rules.freeze_most == 0:
        return None
    final = leaf.closed + rules.freeze_after * _HOUR
    if clock < final:
        return None
    if leaf.vacuumed is None or leaf.vacuumed < final:
        return "it was not vacuumed since it closed"
    if leaf.age >= rules.freeze_age:
        return f"its oldest transaction was {leaf.age} transactions ago"
    return None


def _is_stale(root: Root, clock: int, rules: Rules) -> bool:
    if rules.analyze_after == 0 or not root.leaves:
        return False
    return root.analyzed is None or not 0 <= clock - root.analyzed < rules.analyze_after * _HOUR
