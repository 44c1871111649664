# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host keys of a lab that is gone are forgotten, and no others."""

from __future__ import annotations

import pytest

from tools.lab.known_hosts import without

LAB = "172.29.84.11 ssh-ed25519 AAAA\n"
TRIO = "172.29.85.11 ssh-ed25519 BBBB\n"
OTHERS = "172.29.86.11 ssh-ed25519 CCCC\ngit.example.org ssh-ed25519 DDDD\n# 172.29.84.11\n\n"


@pytest.mark.parametrize(
    ("text", "subnets", "left"),
    [
        (LAB + OTHERS + TRIO, ["172.29.84.0/24"], OTHERS + TRIO),
        (LAB + OTHERS + TRIO, ["172.29.84.0/24", "172.29.85.0/24"], OTHERS),
        (LAB + LAB, ["172.29.84.0/24"], ""),
        (LAB, [], LAB),
        ("", ["172.29.84.0/24"], ""),
        ("172.29.85.11 ssh-ed25519 BBBB", ["172.29.84.0/24"], "172.29.85.11 ssh-ed25519 BBBB"),
    ],
)
def test_lines_of_a_subnet_go(text, subnets, left):
    assert without(text, subnets) == left
