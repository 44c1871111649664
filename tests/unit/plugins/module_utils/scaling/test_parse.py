# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a policy may say, and that all of its faults are found at once (P1, B3)."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.fields import InvalidPolicy
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import read

from .world import CPU, NOW, case, policy_of, pool_of

TRIGGER = {"metric": "cpu", "condition": "gt", "threshold": 80, "duration": 300, "action": "scale_up"}
WATCH = {"condition": "gt", "threshold": 1}
WINDOW = {"from": "08:00", "to": "18:00", "time_zone": "Europe/Vienna", "min": 2}


def faults(policy, pool=None, now=NOW):
    with pytest.raises(InvalidPolicy) as caught:
        read(policy, pool or pool_of(), now)
    assert caught.value.code == "invalid_policy"
    return {problem["option"]: problem["text"] for problem in caught.value.facts["problems"]}


def parsed(**keys):
    return read(policy_of(**keys), pool_of(), NOW)[0]


@pytest.mark.parametrize(
    ("policy", "option"),
    [
        case("grow", "policy", id="P1-no-mapping"),
        case({"min": 1, "max": 2}, "policy.interval", id="B3-interval-is-required"),
        case({"interval": 15, "max": 2}, "policy.min", id="A1-min-is-required"),
        case({"interval": 15, "min": 1}, "policy.max", id="A1-max-is-required"),
        case(policy_of(min=3, max=2), "policy.min", id="P1-min-above-max"),
        case(policy_of(min=0), "policy.min", id="P1-W4-never-to-zero"),
        case(policy_of(min=1.5), "policy.min", id="P1-no-whole-number"),
        case(policy_of(min=True), "policy.min", id="P1-a-boolean-is-no-number"),
        case(policy_of(interval="15s"), "policy.interval", id="P1-seconds-only"),
        case(policy_of(interval=0), "policy.interval", id="P1-no-interval"),
        case(policy_of(interval=float("nan")), "policy.interval", id="P1-nan"),
        case(policy_of(warm_up=-1), "policy.warm_up", id="P1-negative-time"),
        case(policy_of(colour=1), "policy.colour", id="P1-unknown-key"),
        case(policy_of(max_step=0), "policy.max_step", id="P1-zero-step"),
        case(policy_of(rules={}), "policy.rules", id="P1-no-list"),
        case(policy_of(rules=[7]), "policy.rules[0]", id="P1-no-rule"),
        case(policy_of(rules=[{**CPU, "metric": "cpus"}]), "policy.rules[0].metric", id="P1-unknown-metric"),
        case(policy_of(rules=[{**CPU, "metric": ["cpu"]}]), "policy.rules[0].metric", id="P1-a-list-is-no-metric"),
        case(policy_of(rules=[{**CPU, "metric": "memory_free"}]), "policy.rules[0].metric", id="P1-it-does-not-rise"),
        case(policy_of(rules=[{**CPU, "threshold": 101}]), "policy.rules[0].threshold", id="P1-above-100-per-cent"),
        case(policy_of(rules=[{**CPU, "threshold": "high"}]), "policy.rules[0].threshold", id="P1-no-number"),
        case(policy_of(rules=[{**CPU, "up": {"step": 0}}]), "policy.rules[0].up.step", id="P1-zero-step-of-a-rule"),
        case(policy_of(rules=[{**CPU, "up": {"step": -1}}]), "policy.rules[0].up.step", id="P1-negative-step"),
        case(
            policy_of(rules=[{**CPU, "up": {"cooldown": -1}}]), "policy.rules[0].up.cooldown", id="P1-negative-cooldown"
        ),
        case(policy_of(rules=[{**CPU, "up": {"wait": 1}}]), "policy.rules[0].up.wait", id="P1-unknown-key-of-a-step"),
        case(policy_of(rules=[{**CPU, "up": 1}]), "policy.rules[0].up", id="P1-no-step"),
        case(policy_of(rules=[{**CPU, "up": False, "down": False}]), "policy.rules[0]", id="P1-a-rule-for-nothing"),
        case(policy_of(rules=[{**CPU, "scope": "total"}]), "policy.rules[0].scope", id="J3-no-total-of-per-cent"),
        case(policy_of(rules=[CPU, CPU]), "policy.rules[1].name", id="P1-duplicate-names"),
        case(
            policy_of(rules=[{**CPU, "duration": 29}]), "policy.rules[0].duration", id="B3-shorter-than-two-intervals"
        ),
        case(policy_of(stabilization=0), "policy.stabilization", id="B3-no-stabilization"),
        *(
            case(policy_of(**{name: value}), f"policy.{name}", id=f"P1-{name}-of-{title}")
            for name in ("interval", "max", "stabilization")
            for title, value in [("400-digits", 10**400), ("400-digits-in-quotes", "1" * 400), ("next-to-0", 1e-320)]
        ),
        case(
            policy_of(targets=[{"metric": "cpu", "target": 1e-320}]), "policy.targets[0].target", id="P1-target-of-dust"
        ),
        case(policy_of(dead_after=299), "policy.dead_after", id="B2-dead-before-silent"),
        case(policy_of(triggers=[{**TRIGGER, "condition": "ge"}]), "policy.triggers[0].condition", id="P1-condition"),
        case(policy_of(triggers=[{**TRIGGER, "action": "grow"}]), "policy.triggers[0].action", id="P1-unknown-action"),
        case(policy_of(triggers=[{**TRIGGER, "duration": None}]), "policy.triggers[0].duration", id="P1-no-duration"),
        case(
            policy_of(triggers=[{**TRIGGER, "action": "alert", "step": 2}]),
            "policy.triggers[0].step",
            id="P1-an-alert-has-no-step",
        ),
        case(
            policy_of(triggers=[{**TRIGGER, "follows_load": True}]),
            "policy.triggers[0].follows_load",
            id="W4-what-follows-anyway",
        ),
        case(policy_of(targets=[{"metric": "cpu", "target": 0}]), "policy.targets[0].target", id="P1-target-of-zero"),
        case(policy_of(targets=[{"metric": "latency", "target": 9}]), "policy.targets[0].metric", id="W5-no-share"),
        case(
            policy_of(targets=[{"metric": "cpu", "target": 60, "tolerance": 101}]),
            "policy.targets[0].tolerance",
            id="P1-tolerance-above-100",
        ),
        case(
            policy_of(alerts=[{**WATCH, "metric": "pooler_wait"}]),
            "policy.alerts[0].metric",
            id="P1-only-a-guard-names-it",
        ),
        case(
            policy_of(guards=[{"metric": "pooler_wait", "threshold": 1}]),
            "policy.guards[0].condition",
            id="P1-half-a-guard",
        ),
        case(policy_of(enforce_maximum="yes"), "policy.enforce_maximum", id="P1-no-boolean"),
        case(policy_of(schedule=[{**WINDOW, "time_zone": "Vienna"}]), "policy.schedule[0].time_zone", id="A3-no-zone"),
        case(policy_of(schedule=[{**WINDOW, "time_zone": "../x"}]), "policy.schedule[0].time_zone", id="A3-a-path"),
        case(policy_of(schedule=[{**WINDOW, "from": "8"}]), "policy.schedule[0].from", id="A3-no-time"),
        case(policy_of(schedule=[{**WINDOW, "to": "25:00"}]), "policy.schedule[0].to", id="A3-no-time-of-the-day"),
        case(policy_of(schedule=[{**WINDOW, "to": "08:00"}]), "policy.schedule[0].to", id="A3-never-open"),
        case(policy_of(schedule=[{**WINDOW, "days": ["monday"]}]), "policy.schedule[0].days", id="A3-no-day"),
        case(policy_of(schedule=[{**WINDOW, "min": None}]), "policy.schedule[0]", id="A3-no-bound"),
        case(policy_of(schedule=[{**WINDOW, "min": 11}]), "policy.schedule", id="A3-min-above-the-own-max"),
        case(
            policy_of(schedule=[{**WINDOW, "min": 6}, {**WINDOW, "from": "17:59", "to": "19:00", "min": 1, "max": 5}]),
            "policy.schedule",
            id="A3-min-above-max-where-windows-overlap",
        ),
    ],
)
def test_what_is_refused(policy, option):
    assert list(faults(policy)) == [option]


