# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be asked of scale.yml, and the one sentence for what may not."""

from __future__ import annotations

import json
import re

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.members.asked import CLEAN_UP, Asked, bounds, of, read
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform, Pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import read as read_action


def platform(*applications, **variables):
    hosts = {name: {"scale_minimum": 2, "scale_maximum": 8, **variables} for name in ("api1", "api2", "pg1", "web1")}
    groups = {"api": ["api1", "api2"], "web": ["web1"], "postgres": ["pg1"], "loadbalancer": ["web1"]}
    return Platform(hosts, groups, applications={one.name: one for one in applications})


ONE = platform(Application("reference_api", "api", "reference_api"))
TWO = platform(
    Application("shop", "api", "app", pool=Pool(3, 6)),
    Application("search", "api", "app", pool=Pool(1, 5)),
    Application("site", "web", "app"),
)


@pytest.mark.parametrize(
    ("inventory", "given", "asked"),
    [
        (ONE, {"api": "5"}, Asked("api", ("reference_api",), 5)),
        (ONE, {"api": 5, "unrelated": "x"}, Asked("api", ("reference_api",), 5)),
        (ONE, {"reference_api": 3}, Asked("api", ("reference_api",), 3)),
        (ONE, {"application": "reference_api", "count": "4"}, Asked("api", ("reference_api",), 4)),
        (ONE, {"application": "api", "count": 4}, Asked("api", ("reference_api",), 4)),
        (ONE, {"count": 4}, Asked("api", ("reference_api",), 4)),
        (ONE, {"leave": "api2"}, Asked("api", ("reference_api",), None, ("api2",))),
        (ONE, {"api": 3, "leave": "api2, api1"}, Asked("api", ("reference_api",), 3, ("api2", "api1"))),
        (ONE, {"api": 3, "leave": ["api2"]}, Asked("api", ("reference_api",), 3, ("api2",))),
        (TWO, {"search": 4}, Asked("api", ("shop", "search"), 4)),
        (TWO, {"application": "site", "count": 2}, Asked("web", ("site",), 2)),
    ],
)
def test_what_may_be_asked(inventory, given, asked):
    assert read(inventory, given) == asked


@pytest.mark.parametrize(
    ("inventory", "given", "code", "sentence"),
    [
        (ONE, {"api": "0"}, "invalid_input", "api: '0' is not how many members there should be"),
        (ONE, {"api": "-1"}, "invalid_input", "api: '-1' is not how many"),
        (ONE, {"api": "many"}, "invalid_input", "api: 'many' is not how many"),
        (ONE, {"api": True}, "invalid_input", "api: True is not how many"),
        (ONE, {"application": "api", "count": "4.5"}, "invalid_input", "count: '4.5' is not how many"),
        (ONE, {"api": "9"}, "invalid_input", "count: 9 is above the maximum of api, 8."),
        (ONE, {"api": "1"}, "invalid_input", "count: 1 is below the minimum of api, 2."),
        (TWO, {"shop": "6"}, "invalid_input", "count: 6 is above the maximum of api, 5."),
        (ONE, {}, "invalid_input", "count: None is not set: how many members is api to have?"),
        (TWO, {}, "invalid_input", "application: None is not set; say -e application=NAME -e count=5, or -e NAME=5"),
        (ONE, {"application": "cart", "count": 3}, "invalid_input", "application: 'cart' is not an application; there"),
        (ONE, {"api": 3, "count": 4}, "invalid_input", "count: 4 is given beside api, which says it already."),
        (ONE, {"api": 3, "application": "api"}, "invalid_input", "api: 3 is given beside application; use one of"),
        (TWO, {"shop": 3, "site": 2}, "invalid_input", "site: 2 is given beside shop; scale one pool at a time."),
        (ONE, {"api": 3, "leave": 7}, "invalid_input", "leave: 7 is not the name of a member"),
        (ONE, {"postgres": 3}, "not_scalable", "The group postgres does not grow by a number, because its hosts hold"),
        (ONE, {"application": "loadbalancer", "count": 3}, "not_scalable", "add its address where clients look it up."),
    ],
)
def test_what_may_not(inventory, given, code, sentence):
    with pytest.raises(ScaleoutError, match=re.escape(sentence)) as refused:
        read(inventory, given)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("inventory", "group", "expected"),
    [
        (ONE, "api", (2, 8)),
        (TWO, "api", (3, 5)),
        (TWO, "web", (2, 8)),
        # What is said of one pool counts instead of what is said of all of them, in both directions.
        (platform(Application("shop", "api", "app", pool=Pool(1, 20))), "api", (1, 20)),
        (platform(Application("shop", "api", "app", pool=Pool(None, 20))), "api", (2, 20)),
        (platform(scale_minimum=None, scale_maximum=None), "api", (1, None)),
    ],
)
def test_whose_bounds_count(inventory, group, expected):
    assert bounds(inventory, group) == expected


def test_a_request_is_handed_on_whole():
    request = Asked("api", ("shop", "search"), 4, ("api2",), "rule cpu > 70", "cpu 84 %", ("api2",))
    assert of(json.loads(json.dumps(request.document()))) == request


@pytest.mark.parametrize(
    ("request_", "before", "expected"),
    [
        (Asked("api", (), 4), 3, ("up", 3, 4, [])),
        (Asked("api", (), 2), 3, ("down", 3, 2, [])),
        (Asked("api", (), None, ("api2",)), 3, ("down", 3, 2, [])),
        # A run that finishes what an earlier one began changes no size.
        (Asked("api", (), 3), 3, None),
        (Asked("api", (), 3, ("api2",)), 3, ("up", 3, 3, ["api2"])),
        (Asked("api", (), 4, ("api2",), "rule cpu > 70", "", ("api2",)), 3, ("up", 3, 4, ["api2"])),
        (Asked("api", (), 2, ("api3",), CLEAN_UP), 3, None),
    ],
)
def test_a2_which_action_a_request_is(request_, before, expected):
    action = request_.action(before)
    if expected is None:
        assert action is None
        return
    assert (action["direction"], action["from"], action["to"], action["replaced"]) == expected
    assert read_action({**action, "started": 1.0}).by == request_.by


def test_whom_a_person_asks_and_whom_a_decision():
    manual, decided, left = (
        Asked("api", (), 4),
        Asked("api", (), 4, by="rule cpu > 70"),
        Asked("api", (), 4, by=CLEAN_UP),
    )
    assert [one.is_manual for one in (manual, decided, left)] == [True, False, False]
    assert [one.is_watched for one in (manual, decided, left)] == [False, True, False]
