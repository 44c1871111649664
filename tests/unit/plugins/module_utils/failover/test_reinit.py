# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose data may go, and when a new copy counts: tables."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide, reinit
from ansible_collections.scaleout.platform.plugins.module_utils.failover.decide import Seen, View


def view(paused=False, leader=None, **b):
    a = {"leads": True, "state": "running", "serves": True, "timeline": 2, "started": "then", **(leader or {})}
    values = {"state": "streaming", "serves": True, "timeline": 2, "started": "then", "lag": 0, **b}
    return View((Seen("a", **a), Seen("b", False, **values)), paused)


BROKEN = {"state": "start failed", "serves": False, "started": None, "timeline": 1, "lag": None}


@pytest.mark.parametrize("found", [view(), view(**BROKEN)])
def test_a_replica_in_any_state_may_be_rebuilt(found):
    reinit.check(found, "b")


@pytest.mark.parametrize(
    ("found", "name", "code"),
    [
        (view(), "a", "is_leader"),
        (view(leader={"leads": False}), "b", "no_leader"),
        (view(leader={"answers": False}), "b", "no_leader"),
        (view(leader={"started": None}), "b", "no_leader"),
        (view(paused=True), "b", "patroni_paused"),
        (view(answers=False), "b", "not_ready"),
    ],
)
def test_what_is_refused(found, name, code):
    with pytest.raises(Refused) as caught:
        reinit.check(found, name)
    assert caught.value.code == code


def test_who_is_no_member():
    with pytest.raises(InvalidInput, match="member: 'c' is not a member of the cluster; its members are a, b"):
        reinit.check(view(), "c")


def test_the_last_copy_is_named():
    assert reinit.warnings(view(), "b") == [
        "No other replica runs: until b follows again, a alone has the data.",
    ]
    three = view()._replace(members=(*view().members, view().members[1]._replace(name="c")))
    assert reinit.warnings(three, "b") == []


@pytest.mark.parametrize(
    ("found", "before", "done"),
    [
        (view(started="now"), "then", True),
        (view(started="now"), None, True),
        # It has not been stopped yet.
        (view(), "then", False),
        (view(state=reinit.COPIES, serves=False, started=None, lag=None), "then", False),
        (view(started="now", timeline=1), "then", False),
        (view(started="now", lag=decide.LAG + 1), "then", False),
        (view(started="now", lag=None), "then", False),
        (view(leader={"leads": False}, started="now"), "then", False),
    ],
)
def test_when_it_is_done(found, before, done):
    assert reinit.follows(found, "b", before) is done


def test_its_state():
    assert reinit.state_of(view(**BROKEN), "b") == "start failed"
    assert reinit.state_of(view(), "c") == "unknown"
