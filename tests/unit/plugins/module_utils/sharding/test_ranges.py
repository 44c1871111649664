# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ranges against the slow and obvious way: a list with the owner of every bucket."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.sharding import ranges
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.ranges import BucketRange

owners = st.lists(st.integers(0, 4), min_size=1, max_size=24)
pieces = st.lists(st.builds(BucketRange, st.integers(-1, 9), st.integers(-1, 9), st.integers(0, 2)), max_size=6)


def as_ranges(owner_of: list[int]) -> list[BucketRange]:
    return [BucketRange(bucket, bucket, owner) for bucket, owner in enumerate(owner_of)]


@given(owners)
def test_merged_ranges_say_the_same_in_the_fewest_words(owner_of):
    merged = ranges.merge(reversed(as_ranges(owner_of)))
    assert [current.shard for current in merged for _bucket in range(current.size)] == owner_of
    assert all(left.shard != right.shard for left, right in itertools.pairwise(merged))
    assert [ranges.owner(merged, bucket) for bucket in range(len(owner_of))] == owner_of


@given(owners)
def test_sizes_count_the_buckets(owner_of):
    assert ranges.sizes(ranges.merge(as_ranges(owner_of))) == {owner: owner_of.count(owner) for owner in owner_of}


@given(st.data(), owners)
def test_moves_are_the_buckets_whose_owner_differs(data, before):
    after = data.draw(st.lists(st.integers(0, 4), min_size=len(before), max_size=len(before)))
    moves = ranges.moves(as_ranges(before), as_ranges(after))
    moved = {bucket: move for move in moves for bucket in range(move.first, move.last + 1)}
    assert sorted(moved) == [bucket for bucket in range(len(before)) if before[bucket] != after[bucket]]
    assert all((move.source, move.target) == (before[bucket], after[bucket]) for bucket, move in moved.items())


@given(pieces)
def test_there_are_no_faults_exactly_when_each_bucket_has_one_owner(pieces_):
    claims = [sum(piece.first <= bucket <= piece.last for piece in pieces_) for bucket in range(8)]
    sound = all(0 <= piece.first <= piece.last < 8 for piece in pieces_)
    assert (not ranges.faults(pieces_, 8)) == (sound and claims == [1] * 8)


@pytest.mark.parametrize(
    ("pieces_", "expected"),
    [
        ([], ["buckets 0-9 belong to no shard"]),
        ([(0, 4, 0), (6, 9, 1)], ["bucket 5 belongs to no shard"]),
        ([(1, 8, 0)], ["bucket 0 belongs to no shard", "bucket 9 belongs to no shard"]),
        ([(0, 5, 0), (4, 9, 1)], ["buckets 4-5 belong to shards 0 and 1"]),
        ([(0, 9, 0), (3, 3, 1)], ["bucket 3 belongs to shards 0 and 1"]),
        ([(0, 9, 0), (3, 9, 0)], ["buckets 3-9 belong to shard 0 twice"]),
        ([(0, 10, 0)], ["[0, 10] of shard 0 is not a range within 0-9", "buckets 0-9 belong to no shard"]),
        ([(5, 4, 0), (0, 9, 1)], ["[5, 4] of shard 0 is not a range within 0-9"]),
    ],
)
def test_faults_are_told_by_their_buckets(pieces_, expected):
    assert ranges.faults([BucketRange(*piece) for piece in pieces_], 10) == expected
