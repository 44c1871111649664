# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may take the lead over, and what keeps a cluster from handing it over: tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide, switch
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import Seen, View
from ansible_collections.scaleout.platform.plugins.module_utils.failover.switch import Pool, Transaction

KNOWN = ("a", "b", "c")


def seen(name, **more):
    leads = more.pop("leads", False)
    values = {"state": "running" if leads else "streaming", "serves": True, "timeline": 1, "started": "then"}
    return Seen(name, leads, **{**values, "lag": None if leads else 0, **more})


def trio(b=None, c=None, paused=False, **a):
    return View((seen("a", **{"leads": True, **a}), seen("b", **(b or {})), seen("c", **(c or {}))), paused)


@pytest.mark.parametrize(
    ("view", "to", "synchronous", "found"),
    [
        (trio(), "c", False, "c"),
        (trio(b={"lag": 200}), None, False, "c"),
        (trio(), None, False, "b"),
        (trio(b={"synchronous": True, "lag": 200}), None, True, "b"),
        (trio(c={"synchronous": True}), "c", True, "c"),
        # Another one that is away does not keep the chosen one from leading.
        (trio(b={"answers": False}), "c", False, "c"),
        (trio(b={"may_lead": False}), None, False, "c"),
        (trio(b={"lag": decide.LAG}), "b", False, "b"),
    ],
)
def test_who_is_to_lead(view, to, synchronous, found):
    assert switch.choose(view, KNOWN, to, synchronous) == found


AWAY = {"started": None, "serves": False, "state": "stopped"}


@pytest.mark.parametrize(
    ("view", "to", "synchronous", "code", "says"),
    [
        (View((seen("a", leads=True),)), None, False, "single_member", "has one member"),
        (View((seen("a", leads=True), seen("x"))), None, False, "unknown_member", "does not have: x."),
        (trio(paused=True), None, False, "patroni_paused", "Patroni is paused"),
        (trio(leads=False), None, False, "no_leader", "No member leads"),
        (trio(), "a", False, "already_leads", "a leads already."),
        (trio(b={"may_lead": False}), "b", False, "not_ready", "b cannot lead now: its tag nofailover says so."),
        (trio(b={"lag": 2**30}), "b", False, "not_ready", "it is 1024 MB behind, and 16 MB is the most."),
        (trio(b={"lag": None}), "b", False, "not_ready", "how far it is behind is not known."),
        (trio(b={"answers": False}), "b", False, "not_ready", "its Patroni does not answer."),
        (trio(b=AWAY), "b", False, "not_ready", "it does not run."),
        (trio(b={"serves": False, "state": "starting"}), "b", False, "not_ready", "it is starting."),
        (trio(b={"timeline": 2}), "b", False, "not_ready", "it is on timeline 2, not 1."),
        (trio(c={"synchronous": True}), "b", False, "not_ready", "it does not answer for commits"),
        # Commits are to wait for a replica, and there is none that they could wait for.
        (trio(), "b", True, "not_ready", "it does not answer for commits"),
        (View((seen("a", leads=True), seen("b"))), "c", False, "not_ready", "c cannot lead now: Patroni does not know"),
        (
            trio(b=AWAY, c={"may_lead": False}),
            None,
            False,
            "no_candidate",
            "No replica can lead now: b: it does not run; c: its tag nofailover says so.",
        ),
    ],
)
def test_what_is_refused(view, to, synchronous, code, says):
    with pytest.raises(Refused) as caught:
        switch.choose(view, KNOWN, to, synchronous)
    assert caught.value.code == code
    assert says in caught.value.message


def test_who_is_no_member():
    with pytest.raises(InvalidInput, match=r"candidate: 'd' is not a member of the cluster; its members are a, b, c\."):
        switch.choose(trio(), KNOWN, "d")
    with pytest.raises(InvalidInput, match=r"its members are a, b, c\."):
        switch.choose(trio(), (), "d")


members = st.builds(
    seen,
    st.just(""),
    answers=st.booleans(),
    started=st.sampled_from(["then", None]),
    serves=st.booleans(),
    timeline=st.sampled_from([1, 2, None]),
    lag=st.sampled_from([0, 5, 2**40, None]),
    synchronous=st.booleans(),
    may_lead=st.booleans(),
)


@given(members, members, st.sampled_from([None, "b", "c"]), st.booleans())
def test_whoever_is_chosen_loses_nothing(one, two, to, synchronous):
    view = View((seen("a", leads=True), one._replace(name="b"), two._replace(name="c")))
    try:
        found = switch.choose(view, KNOWN, to, synchronous)
    except Refused:
        return
    chosen = view.of(found)
    assert to in (None, found)
    assert chosen.runs
    assert chosen.may_lead
    assert chosen.timeline == 1
    assert chosen.lag <= decide.LAG
    assert chosen.synchronous or not (synchronous or one.synchronous or two.synchronous)


@pytest.mark.parametrize(
    ("drain", "hold", "says"),
    [
        (0.5, 0.5, "hold: 0.5 is not a number of seconds from 1 to 15."),
        (0.5, 16, "hold: 16 is not a number of seconds from 1 to 15."),
        (0.5, float("nan"), "hold: nan is not"),
        (3, 5, "drain: 3 is not a number of seconds from 0 to half of hold, 2.5."),
        (-1, 5, "drain: -1 is not"),
    ],
)
def test_times_that_cannot_be(drain, hold, says):
    with pytest.raises(InvalidInput) as caught:
        switch.check_times(drain, hold)
    assert caught.value.message.startswith(says)


def test_a_hold_is_over_before_it_counts_as_forgotten():
    from tests.unit import pooler

    assert switch.LONGEST_HOLD + 2 * pooler.load_watch().LOOK_SECONDS < pooler.load_watch().FORGOTTEN_SECONDS
    switch.check_times(switch.DRAIN, switch.HOLD)


PLACE = ("192.0.2.1", 5432)


@pytest.mark.parametrize(
    ("pool", "code", "says"),
    [
        (Pool("vm1"), "unknown_database", "The pooler of vm1 has none of the databases that follow the leader."),
        (Pool("vm1", {"shop": PLACE, "shard_0": PLACE}, ("shop",)), "held_already", "of vm1 holds shop already;"),
        (Pool("vm1", {"shop": PLACE, "shard_0": PLACE}), "", ""),
        (Pool("vm1", missing="Cannot reach PgBouncer"), "", ""),
    ],
)
def test_poolers_that_cannot_hold(pool, code, says):
    if not code:
        switch.check_pools([pool])
        return
    with pytest.raises(Refused) as caught:
        switch.check_pools([pool])
    assert caught.value.code == code
    assert says in caught.value.message


def test_where_a_pooler_points():
    other = ("192.0.2.2", 5432)
    assert switch.points_to(Pool("vm1", {"shop": PLACE, "shard_0": PLACE}), PLACE)
    assert not switch.points_to(Pool("vm1", {"shop": PLACE, "shard_0": other}), PLACE)


def test_what_is_said_of_a_plan():
    view = View((seen("a", leads=True), seen("b")))
    old = Transaction(7, "shop", "shop", "report", 93.4)
    found = switch.warnings(view, KNOWN, [Pool("vm1", missing="no answer"), Pool("vm2")], [old], 0.5)
    assert found == [
        "c is in the inventory, and Patroni does not know it.",
        "The pooler of vm1 holds no requests: no answer.",
        "Open transactions that do not end within 0.5 s are cut off: process 7 (shop@shop, report): 93 s.",
    ]
    assert switch.warnings(view, ("a", "b"), [Pool("vm2")], [], 0.5) == []
