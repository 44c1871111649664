# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which map comes next, and which must not come."""

from __future__ import annotations

import dataclasses
import itertools
import operator
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import ranges
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.estimate import Size, pretty
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.map import (
    Cluster,
    Endpoint,
    InvalidMap,
    Shard,
    read,
)
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.plan import MovesRows, Wanted, divide, next_map
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.ranges import BucketRange

weights = st.dictionaries(st.integers(0, 20), st.integers(0, 9), min_size=1, max_size=12)


def wanted(shard_id, *, server="pg1", host=None, database=None, replicas=(), cluster=None, buckets=None, weight=1):
    return Wanted(
        Shard(
            shard_id,
            database or f"shard_{shard_id}",
            Cluster(
                cluster or server,
                (
                    Endpoint(server, host or f"{server}.example.com"),
                    *(Endpoint(name, f"{name}.example.com") for name in replicas),
                ),
            ),
        ),
        buckets,
        weight,
    )


# Division


@given(weights, st.sampled_from([16, 64, 4096]))
def test_a_division_covers_each_bucket_once_and_rounds_by_less_than_one(by_shard, buckets):
    total = sum(by_shard.values())
    assume(total > 0)
    assume(all(weight == 0 or weight * buckets >= total for weight in by_shard.values()))
    divided = divide(by_shard, buckets)
    assert ranges.faults(divided, buckets) == []
    assert [current.shard for current in divided] == sorted(shard for shard, weight in by_shard.items() if weight)
    sizes = ranges.sizes(divided)
    for shard_id, weight in by_shard.items():
        assert abs(sizes.get(shard_id, 0) - buckets * weight / total) < 1


def test_four_equal_shards_get_the_same_quarters_everywhere():
    assert divide({0: 1, 1: 1, 2: 1, 3: 1}, 4096) == (
        BucketRange(0, 1023, 0),
        BucketRange(1024, 2047, 1),
        BucketRange(2048, 3071, 2),
        BucketRange(3072, 4095, 3),
    )


@given(weights, weights)
def test_a_new_division_moves_only_what_a_shard_has_too_much_of(before, after):
    assume(sum(before.values()) and sum(after.values()))
    held = divide(before, 4096)
    divided = divide(after, 4096, held)
    assert ranges.faults(divided, 4096) == []
    had, has = ranges.sizes(held), ranges.sizes(divided)
    surplus = sum(max(0, count - has.get(shard_id, 0)) for shard_id, count in had.items())
    assert sum(move.last - move.first + 1 for move in ranges.moves(held, divided)) == surplus


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), st.sets(st.integers(0, 4), min_size=1, max_size=4))
def test_a_new_division_moves_as_few_buckets_as_any_even_one(owner_of, shards):
    held = ranges.merge(BucketRange(bucket, bucket, owner) for bucket, owner in enumerate(owner_of))
    moved = sum(move.last - move.first + 1 for move in ranges.moves(held, divide(dict.fromkeys(shards, 1), 8, held)))
    low, more = divmod(8, len(shards))
    fewest = min(
        sum(max(0, owner_of.count(shard) - (low + (shard in larger))) for shard in shards)
        + sum(owner not in shards for owner in owner_of)
        for larger in itertools.combinations(sorted(shards), more)
    )
    assert moved == fewest


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=6),
    st.dictionaries(st.integers(0, 3), st.integers(0, 5), min_size=1, max_size=3),
)
def test_a_new_division_is_the_best_of_all_assignments(owner_of, by_shard):
    """Of all assignments, those that come nearest to the weights; of these, one that moves the fewest buckets."""
    buckets = len(owner_of)
    shards = sorted(shard for shard, weight in by_shard.items() if weight)
    total = sum(by_shard.values())
    held = ranges.merge(BucketRange(bucket, bucket, owner) for bucket, owner in enumerate(owner_of))
    assume(shards)

    def cost(assignment):
        errors = [(assignment.count(shard) * total - buckets * by_shard[shard]) ** 2 for shard in shards]
        return sum(errors), sum(map(operator.ne, assignment, owner_of))

    best = min(map(cost, itertools.product(shards, repeat=buckets)))
    try:
        divided = divide(by_shard, buckets, held)
    except InvalidMap:  # a weight that is too small for a bucket
        assume(False)
    assert ranges.faults(divided, buckets) == []
    assert cost(tuple(ranges.owner(divided, bucket) for bucket in range(buckets))) == best


