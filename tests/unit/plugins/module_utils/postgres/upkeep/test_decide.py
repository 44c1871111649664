# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which partitioned tables are analyzed and which partitions are frozen, and when their time is over."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.operations.keep_tables import with_times
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.upkeep.decide import (
    Rules,
    decide,
    why_freeze,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.upkeep.state import Leaf, Root, State

HOUR = 3_600_000_000
NOW = 1_000 * HOUR
CLOSED = NOW - 30 * HOUR
OPTIONS = {"analyze_after": 24, "freeze_after": 24, "freeze_age": 1000, "freeze_most": 4}
RULES = Rules.of(OPTIONS)


def leaf(**fields):
    return Leaf("public", **{"name": "p", "closed": CLOSED, **fields})


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (leaf(), "it was not vacuumed since it closed"),
        (leaf(vacuumed=CLOSED), "it was not vacuumed since it closed"),
        (leaf(vacuumed=CLOSED + 24 * HOUR - 1), "it was not vacuumed since it closed"),
        (leaf(vacuumed=CLOSED + 24 * HOUR), None),
        (leaf(vacuumed=CLOSED + 24 * HOUR, age=999), None),
        (leaf(vacuumed=CLOSED + 24 * HOUR, age=1000), "its oldest transaction was 1000 transactions ago"),
        # Not closed, not long enough, without a time, without rows.
        (leaf(closed=NOW + 1), None),
        (leaf(closed=NOW - 24 * HOUR + 1), None),
        (leaf(closed=NOW - 24 * HOUR), "it was not vacuumed since it closed"),
        (leaf(closed=None, age=10**9), None),
        (leaf(pages=0), None),
    ],
)
def test_when_a_partition_is_frozen(one, reason):
    assert why_freeze(one, NOW, RULES) == reason


@pytest.mark.parametrize(
    ("analyzed", "hours", "due"),
    [
        (None, 24, True),
        (NOW, 24, False),
        (NOW - 24 * HOUR + 1, 24, False),
        (NOW - 24 * HOUR, 24, True),
        # The clock was put back.
        (NOW + HOUR, 24, True),
        (None, 0, False),
    ],
)
def test_when_a_table_is_analyzed(analyzed, hours, due):
    state = State(NOW, False, (Root("public", "t", analyzed=analyzed, leaves=(leaf(closed=None),)),))
    rules = Rules.of({**OPTIONS, "analyze_after": hours})
    assert [one.root.name for one in decide(state, rules).analyze] == (["t"] if due else [])
    empty = State(NOW, False, (Root("public", "t", analyzed=analyzed),))
    assert decide(empty, rules).analyze == ()


def test_the_oldest_are_frozen_first_and_no_more_than_asked():
    leaves = tuple(leaf(name=f"p{age}", age=age) for age in (5, 9, 1, 7, 3, 2))
    decision = decide(State(NOW, False, (Root("public", "t", analyzed=NOW, leaves=leaves),)), RULES)
    assert [one.leaf.age for one in decision.freeze] == [9, 7, 5, 3]
    assert [one.leaf.age for one in decision.waiting] == [2, 1]
    none = decide(State(NOW, False, (Root("public", "t", leaves=leaves),)), Rules.of({**OPTIONS, "freeze_most": 0}))
    assert (none.freeze, none.waiting) == ((), ())


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 2000), st.none() | st.integers(0, 2000), st.integers(0, 3000))),
    st.integers(0, 8),
)
def test_for_any_partitions_nothing_open_is_touched_and_all_are_frozen_in_the_end(parts, most):
    rules = Rules.of({**OPTIONS, "freeze_most": most})
    leaves = [
        leaf(name=str(number), closed=closed and closed * HOUR, vacuumed=vacuumed and vacuumed * HOUR, age=age)
        for number, (closed, vacuumed, age) in enumerate(parts)
    ]
    for _run in range(len(leaves) + 1):
        decision = decide(State(NOW, False, (Root("public", "t", analyzed=NOW, leaves=tuple(leaves)),)), rules)
        assert len(decision.freeze) <= most
        for one in decision.freeze:
            assert one.leaf.closed is not None
            assert one.leaf.closed + 24 * HOUR <= NOW
            leaves[int(one.leaf.name)] = leaf(name=one.leaf.name, closed=one.leaf.closed, vacuumed=NOW)
    assert decision.freeze == ()
    assert decision.waiting == ()


@pytest.mark.parametrize(
    ("root", "bound", "closed"),
    [
        (
            Root("public", "t", column_type="timestamp with time zone"),
            "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')",
            1769904000000000,
        ),
        (Root("public", "t", column_type="date"), "FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')", 1769904000000000),
        (
            Root("public", "t", column_type="uuid"),
            "FOR VALUES FROM (MINVALUE) TO ('019c1681-4800-0000-0000-000000000000')",
            0x019C16814800 * 1000,
        ),
        (
            Root("public", "t", column_type="bigint", comment='ours\npartition_set: {"kind": "epoch_seconds"}'),
            "FOR VALUES FROM ('0') TO ('1769904000')",
            1769904000000000,
        ),
        # Numbers have no time, and what takes all that comes never closes.
        (Root("public", "t", column_type="bigint"), "FOR VALUES FROM ('0') TO ('1769904000')", None),
        (Root("public", "t", column_type="date"), "FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)", None),
        (Root("public", "t", column_type="date"), "FOR VALUES FROM ('2026-01-01') TO ('infinity')", None),
        (Root("public", "t", column_type="date"), "DEFAULT", None),
        (Root("public", "t", "hash", "uuid"), "FOR VALUES WITH (modulus 2, remainder 0)", None),
        (Root("public", "t", "list", "date"), "FOR VALUES IN ('2026-01-01')", None),
        (Root("public", "t"), "FOR VALUES FROM (1, 2) TO (3, 4)", None),
    ],
)
def test_when_a_partition_closes(root, bound, closed):
    state = State(NOW, False, (dataclasses.replace(root, leaves=(leaf(bound=bound, closed=None),)),))
    assert with_times(state).roots[0].leaves[0].closed == closed


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_what_cannot_be(option):
    with pytest.raises(InvalidInput, match=f"{option}: -1 is not a number from 0 to"):
        Rules.of({**OPTIONS, option: -1})
