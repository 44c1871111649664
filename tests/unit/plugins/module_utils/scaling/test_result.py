# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A decision explains itself (R1), and says what a person should know (B2, B3, B5, A1, A4)."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scaleout.platform.plugins.modules import scaling_decision

from .world import NOW, action, case, decision, policy_of, pool_of, samples

CPU_ALERT = {"metric": "cpu", "condition": "gt", "threshold": 90}
ALERTS = policy_of(alerts=[CPU_ALERT])

WAIT = {"metric": "pooler_wait", "condition": "gt", "threshold": 1}


def waits(ago, instance="pg1"):
    return {"instance": instance, "at": NOW - ago, "values": {"pooler_wait": 0}}


def keys(*arguments, **keywords):
    return [alert.key for alert in decision(*arguments, **keywords).alerts.now]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        case(
            {"policy": ALERTS, "readings": samples(cpu=91)},
            [f"metric:cpu > 90:{m}" for m in "abc"],
            id="J1-each-member",
        ),
        case({"policy": ALERTS, "readings": samples(cpu=90)}, [], id="J6-strict"),
        case(
            {"policy": ALERTS, "readings": [*samples(cpu=50), *samples(0, names="b", cpu=91)]},
            [],
            id="B3-B5-two-values-for-one-instant",
        ),
        case(
            {"policy": ALERTS, "readings": [*samples(until=15, cpu=50), *samples(0, cpu=91, names="b")]},
            ["metric:cpu > 90:b"],
            id="B3-duration-0-the-newest",
        ),
        case(
            {
                "policy": policy_of(triggers=[{**CPU_ALERT, "duration": 60, "action": "alert"}], rules=[]),
                "readings": samples(cpu=91, names="ab") + samples(45, cpu=91, names="c"),
            },
            ["metric:cpu > 90:a", "metric:cpu > 90:b"],
            id="B1-a-trigger-that-alerts",
        ),
        case(
            {"readings": samples(names="ab") + samples(600, until=300, names="c")}, ["silent:c"], id="B2-silent-300-s"
        ),
        case({"readings": samples(names="ab") + samples(600, until=299, every=1, names="c")}, [], id="B2-silent-299-s"),
        case({"readings": samples(names="ab"), "pool": pool_of(c={"since": NOW - 299})}, [], id="B2-it-has-just-begun"),
        case(
            {"readings": samples(2000) + samples(2000, until=1800, names="d"), "pool": pool_of("abcd")},
            ["silent:d", "dead:d"],
            id="B2-dead",
        ),
        case(
            {"readings": samples(3600, until=1805)},
            ["silent:a", "silent:b", "silent:c"],
            id="B2-a-store-that-stopped-kills-no-member",
        ),
        case(
            {"readings": samples(5000, until=4000) + samples(0, names="a")},
            ["silent:b", "silent:c"],
            id="B2-nor-does-one-that-comes-back",
        ),
        case(
            {"policy": policy_of(rules=[{"metric": "requests", "threshold": 9}])},
            [f"missing:requests:{m}" for m in "abc"],
            id="B2-a-metric-that-never-comes",
        ),
        case(
            {"policy": policy_of(rules=[{"metric": "requests", "threshold": 9}]), "readings": samples(299)},
            [],
            id="B2-a-metric-that-may-come-yet",
        ),
        case(
            {"readings": [*samples(), {"instance": "a", "at": NOW + 6, "values": {"cpu": 1}}]},
            ["clock:a"],
            id="B5-clock",
        ),
        case({"readings": [*samples(), *samples(0, names="a", cpu=-1)]}, ["garbage:cpu:a"], id="J3-garbage"),
        case({"readings": [*samples(), None, {"at": NOW}]}, ["garbage"], id="J3-no-readings-at-all"),
        case({"pool": pool_of(running={"started": NOW - 900})}, ["action_timeout"], id="A4-an-action-that-hangs"),
        case({"pool": pool_of(running={"started": NOW - 899})}, [], id="A4-a-second-before"),
        case({"history": [action(ago=ago, outcome="failed") for ago in (500, 600)]}, [], id="A4-two-failures"),
        case(
            {"history": [action(ago=ago, outcome="failed") for ago in (500, 600, 700)]},
            ["failed_growth"],
            id="A4-three-failures",
        ),
        case(
            {"history": [*(action(ago=ago, outcome="failed") for ago in (500, 600, 700)), action(ago=550)]},
            [],
            id="A4-not-in-a-row",
        ),
        case({"history": [{}]}, ["history:0"], id="A7-a-broken-entry"),
        *(
            case(
                {"policy": policy_of(guards=[WAIT]), "readings": [*samples(seconds), *pooler]},
                expected,
                id=f"W3-{name}",
            )
            for seconds, pooler, expected, name in (
                (300, [], ["missing:guard pooler_wait > 1"], "a-guard-that-sees-nothing"),
                (299, [], [], "a-guard-that-may-see-something-yet"),
                (600, [waits(299)], [], "a-guard-that-has-just-seen-something"),
                (600, [waits(300)], ["missing:guard pooler_wait > 1"], "a-guard-that-sees-nothing-any-more"),
                (600, [waits(0), waits(600, "pg2")], [], "one-pooler-is-enough"),
            )
        ),
    ],
)
def test_alerts(given, expected):
    assert keys(**given) == expected


