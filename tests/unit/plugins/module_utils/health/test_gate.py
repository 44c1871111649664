# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a service is ready, when the wait goes on, and when there is nothing left to wait for."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.health.gate import Answer, Observation, judge, stays

HEALTHY = Observation("active", True, answer=Answer(200, "ok"))
READY, WAIT, HOPELESS = (True, False), (False, False), (False, True)


@pytest.mark.parametrize(
    ("facts", "readiness", "reason"),
    [
        ({}, READY, ""),
        ({"answer": Answer(204)}, READY, ""),
        ({"enabled": False}, READY, ""),
        # It has had trouble before the wait began, which is over.
        ({"restarts": 7}, READY, ""),
        ({"answer": Answer(500, "no database")}, WAIT, "/healthz answered 500 (no database)"),
        ({"answer": Answer(302)}, WAIT, "/healthz answered 302"),
        ({"answer": Answer(0, "Connection refused")}, WAIT, "/healthz did not answer (Connection refused)"),
        ({"active": "activating", "answer": None}, WAIT, "it is activating"),
        (
            {"active": "activating", "answer": None, "restarts": 8, "result": "exit-code", "status": 3},
            WAIT,
            "its process ended (exit-code, status 3)",
        ),
        (
            {"restarts": 10, "result": "exit-code", "status": 3},
            HOPELESS,
            "its process ended (exit-code, status 3) and did so again after each restart",
        ),
        ({"restarts": 10}, HOPELESS, "its process ended and did so again after each restart"),
        ({"active": "inactive", "answer": None}, HOPELESS, "it is not running: its process ended without an error"),
        (
            {"active": "failed", "answer": None, "result": "signal", "status": 9},
            HOPELESS,
            "it is not running: its process ended (signal, status 9)",
        ),
        ({"strangers": ("www-data",)}, HOPELESS, "its port is held by a process of www-data"),
    ],
)
def test_readiness(facts, readiness, reason):
    judged = judge(dataclasses.replace(HEALTHY, **facts), "/healthz", restarts_before=7)
    assert (judged.ready, judged.hopeless) == readiness
    assert judged.reason == reason


def test_a_worker_has_no_path_to_speak_of():
    young = dataclasses.replace(HEALTHY, answer=Answer(0, "it has run for 1.0 s only"))
    assert judge(young, "").reason == "it has run for 1.0 s only"
    assert [state for state in ("active", "activating", "failed") if Observation(state).runs] == [
        "active",
        "activating",
    ]


@pytest.mark.parametrize(
    ("facts", "readiness", "reason"),
    [
        ({}, READY, ""),
        ({"answer": Answer(500, "no database")}, WAIT, "/healthz answered 500 (no database)"),
        # systemd has started it again by the time of the look, and its new process answers.
        ({"restarts": 8}, HOPELESS, "its process ended"),
        ({"restarts": 8, "result": "oom-kill", "status": 9}, HOPELESS, "its process ended (oom-kill, status 9)"),
        ({"active": "activating", "answer": None, "status": 4, "result": "exit-code"}, HOPELESS, "its process ended ("),
        ({"active": "failed", "answer": None}, HOPELESS, "it is not running: its process ended"),
    ],
)
def test_what_is_watched_is_not_forgiven_a_restart(facts, readiness, reason):
    judged = stays(dataclasses.replace(HEALTHY, restarts=facts.pop("restarts", 7), **facts), "/healthz", 7, 3.2)
    assert (judged.ready, judged.hopeless) == readiness
    assert judged.reason.startswith(reason)
    assert judged.ready or judged.reason.endswith(", after it had been healthy for 3 s")