def _deep(levels=5000):
    value = []
    for _each in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", ["x" * 10_000, "9" * 5000, _deep(), ["x" * 100] * 100], ids=lambda v: type(v).__name__
)
@pytest.mark.parametrize("name", ["interval", "min", "rules", "schedule", "enforce_maximum", "nonsense"])
def test_a_message_repeats_no_more_of_a_value_than_a_person_reads(name, value):
    """P1: one clear sentence each, whatever was written."""
    with pytest.raises(InvalidPolicy) as caught:
        read(policy_of(**{name: value}), pool_of(), NOW)
    lines = caught.value.message.splitlines()
    assert any(line.startswith(f"- policy.{name}") for line in lines)
    assert max(map(len, lines)) < 400


def test_all_faults_at_once():
    """P1: of the policy, the pool and the time."""
    pool = {"desired": -1, "members": [{"name": "a"}, {"name": "a"}, {"name": "b", "healthy": "yes", "zone": 1}]}
    policy = policy_of(min=5, max=2, rules=[{"metric": "cpus", "threshold": "5m", "up": {"step": 0}}], schedule=[{}])
    assert list(faults(policy, pool, now=-1)) == [
        "policy.min",
        "policy.rules[0].metric",
        "policy.rules[0].threshold",
        "policy.rules[0].up.step",
        "policy.schedule[0].from",
        "policy.schedule[0].to",
        "policy.schedule[0]",
        "policy.schedule[0].time_zone",
        "pool.desired",
        "pool.members[1].name",
        "pool.members[2].healthy",
        "pool.members[2].zone",
        "now",
    ]


