# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two hosts that are at one address, however it is written."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.topology import platform as topology

GATE = "198.51.100.1"


def taken(first, second):
    hosts = {"vm1": first, "vm2": second}
    problems = topology.problems(Platform(hosts, {"consul_server": ["vm1"]}))
    assert {problem.code for problem in problems} <= {"address_taken"}
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ({"ansible_host": "192.0.2.7"}, {"ansible_host": "192.0.2.7"}, "192.0.2.7"),
        ({"platform_address": "192.0.2.7"}, {"ansible_host": "192.0.2.7"}, "192.0.2.7"),
        (
            {"ansible_host": GATE, "platform_address": "192.0.2.7"},
            {"ansible_host": "203.0.113.1", "platform_address": "192.0.2.7"},
            "192.0.2.7",
        ),
        ({"ansible_host": "2001:db8::7"}, {"ansible_host": "2001:DB8:0::7"}, "2001:DB8:0::7"),
        ({"ansible_host": "VM2"}, {}, "vm2"),
    ],
)
def test_h6_two_hosts_with_one_address_are_named(first, second, shown):
    assert taken(first, second) == [f"the address of vm1 and vm2 is the same: {shown}."]


def test_h6_two_hosts_that_ssh_reaches_at_one_address_are_one_machine():
    assert taken(
        {"ansible_host": GATE, "platform_address": "192.0.2.7"}, {"ansible_host": GATE, "platform_address": "192.0.2.8"}
    ) == [f"ansible_host of vm1 and vm2 is the same: {GATE}; they would be one machine."]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"ansible_host": "192.0.2.7"}, {"ansible_host": "192.0.2.8"}),
        ({}, {}),
        (
            {"ansible_host": GATE, "ansible_port": 2201, "platform_address": "192.0.2.7"},
            {"ansible_host": GATE, "ansible_port": 2202, "platform_address": "192.0.2.8"},
        ),
    ],
)
def test_h6_two_addresses_or_two_ports_of_one_are_two_hosts(first, second):
    assert taken(first, second) == []
