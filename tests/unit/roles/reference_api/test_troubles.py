# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fault P7: a client, readiness and a metric say that a disk is full."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[4] / "roles" / "reference_api" / "files"))

from reference_api.troubles import FORGET, HOLD, WriteTrouble, clause

NOW = 1000.0


@pytest.mark.parametrize(
    ("sqlstate", "said"),
    [
        ("53100", "has a full disk"),
        ("25006", "takes no writes, for it is read-only"),
        ("57014", "took too long for a statement"),
        ("40001", "cannot work now (SerializationFailure)"),
        (None, "cannot work now (SerializationFailure)"),
    ],
)
def test_p7_what_a_client_is_told(sqlstate: str | None, said: str) -> None:
    assert clause(sqlstate, "SerializationFailure") == said


@pytest.mark.parametrize(
    ("writes", "after", "cause"),
    [
        pytest.param([], 0.0, "", id="nothing-yet"),
        pytest.param([(0, "53100")], 0.0, "disk_full", id="full"),
        pytest.param([(0, "25006")], 0.0, "read_only", id="read-only"),
        pytest.param([(0, "57014")], 0.0, "", id="passes-by-itself"),
        pytest.param([(0, "53100"), (1, "57014")], 1.0, "disk_full", id="and-slow"),
        pytest.param([(0, "53100"), (HOLD - 1, "")], HOLD, "disk_full", id="some-find-room"),
        pytest.param([(0, "53100"), (HOLD, "")], HOLD, "", id="room-again"),
        pytest.param([(0, "53100"), (HOLD - 1, "53100"), (HOLD, "")], HOLD, "disk_full", id="full-again"),
        pytest.param([(0, "53100")], FORGET, "disk_full", id="not-written-to"),
        pytest.param([(0, "53100")], FORGET + 1, "", id="not-written-to-for-long"),
    ],
)
def test_p7_how_long_a_full_disk_is_shown(writes: list[tuple[float, str]], after: float, cause: str) -> None:
    trouble = WriteTrouble()
    for seconds, sqlstate in writes:
        if sqlstate:
            trouble.failed(sqlstate, NOW + seconds)
        else:
            trouble.worked(NOW + seconds)
    assert trouble.cause(NOW + after) == cause
    assert bool(trouble.words(NOW + after)) is bool(cause)
