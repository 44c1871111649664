# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patterns of hosts that name nothing which is not there."""

from __future__ import annotations

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.utils.display import Display
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.plugin_utils.host_pattern import NO_HOST, known

GROUPS = {"all": ["a", "b", "c"], "cache": ["a", "b"], "reached": ["b", "c"], "empty": []}


@pytest.mark.parametrize(("pattern", "expected"), [
    ("all", "all"),
    ("all:!failed", "all"),
    ("all:!empty", "all:!empty"),
    ("cache:&reached:!failed", "cache:&reached"),
    ("cache:monitoring:&reached", "cache:&reached"),
    ("monitoring", NO_HOST),
    ("monitoring:queue:&reached", NO_HOST),
    ("cache:&platform_reached", NO_HOST),
    ("b:&reached", "b:&reached"),
    ("!failed", "all"),
    ("api[0]:c*:~d.*", "api[0]:c*:~d.*"),
    ("localhost", "localhost"),
])  # fmt: skip
def test_what_is_left_of_a_pattern(pattern, expected):
    assert known(pattern, GROUPS) == expected


@pytest.fixture(scope="module", name="inventory")
def _inventory():
    inventory = InventoryManager(loader=DataLoader(), sources=["/dev/null"])
    for name, hosts in GROUPS.items():
        inventory.add_group(name)
        for host in hosts:
            inventory.add_host(host, group=name)
    return inventory


PARTS = st.lists(
    st.builds("{}{}".format, st.sampled_from(["", "", "&", "!"]), st.sampled_from(["a", *GROUPS, "no", "none"])),
    min_size=1,
    max_size=5,
)


@given(parts=PARTS)
@settings(max_examples=300, deadline=None)
def test_it_matches_the_same_hosts_and_ansible_says_nothing(inventory, parts):
    warned = []
    usual, Display.warning = Display.warning, lambda _self, text, **_more: warned.append(text)
    try:
        same = inventory.get_hosts(known(":".join(parts), GROUPS))
        assert warned == []
        assert same == inventory.get_hosts(":".join(parts))
    finally:
        Display.warning = usual
