# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a decision means: rows for each sentence of docs/scaling-decisions.md; their ids name it."""

from __future__ import annotations

import pytest

from .world import CPU, NOW, UP_ONLY, action, case, decided, policy_of, pool_of, samples

TRIGGER = {"metric": "cpu", "condition": "gt", "threshold": 80, "duration": 60, "action": "scale_up"}
TARGET = {"metric": "cpu", "target": 60}
MEMORY_TRIGGER = {**TRIGGER, "metric": "memory", "threshold": 90}
CALLS = {"metric": "cpu", "condition": "gt", "threshold": 90}


def of(a, b, c, **span):
    """Readings of three members with a value of cpu each; None for one that is silent."""
    return [
        one
        for name, cpu in zip("abc", (a, b, c), strict=True)
        if cpu is not None
        for one in samples(names=name, cpu=cpu, **span)
    ]


def triggered(**keys):
    return policy_of(rules=[], triggers=[{**TRIGGER, **keys}])


def targeted(**keys):
    return policy_of(targets=[{**TARGET, **keys}], rules=[])


def aged(*ages, cpu=80, names="abc"):
    return [{"instance": name, "at": NOW - age, "values": {"cpu": cpu}} for name in names for age in ages]


JUDGED = [
    case({"readings": of(95, 95, 10)}, "none", id="J1-mean-of-three-members"),
    case({"readings": of(95, 95, 10), "pool": pool_of(c={"healthy": False})}, "up 4", id="J1-unhealthy-hides-no-one"),
    case({"readings": of(95, 95, 10), "pool": pool_of(c={"in_rotation": False})}, "up 4", id="J1-draining-has-no-say"),
    case({"readings": of(95, 95, 10), "pool": pool_of(c={"since": NOW - 59})}, "up 4", id="J1-J7-warming-has-no-say"),
    case({"readings": of(95, 95, 10), "pool": pool_of(c={"since": NOW - 500})}, "none", id="J1-J7-warmed-up-has-a-say"),
    case(
        {"policy": policy_of(rules=[{"metric": "requests", "threshold": 140}]), "readings": samples(requests=100)},
        "none",
        id="J3-a-rate-is-per-server",
    ),
    case(
        {
            "policy": policy_of(rules=[{"metric": "requests", "threshold": 200, "scope": "total"}]),
            "readings": samples(requests=100),
        },
        "up 4",
        id="J3-scope-total-is-the-sum",
    ),
    case({"readings": samples(cpu=101)}, "none", id="J3-cpu-above-100-is-garbage"),
    case({"readings": samples(cpu=float("nan"))}, "none", id="J3-nan-is-garbage"),
    case({"readings": samples(cpu=-1)}, "none", id="J3-negative-is-garbage"),
    case({"readings": samples(cpu=True)}, "none", id="J3-boolean-is-garbage"),
    case({"readings": samples(cpu="80")}, "none", id="J3-text-is-garbage"),
    case({"policy": policy_of(rules=[UP_ONLY]), "readings": samples(cpu=70)}, "none", id="J6-gt-is-strict"),
    case({"readings": samples(cpu=70.0001)}, "up 4", id="J6-gt-above"),
    case({"policy": triggered(condition="lt"), "readings": samples(cpu=80)}, "none", id="J6-lt-is-strict"),
    case({"policy": triggered(condition="lt"), "readings": samples(cpu=79.999)}, "up 4", id="J6-lt-below"),
    case({"policy": triggered(condition="eq"), "readings": samples(cpu=80 * (1 + 9e-10))}, "up 4", id="J6-eq-within"),
    case({"policy": triggered(condition="eq"), "readings": samples(cpu=80 * (1 + 2e-9))}, "none", id="J6-eq-outside"),
    case({"history": [action(ago=300)], "readings": samples(300)}, "up 4", id="J6-elapsed-that-equals-a-limit"),
    case({"history": [action(ago=299)], "readings": samples(299)}, "hold cooldown", id="J6-a-second-before"),
    case(
        {"policy": targeted(), "readings": of(90, 90, None), "pool": pool_of(c={"since": NOW - 30})},
        "none",
        id="J7-a-target-counts-the-warming-as-ordered",
    ),
]

