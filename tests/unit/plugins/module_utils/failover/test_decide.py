# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order members restart: tables, and a model of what Patroni does that every order has to get through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import Seen, Step, View, Wanted

BUFFERS = {"shared_buffers": ("64MB", "1GB")}
LESS = {"max_connections": ("100", "50")}
MORE = {"max_worker_processes": ("8", "16")}


def seen(name, role="replica", reasons=None, state=None, **more):
    leads = role == "leader"
    state = state or ("running" if leads else "streaming")
    values = {
        "serves": state in ("running", "streaming"),
        "timeline": 1,
        "lag": None if leads else 0,
        "synchronous": role in ("sync_standby", "quorum_standby"),
        "started": "then",
        "received": 10,
        "replayed": 10,
        "pending": bool(reasons),
        "reasons": reasons or {},
    }
    return Seen(name, leads, state, **{**values, **more})


def trio(reasons=None, **roles):
    roles = {"a": "leader", "b": "replica", "c": "replica", **roles}
    return View(tuple(seen(name, role, reasons) for name, role in roles.items()))


def words(steps):
    """``b``: restarts; ``a!``: as the leader; ``a>``: hands the lead over; ``(b)``: if something still waits."""
    told = []
    for step in steps:
        text = step.member + (">" if step.action == decide.SWITCH_OVER else "!" if step.leads else "")
        told.append(f"({text})" if step.if_pending else text)
    return " ".join(told)


@pytest.mark.parametrize(
    ("view", "wanted", "order"),
    [
        (trio(), Wanted(), ""),
        (trio(BUFFERS), Wanted(), "b c a!"),
        (trio(), Wanted(only_pending=False), "b c a!"),
        # Who answers for commits comes after who does not.
        (trio(BUFFERS, b="sync_standby"), Wanted(), "c b a!"),
        (trio(BUFFERS, b="quorum_standby", c="quorum_standby"), Wanted(), "b c a!"),
        (trio(BUFFERS), Wanted(members=("c",)), "c"),
        (trio(BUFFERS), Wanted(members=("a",)), "a!"),
        (trio(BUFFERS), Wanted(switch_over_first=True), "b c a> (a)"),
        (trio(BUFFERS), Wanted(members=("a",), switch_over_first=True), "a> (a)"),
        (View((seen("a", "leader", BUFFERS),)), Wanted(switch_over_first=True), "a!"),
        (View((seen("a", "leader"), seen("b", reasons=BUFFERS))), Wanted(), "b"),
        (trio(MORE), Wanted(), "b c a!"),
        (trio(LESS), Wanted(), "a! (b) (c)"),
        (trio(LESS), Wanted(switch_over_first=True), "a! (b) (c)"),
        (trio({**LESS, **BUFFERS}), Wanted(), "b c a! (b) (c)"),
        (trio({**LESS, **MORE}), Wanted(), "b c a! (b) (c)"),
        # Before the leader has it, a replica cannot.
        (trio(LESS), Wanted(members=("b",)), ""),
        (trio({**LESS, **BUFFERS}), Wanted(members=("b",)), "b"),
        # The leader has it already.
        (View((seen("a", "leader"), seen("b", reasons=LESS))), Wanted(), "b"),
        # Patroni does not say what waits.
        (View((seen("a", "leader", pending=True), seen("b", pending=True))), Wanted(), "b a! (b)"),
    ],
)
def test_orders(view, wanted, order):
    assert words(decide.steps(view, wanted)) == order


def test_the_first_is_the_trial():
    assert [step.trial for step in decide.steps(trio(BUFFERS), Wanted())] == [True, False, False]
    assert [step.trial for step in decide.steps(trio(LESS), Wanted())] == [True, False, False]


def test_what_may_still_wait():
    steps = decide.steps(trio({**LESS, **BUFFERS}), Wanted())
    assert [step.keeps for step in steps] == [frozenset(LESS)] * 2 + [frozenset()] * 3
    assert [step.replays for step in steps] == [False, False, True, False, False]
    (first, *_rest) = decide.steps(View((seen("a", "leader", pending=True), seen("b", pending=True))), Wanted())
    assert first.keeps is None


def test_a_member_that_is_not_there():
    with pytest.raises(InvalidInput, match="members: 'x' is not a member of the cluster; its members are a, b, c"):
        decide.steps(trio(), Wanted(members=("x",)))


