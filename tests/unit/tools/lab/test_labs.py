# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of the labs says of each inventory what the inventory says itself."""

from __future__ import annotations

import ipaddress
import json
import subprocess

import pytest

from tools.lab import __main__, labs
from tools.lab.labs import LABS
from tools.lab.paths import ROOT


@pytest.fixture(scope="module", params=LABS.values(), ids=LABS)
def lab(request):
    return request.param


@pytest.fixture(scope="module")
def inventory(lab):
    """As Ansible reads it; the plugin that asks Consul is left out."""
    command = ["ansible-inventory", "-i", str(lab.inventory / "hosts.yml"), "--list"]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_fleet_and_subnet_are_the_inventorys(lab, inventory):
    said = {(host["fleet_name"], host["fleet_docker_subnet"]) for host in inventory["_meta"]["hostvars"].values()}
    assert said == {(lab.fleet, lab.subnet)}


def test_every_host_is_in_the_subnet(lab, inventory):
    network = ipaddress.ip_network(lab.subnet)
    addresses = {name: host["ansible_host"] for name, host in inventory["_meta"]["hostvars"].items()}
    assert not {name for name, address in addresses.items() if ipaddress.ip_address(address) not in network}
    assert len(set(addresses.values())) == len(addresses)


def test_the_consul_servers_are_the_inventorys(lab, inventory):
    assert list(lab.consul_servers) == inventory["consul_server"]["hosts"]


def test_the_inventory_plugin_keeps_what_it_saw_where_a_new_lab_removes_it(lab):
    (line,) = [
        line for line in (lab.inventory / "members.yml").read_text().splitlines() if line.startswith("cache_file: ")
    ]
    path = line.removeprefix("cache_file: ").replace("{{ inventory_dir | basename }}", lab.inventory.name)
    assert (lab.inventory / path).resolve() == lab.members


@pytest.mark.parametrize(
    ("gone", "left"),
    [(["trio"], ["members-lab.json", "members-mine.json", "other"]), (["lab", "trio"], ["other"])],
)
def test_with_all_vms_goes_what_copies_of_the_inventories_saw(monkeypatch, tmp_path, gone, left):
    monkeypatch.setattr(labs, "LAB", tmp_path)
    monkeypatch.setattr(__main__, "LAB", tmp_path)
    monkeypatch.setattr(__main__, "KNOWN_HOSTS", tmp_path / "known_hosts")
    monkeypatch.setattr(__main__, "succeeds", lambda *_command: True)
    monkeypatch.setattr(__main__.engine, "remove_fleet", lambda _fleet: None)
    for name in ("members-lab.json", "members-trio.json", "members-mine.json", "other"):
        (tmp_path / name).touch()
    assert __main__.down([labs.LABS[name] for name in gone]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == left