WINDOWS = [
    case({"readings": samples(60)}, "up 4", id="B1-the-oldest-is-exactly-duration-old"),
    case({"readings": samples(59, every=14)}, "none", id="B1-the-oldest-is-too-young"),
    case({"readings": [*samples(60), *samples(30, until=30, names="abc", cpu=10)]}, "none", id="B1-one-calm-sample"),
    case({"readings": aged(60, 45, 30, 15)}, "up 4", id="B1-80-percent-of-the-samples"),
    case({"readings": aged(60, 45, 15)}, "none", id="B1-less-than-80-percent"),
    case({"readings": aged(60, 55, 50, 45, 0)}, "up 4", id="B1-a-gap-of-exactly-three-intervals"),
    case({"readings": aged(60, 55, 50, 46, 0)}, "none", id="B1-a-gap-of-more"),
    case(
        {"policy": triggered(threshold=75, duration=300), "readings": samples(315, until=30)},
        "up 4",
        id="B1-the-newest-is-exactly-two-intervals-old",
    ),
    case(
        {"policy": triggered(threshold=75, duration=300), "readings": samples(316, until=31)},
        "none",
        id="B1-the-newest-is-older",
    ),
    case({"readings": aged(65, 50, 35, 20, 5)}, "up 4", id="B1-samples-between-the-ticks"),
    case({"policy": triggered(duration=0), "readings": aged(30, cpu=81)}, "up 4", id="B1-duration-0-takes-the-newest"),
    case({"policy": triggered(duration=0), "readings": aged(31, cpu=81)}, "none", id="B1-duration-0-and-too-old"),
    case({"policy": triggered(duration=0), "readings": aged(15, 0, cpu=81) + aged(0, cpu=10)}, "none", id="B1-B5-both"),
    case({"readings": of(80, 80, None)}, "up 4", id="B2-more-than-half-report"),
    case(
        {"readings": of(80, None, None), "pool": pool_of(b={"reached": False}, c={"reached": False})},
        "none",
        id="B2-less-than-half-report",
    ),
    case({"readings": of(80, None, None)}, "up 4", id="B2-reached-and-silent-counts-as-breaching"),
    case(
        {"readings": of(80, None, None), "pool": pool_of(c={"reached": False})}, "up 4", id="B2-one-reached-is-enough"
    ),
    case({"readings": of(60, None, None)}, "none", id="B2-reached-and-silent-if-all-that-report-breach"),
    case(
        {"readings": samples(names="ab"), "pool": pool_of("abcd", c={"reached": False}, d={"reached": False})},
        "none",
        id="B2-exactly-half-is-not-more",
    ),
    case({"readings": []}, "none", id="B2-B4-nothing-known-is-no-breach"),
    case({"readings": of(20, 20, None)}, "none", id="B2-shrinking-needs-every-member"),
    case({"readings": of(20, 20, 20)}, "down 2", id="B2-every-member-reports"),
    case(
        {"readings": of(20, 20, 20), "pool": pool_of("abcd", d={"healthy": False})},
        "hold missing_data",
        id="B2-a-silent-member-vetoes-though-it-is-not-healthy",
    ),
    case(
        {
            "policy": policy_of(rules=[CPU, {"metric": "requests", "threshold": 1000}]),
            "readings": of(20, 20, 20),
        },
        "hold projection",
        id="B2-shrinking-needs-every-metric",
    ),
    case(
        {"readings": samples(1845, cpu=20) + samples(1845, until=1800, names="d", cpu=20), "pool": pool_of("abcd")},
        "down 3",
        id="B2-dead-after-ends-the-veto",
    ),
    case(
        {"readings": samples(1845, cpu=20) + samples(1845, until=1785, names="d", cpu=20), "pool": pool_of("abcd")},
        "none",
        id="B2-a-moment-before-dead-after",
    ),
    case(
        {"readings": samples(cpu=20), "pool": pool_of("abcd", d={"failed": True})},
        "down 3",
        id="B2-declared-failed-is-dead-at-once",
    ),
    case(
        {"readings": samples(cpu=60), "pool": pool_of("abcd", d={"failed": True})},
        "none",
        id="B2-a-dead-member-is-no-action-of-its-own",
    ),
    case(
        {"policy": policy_of(max=4), "readings": samples(), "pool": pool_of("abcd", d={"failed": True})},
        "up 4",
        id="B2-a-dead-member-is-replaced-at-the-maximum",
    ),
    case({"readings": [{"instance": "a", "at": NOW, "values": {}}]}, "none", id="B4-an-empty-answer-is-not-zero"),
    case({"readings": samples(cpu=80) + samples(cpu=80)}, "up 4", id="B5-duplicates-count-once"),
    case({"readings": aged(60, 0) * 9}, "none", id="B5-duplicates-do-not-make-the-80-percent"),
    case({"readings": samples(cpu=80) + samples(cpu=60)}, "none", id="B5-two-values-breach-only-if-both-do"),
    case({"readings": samples(cpu=20) + samples(cpu=60)}, "none", id="B5-two-values-are-calm-only-if-both-are"),
    case({"readings": samples(cpu=80)[::-1]}, "up 4", id="B5-order-changes-nothing"),
    case({"policy": triggered(duration=0), "readings": aged(-5, cpu=81)}, "up 4", id="B5-five-seconds-ahead"),
    case({"policy": triggered(duration=0), "readings": aged(-6, cpu=81)}, "none", id="B5-further-ahead-is-dropped"),
    case(
        {"policy": policy_of(rules=[{**CPU, "up": {"cooldown": 0}}]), "history": [action(ago=59)]},
        "none",
        id="B6-windows-start-again",
    ),
    case(
        {"policy": policy_of(rules=[{**CPU, "up": {"cooldown": 0}}]), "history": [action(ago=60)]},
        "up 4",
        id="B6-a-whole-window-since-the-action",
    ),
    case(
        {"policy": policy_of(rules=[{**CPU, "up": {"cooldown": 0}}]), "history": [action(ago=30, outcome="failed")]},
        "up 4",
        id="B6-a-failed-action-changes-no-window",
    ),
]

