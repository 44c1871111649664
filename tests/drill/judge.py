# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a round of the drill came to, from what its client noted. Pure.

A write is acknowledged, refused, or unknown: it may have happened or not, and it is tried again with the same id. An
acknowledged row has to be on every member once all is healed. Nothing is said of the others.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


class Outcome(enum.Enum):
    """What became of an attempt to write."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Attempt:
    """One attempt to write a row. All times are seconds of one clock.

    :param pooler: through which it went.
    :param due: when it was to be sent; the client does not wait for earlier answers.
    :param sent: when it was sent.
    :param ended: when its outcome was known.
    :param timeline: of an acknowledged one: that of the server which took it.
    """

    id: int
    pooler: str
    due: float
    sent: float
    ended: float
    outcome: Outcome
    timeline: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """A round, in numbers.

    :param gap: the longest time in seconds in which no write was acknowledged through a pooler whose host stayed.
    :param lost: acknowledged rows that are gone.
    :param vanished: rows that a reader saw and that are gone, acknowledged or not.
    :param two_leaders: acknowledgements on a timeline after one on a later timeline.
    :param differing: members whose rows differ from the leader's.
    """

    attempts: int
    acknowledged: int
    refused: int
    unknown: int
    gap: float
    lost: tuple[int, ...]
    vanished: tuple[int, ...]
    two_leaders: tuple[int, ...]
    differing: tuple[str, ...]
    timelines: tuple[int, ...]

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost, nothing contradicts itself, and one server led at a time."""
        return not (self.lost or self.vanished or self.two_leaders or self.differing)


def judge(
    attempts: Sequence[Attempt],
    rows: Mapping[str, Collection[int]],
    leader: str,
    sightings: Iterable[int] = (),
    spared: Collection[str] = (),
) -> Result:
    """Say what a round came to.

    :param rows: the ids that each member has, once all is healed.
    :param leader: who leads then.
    :param sightings: ids that readers saw on any member at any time.
    :param spared: poolers whose hosts no fault took; all of them when empty.
    """
    acknowledged = [each for each in attempts if each.outcome is Outcome.ACKNOWLEDGED]
    there = set(rows[leader])
    count = {outcome: sum(each.outcome is outcome for each in attempts) for outcome in Outcome}
    return Result(
        attempts=len(attempts),
        acknowledged=count[Outcome.ACKNOWLEDGED],
        refused=count[Outcome.REFUSED],
        unknown=count[Outcome.UNKNOWN],
        gap=_gap(attempts, spared or {each.pooler for each in attempts}),
        lost=tuple(sorted({each.id for each in acknowledged} - there)),
        vanished=tuple(sorted(set(sightings) - there)),
        two_leaders=tuple(_late(acknowledged)),
        differing=tuple(sorted(name for name, ids in rows.items() if set(ids) != there)),
        timelines=tuple(sorted({each.timeline for each in acknowledged})),
    )


def _gap(attempts: Sequence[Attempt], poolers: Collection[str]) -> float:
    """The longest time without an acknowledgement through one pooler, from its first attempt to its last."""
    longest = 0.0
    for pooler in poolers:
        own = [each for each in attempts if each.pooler == pooler]
        ends = sorted(each.ended for each in own if each.outcome is Outcome.ACKNOWLEDGED)
        if own:
            times = [min(each.due for each in own), *ends, max(each.due for each in own)]
            longest = max([longest, *(later - earlier for earlier, later in itertools.pairwise(times))])
    return longest


def _late(acknowledged: Iterable[Attempt]) -> list[int]:
    """The ids that a former leader took after a later one had begun to acknowledge.

    A write that was sent before that may have been taken in time, however late its answer came.
    """
    first: dict[int, float] = {}
    found = list(acknowledged)
    for each in found:
        first[each.timeline] = min(each.ended, first.get(each.timeline, each.ended))
    begins = sorted(first.items())
    return sorted(
        each.id for each in found if any(timeline > each.timeline and began < each.sent for timeline, began in begins)
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not below ``percent`` of the values (nearest rank); 0 for none."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1] if ordered else 0.0