def test_a_leader_does_not_leave_a_replica_behind_that_would_stop_replaying():
    with pytest.raises(InvalidInput, match="are without c, who would stop replaying: more of max_worker_processes"):
        decide.steps(trio(MORE), Wanted(members=("a", "b")))


@pytest.mark.parametrize(
    ("view", "wanted", "says"),
    [
        (trio(BUFFERS), Wanted(switch_over_first=True), ()),
        (trio(LESS), Wanted(), ()),
        (
            trio(LESS),
            Wanted(switch_over_first=True),
            ("a restarts as the leader: less of max_connections counts only after that.",),
        ),
        (
            trio(LESS),
            Wanted(members=("b", "c")),
            ("b, c cannot take less of max_connections before a, which leads, has restarted.",),
        ),
        (
            View((seen("a", "leader", BUFFERS),)),
            Wanted(switch_over_first=True),
            ("a restarts as the leader: there is no other member.",),
        ),
        (View((seen("b", reasons=BUFFERS),)), Wanted(), ()),
    ],
)
def test_warnings(view, wanted, says):
    assert decide.warnings(view, wanted) == says


@pytest.mark.parametrize(
    ("members", "without", "found"),
    [
        ([seen("a", "leader"), seen("b"), seen("c")], "b", []),
        ([seen("a", "leader"), seen("b", state="running")], None, []),
        ([seen("a", "leader"), seen("b", started=None), seen("c")], "b", []),
        ([seen("a", "leader"), seen("b", started=None), seen("c")], "c", ["b does not run"]),
        ([seen("a", "leader"), seen("b", state="starting"), seen("c")], "a", ["b is starting"]),
        ([seen("a", "leader"), seen("b", answers=False), seen("c")], "a", ["b: its Patroni does not answer"]),
        ([seen("a", "leader", timeline=2), seen("b"), seen("c")], "c", ["b is on timeline 1, not 2"]),
        ([seen("a", "leader", state="stopped"), seen("b")], "b", ["a is stopped"]),
        ([seen("a"), seen("b")], "a", ["no member leads"]),
    ],
)
def test_who_is_missing(members, without, found):
    assert decide.missing(View(tuple(members)), without) == found
    if found:
        with pytest.raises(decide.NotWhole) as caught:
            decide.check_whole(View(tuple(members)), without)
        assert caught.value.code == "not_whole"
    else:
        decide.check_whole(View(tuple(members)), without)


def test_nothing_restarts_while_patroni_is_paused():
    assert decide.missing(View((seen("a", "leader"), seen("b")), paused=True), "b") == ["Patroni is paused"]


@pytest.mark.parametrize(
    ("step", "replica", "is_back"),
    [
        (Step("restart", "b"), seen("b", started="now"), True),
        (Step("restart", "b"), seen("b", started="then"), False),
        (Step("restart", "b"), seen("b", started=None), False),
        (Step("restart", "b"), seen("b", state="starting", started="now"), False),
        (Step("restart", "b"), seen("b", started="now", received=9, replayed=9), False),
        (Step("restart", "b"), seen("b", started="now", replayed=9), True),
        (Step("restart", "b", replays=True), seen("b", started="now", replayed=9), False),
        (Step("restart", "b"), seen("b", reasons=LESS, started="now"), False),
        (Step("restart", "b", keeps=frozenset(LESS)), seen("b", reasons=LESS, started="now"), True),
        (Step("restart", "b", keeps=frozenset(LESS)), seen("b", reasons={**LESS, **BUFFERS}, started="now"), False),
        (Step("restart", "b", keeps=frozenset(LESS)), seen("b", pending=True, started="now"), False),
        (Step("restart", "b", keeps=None), seen("b", pending=True, started="now"), True),
        (Step("restart", "gone"), seen("b"), False),
    ],
)
def test_who_is_back(step, replica, is_back):
    view = View((seen("a", "leader"), replica))
    reach = decide.end_of_wal(view, step, "then")
    assert (reach is not None and decide.back(view, step, reach)) is is_back


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ([seen("b", lag=5), seen("c", lag=3)], ["c", "b"]),
        ([seen("b", lag=5, role="sync_standby"), seen("c", lag=3)], ["b"]),
        ([seen("b", lag=decide.LAG + 1), seen("c", lag=None)], []),
        ([seen("b", may_lead=False), seen("c", started=None), seen("d", timeline=3)], []),
    ],
)
def test_who_may_lead(members, found):
    assert decide.candidates(View((seen("a", "leader"), *members))) == found