TWO = [{**CPU, "up": {"step": 2, "cooldown": 180}}]
WINNERS = [
    case(
        {"policy": policy_of(rules=[CPU, *TWO[:0]], triggers=[{**TRIGGER, "threshold": 75, "step": 3}])},
        "up 6",
        id="W1-the-most-capacity-wins",
    ),
    case(
        {
            "policy": policy_of(
                rules=[CPU], triggers=[{**TRIGGER, "metric": "memory", "condition": "lt", "action": "scale_down"}]
            ),
            "readings": samples(cpu=80, memory=10),
        },
        "up 4",
        id="W1-up-beats-down",
    ),
    case(
        {
            "policy": policy_of(rules=[{**CPU, "down": {"step": 2}}, {"metric": "requests", "threshold": 1000}]),
            "readings": samples(cpu=5, requests=5),
        },
        "down 2",
        id="W1-the-smaller-shrink-wins",
    ),
    case({"history": [action("down", ago=1)], "readings": samples(0)}, "none", id="W2-B6-no-window-after-a-shrink"),
    case({"history": [action("down", ago=61)]}, "up 4", id="W2-growth-does-not-wait-for-shrinking"),
    case(
        {"history": [action("up", ago=599)], "readings": samples(599, cpu=20)},
        "hold cooldown",
        id="W2-shrinking-waits-for-growth",
    ),
    case({"history": [action("up", ago=600)], "readings": samples(600, cpu=20)}, "down 2", id="W2-and-no-longer"),
    case(
        {"history": [action("down", ago=599)], "readings": samples(599, cpu=20)},
        "hold cooldown",
        id="W2-shrinking-waits-for-shrinking",
    ),
    case(
        {"history": [action("down", ago=599, outcome="failed")], "readings": samples(cpu=20)},
        "hold cooldown",
        id="W2-also-for-one-that-failed",
    ),
    case(
        {"policy": triggered(threshold=75), "history": [action(ago=299)]}, "hold cooldown", id="W2-a-trigger-waits-300"
    ),
    case({"policy": triggered(threshold=75), "history": [action(ago=300)]}, "up 4", id="W2-a-trigger-after-300"),
    case({"policy": policy_of(rules=TWO), "history": [action(ago=180)]}, "up 5", id="W2-the-length-of-who-asks-now"),
    *(
        case(
            {
                "policy": policy_of(guards=[{"metric": "pooler_wait", "condition": "gt", "threshold": 1}]),
                "readings": [*samples(), {"instance": "pg1", "at": NOW - age, "values": {"pooler_wait": wait}}],
            },
            expected,
            id=f"W3-{name}",
        )
        for age, wait, expected, name in (
            (0, 2, "hold guard", "a-guard-holds-growth"),
            (0, 1, "up 4", "a-guard-is-strict"),
            (31, 2, "up 4", "a-guard-that-is-too-old"),
        )
    ),
    case(
        {
            "policy": policy_of(guards=[{"metric": "pooler_wait", "condition": "gt", "threshold": 1}]),
            "readings": [*samples(cpu=20), {"instance": "pg1", "at": NOW, "values": {"pooler_wait": 2}}],
        },
        "down 2",
        id="W3-a-guard-does-not-hold-shrinking",
    ),
    case({"readings": samples(cpu=46.6)}, "down 2", id="W4-the-load-fits-on-two"),
    case({"readings": samples(cpu=70 * 2 / 3)}, "none", id="W4-strictly-below"),
    case(
        {"readings": samples(300, cpu=46.6) + samples(300, until=300, cpu=46.8)},
        "hold projection",
        id="W4-at-each-instant-of-the-window",
    ),
    case({"readings": samples(299, every=13, cpu=20)}, "hold projection", id="W4-the-whole-window-has-to-be-known"),
    case(
        {"policy": policy_of(rules=[{**CPU, "down": {"step": 2}}]), "readings": samples(cpu=30)},
        "down 2",
        id="W4-a-step-shrinks-to-what-fits",
    ),
    case(
        {"policy": policy_of(rules=[{**CPU, "down": {"step": 2}}]), "readings": samples(cpu=23)},
        "down 1",
        id="W4-a-step-that-fits",
    ),
    case(
        {"policy": policy_of(rules=[CPU], triggers=[{**TRIGGER, "threshold": 65}]), "readings": samples(cpu=45)},
        "hold projection",
        id="W4-below-every-trigger-that-grows",
    ),
    case(
        {
            "policy": policy_of(rules=[CPU], triggers=[{**TRIGGER, "threshold": 65, "action": "alert"}]),
            "readings": samples(cpu=45),
        },
        "down 2",
        id="W4-an-alert-is-none-of-them",
    ),
    case(
        {"policy": policy_of(rules=[CPU], triggers=[MEMORY_TRIGGER]), "readings": samples(cpu=20, memory=80)},
        "down 2",
        id="W4-memory-of-a-trigger-stays",
    ),
    case(
        {
            "policy": policy_of(rules=[CPU], triggers=[{**MEMORY_TRIGGER, "follows_load": True}]),
            "readings": samples(cpu=20, memory=80),
        },
        "hold projection",
        id="W4-memory-that-follows-the-load",
    ),
    case(
        {
            "policy": policy_of(rules=[CPU, {"metric": "memory", "threshold": 90}]),
            "readings": samples(cpu=20, memory=80),
        },
        "hold projection",
        id="W4-memory-of-a-rule-follows-the-load",
    ),
    case(
        {"readings": samples(cpu=20), "pool": pool_of(**{name: {"protected": True} for name in "abc"})},
        "hold protected",
        id="W4-protected-members-do-not-go",
    ),
    case(
        {
            "readings": samples(cpu=5),
            "policy": policy_of(rules=[{**CPU, "down": {"step": 3}}]),
            "pool": pool_of(a={"protected": True}, b={"protected": True}),
        },
        "down 2",
        id="W4-only-the-others-go",
    ),
    case(
        {"readings": samples(cpu=20), "pool": pool_of(c={"since": NOW - 59})},
        "hold warm_up",
        id="W4-never-while-warming",
    ),
    case({"readings": samples(names="a", cpu=1), "pool": pool_of("a")}, "none", id="W4-never-to-zero"),
    case(
        {
            "policy": triggered(condition="lt", action="scale_down"),
            "readings": samples(names="a", cpu=1),
            "pool": pool_of("a"),
        },
        "hold minimum",
        id="W4-never-to-zero-by-a-trigger",
    ),
    case({"policy": targeted(), "readings": samples(cpu=80)}, "up 4", id="W5-ceil-of-load-by-target"),
    case({"policy": targeted(), "readings": samples(cpu=100)}, "up 5", id="W5-no-dust-makes-a-member"),
    case({"policy": targeted(), "readings": samples(cpu=66)}, "none", id="W5-the-tolerance-is-inclusive"),
    case({"policy": targeted(), "readings": samples(cpu=66.001)}, "up 4", id="W5-above-the-tolerance"),
    case({"policy": targeted(), "readings": samples(cpu=54)}, "none", id="W5-the-tolerance-below"),
    case(
        {"policy": targeted(tolerance={"up": 40, "down": 10}), "readings": samples(cpu=84)},
        "none",
        id="W5-a-tolerance-per-direction",
    ),
    case({"policy": targeted(), "readings": samples(cpu=39)}, "down 2", id="W5-down"),
    case(
        {"policy": targeted(), "readings": samples(cpu=10) + samples(300, until=300, cpu=39)},
        "down 2",
        id="W5-the-largest-recommendation-of-the-window",
    ),
    case({"policy": targeted(up={"step": 1}), "readings": samples(cpu=100)}, "up 4", id="W5-a-step-that-is-given"),
    case(
        {"policy": policy_of(targets=[TARGET], rules=[CPU]), "readings": samples(cpu=45)},
        "hold projection",
        id="W5-a-target-keeps-what-its-load-takes",
    ),
]

