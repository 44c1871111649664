# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens between a hold and its end, whatever Patroni does; neither is real here."""

from __future__ import annotations

import os
import signal
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Denied, Refused, Unreachable
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import Seen, View
from ansible_collections.scaleout.platform.plugins.module_utils.operations import hand_over


class Poolers:
    """Two poolers, of which each points to the new leader after so many looks."""

    def __init__(self, looks=(1, 1), seconds=5.0, refuses=False):
        self.looks = dict(zip(("vm1", "vm2"), looks, strict=True))
        self.holding, self.seconds, self.refuses = [], seconds, refuses
        self.drained, self.done = True, []

    def hold(self):
        self.done.append("hold")
        self.holding = ["vm1"] if self.refuses else ["vm1", "vm2"]
        if self.refuses:
            raise Refused("The pooler of vm2 does not hold requests: no.", code="not_held")

    def release_those_at(self, place):
        self.done.append(f"release at {place[0]}")
        for name in [*self.holding]:
            self.looks[name] -= 1
            if self.looks[name] <= 0:
                self.holding.remove(name)

    def release(self):
        self.done.append(f"release {' '.join(self.holding)}".strip())
        self.holding = []
        return []

    def settle(self):
        self.done.append("settle")


class Members:
    """A cluster in which ``b`` leads once Patroni has been told so.

    :param says: what Patroni raises instead.
    :param takes: seconds until it answers.
    :param winner: who leads then.
    """

    def __init__(self, says=None, takes=0.0, winner="b"):
        self.leader, self.says, self.takes, self.winner, self.told = "a", says, takes, winner, None
        self.woken = []

    def client(self, name, timeout=None):
        return self

    def close(self):
        pass

    def wake_followers(self, leader):
        self.woken.append(leader)

    def switch_over(self, leader, candidate):
        self.told = (leader, candidate)
        time.sleep(self.takes)
        if self.says:
            raise self.says
        self.leader = self.winner

    def itself(self, name):
        if name == "c":
            raise Unreachable("Patroni", "c", 8008, "no answer")
        return {"role": "primary" if name == self.leader else "replica", "state": "running"}

    def look(self):
        return View(
            tuple(Seen(name, name == self.leader, "running", True, 1, started="then") for name in ("a", "b", "c"))
        )

    def views(self, deadline):
        yield self.look()

    def server(self, name):
        return name, 5432


class Server:
    def __init__(self):
        self.checkpoints = 0

    def checkpoint(self):
        self.checkpoints += 1


def run(members, poolers):
    server = Server()
    outcome = hand_over.HandOver(members, poolers, server).run("a", "b")
    assert server.checkpoints == 1
    return outcome


@pytest.fixture(autouse=True)
def _signals_are_as_they_were():
    before = [signal.getsignal(number) for number in hand_over._SIGNALS]
    yield
    assert [signal.getsignal(number) for number in hand_over._SIGNALS] == before


def test_each_pooler_lets_go_once_it_points_to_the_new_leader():
    members, poolers = Members(), Poolers(looks=(1, 3))
    outcome = run(members, poolers)
    assert members.told == ("a", "b")
    assert poolers.done == ["hold", *["release at b"] * 3, "release", "release", "settle"]
    assert members.woken == ["b"], "once, since a commit may wait for a replica that has not heard of it"
    assert (outcome.leader, outcome.former, outcome.late, outcome.drained) == ("b", "a", (), True)
    assert 0 < outcome.held < 4


def test_another_member_than_the_one_that_was_asked_for():
    outcome = run(Members(winner="c"), poolers := Poolers())
    assert outcome.leader == "c"
    assert "release at c" in poolers.done


def test_patroni_refuses():
    members, poolers = Members(says=Refused("Patroni refused: no good candidates.")), Poolers()
    with pytest.raises(hand_over.NotSwitched, match=r"not handed to b; a leads as before\. Patroni refused") as caught:
        run(members, poolers)
    assert members.woken == []
    assert caught.value.code == "not_switched"
    assert caught.value.facts["leader"] == "a"
    assert poolers.done[-3:] == ["release vm1 vm2", "release", "settle"]


def test_a_wrong_login_stays_one():
    poolers = Poolers()
    with pytest.raises(Denied):
        run(Members(says=Denied("Patroni", "a", 8008, "401")), poolers)
    assert poolers.holding == []


def test_no_member_leads():
    members = Members(says=Refused("Switchover status unknown."))
    members.leader = ""
    with pytest.raises(hand_over.NotSwitched, match="no member leads"):
        run(members, Poolers())


def test_the_hold_ends_and_the_switchover_comes_later():
    members, poolers = Members(takes=0.6), Poolers(seconds=0.2)
    outcome = run(members, poolers)
    assert outcome.leader == "b"
    assert outcome.late == ("vm1", "vm2")
    assert poolers.done[:2] == ["hold", "release vm1 vm2"]


def test_poolers_that_never_point_there():
    outcome = run(Members(), Poolers(looks=(1, 1000), seconds=0.3))
    assert (outcome.leader, outcome.late) == ("b", ("vm2",))


def test_a_pooler_that_does_not_hold():
    members, poolers = Members(), Poolers(refuses=True)
    with pytest.raises(Refused, match="does not hold requests"):
        run(members, poolers)
    assert members.told is None
    assert poolers.done == ["hold", "release vm1", "settle"]


@pytest.mark.parametrize("number", hand_over._SIGNALS)
def test_a_signal_lets_go(number):
    class Signalled(Poolers):
        def release_those_at(self, place):
            os.kill(os.getpid(), number)

    poolers = Signalled()
    with pytest.raises(hand_over.Interrupted, match=signal.Signals(number).name):
        run(Members(), poolers)
    assert poolers.done == ["hold", "release vm1 vm2", "settle"]
