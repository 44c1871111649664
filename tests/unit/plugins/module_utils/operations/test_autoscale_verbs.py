# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be asked of autoscale.yml on the command line, and the sentence for what may not."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import autoscale_verbs
from ansible_collections.scaleout.platform.plugins.module_utils.operations.autoscale_verbs import Verb
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform

PLATFORM = Platform({"vm1": {}}, {"web": ["vm1"]}, applications={"shop": Application("shop", "web", "app")})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Verb("cycle")),
        ({"scaleout_handed_over": "4711"}, Verb("cycle")),
        ({"application": "shop"}, Verb("cycle", "shop", "web")),
        ({"application": "web"}, Verb("cycle", "web", "web")),
        ({"pause": "2h", "why": "The sale"}, Verb("pause", "", "_all", "2h", "The sale")),
        ({"pause": 90, "why": "The sale", "application": "shop"}, Verb("pause", "shop", "web", "90", "The sale")),
        ({"resume": True}, Verb("resume")),
        ({"resume": "true", "application": "shop"}, Verb("resume", "shop", "web")),
        ({"resume": "false"}, Verb("cycle")),
    ],
)
def test_a2_what_may_be_asked(given, expected):
    assert autoscale_verbs.read(PLATFORM, given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"pause": "2h"}, ["why: None is no reason, and a pause needs one: -e \"why='…'\"."]),
        ({"why": "The sale"}, ["why: 'The sale' is the reason of a pause, and there is no pause: -e pause=2h."]),
        (
            {"application": "shpo", "pause": "2 weeks", "resume": "yes"},
            [
                "application: 'shpo' is not an application; there is shop.",
                "resume: 'yes' is given beside pause; use one of the two.",
                "pause: '2 weeks' is not a time such as 2h, 30m, 90s, 1d, or a number of seconds.",
                "why: None is no reason, and a pause needs one: -e \"why='…'\".",
            ],
        ),
        ({"resume": "perhaps"}, ["resume: 'perhaps' is not true or false."]),
        ({"count": 5}, ["count: 5 is no business of autoscale.yml; use scale.yml."]),
    ],
)
def test_p1_all_that_is_wrong_is_said_at_once(given, expected):
    with pytest.raises(ScaleoutError) as refused:
        autoscale_verbs.read(PLATFORM, given)
    assert refused.value.code == "invalid_input"
    assert refused.value.facts.get("problems", [refused.value.message]) == expected


@pytest.mark.parametrize(
    ("verb", "paused", "expected"),
    [
        (Verb("pause"), {"until": 1600.0, "why": "The sale", "by": "ops"},
         "all pools: paused for another 600 s by ops: The sale"),
        (Verb("resume", "shop", "web"), None, "web: not paused"),
        # That of all pools still holds it.
        (Verb("resume", "shop", "web"), {"until": 1060.0, "why": "Works", "by": ""},
         "web: paused for another 60 s: Works"),
    ],
)  # fmt: skip
def test_a2_the_brake_is_shown(verb, paused, expected):
    assert autoscale_verbs.told(verb, {"paused": paused}, 1000.0) == expected