@given(weights)
def test_a_division_that_is_in_force_stays(by_shard):
    assume(sum(by_shard.values()))
    held = divide(by_shard, 4096)
    assert divide(by_shard, 4096, held) == held


def test_weights_that_leave_no_shard_or_no_bucket_are_refused():
    with pytest.raises(InvalidMap, match="No shard has a weight above 0"):
        divide({0: 0, 1: 0}, 4096)
    with pytest.raises(InvalidMap, match="The weight 1 of shard 1 is too small for a single bucket of 4096"):
        divide({0: 10000, 1: 1}, 4096)


# The next map


FIRST = next_map(
    None,
    [
        wanted(0, replicas=["pg1r"]),
        wanted(1, replicas=["pg1r"]),
        wanted(2, server="pg2"),
        wanted(9, server="pg2", weight=0),
    ],
    4096,
)


def like_first(pg1=None, **changes):
    pg1 = pg1 or {"replicas": ["pg1r"]}
    entries = {
        0: wanted(0, **pg1),
        1: wanted(1, **pg1),
        2: wanted(2, server="pg2"),
        9: wanted(9, server="pg2", weight=0),
    }
    entries.update({int(name[1:]): entry for name, entry in changes.items()})
    return [entry for entry in entries.values() if entry is not None]


def test_the_first_map_is_version_1():
    assert FIRST.version == 1
    assert FIRST.text().splitlines()[1:] == [
        "cluster pg1: pg1 (pg1.example.com:5432), pg1r (pg1r.example.com:5432)",
        "cluster pg2: pg2 (pg2.example.com:5432)",
        "shard 0: database shard_0 of pg1, buckets 0-1365",
        "shard 1: database shard_1 of pg1, buckets 1366-2730",
        "shard 2: database shard_2 of pg2, buckets 2731-4095",
        "shard 9: database shard_9 of pg2, buckets none",
    ]


@pytest.mark.parametrize(
    "entries",
    [
        like_first(),
        list(reversed(like_first())),
        like_first(_0=wanted(0, replicas=["pg1r"], weight=7)),
        [
            wanted(0, replicas=["pg1r"], buckets=((0, 1000), (1001, 1365))),
            wanted(1, replicas=["pg1r"], buckets=((1366, 2730),)),
            wanted(2, server="pg2", buckets=((2731, 4095),)),
            wanted(9, server="pg2", buckets=()),
        ],
    ],
    ids=["the same", "another order", "other weights", "the same ranges in pieces"],
)
def test_nothing_new_is_no_new_version(entries):
    assert next_map(FIRST, entries, 4096) is FIRST


@pytest.mark.parametrize(
    "entries",
    [
        like_first({"replicas": []}),
        like_first({"replicas": ["pg1r", "pg3r"]}),
        like_first({"host": "192.0.2.99", "replicas": ["pg1r"]}),
        like_first({"cluster": "pg1", "server": "pg1r", "replicas": ["pg1"]}),
        like_first({"cluster": "pg1", "server": "renamed", "host": "pg1.example.com", "replicas": ["pg1r"]}),
        like_first({"cluster": "main", "replicas": ["pg1r"]}),
        like_first(_0=wanted(0, database="users", replicas=["pg1r"])),
        like_first(_9=None),
        like_first(_9=wanted(9, server="pg7", weight=0)),
        like_first(_8=wanted(8, server="pg7", weight=0)),
    ],
    ids=[
        "a member less",
        "a member more",
        "a new address",
        "another leader",
        "a renamed server",
        "a renamed cluster",
        "a renamed database",
        "an empty shard less",
        "an empty shard elsewhere",
        "an empty shard more",
    ],
)
def test_what_moves_no_row_is_the_next_version(entries):
    following = next_map(FIRST, entries, 4096)
    assert following.version == 2
    assert following.ranges == FIRST.ranges
    assert next_map(following, entries, 4096) is following


