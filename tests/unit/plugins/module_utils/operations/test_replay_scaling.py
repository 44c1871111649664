# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replay from its options to its result and its picture."""

from __future__ import annotations

import json

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations import replay_scaling
from ansible_collections.scaleout.platform.plugins.module_utils.operations.replay_scaling import ReplayScaling
from ansible_collections.scaleout.platform.plugins.module_utils.replay.faults import InvalidReplay
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import START
from ansible_collections.scaleout.platform.plugins.modules.scaling_replay import ARGUMENTS

CPU = {"metric": "cpu", "threshold": 70}
POLICY = {"min": 1, "max": 6, "interval": 60, "rules": [CPU]}
TRACE = {"kind": "wave", "hours": 6.0, "period_hours": 6.0, "low": 50.0, "peak": 400.0}


def options(**given):
    """The options as the module hands them over: what is not given is None, or the default."""
    found = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
    found.update({"policy": POLICY, "trace": TRACE, "member": {"capacity": 100.0}}, **given)
    for name in ("trace", "member"):
        found[name] = {**dict.fromkeys(ARGUMENTS[name]["options"]), **found[name]}
    return found


def result(**given):
    return ReplayScaling(options(**given)).plan().result


def test_a_replay_compares_and_is_the_same_again():
    found = result()
    assert [run["name"] for run in found["runs"]] == ["policy", "hpa", "target_tracking"]
    assert found == result()
    # A task's result is JSON.
    assert json.loads(json.dumps(found)) == found
    ours = found["runs"][0]
    assert ours["scores"]["actions"] == len(ours["actions"]) > 2
    assert all(action["by"] == "rule cpu > 70" and action["why"] for action in ours["actions"])
    assert "by" not in found["runs"][1]["actions"][0]
    assert found["trace"] | {"mean": 0, "lowest": 0, "highest": 0} == {
        "start": START,
        "interval": 60.0,
        "hours": 6.0,
        "lowest": 0,
        "mean": 0,
        "highest": 0,
    }
    assert [(one["from"], one["to"]) for one in ours["doubling"]] == [(1, 2), (3, 6)]
    assert len(found["table"]) == 9
    # What is told is what the numbers say.
    for one in found["worse"]:
        theirs = next(run for run in found["runs"] if run["name"] == one["than"])
        assert ours["scores"][one["score"]] == one["ours"] > one["theirs"] == theirs["scores"][one["score"]]


def test_a_breach_is_told_with_its_cause():
    (run,) = result(
        trace={"kind": "step", "hours": 3.0, "period_hours": 3.0, "low": 50.0, "peak": 500.0}, baselines=[]
    )["runs"]
    assert run["breaches"][0]["missing"] == 5
    for breach in run["breaches"]:
        assert sum(breach["because"].values()) == breach["seconds"]
    assert {"grows", "cooldown", "unproven"} <= set(run["breaches"][0]["because"])


@pytest.mark.parametrize(
    ("interval", "every", "expected"),
    [(60, 60.0, 60.0), (15, 60.0, 15.0), (25, 60.0, 20.0), (60, 15.0, 15.0), (15, None, 15.0)],
    ids=["the-same", "split", "evenly", "denser", "its-own"],
)
def test_a_demand_is_sampled_as_often_as_the_policy_expects(interval, every, expected):
    found = result(policy={**POLICY, "interval": interval}, trace={**TRACE, "hours": 1.0, "interval": every})
    assert found["trace"]["interval"] == expected
    assert found["trace"]["hours"] == pytest.approx(1.0)


@pytest.mark.parametrize(("first", "start"), [(0, START), (1_767_312_000, 1_767_312_000)], ids=["relative", "epoch"])
def test_a_file_is_replayed(tmp_path, first, start):
    path = tmp_path / "trace.csv"
    rows = [f"{first + 60 * number},{50 if number < 10 else 150}" for number in range(60)]
    path.write_text("\n".join(["seconds,requests_per_second", *rows]), encoding="utf-8")
    found = result(trace={"path": str(path)}, baselines=[])
    assert (found["trace"]["start"], found["trace"]["hours"]) == (start, 1.0)
    # Ten calm minutes, three samples that breach; the second member serves at 840 s, and the cooldown is 300 s.
    assert [(one["started"] - start, one["to"]) for one in found["runs"][0]["actions"]] == [(780.0, 2), (1140.0, 3)]


def test_a_schedule_moves_the_bounds_of_ours_and_not_of_the_others():
    window = {"from": "01:00", "to": "02:00", "time_zone": "UTC", "min": 8, "max": 8}
    found = result(
        policy={**POLICY, "schedule": [window]},
        trace={"kind": "saw", "hours": 3.0, "low": 10.0, "peak": 20.0},
        baselines=["hpa"],
    )
    ours, theirs = found["runs"]
    assert max(change["ordered"] for change in ours["capacity"]) == 8
    assert ours["actions"][0]["by"] == "bound minimum"
    assert theirs["actions"] == []


