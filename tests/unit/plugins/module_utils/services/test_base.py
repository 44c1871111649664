# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which systems the platform lives on, what is missing there, and how a host's files are read."""

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform
from ansible_collections.scaleout.platform.plugins.module_utils.services import base, table
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import packages

ROLES = pathlib.Path(__file__).parents[5] / "roles"
STATE = {
    "system": "debian",
    "release": "13",
    "system_name": "Debian GNU/Linux 13 (trixie)",
    "packages": ["chrony", "procps"],
    "index_age": 60,
}
VARIABLES = {"base_packages": ["iproute2", "procps"], "base_time_sync": True, "base_apt_cache_valid_time": 3600}
PLATFORM = Platform(hosts={"vm1": VARIABLES})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"release": "11", "system_name": "Debian GNU/Linux 11 (bullseye)"},
            "Debian GNU/Linux 11 (bullseye) is not supported; supported are Debian 12 and Debian 13",
        ),
        (
            {"system": "ubuntu", "release": "24.04", "system_name": "Ubuntu 24.04 LTS"},
            "Ubuntu 24.04 LTS is not supported; supported are Debian 12 and Debian 13",
        ),
        (
            {"system": "", "release": "", "system_name": ""},
            "its system is not supported; supported are Debian 12 and Debian 13",
        ),
    ],
)
def test_other_systems_are_refused(changes, sentence):
    (problem,) = base.problems(PLATFORM, "vm1", {**STATE, **changes})
    assert (problem.code, str(problem)) == ("unsupported_system", f"vm1: {sentence}.")


@pytest.mark.parametrize("state", [None, STATE, {**STATE, "release": "12"}])
def test_ours_are_not(state):
    assert base.problems(PLATFORM, "vm1", state) == []


@pytest.mark.parametrize(
    ("variables", "state", "missing", "stale"),
    [
        ({}, {}, ["iproute2"], False),
        ({}, {"packages": []}, ["iproute2", "procps", "chrony"], False),
        ({"base_time_sync": False}, {"packages": ["iproute2", "procps"]}, [], False),
        ({}, {"index_age": 3601}, ["iproute2"], True),
        ({"base_apt_cache_valid_time": 7200}, {"index_age": 3601}, ["iproute2"], False),
        ({}, {"index_age": None}, ["iproute2"], True),
    ],
)
def test_what_is_missing(variables, state, missing, stale):
    platform = Platform(hosts={"vm1": {**VARIABLES, **variables}})
    wanted = base.wanted(platform, "vm1", {**STATE, **state})
    assert (wanted["missing"], wanted["stale_index"]) == (missing, stale)


@pytest.mark.parametrize(
    ("groups", "packages", "units"),
    [
        ({}, ["consul"], ["consul"]),
        ({"loadbalancer": ["vm1"]}, ["consul", "nginx", "libnginx"], ["consul", "nginx"]),
        ({"postgres": ["vm2"], "api": ["vm2"]}, ["consul"], ["consul"]),
        (
            {"postgres": ["vm1"]},
            ["consul", "postgresql", "patroni", "pgbouncer"],
            ["consul", "postgresql", "patroni", "pgbouncer"],
        ),
        (
            {"cache": ["vm1"], "queue": ["vm1"]},
            ["consul", "redis", "valkey", "rabbitmq-server", "erlang"],
            ["consul", "redis-server", "valkey-server", "rabbitmq-server", "epmd"],
        ),
        ({"api": ["vm1"]}, ["consul"], ["consul", r"my-shop(-[a-z0-9_-]+)?\.service$"]),
    ],
)
def test_what_only_a_run_upgrades_and_restarts(groups, packages, units):
    application = Application("my-shop", "api", "scaleout.platform.app")
    platform = Platform({"vm1": VARIABLES, "vm2": {}}, groups, applications={"my-shop": application})
    wanted = base.wanted(platform, "vm1", STATE)
    assert (wanted["kept_packages"], wanted["kept_units"]) == (packages, units)


def test_each_service_with_a_package_of_its_own_is_kept():
    """By what the roles install."""
    tasks = [*ROLES.glob("*/tasks/install.yml"), *ROLES.glob("*/tasks/programs.yml")]
    installed = {path.parts[-3] for path in tasks if "ansible.builtin.apt" in path.read_text()}
    assert installed - {"base", "app", "firewall"} == set(table.PACKAGES) == set(table.UNITS)


STATUS = """\
Package: adduser
Status: install ok installed
Description: a tool
 Status: none

Package: gone
Status: deinstall ok config-files

Package: half
Status: install ok half-configured

Package: held
Status: hold ok installed
"""


def test_a_host_is_read_from_its_files(tmp_path):
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")

    assert packages.read(str(tmp_path)) == {
        "system": "",
        "release": "",
        "system_name": "",
        "packages": [],
        "index_age": None,
    }
    write("etc/os-release", 'ID=debian\nVERSION_ID="13"\n# a note\nPRETTY_NAME="Debian GNU/Linux 13"\nODD="x\n')
    write("var/lib/dpkg/status", STATUS)
    write("var/lib/apt/lists/partial", "")
    assert packages.read(str(tmp_path))["index_age"] is None
    write("var/lib/apt/lists/deb.debian.org_Packages.lz4", "")
    lists = tmp_path / "var/lib/apt/lists"
    os.utime(lists, (lists.stat().st_mtime - 500,) * 2)
    found = packages.read(str(tmp_path))
    assert 500 <= found.pop("index_age") < 600
    assert found == {
        "system": "debian",
        "release": "13",
        "system_name": "Debian GNU/Linux 13",
        "packages": ["adduser", "held"],
    }


def test_this_very_host_can_be_read():
    assert packages.read()["system"]
