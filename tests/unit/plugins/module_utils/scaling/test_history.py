# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which entries of a history are refused (A7), and what a good one keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.scaling import history

from .world import NOW, action, case


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        case("up", "not a mapping", id="no-mapping"),
        case({}, "no direction", id="empty"),
        case(action(direction="left"), "direction", id="direction"),
        case({**action(), "from": "2"}, "from", id="a-size-in-quotes"),
        case({**action(), "to": True}, "to", id="a-boolean-size"),
        case({**action(), "to": -1}, "to", id="a-negative-size"),
        case({**action(), "to": 10**9}, "to", id="an-absurd-size"),
        case({**action(), "to": 2}, "goes up from 2 to 2", id="nothing-changed"),
        case({**action(), "to": 1}, "goes up from 2 to 1", id="the-wrong-way"),
        case({**action("down"), "from": 2}, "goes down from 2 to 2", id="down-to-the-same"),
        case({**action(), "started": 0}, "started", id="1970"),
        case({**action(), "started": NOW * 1000}, "started", id="milliseconds"),
        case({**action(), "finished": float("nan")}, "finished", id="nan"),
        case({**action(), "finished": NOW - 9000}, "before it started", id="finished-first"),
        case({**action(), "outcome": "fine"}, "outcome", id="outcome"),
        case({**action(), "outcome": None}, "without the other", id="finished-without-an-outcome"),
        case({**action(), "finished": None}, "without the other", id="an-outcome-without-an-end"),
        case({**action(), "by": 5}, "by", id="by"),
        case({**action(), "replaced": "a"}, "replaced", id="replaced"),
        case({**action(), "mood": 1}, "mood", id="unknown-key"),
    ],
)
def test_a_broken_entry_is_refused(entry, said):
    with pytest.raises(history.InvalidAction, match=said):
        history.read(entry)
    assert history.History([action(), entry]).faults[0].startswith("Entry 2 of the history cannot be.")


@pytest.mark.parametrize(
    "entry",
    [
        case(action(), id="up"),
        case(action("down", outcome="called_off"), id="called-off"),
        case({**action(), "to": 2, "replaced": ["c"]}, id="only-replaced"),
        case({**action(), "finished": None, "outcome": None}, id="running"),
    ],
)
def test_an_entry_is_written_as_it_was_read(entry):
    document = history.read(entry).document()
    assert history.read(document).document() == document
    assert {key: document[key] for key in entry} == entry


def test_an_action_that_is_told_twice_is_one():
    """A1, A4: 100 duplicates of one event are no flapping and no row of failures."""
    assert history.History([action(outcome="failed")] * 100).failures == 1


@given(st.lists(st.tuples(st.sampled_from(["up", "down"]), st.floats(1, 4000), st.floats(0, 500)), max_size=12))
def test_a1_flapping_is_more_than_four_changes_of_direction_within_an_hour(given):
    """Also where actions overlap, so that they do not finish in the order in which they began."""
    entries = [{**action(way), "started": NOW - ago - took, "finished": NOW - ago} for way, ago, took in given]
    found = history.History(entries)
    assert (found.flapping(NOW) is not None) == (len(found.changes(NOW)) > history.CHANGES)
