# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A healthy service that is watched, look by look; the looks themselves are tested on a host."""

from __future__ import annotations

import types

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.health import server
from ansible_collections.scaleout.platform.plugins.module_utils.health.gate import Answer, Observation

WELL, ILL = Observation("active", True, answer=Answer(200)), Observation("active", True, answer=Answer(500))
DEAD = Observation("activating", True, result="signal", status=9)
AGAIN = Observation("active", True, restarts=1, answer=Answer(200))


@pytest.fixture(name="watch")
def _watch(monkeypatch):
    """A function that watches for 3 s, of which a look takes none and a pause one; returns the reason and the looks."""

    def watch(*looks):
        now, left = [0.0], list(looks)
        clock = types.SimpleNamespace(
            monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds)
        )
        monkeypatch.setattr(server, "time", clock)
        monkeypatch.setattr(server, "_WATCH_PAUSE", 1.0)
        service = server.Service("shop.service", 8000, "/healthz")
        monkeypatch.setattr(service, "look", lambda _patience: left.pop(0))
        reason, blamed = server.watch(service, (), 3)
        assert blamed is service
        return reason, len(looks) - len(left)

    return watch


@pytest.mark.parametrize(
    ("looks", "reason", "needed"),
    [
        ((WELL, WELL, WELL, WELL), "", 4),
        ((WELL, WELL, WELL, DEAD), "its process ended (signal, status 9), after it had been healthy for 3 s", 4),
        ((WELL, WELL, AGAIN), "its process ended, after it had been healthy for 2 s", 3),
        # One slow answer is forgiven, two in a row are not; the time is not over with a bad one.
        ((WELL, ILL, WELL, WELL), "", 4),
        ((WELL, WELL, WELL, ILL, WELL), "", 5),
        ((WELL, ILL, ILL), "/healthz answered 500, after it had been healthy for 2 s", 3),
    ],
)
def test_watching(watch, looks, reason, needed):
    assert watch(*looks) == (reason, needed)
