# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ranges of buckets: who owns which, whether they cover the map, and what moves between two of them."""

from __future__ import annotations

import bisect
import typing as t


class BucketRange(t.NamedTuple):
    """The buckets from ``first`` to ``last``, both included, and the id of the shard that owns them."""

    first: int
    last: int
    shard: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class Move(t.NamedTuple):
    """The buckets from ``first`` to ``last``, both included, that go from shard ``source`` to shard ``target``."""

    first: int
    last: int
    source: int
    target: int

    def __str__(self) -> str:
        return f"{span(self.first, self.last)} from shard {self.source} to shard {self.target}"


def span(first: int, last: int) -> str:
    """Write a range as a person reads it: ``bucket 7`` or ``buckets 7-9``."""
    return f"bucket {first}" if first == last else f"buckets {first}-{last}"


def merge(ranges: t.Iterable[BucketRange]) -> tuple[BucketRange, ...]:
    """Sort the ranges and join neighbours of one shard: the one way in which a set of ranges is written.

    :param ranges: ranges that do not overlap.
    """
    merged: list[BucketRange] = []
    for current in sorted(ranges):
        if merged and merged[-1].shard == current.shard and merged[-1].last + 1 == current.first:
            merged[-1] = merged[-1]._replace(last=current.last)
        else:
            merged.append(current)
    return tuple(merged)


def faults(ranges: t.Iterable[BucketRange], buckets: int) -> list[str]:
    """Say what keeps the ranges from covering the buckets from 0 to ``buckets - 1`` exactly once.

    :returns: a clause for each fault, such as ``buckets 7-9 belong to no shard``, in order of the buckets.
    """
    found = []
    covered = BucketRange(-1, -1, -1)  # the range that reaches farthest so far
    for current in sorted(ranges):
        if not 0 <= current.first <= current.last < buckets:
            found.append(f"{list(current[:2])} of shard {current.shard} is not a range within 0-{buckets - 1}")
            continue
        if current.first > covered.last + 1:
            found.append(f"{_owned(covered.last + 1, current.first - 1)} no shard")
        elif current.first <= covered.last:
            both = f"shards {covered.shard} and {current.shard}"
            if covered.shard == current.shard:
                both = f"shard {current.shard} twice"
            found.append(f"{_owned(current.first, min(current.last, covered.last))} {both}")
        if current.last > covered.last:
            covered = current
    if covered.last < buckets - 1:
        found.append(f"{_owned(covered.last + 1, buckets - 1)} no shard")
    return found


def _owned(first: int, last: int) -> str:
    return f"{span(first, last)} {'belongs' if first == last else 'belong'} to"


def owner(ranges: t.Sequence[BucketRange], bucket: int) -> int:
    """Return the id of the shard that owns a bucket.

    :param ranges: merged ranges that cover the map.
    """
    return ranges[bisect.bisect_right(ranges, (bucket, float("inf"))) - 1].shard


def sizes(ranges: t.Iterable[BucketRange]) -> dict[int, int]:
    """Count the buckets of each shard that owns any."""
    counts: dict[int, int] = {}
    for current in ranges:
        counts[current.shard] = counts.get(current.shard, 0) + current.size
    return counts


def moves(before: t.Sequence[BucketRange], after: t.Sequence[BucketRange]) -> list[Move]:
    """List what changes hands between two sets of ranges that cover the same buckets, in order of the buckets."""
    found: list[Move] = []
    left, right = iter(merge(before)), iter(merge(after))
    old, new = next(left), next(right)
    first = 0
    while True:
        last = min(old.last, new.last)
        if old.shard != new.shard:
            found.append(Move(first, last, old.shard, new.shard))
        first = last + 1
        try:
            old = next(left) if old.last == last else old
            new = next(right) if new.last == last else new
        except StopIteration:
            return found