def test_the_baselines_are_those_that_are_asked_for():
    found = result(baselines=["hpa", "hpa"], baseline_metric="requests", baseline_target=30.0)
    assert [run["name"] for run in found["runs"]] == ["policy", "hpa"]
    high = max(change["ordered"] for change in found["runs"][1]["capacity"])
    assert high == 6


def test_long_lists_are_cut_and_the_counts_are_not(monkeypatch):
    monkeypatch.setattr(replay_scaling, "LISTED", 2)
    run = result(baselines=[])["runs"][0]
    assert [len(run[name]) for name in ("actions", "capacity")] == [2, 2]
    assert run["scores"]["actions"] > 2


@pytest.mark.parametrize("name", ["plot.svg", "plot.HTML"])
def test_the_picture_is_planned_then_written_once(tmp_path, name):
    path = tmp_path / name
    task = ReplayScaling(options(plot=str(path)))
    plan = task.plan()
    assert (plan.changed, plan.before, plan.after) == (True, {"plot": None}, {"plot": str(path)})
    assert not path.exists()
    task.apply(plan)
    assert path.read_text(encoding="utf-8").startswith("<svg" if name == "plot.svg" else "<!DOCTYPE html>")
    assert [file.name for file in tmp_path.iterdir()] == [name]
    again = ReplayScaling(options(plot=str(path))).plan()
    assert (again.changed, again.before) == (False, {"plot": str(path)})
    assert ReplayScaling(options(plot=str(path), title="Another")).plan().changed


def test_without_a_picture_nothing_changes():
    assert not ReplayScaling(options()).plan().changed


def test_a_picture_that_cannot_be_written_has_a_code(tmp_path):
    task = ReplayScaling(options(plot=str(tmp_path / "none" / "plot.svg")))
    with pytest.raises(Refused) as caught:
        task.apply(task.plan())
    assert caught.value.code == "write_failed"
    (tmp_path / "folder.svg").mkdir()
    task = ReplayScaling(options(plot=str(tmp_path / "folder.svg")))
    with pytest.raises(Refused) as caught:
        task.plan()
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"policy": {"min": 1, "max": 2}}, ["policy.interval: is required."]),
        ({"trace": {}}, ["trace: needs one of path and kind."]),
        ({"trace": {"path": "/a", "kind": "saw"}}, ["trace: needs one of path and kind."]),
        ({"trace": {"path": "/a", "seed": 2}}, ["trace.seed: has no meaning for a trace that is read from a file."]),
        ({"trace": {"path": "/none"}}, ["trace.path: /none: It cannot be read: No such file or directory."]),
        ({"trace": {"kind": "saw", "noise": 2.0}}, ["trace.noise: 2 is above 1."]),
        ({"trace": {"kind": "saw", "start": 1.7e12}}, ["trace.start: 1.7e+12 is no time in seconds since 1970."]),
        ({"member": {"capacity": 0.0}}, ["member.capacity: 0.0 is not above zero."]),
        ({"initial": 7}, ["initial: 7 is not between 1 and 6."]),
        ({"cycle": 0.0}, ["cycle: 0.0 is not a number above zero."]),
        ({"baseline_target": float("nan")}, ["baseline_target: nan is not a number above zero."]),
        ({"baseline_target": 170.0}, ["baseline_target: 170 is above 100 per cent."]),
        ({"plot": "/tmp/a.png"}, ["plot: '/tmp/a.png' does not end with .svg or .html."]),
        (
            {"policy": {**POLICY, "interval": 0.001}},
            ["trace.hours: 6 in intervals of 0.001 s are not 2 to 5256000 values."],
        ),
        (
            {"policy": {**POLICY, "interval": 0.001}, "trace": {**TRACE, "interval": 60.0}},
            ["policy.interval: 0.001 makes more than 5256000 samples of a trace of 6 h."],
        ),
        # All at once, the policy's faults first.
        (
            {
                "policy": {"min": 3, "max": 2, "interval": "5m", "rules": [{"metric": "load"}]},
                "trace": {"kind": "saw", "peak": 1.0, "interval": 60.0},
                "member": {"capacity": -1.0, "memory": 101.0},
                "cycle": -1.0,
                "plot": "plot",
            },
            [
                "policy.interval: '5m' ",
                "policy.min: 3 is above max, 2.",
                "policy.rules[0].metric: 'load' ",
                "policy.rules[0].threshold: is required.",
                "member.capacity: -1.0 is not a number of zero or more.",
                "trace.peak: 1 is below low, 100.",
                "cycle: -1.0 ",
                "plot: 'plot' ",
            ],
        ),
    ],
)
def test_what_cannot_be_is_refused_with_all_that_is_wrong(given, expected):
    with pytest.raises(InvalidReplay) as caught:
        ReplayScaling(options(**given)).plan()
    error = caught.value.result()
    found = [f"{one['option']}: {one['text']}" for one in error["problems"]]
    assert [text[: len(words)] for text, words in zip(found, expected, strict=True)] == expected
    assert (error["code"], error["option"]) == ("invalid_input", expected[0].split(":")[0])
    assert all(text in error["msg"] for text in found)
