# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pool under load in a few words, for tests of decisions: three members a to c, a sample each 15 s, cpu > 70."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import History
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.result import decide_on, read

NOW = 1_767_225_600.0  # Thursday 2026-01-01 00:00:00 UTC
CPU = {"metric": "cpu", "threshold": 70}
UP_ONLY = {**CPU, "down": False}


def policy_of(**keys):
    return {"min": 1, "max": 10, "interval": 15, "rules": [CPU], "alerts": [], **keys}


def member(name, **facts):
    return {"name": name, "healthy": True, "in_rotation": True, "reached": True, **facts}


def pool_of(names="abc", desired=None, paused=None, running=None, **facts):
    """A pool; ``b={"healthy": False}`` says what is different about a member."""
    members = [member(name, **facts.get(name, {})) for name in names]
    return {
        "desired": len(members) if desired is None else desired,
        "members": members,
        "paused": paused,
        "running": running,
    }


def samples(seconds=300, every=15, names="abc", until=0, **values):
    """Readings of members over the last ``seconds``, the newest ``until`` seconds old."""
    values = values or {"cpu": 80}
    return [
        {"instance": name, "at": NOW - age, "values": dict(values)}
        for age in range(seconds, until - 1, -every)
        for name in names
    ]


def action(direction="up", before=2, after=3, ago=1000, outcome="succeeded", **facts):
    """An action that finished ``ago`` seconds ago."""
    if direction == "down":
        before, after = after, before
    return {
        "direction": direction,
        "from": before,
        "to": after,
        "started": NOW - ago - 10,
        "finished": NOW - ago,
        "outcome": outcome,
        **facts,
    }


def decision(policy=None, readings=None, pool=None, history=(), now=NOW):
    parsed, asked = read(policy or policy_of(), pool or pool_of(), now)
    return decide_on(parsed, Readings(samples() if readings is None else readings), asked, History(history), now)


def decided(*arguments, **keywords):
    """The outcome in a word or two: ``up 4``, ``down 2``, ``none``, or ``hold`` with the codes of its reasons."""
    choice = decision(*arguments, **keywords).choice
    if choice.outcome == "scale":
        return f"{choice.direction} {choice.after}"
    return " ".join([choice.outcome, *dict.fromkeys(reason.code for reason in choice.reasons)])


case = pytest.param
