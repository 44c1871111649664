# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module says of a plan that was carried out, foretold, overtaken or refused."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.scaleout.platform.plugins.module_utils import module
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan

PLAN = Plan(before=1, after=2, actions=("raise",), result={"size": 2}, warnings=("Mind the step.",))


class Task(module.Task):
    def __init__(self, outcome):
        self.outcome = outcome
        self.calls = []

    def plan(self):
        self.calls.append("plan")
        return PLAN

    def apply(self, plan):
        self.calls.append("apply")
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def close(self):
        self.calls.append("close")


def ran(capsys, outcome=None, **arguments):
    task = Task(outcome)
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.run(lambda _module: task, {})
    return json.loads(capsys.readouterr().out), task.calls


@pytest.mark.parametrize(
    ("outcome", "changed", "diff", "size"),
    [
        (None, True, {"before": 1, "after": 2}, 2),
        ({"size": 3}, True, {"before": 1, "after": 2}, 3),
        # Another client was faster, and what was left to do is not what was planned first.
        (Plan(before=5, after=6, actions=("raise",), result={"size": 6}), True, {"before": 5, "after": 6}, 6),
        (Plan(before=2, after=2, result={"size": 2}), False, {"before": 2, "after": 2}, 2),
    ],
)
def test_the_plan_that_was_carried_out_is_told(capsys, outcome, changed, diff, size):
    told, calls = ran(capsys, outcome)
    assert (told["changed"], told["diff"], told["size"]) == (changed, diff, size)
    assert calls == ["plan", "apply", "close"]


def test_check_mode_tells_the_plan_and_stops(capsys):
    told, calls = ran(capsys, _ansible_check_mode=True)
    assert (told["changed"], told["diff"]["after"], told["size"]) == (True, 2, 2)
    assert calls == ["plan", "close"]


def test_an_error_is_one_sentence_and_the_connection_is_given_back(capsys):
    told, calls = ran(capsys, InvalidInput("size", 0, "is too small"))
    assert told["failed"]
    assert (told["msg"], told["option"]) == ("size: 0 is too small.", "size")
    assert calls[-1] == "close"


def test_a_failure_warns_as_ansible_wants_it(capsys, monkeypatch):
    """By its own call, not in the result, which ansible-core calls deprecated."""
    warned, failed_with = [], []
    fail_json = module.AnsibleModule.fail_json
    monkeypatch.setattr(module.AnsibleModule, "warn", lambda _self, text: warned.append(text))
    monkeypatch.setattr(
        module.AnsibleModule, "fail_json", lambda self, **said: (failed_with.append(said), fail_json(self, **said))
    )
    told, _calls = ran(capsys, Refused("It is shut.", code="shut", warnings=["Mind the step."]))
    assert (told["failed"], told["code"], warned) == (True, "shut", ["Mind the step."])
    assert "warnings" not in failed_with[0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("d\u00fc", "d\u00fc"),
        ("l\udcfc", r"l\xfc"),
        ("l\ud800", "l\ufffd"),
        ({"l\udcfc": ["\udcff", 1, None, ("a",)]}, {r"l\xfc": [r"\xff", 1, None, ["a"]]}),
    ],
)
def test_m3_a_result_holds_nothing_that_is_no_text(value, shown):
    assert module.printable(value) == shown


def test_m3_a_result_and_an_error_with_bytes_of_no_encoding(capsys):
    told, _calls = ran(capsys, {"database": "l\udcfc"})
    assert told["database"] == r"l\xfc"
    told, _calls = ran(capsys, InvalidInput("database", "l", "is no\udcfc"))
    assert told["msg"] == r"database: 'l' is no\xfc."
