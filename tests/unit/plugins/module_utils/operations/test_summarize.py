# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run came to."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations.summarize import troubles

HELD = {"kind": "held", "host": "c", "service": "redis", "broken_by": "b"}
FAILED = {"kind": "failed", "host": "b", "service": "redis", "task": "Run Redis", "reason": "It does not serve."}


@pytest.mark.parametrize(
    ("wanted", "reached", "alive", "entries", "said"),
    [
        ("abc", "abc", "abc", [], []),
        # What a limit leaves out is not in `wanted` and is not missed.
        ("a", "a", "a", [], []),
        ("ab", "a", "a", [], ["b did not answer. Nothing was changed on it; the next run configures it."]),
        ("abc", "abc", "abc", [FAILED], ["b failed with redis at 'Run Redis': It does not serve."]),
        ("abc", "abc", "ab", [], ["c was lost during the run; the errors above say why."]),
        (
            "abc",
            "abc",
            "abc",
            [FAILED, HELD],
            [
                "b failed with redis at 'Run Redis': It does not serve.",
                "c was held with redis, because b failed first. It keeps its configuration.",
            ],
        ),
        ("ab", "ab", "a", [{**FAILED, "task": "", "reason": ""}], ["b failed with redis: see above"]),
    ],
)
def test_troubles(wanted, reached, alive, entries, said):
    assert troubles(wanted, reached, alive, entries) == said