@pytest.mark.parametrize(
    ("seen_now", "gone_wrong"),
    [
        (seen("b", started=None, state="start failed"), True),
        (seen("b", started=None, state="starting"), False),
        (seen("b", started="now", state="running"), False),
        (seen("b", answers=False, started=None), False),
        (seen("c"), True),
    ],
)
def test_who_has_failed(seen_now, gone_wrong):
    assert decide.failed(View((seen_now,)), "b") is gone_wrong


LIMITS = ("max_connections", "max_worker_processes")
NAMES = (*LIMITS, "shared_buffers")
VALUES = st.fixed_dictionaries({name: st.integers(1, 4) for name in NAMES})


class Model:
    """A cluster whose members restart as Patroni lets them."""

    def __init__(self, shared, before, count):
        self.shared = shared
        self.members = {name: dict(before) for name in "abcd"[:count]}
        self.leader = "a"

    def view(self):
        return View(
            tuple(
                seen(
                    name,
                    "leader" if name == self.leader else "replica",
                    {key: (str(has[key]), str(self.shared[key])) for key in NAMES if has[key] != self.shared[key]},
                )
                for name, has in self.members.items()
            )
        )

    def restart(self, name):
        has = dict(self.shared)
        if name != self.leader:
            leader = self.members[self.leader]
            has.update({limit: max(has[limit], leader[limit]) for limit in LIMITS})
        self.members[name] = has

    def take(self, step):
        assert (step.member == self.leader) is step.leads
        if step.if_pending and self.members[step.member] == self.shared:
            return
        if step.action == decide.SWITCH_OVER:
            self.leader = next(name for name in self.members if name != step.member)
        self.restart(step.member)
        left = {key for key in NAMES if self.members[step.member][key] != self.shared[key]}
        assert step.keeps is None or left <= step.keeps
        for name, has in self.members.items():
            assert all(has[limit] >= self.members[self.leader][limit] for limit in LIMITS), f"{name} would not replay"


@given(VALUES, VALUES, st.integers(1, 4), st.booleans(), st.booleans())
def test_every_order_ends_with_every_value_in_force(before, shared, count, only_pending, switch_over_first):
    model = Model(shared, before, count)
    view = model.view()
    steps = decide.steps(view, Wanted(None, only_pending, switch_over_first))
    assert [step.trial for step in steps] == [position == 0 for position in range(len(steps))]
    if steps and steps[0].leads:
        # A leader is only before a trial where a replica could try nothing.
        assert count == 1 or view.leader.only_falls
    for step in steps:
        model.take(step)
    assert all(has == shared for has in model.members.values())
    assert decide.steps(model.view(), Wanted()) == ()
    if not only_pending:
        assert {step.member for step in steps} == set(model.members)


@given(VALUES, VALUES, st.sets(st.sampled_from("abc"), min_size=1), st.booleans())
def test_only_members_that_are_named_restart_and_no_replica_is_left_that_cannot_replay(before, shared, names, switch):
    model = Model(shared, before, 3)
    wanted = Wanted(tuple(sorted(names)), switch_over_first=switch)
    try:
        steps = decide.steps(model.view(), wanted)
    except InvalidInput:
        assert "a" in names
        assert names != set("abc")
        return
    assert {step.member for step in steps} <= names
    for step in steps:
        model.take(step)


@pytest.mark.parametrize(
    ("view", "name", "order"),
    [
        (trio(), "b", "b"),
        # A limit that falls would keep it from restarting by itself.
        (trio(LESS), "b", "b"),
        (View((seen("a", "leader"),)), "a", "a!"),
    ],
)
def test_a_member_whose_patroni_restarts_does_so_alone(view, name, order):
    steps = decide.alone(view, name)
    assert words(steps) == order
    assert [(step.trial, step.keeps) for step in steps] == [(True, None)]


def test_the_patroni_of_a_leader_does_not_restart():
    with pytest.raises(Refused) as caught:
        decide.alone(trio(), "a")
    assert (caught.value.code, caught.value.facts) == ("is_leader", {"member": "a"})
    with pytest.raises(InvalidInput, match="its members are a, b, c"):
        decide.alone(trio(), "d")