def test_defaults_are_those_of_the_documentation():
    policy, _pool = read({"min": 3, "max": 9, "interval": 15}, pool_of(), NOW)
    steps = {rule.name: (rule.up.size, rule.up.cooldown, rule.down.size, rule.down.cooldown) for rule in policy.rules}
    assert steps == {"cpu > 70": (1, 300, 1, 600), "requests > 1000": (2, 180, 1, 600)}
    assert [(one.metric, one.threshold, one.duration, one.action) for one in policy.triggers] == [
        ("cpu", 80, 300, "scale_up"),
        ("memory", 90, 300, "scale_up"),
        ("application", 1000, 60, "scale_up"),
    ]
    assert [(one.metric, one.condition, one.threshold, one.duration) for one in policy.alerts] == [
        ("cpu", "gt", 90, 0),
        ("memory_free", "lt", 100, 0),
        ("errors", "gt", 100, 0),
    ]
    assert (policy.warm_up, policy.stabilization, policy.dead_after, policy.action_timeout) == (60, 300, 1800, 900)
    assert policy.warnings == ()


@pytest.mark.parametrize(
    ("keys", "attribute", "expected"),
    [
        case({"interval": "15.5"}, "interval", 15.5, id="P1-decimals-in-quotes"),
        case({"rules": []}, "triggers", (), id="who-writes-one-kind-has-only-that"),
        case({"rules": [], "alerts": []}, "rules", (), id="P1-empty"),
    ],
)
def test_what_is_read(keys, attribute, expected):
    assert getattr(parsed(**keys), attribute) == expected


def test_a_default_duration_has_room_for_two_samples():
    """B3: only a duration that someone wrote can be too short."""
    policy, _pool = read({"min": 1, "max": 2, "interval": 200}, pool_of(), NOW)
    assert [rule.duration for rule in policy.rules] == [400, 400]
    assert [trigger.duration for trigger in policy.triggers] == [400, 400, 400]
    assert policy.stabilization == 400


@pytest.mark.parametrize(
    ("keys", "warned"),
    [
        case({"rules": []}, "watches nothing", id="P1-nothing-to-watch"),
        case({"rules": [{"metric": "requests", "threshold": 9, "scope": "total"}]}, "a total", id="J3-total-runs-away"),
    ],
)
def test_what_is_warned_of(keys, warned):
    assert [warned in text for text in parsed(**keys).warnings] == [True]


def test_a_policy_that_only_alerts_is_no_reason_to_warn():
    """P1."""
    assert not parsed(rules=[], alerts=[{"metric": "cpu", "condition": "gt", "threshold": 90}]).warnings
