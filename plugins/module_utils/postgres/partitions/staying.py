# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What cannot go although it is old: rows refer to it, or other objects depend on it; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet


def referenced(wanted: PartitionSet, partitions: t.Sequence[str], by: t.Iterable[str]) -> Refused:
    """Why partitions are not put away to whose rows foreign keys lead.

    :param partitions: their names.
    :param by: the tables that have the foreign keys.
    """
    return Refused(
        f"{wanted.label}: {', '.join(partitions)} of the old partitions stay, because rows of "
        f"{' or '.join(dict.fromkeys(by))} refer to them; delete those first.",
        code="referenced",
        partitions=list(partitions),
    )


def without_needed(decision: Decision, needed_by: t.Mapping[int, t.Sequence[str]]) -> Decision:
    """A decision that drops nothing that other objects depend on.

    :param needed_by: what depends on a relation, by its oid.
    :raises Refused: it would drop the table itself.
    """
    if not needed_by:
        return decision
    going = [(old.partition.oid, old.partition.name) for old in decision.going]
    going += [(left.oid, left.name) for left in decision.leftovers]
    names = [name for oid, name in going if oid in needed_by]
    what = f"{', '.join(names)} of the old partitions stay" if names else "it stays"
    needing = list(dict.fromkeys(other for found in needed_by.values() for other in found))
    others = ", ".join(needing[:5]) + (" …" if len(needing) > 5 else "")
    error = Refused(f"{decision.wanted.label}: {what}, because {others} would have to go as well.", code="depended_on")
    if not names:
        raise error
    left = tuple(left for left in decision.leftovers if left.oid not in needed_by)
    return dataclasses.replace(without(decision, needed_by, error), leftovers=left)


def without(decision: Decision, oids: t.Container[int], error: Refused) -> Decision:
    """A decision that leaves old partitions where they are, and says so."""
    return dataclasses.replace(
        decision,
        retire=tuple(old for old in decision.retire if old.partition.oid not in oids),
        retention_error=decision.retention_error or error,
    )
