# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts of a fleet come and go, from what the engine says and what is asked for."""

from __future__ import annotations

import pathlib

import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.members import fleet
from ansible_collections.scaleout.platform.plugins.module_utils.names import FLEET_PROVIDERS

ROLES = pathlib.Path(__file__).parents[5] / "roles"


def container(name, owner="me", state="running", address="172.29.0.2"):
    return {
        "Id": f"id-{name}",
        "State": state,
        "Labels": {"scaleout.host": name, "scaleout.owner": owner},
        "NetworkSettings": {"Networks": {"lab": {"IPAddress": address}}},
    }


def plan(found, *asked):
    return fleet.plan(fleet.containers(found), [{"name": name, "memory": "1g"} for name in asked], "me")


def test_a_container_is_a_member():
    assert fleet.containers([container("api1"), {"Id": "x", "State": "exited", "Labels": None}]) == [
        {
            "name": "api1",
            "owner": "me",
            "address": "172.29.0.2",
            "provider": "docker",
            "provider_id": "id-api1",
            "state": "running",
        },
        {
            "name": None,
            "owner": None,
            "address": None,
            "provider": "docker",
            "provider_id": "x",
            "state": "exited",
        },
    ]


@pytest.mark.parametrize(
    ("found", "asked", "foreign", "missing"),
    [
        ([], ["api1"], [], ["api1"]),
        ([container("api1")], ["api1"], [], []),
        ([container("api1", state="exited")], ["api1"], [], ["api1"]),
        ([container("api1", owner="other")], ["api1"], ["api1"], ["api1"]),
        ([container("api1", owner="other")], ["api2"], [], ["api2"]),
        ([container("api1"), container("api2")], [], [], []),
    ],
)
def test_what_is_missing_and_what_is_in_the_way(found, asked, foreign, missing):
    planned = plan(found, *asked)
    assert planned["foreign"] == foreign
    assert planned["missing"] == [{"name": name, "memory": "1g"} for name in missing]


@pytest.mark.parametrize(
    ("asked", "released", "left"),
    [
        (["api1"], ["api1"], ["api2"]),
        (["api1", "api2"], ["api1", "api2"], []),
        (["api9"], [], ["api1", "api2"]),
    ],
)
def test_what_goes(asked, released, left):
    planned = plan([container("api1"), container("api2", owner="other")], *asked)
    assert [member["name"] for member in planned["released"]] == released
    assert [member["name"] for member in planned["left"]] == left


def test_a_vm_of_the_inventory_is_a_member_once():
    assert fleet.static([{"name": "vm1", "address": "192.0.2.1"}, {"name": "vm1"}, {"name": "vm2"}]) == [
        {"name": "vm1", "address": "192.0.2.1", "provider_id": "", "owner": "", "state": "running"},
        {"name": "vm2", "provider_id": "", "owner": "", "state": "running"},
    ]


def test_the_role_takes_the_providers_that_there_are():
    specs = yaml.safe_load((ROLES / "fleet/meta/argument_specs.yml").read_text())["argument_specs"]
    hosts = specs["main"]["options"]["fleet_hosts"]["options"]
    assert tuple(hosts["provider"]["choices"]) == FLEET_PROVIDERS
    assert {path.name for path in (ROLES / "fleet/tasks").iterdir() if path.is_dir()} == set(FLEET_PROVIDERS)