LOCKS = [
    case(
        {"policy": policy_of(min=4, max=5), "history": [action(ago=1)], "readings": []},
        "up 4",
        id="A1-below-the-minimum-no-cooldown-counts",
    ),
    case(
        {"policy": policy_of(min=4), "readings": [], "pool": pool_of(running={"started": NOW - 5})},
        "hold running",
        id="A1-but-a-running-action-does",
    ),
    case({"policy": policy_of(min=6, max_step=2), "readings": []}, "up 5", id="A1-max-step-bounds-every-action"),
    case(
        {
            "policy": policy_of(min=4, guards=[{"metric": "pooler_wait", "condition": "gt", "threshold": 1}]),
            "readings": [{"instance": "pg1", "at": NOW, "values": {"pooler_wait": 2}}],
        },
        "up 4",
        id="A1-W3-no-guard-holds-the-way-to-the-minimum",
    ),
    case(
        {"policy": policy_of(max=2), "readings": samples(cpu=80)},
        "hold projection",
        id="A1-above-the-maximum-no-growth",
    ),
    case({"policy": policy_of(max=2), "readings": samples(cpu=20)}, "down 2", id="A1-shrink-towards-the-maximum"),
    case({"policy": policy_of(max=1), "readings": samples(cpu=40)}, "down 2", id="A1-as-far-as-it-fits"),
    case({"policy": policy_of(max=2), "readings": []}, "hold missing_data", id="A1-hold-where-data-are-missing"),
    case({"policy": policy_of(max=1, enforce_maximum=True), "readings": []}, "down 1", id="A1-enforce-maximum"),
    case({"policy": policy_of(max=3)}, "hold maximum", id="A1-at-the-maximum"),
    case({"policy": policy_of(max=4, rules=[{**CPU, "up": {"step": 5}}])}, "up 4", id="A1-not-above-the-maximum"),
    case({"policy": policy_of(min=3), "readings": samples(cpu=20)}, "hold minimum", id="A1-at-the-minimum"),
    case({"policy": policy_of(max_step=1, rules=[{**CPU, "up": {"step": 5}}])}, "up 4", id="A1-max-step-up"),
    *(
        case(
            {
                "readings": samples(1000, cpu=cpu),
                "history": [action("up" if turn % 2 else "down", ago=first - turn) for turn in range(turns)],
            },
            expected,
            id=f"A1-{name}",
        )
        for cpu, first, turns, expected, name in (
            (20, 1000, 6, "hold flapping", "five-changes-hold-shrinking"),
            (20, 1000, 5, "down 2", "four-changes-do-not"),
            (80, 1000, 6, "up 4", "growth-goes-on"),
            (20, 3601, 6, "down 2", "a-change-that-is-an-hour-old"),
        )
    ),
    case({"pool": pool_of(paused={"until": NOW + 1, "why": "sale"})}, "hold paused", id="A2-paused"),
    case({"pool": pool_of(paused={"until": NOW, "why": "sale"})}, "up 4", id="A2-a-pause-ends-by-itself"),
    case(
        {"pool": pool_of(paused={"until": NOW + 1, "why": "sale"}), "readings": samples(cpu=60)},
        "none",
        id="A2-R1-paused-and-no-one-asks",
    ),
    case(
        {"policy": policy_of(max=3), "pool": pool_of("abc", desired=2)}, "up 3", id="A3-the-size-is-the-desired-count"
    ),
    case({"pool": pool_of(running={"started": NOW - 5})}, "hold running", id="A4-a-running-action-holds-growth"),
    case(
        {"pool": pool_of(running={"started": NOW - 5000}), "readings": samples(cpu=20)},
        "hold running",
        id="A4-it-holds-after-its-time-too",
    ),
    case({"history": [action(ago=5, finished=None, outcome=None)]}, "hold running", id="A4-it-is-known-by-the-history"),
    *(
        case(
            {"history": [action(ago=ago + 90 * one, outcome="failed") for one in range(count)]},
            expected,
            id=f"A4-{count}-failures-{ago}-s",
        )
        for count, ago, expected in (
            (1, 29, "hold back_off"),
            (1, 30, "up 4"),
            (2, 59, "hold back_off"),
            (2, 60, "up 4"),
            (3, 119, "hold back_off"),
            (3, 120, "up 4"),
            (9, 299, "hold back_off"),
            (9, 300, "up 4"),
        )
    ),
    case(
        {"policy": policy_of(min=4), "history": [action(ago=10, outcome="failed")]},
        "hold back_off",
        id="A4-the-way-to-the-minimum-waits-as-well",
    ),
    case({"history": [{}]}, "hold history", id="A7-a-broken-entry"),
    case({"history": [{}], "readings": samples(cpu=60)}, "hold history", id="A7-also-when-no-one-asks"),
    case({"history": [action(ago=-6)]}, "hold history", id="A7-an-entry-from-the-future"),
    case({"history": [action(ago=-5)], "readings": []}, "none", id="A7-clocks-differ-by-five-seconds"),
    case({"history": "yesterday"}, "hold history", id="A7-no-list-at-all"),
    case({"readings": samples(cpu=60)}, "none", id="R1-no-one-asked"),
]


@pytest.mark.parametrize(("given", "expected"), [*JUDGED, *WINDOWS, *WINNERS, *LOCKS])
def test_a_decision(given, expected):
    assert decided(**given) == expected