def test_five_changes_of_direction_are_an_alert():
    """A1."""
    history = [action("up" if turn % 2 else "down", ago=1000 - turn) for turn in range(6)]
    assert "flapping" in keys(history=history)
    assert "flapping" not in keys(history=history[:5])


def test_an_alert_is_sent_once_until_it_has_cleared():
    """B3; a member that falls silent has not recovered."""
    first = decision(ALERTS, samples(cpu=91)).document()
    assert first["alerts_new"] == [f"metric:cpu > 90:{name}" for name in "abc"]
    known = first["alerts_new"]
    assert decision(ALERTS, samples(cpu=91)).document(known)["alerts_new"] == []
    calm = decision(ALERTS, [*samples(cpu=50, names="ab"), *samples(300, until=60, names="c")]).document(known)
    assert (calm["alerts_new"], calm["alerts_cleared"]) == ([], known[:2])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        case({}, (0, None), id="now-and-at-the-minimum"),
        case({"history": [action(ago=100)]}, (200, 500), id="W2-the-shortest-cooldown"),
        case({"history": [action("down", ago=100)]}, (0, 500), id="W2-growth-does-not-wait"),
        case({"history": [action("down", ago=10)]}, (50, 590), id="B6-a-window-has-to-pass"),
        case({"history": [action(ago=10, outcome="failed")]}, (20, 590), id="A4-back-off"),
        case({"pool": pool_of(paused={"until": NOW + 900, "why": "sale"})}, (900, 900), id="A2-after-the-pause"),
        case({"pool": pool_of(running={"started": NOW - 1})}, (None, None), id="R1-none-while-one-runs"),
        case({"history": [{}]}, (None, None), id="A7-none-until-the-history-is-repaired"),
        case({"policy": policy_of(max=3)}, (None, 0), id="A1-at-the-maximum"),
        case({"pool": pool_of(c={"since": NOW - 20})}, (0, 40), id="W4-after-the-warm-up"),
    ],
)
def test_when_the_next_action_is_possible(given, expected):
    policy = given.pop("policy", policy_of())
    if expected == (0, None):
        policy = policy_of(min=3)
    found = decision(policy, **given)
    assert tuple(None if at is None else at - NOW for at in (found.next_up, found.next_down)) == expected


def ran(capsys, check=False, **options):
    with patch_module_args({"_ansible_check_mode": check, **options}), pytest.raises(SystemExit):
        scaling_decision.main()
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("check", [False, True])
def test_the_module_explains_what_it_decides(capsys, check):
    """R1: the window, the samples counted and the numbers seen, of the winner and of the losers."""
    policy = policy_of(rules=[{"metric": "cpu", "threshold": 70}, {"metric": "memory", "threshold": 90}])
    told = ran(capsys, check, policy=policy, pool=pool_of(), readings=samples(cpu=80, memory=50), now=NOW)
    assert (told["changed"], told["outcome"], told["direction"]) == (False, "scale", "up")
    assert (told["from"], told["to"], told["join"]) == (3, 4, 1)
    assert told["winner"]["window"] == {
        "metric": "cpu",
        "condition": "gt",
        "threshold": 70.0,
        "seconds": 60.0,
        "members": 3,
        "reporting": 3,
        "lacking": {},
        "samples": 15,
        "instants": 5,
        "newest": 80.0,
        "lowest": 80.0,
        "highest": 80.0,
        "age": 0.0,
    }
    assert [(one["name"], one["asks"]) for one in told["losers"]] == [("memory > 90", "down")]
    assert told["told"][0] == "Scale up from 3 to 4 (1 join), asked by rule cpu > 70."


def test_the_module_names_all_faults(capsys):
    told = ran(capsys, policy={"min": 3, "max": 1}, pool={"desired": 1}, now=NOW)
    assert (told["failed"], told["code"]) == (True, "invalid_policy")
    assert [problem["option"] for problem in told["problems"]] == ["policy.interval", "policy.min", "pool.members"]


def test_the_module_takes_the_clock_of_its_host(capsys):
    told = ran(capsys, policy=policy_of(), pool=pool_of())
    assert told["outcome"] == "none"
    assert told["decided_at"] > NOW - 10**8


@pytest.mark.parametrize(
    ("given", "line"),
    [
        case({}, "Scale up from 3 to 4 (1 join), asked by rule cpu > 70.", id="scale"),
        case({"readings": samples(cpu=60)}, "Nothing to do: the size stays 3.", id="none"),
        case({"policy": policy_of(max=3)}, "Held at 3: up is wanted, asked by rule cpu > 70.", id="hold"),
        case(
            {"pool": pool_of(paused={"until": NOW + 60, "why": "sale"}), "readings": samples(cpu=60)},
            "  Paused for another 60 s: sale.",
            id="A2-every-decision-shows-a-pause",
        ),
        case({"pool": pool_of("abcd", d={"failed": True})}, "  It replaces d.", id="B2-replaced"),
        case(
            {"pool": pool_of("abcd", d={"failed": True}), "readings": samples(cpu=20)},
            "  First to leave: d.",
            id="B2-the-first-to-go",
        ),
    ],
)
def test_lines_for_a_person(given, line):
    assert line in decision(**given).told()
