# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who of a group serves, by what Consul says."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.members.health import in_maintenance, judge, known

MEMBERS = [
    {"Name": "api1", "Status": 1},
    {"Name": "api2", "Status": 4},
    {"Name": "api3", "Status": 1},
    {"Name": "left", "Status": 3},
]
NODES = [{"Node": "api1"}, {"Node": "api2"}, {"Node": "stale"}]


def service(**checks):
    """The health of a service: for each host the states of the checks, its node's among them."""
    return [
        {"Node": {"Node": name}, "Checks": [{"Status": status} for status in states.split()]}
        for name, states in checks.items()
    ]


def test_whom_consul_knows():
    assert known(MEMBERS, NODES) == {"api1": True, "api2": False, "api3": True, "left": False, "stale": False}


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ([], "serving dead serving dead"),
        ([service(api1="passing passing", api2="critical passing", api3="passing")], "serving dead serving dead"),
        ([service(api1="passing critical", api3="passing warning")], "failing dead serving dead"),
        ([service(api1="passing")], "serving dead failing dead"),
        # Each of several has to pass.
        (
            [service(api1="passing", api3="passing"), service(api1="critical", api3="passing")],
            "failing dead serving dead",
        ),
        # An application that registers under another name, or not at all.
        ([[], service(api1="passing", api3="passing")], "serving dead serving dead"),
        ([[]], "serving dead serving dead"),
    ],
)
def test_l2_how_each_is(services, expected):
    found = judge(["api1", "api2", "api3", "never"], known(MEMBERS, NODES), services)
    assert " ".join(found.values()) == expected


def test_who_is_in_maintenance():
    def entry(name, *checks):
        return {"Node": {"Node": name}, "Checks": [{"CheckID": check, "Status": "critical"} for check in checks]}

    services = (
        [entry("api1", "serfHealth", "service:shop"), entry("api2", "_service_maintenance:shop", "service:shop")],
        [entry("api1", "service:search"), entry("api3", "_node_maintenance")],
    )
    assert in_maintenance(services) == {"api2", "api3"}
    assert in_maintenance(()) == set()
