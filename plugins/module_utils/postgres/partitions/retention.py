# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which partitions are old, what becomes of them, and when that needs a word; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.axis import Axis, Key
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.bounds import Range
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import (
    Leftover,
    Partition,
    Root,
)

#: More partitions than this, or a larger share of the rows, are dropped at once only with the table's name as a word,
#: and put away otherwise only with a warning.
MOST_SILENT = 2
LARGEST_SHARE = 0.2

_DONE = {"keep": "kept", "detach": "detached", "drop": "dropped", "move": "moved"}


@dataclasses.dataclass(frozen=True)
class Old:
    """A partition that is older than the retention, or whose detaching was interrupted.

    :param action: ``kept``, ``detached``, ``dropped``, ``moved``, or ``finalized`` where nothing wants it away now.
    :param bounds: what it holds, for a person.
    """

    partition: Partition
    action: str
    bounds: str


def retire(
    wanted: PartitionSet,
    root: Root | None,
    axis: Axis,
    ranges: t.Sequence[tuple[Partition, Range]],
    cutoff: Key | None,
) -> tuple[tuple[Old, ...], Refused | None]:
    """The partitions to put away, the oldest first; and why that is refused.

    :param cutoff: what ends here or before is old.
    """
    action = _DONE[wanted.retention.action] if wanted.retention else ""
    old = []
    for one, bound in sorted(ranges, key=lambda pair: pair[1]):
        if cutoff is not None and bound.upper <= cutoff and not (one.pending and action == "kept"):
            old.append(Old(one, action, bound.shown(axis)))
        elif one.pending:
            old.append(Old(one, "finalized", bound.shown(axis)))
    error = None
    if action == "dropped" and root is not None:
        error = _unconfirmed(wanted, root, [one.partition for one in old if one.action == "dropped"])
    return tuple(old), error


def leftovers(
    wanted: PartitionSet, root: Root | None, cutoff: Key | None
) -> tuple[tuple[Leftover, ...], tuple[str, ...]]:
    """What an interrupted run has left to do, as far as that is still wanted; and what is said of the rest.

    :param cutoff: what ends here or before is old.
    """
    action = _DONE[wanted.retention.action] if wanted.retention else ""
    due, said = [], []
    for left in root.leftovers if root else ():
        old = cutoff is not None and left.upper is not None and left.upper <= cutoff
        if left.action == "moving" or (old and left.action == action):
            due.append(left)
        else:
            said.append(
                f"{wanted.label}: {left.schema}.{left.name} was detached to be {left.action}, which an interrupted run "
                "did not do. The retention is another one by now, so it stays as it is. Its comment says so."
            )
    return tuple(due), tuple(said)


def warned(wanted: PartitionSet, root: Root | None, retired: t.Sequence[Old]) -> tuple[str, ...]:
    """What is said when much of a table is put away, with all its rows somewhere.

    :param retired: what is put away.
    """
    places = {"detached": wanted.schema, "moved": wanted.retention.schema if wanted.retention else ""}
    away = [one for one in retired if one.action in places]
    # A part may have gone before the table was looked at again.
    whole = dict.fromkeys((*(root.partitions if root else ()), *(one.partition for one in away)))
    amount = _much([one.partition for one in away], list(whole))
    if amount is None:
        return ()
    asked = t.cast("t.Any", wanted.retention).amount
    return (
        f"{wanted.label}: retention {asked} takes {amount} out of the table. Each is a table of its own in the schema "
        f"{places[away[0].action]} then. docs/partitions.md says how to put them back.",
    )


def _unconfirmed(wanted: PartitionSet, root: Root, dropped: t.Sequence[Partition]) -> Refused | None:
    amount = None if wanted.confirmed else _much(dropped, root.partitions)
    if amount is None:
        return None
    return Refused(
        f"{wanted.label}: retention {t.cast('t.Any', wanted.retention).amount} would drop {amount}; say confirm: "
        f"{wanted.table} if that is meant. None was dropped.",
        code="unconfirmed",
    )


def _much(some: t.Sequence[Partition], of_all: t.Sequence[Partition]) -> str | None:
    """How much of a set some partitions are, where that is more than goes without a word; None where it is not."""
    share = _share(some, of_all)
    if len(some) <= MOST_SILENT and (share is None or share <= LARGEST_SHARE):
        return None
    rows = "" if share is None else f" with some {share * 100:.0f} % of the rows"
    names = ", ".join(one.name for one in some[:3]) + (" …" if len(some) > 3 else "")
    return f"{len(some)} of {len(of_all)} partitions{rows} ({names})"


def _share(some: t.Sequence[Partition], of_all: t.Sequence[Partition]) -> float | None:
    """The share of the rows that partitions have; by their sizes where rows are not known, and None without those."""
    known = all(one.rows >= 0 for one in of_all)
    parts = [(one.rows if known else float(one.size), one in some) for one in of_all]
    whole = sum(amount for amount, _mine in parts)
    return sum(amount for amount, mine in parts if mine) / whole if whole else None
