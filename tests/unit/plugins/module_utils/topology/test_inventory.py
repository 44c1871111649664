# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words in which problems are told, and numbers that a template made text of."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import number, together


@pytest.mark.parametrize(
    ("value", "found"),
    [(7, 7), ("7", 7), ("007", 7), (0, 0), (True, None), (7.0, None), ("-7", None), ("\u0667", None), ("1" * 10, None)],
)
def test_a_number_may_be_text(value, found):
    assert number(value) == found


def test_hosts_are_named_together():
    assert [together(list("abcde")[:count]) for count in range(1, 6)] == [
        "a",
        "a and b",
        "a, b and c",
        "a, b and 2 more hosts",
        "a, b and 3 more hosts",
    ]
