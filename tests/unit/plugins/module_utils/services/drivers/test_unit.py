# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What systemd is told when a service takes up its files."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.process import Done
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import unit

RUNS = unit.UnitState("a.service", known=True, active=True, enabled=True)
STOPPED = unit.UnitState("a.service", known=True, enabled=True)
UNKNOWN = unit.UnitState("a.service")
CHANGED = unit.UnitState("a.service", known=True, active=True, enabled=True, needs_daemon_reload=True)


@pytest.mark.parametrize(
    ("state", "level", "verbs"),
    [
        (RUNS, "reload", ["reset-failed", "reload-or-restart"]),
        (CHANGED, "reload", ["daemon-reload", "reset-failed", "reload-or-restart"]),
        # Whatever systemd says of its own files: on Debian 12 it does not see a new drop-in.
        (RUNS, "restart", ["daemon-reload", "reset-failed", "restart"]),
        (STOPPED, "reload", ["daemon-reload", "reset-failed", "start"]),
        (STOPPED, "restart", ["daemon-reload", "reset-failed", "start"]),
        (UNKNOWN, "restart", ["daemon-reload", "reset-failed", "enable", "start"]),
    ],
)
def test_units_are_read_again_before_they_start(monkeypatch, state, level, verbs):
    asked = []

    def run(argv, **_options):
        asked.append(argv[1])
        return Done(0, "", "")

    monkeypatch.setattr(unit, "run", run)
    monkeypatch.setattr(unit, "states", lambda _units: [state])
    assert unit.Driver("a", ["a.service"], {}, {}, "digest").activate(level) == ""
    assert asked == verbs


@pytest.mark.parametrize(("state", "verbs"), [(RUNS, ["disable", "reset-failed"]), (UNKNOWN, [])])
def test_what_is_removed_is_not_left_among_what_has_failed(monkeypatch, state, verbs):
    asked = []

    def run(argv, **_options):
        asked.append(argv[1])
        return Done(0, "", "")

    monkeypatch.setattr(unit, "run", run)
    monkeypatch.setattr(unit, "states", lambda _units: [state])
    assert unit.Driver("a", ["a.service"], {}, {}, "digest").absent() == ""
    assert asked == verbs
