# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory may say of how its pools change their size, and the sentence for what it may not (P1)."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations import scaling_policy
from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Platform,
    Pool,
    Server,
)
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.fields import InvalidPolicy

API = "scaleout.platform.reference_api"
POOL = Pool(2, 6)


def platform(scaling, pool=POOL, role="scaleout.platform.app", shards=0, **variables):
    hosts = {name: dict(variables) for name in ("vm1", "vm2")}
    cluster = Cluster("pg1", (Server("vm1", "a", 5432, 6432),), tuple(range(shards)))
    shop = Application("shop", "web", role, "shop", 8000, pool=pool, scaling=scaling)
    return Platform(hosts, {"web": ["vm1", "vm2"]}, {"pg1": cluster}, {"shop": shop})


def said(of):
    return [problem.text for problem in scaling_policy.problems(of)]


def test_without_a_policy_nothing_scales_the_pool():
    assert scaling_policy.policies(platform(None)) == {}
    assert said(platform(None)) == []
    assert scaling_policy.of_group(platform(None), "web") == {}


@pytest.mark.parametrize(
    ("pool", "variables", "expected"),
    [
        (Pool(2, 6), {}, (2, 6)),
        (Pool(None, 6), {}, (1, 6)),
        (Pool(None, None), {"scale_minimum": 2, "scale_maximum": "4"}, (2, 4)),
    ],
)
def test_the_bounds_are_those_of_the_pool(pool, variables, expected):
    policy = scaling_policy.policies(platform({"interval": 15}, pool, **variables))["shop"]
    assert (policy.bounds.minimum, policy.bounds.maximum) == expected
    # As scaling_decision has them.
    assert [rule.name for rule in policy.rules] == ["cpu > 70", "requests > 1000"]


@pytest.mark.parametrize(
    ("scaling", "pool", "expected"),
    [
        ("fast", Pool(2, 6), ["applications: shop: scaling: 'fast' is not a mapping"]),
        ({}, Pool(2, 6), ["applications: shop: scaling.interval: is required"]),
        ({"interval": 15}, Pool(2), ["applications: shop: pool.max: is required for a pool with scaling"]),
        (
            {"interval": 15, "max": 9, "rules": [{"metric": "cpus", "threshold": "70 %"}]},
            Pool(2, 6),
            [
                "applications: shop: scaling.max: is said by the pool: write it as pool.max",
                "applications: shop: scaling.rules[0].metric: 'cpus' is not a metric that rises with the load; there "
                "is cpu, memory, requests, application, errors, network or latency",
                "applications: shop: scaling.rules[0].threshold: '70 %' is not a number",
            ],
        ),
    ],
)
def test_p1_all_faults_at_once_by_their_options(scaling, pool, expected):
    of = platform(scaling, pool)
    assert said(of) == expected
    assert {problem.code for problem in scaling_policy.problems(of)} == {"invalid_policy"}
    assert scaling_policy.policies(of) == {}
    with pytest.raises(InvalidPolicy):
        scaling_policy.of_group(of, "web")


@pytest.mark.parametrize(
    ("scaling", "refused"),
    [
        ({"interval": 15}, False),
        # A window of the schedule may raise the maximum.
        (
            {
                "interval": 15,
                "schedule": [{"from": "08:00", "to": "18:00", "time_zone": "UTC", "max": 60}],
            },
            True,
        ),
    ],
)
def test_w3_a_maximum_that_the_pooler_cannot_carry_is_refused(scaling, refused):
    (*problems,) = scaling_policy.problems(platform(scaling, role=API, shards=2))
    assert [problem.code for problem in problems] == (["too_few_connections"] if refused else [])
    assert scaling_policy.problems(platform({"interval": 15}, Pool(2, 60), API, 2))[0].code == "too_few_connections"
    assert not scaling_policy.warnings(platform({"interval": 15}, Pool(2, 60), API, 2)), "said twice"
    # What only a person would do is a warning.
    by_hand = platform(None, Pool(2, 60), API, 2)
    assert not scaling_policy.problems(by_hand)
    assert [problem.code for problem in scaling_policy.warnings(by_hand)] == ["too_few_connections"]


def test_what_is_probably_not_meant_is_a_warning():
    (warning,) = scaling_policy.warnings(platform({"interval": 15, "rules": [], "alerts": []}))
    assert warning.code == "doubtful_policy"
    assert warning.text.startswith("applications: shop: scaling: The policy watches nothing")