_PG1 = "pg1 (pg1 (pg1.example.com:5432), pg1r (pg1r.example.com:5432))"


@pytest.mark.parametrize(
    ("entries", "moves"),
    [
        (
            like_first(_3=wanted(3, server="pg3")),
            "buckets 1024-1365 from shard 0 to shard 3; buckets 2390-2730 from shard 1 to shard 3; "
            "buckets 3755-4095 from shard 2 to shard 3",
        ),
        (
            like_first(_2=None, _9=None),
            "buckets 2731-3412 from shard 2 to shard 0; buckets 3413-4095 from shard 2 to shard 1",
        ),
        (
            [
                wanted(0, replicas=["pg1r"], buckets=((0, 1364),)),
                wanted(1, replicas=["pg1r"], buckets=((1365, 2730),)),
                wanted(2, server="pg2", buckets=((2731, 4095),)),
            ],
            "bucket 1365 from shard 0 to shard 1",
        ),
        (
            like_first({"cluster": "pg1", "server": "pg3", "replicas": ["pg3r"]}),
            f"buckets 0-1365 of shard 0 from {_PG1} to pg1 (pg3 (pg3.example.com:5432), pg3r (pg3r.example.com:5432)); "
            f"buckets 1366-2730 of shard 1 from {_PG1} to pg1 (pg3 (pg3.example.com:5432), pg3r "
            "(pg3r.example.com:5432))",
        ),
        (
            like_first(_1=wanted(1, server="pg2")),
            f"buckets 1366-2730 of shard 1 from {_PG1} to pg2 (pg2 (pg2.example.com:5432))",
        ),
        (
            like_first(
                _0=wanted(0, database="shard_1", replicas=["pg1r"]),
                _1=wanted(1, database="shard_0", replicas=["pg1r"]),
            ),
            "buckets 0-1365 of shard 0 to the database of shard 1; "
            "buckets 1366-2730 of shard 1 to the database of shard 0",
        ),
    ],
    ids=[
        "a shard more",
        "a shard less",
        "other ranges",
        "members that were none",
        "another cluster",
        "swapped databases",
    ],
)
def test_what_would_move_rows_is_refused_and_named(entries, moves):
    message = f"The shard map of version 1 stays as it is, because rows would have to move first: {moves}."
    with pytest.raises(Refused, match=f"^{re.escape(message)}$"):
        next_map(FIRST, entries, 4096)


def test_many_moves_are_counted_in_the_message_and_listed_in_the_facts():
    published = next_map(None, [wanted(shard_id) for shard_id in range(20)], 4096)
    with pytest.raises(Refused, match=r"; and 12 more\.$") as refused:
        next_map(published, [wanted(shard_id) for shard_id in range(21)], 4096)
    assert len(refused.value.facts["moves"]) == 20
    assert refused.value.facts["moves"][0].keys() == {"first", "last", "source", "target"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([wanted(0, buckets=((0, 4095),)), wanted(1)], "Some shards declare their buckets and others do not: 1."),
        ([wanted(0, buckets=((0, 4096),))], "[0, 4096] of shard 0 is not a range within 0-4095"),
        ([wanted(0, buckets=((0, 4000),))], "buckets 4001-4095 belong to no shard"),
        (
            [wanted(0, buckets=((0, 2048),)), wanted(1, buckets=((2048, 4095),))],
            "bucket 2048 belongs to shards 0 and 1",
        ),
        ([wanted(0), wanted(0)], "Shard 0 is described twice."),
        ([wanted(0), wanted(1, database="shard_0")], "Shards 0 and 1 both claim the database shard_0"),
        ([wanted(0, weight=-1), wanted(1)], "The weight -1 of shard 0 is below 0."),
    ],
)
def test_what_does_not_hold_together_is_refused(entries, message):
    for published in (None, FIRST):
        with pytest.raises(InvalidMap, match=re.escape(message)):
            next_map(published, entries, 4096)


def test_a_map_keeps_the_number_of_its_buckets():
    published = next_map(None, [wanted(0), wanted(1)], 16)
    following = next_map(published, [wanted(shard_id, replicas=["pg1r"]) for shard_id in (0, 1)], 4096)
    assert following == dataclasses.replace(following, buckets=16, version=2)


def test_a_map_of_format_1_is_published_again_as_the_next_version():
    former = {
        "format": 1,
        "version": 7,
        "buckets": 16,
        "shards": {
            str(shard_id): {
                "database": f"shard_{shard_id}",
                "primary": {"name": "pg1", "host": "pg1.example.com", "port": 5432},
                "replicas": [{"name": "pg1r", "host": "pg1r.example.com", "port": 5432}],
            }
            for shard_id in (0, 1)
        },
        "ranges": [[0, 7, "0"], [8, 15, "1"]],
    }
    entries = [wanted(shard_id, cluster="main", replicas=["pg1r"]) for shard_id in (0, 1)]
    following = next_map(read(former), entries, 16)
    assert (following.version, following.format, following.ranges) == (8, 2, read(former).ranges)
    assert next_map(following, entries, 16) is following
    with pytest.raises(MovesRows):
        next_map(read(former), [wanted(shard_id, server="pg9") for shard_id in (0, 1)], 16)


# Estimates


def test_each_move_is_named_with_its_part_of_the_source():
    with pytest.raises(MovesRows) as refused:
        next_map(FIRST, like_first(_3=wanted(3, server="pg3")), 4096)
    assert refused.value.sources == [0, 1, 2]
    measured = refused.value.estimated({0: Size(1366, 13660 << 20), 2: Size(0, 8192)})
    assert measured.message == (
        "The shard map of version 1 stays as it is, because rows would have to move first: "
        "buckets 1024-1365 from shard 0 to shard 3 (about 342 rows, 3420 MB); "
        "buckets 2390-2730 from shard 1 to shard 3; "
        "buckets 3755-4095 from shard 2 to shard 3 (about 0 rows, 2046 bytes); together about 342 rows, 3420 MB."
    )
    assert measured.facts["moves"] == [
        {"first": 1024, "last": 1365, "source": 0, "target": 3, "rows": 342, "bytes": 3420 << 20},
        {"first": 2390, "last": 2730, "source": 1, "target": 3},
        {"first": 3755, "last": 4095, "source": 2, "target": 3, "rows": 0, "bytes": 2046},
    ]


def test_a_shard_that_goes_elsewhere_moves_as_a_whole():
    with pytest.raises(MovesRows) as refused:
        next_map(FIRST, like_first(_1=wanted(1, server="pg2")), 4096)
    measured = refused.value.estimated({1: Size(1, 20000)})
    assert measured.message.endswith(" to pg2 (pg2 (pg2.example.com:5432)) (about 1 row, 20 kB).")
    assert measured.facts["moves"] == [
        {
            "shard": 1,
            "buckets": 1365,
            "source_database": f"shard_1 on {_PG1}",
            "target_database": "shard_1 on pg2 (pg2 (pg2.example.com:5432))",
            "rows": 1,
            "bytes": 20000,
        }
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    # SELECT pg_size_pretty(count)
    [
        (0, "0 bytes"),
        (10239, "10239 bytes"),
        (10240, "10 kB"),
        (10485247, "10239 kB"),
        (10485760, "10 MB"),
        (1 << 40, "1024 GB"),
        (1 << 50, "1024 TB"),
    ],
)
def test_bytes_read_as_those_of_postgresql(count, text):
    assert pretty(count) == text
